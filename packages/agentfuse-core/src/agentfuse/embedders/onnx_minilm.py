"""MiniLM on ONNX Runtime in int8: the default embedder."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from agentfuse.embedders.model_folders import digest_of, folder_of
from agentfuse.embedders.units import mean_of
from agentfuse.embedders.words import MAX_TOKENS, MAX_WINDOWS, Words

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

onnxruntime: Any = import_module("onnxruntime")  # it has no types

GRAPH = "minilm-int8.onnx"


class OnnxMiniLM:
    """all-MiniLM-L6-v2, its weights in int8: ``[384]``, about 3 ms of one core for a question.

    ``folder`` holds ``minilm-int8.onnx`` and ``tokenizer.json``; without one it is that of the
    package agentfuse-minilm. Raises ConfigurationError where there is none. One text is one run,
    since int8 activations are scaled by what is in the batch, on one thread: many questions are
    many callers. A text longer than 256 tokens is read in windows, at most eight, whose vectors
    are averaged by their lengths; what comes after is not seen.
    """

    dim = 384

    def __init__(self, folder: Path | str | None = None) -> None:
        place = folder_of("minilm", folder)
        self.fingerprint = f"minilm-int8/mean/{MAX_TOKENS}x{MAX_WINDOWS}/{digest_of(place / GRAPH)}"
        self._words = Words(place / "tokenizer.json")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        # Its warnings go to stderr past logging; what is fatal is raised all the same.
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            place / GRAPH, options, providers=["CPUExecutionProvider"]
        )

    def embed(self, text: str) -> NDArray[np.float32]:
        """Give a text's vector."""
        windows = self._words.windows_of(text)
        return mean_of([self._vector(ids) for ids in windows], [len(ids) for ids in windows])

    def _vector(self, ids: list[int]) -> NDArray[np.float32]:
        vector: NDArray[np.float32]
        (vector,) = self._session.run(["vector"], {"ids": np.array(ids, np.int64)})
        return vector
