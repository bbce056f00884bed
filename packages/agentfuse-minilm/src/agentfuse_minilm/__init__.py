"""The files of a sentence embedding model, and where they lie."""

from __future__ import annotations

from pathlib import Path

__version__ = "0.1.0"
__all__ = ["folder"]


def folder() -> Path:
    """Give the folder of the model: ``minilm-int8.onnx``, ``tokenizer.json`` and ``about.json``.

    ``about.json`` says what the model is (its name, quantisation, pooling, maximum of tokens and
    dimensions) and gives the SHA-256 of each file.
    """
    return Path(__file__).parent / "model"
