"""The files of a sentence embedding model, and where they lie."""

from __future__ import annotations

from pathlib import Path

__version__ = "0.1.0"
__all__ = ["folder"]


def folder() -> Path:
    """Give the folder of ``minilm-int8.onnx``, ``tiny-int8.npy`` and their ``tokenizer.json``.

    ``about.json`` says what the model is (its name, quantisation, pooling, maximum of tokens and
    dimensions) and gives the SHA-256 of its files; ``about-tiny.json`` the same of the table.
    """
    return Path(__file__).parent / "model"
