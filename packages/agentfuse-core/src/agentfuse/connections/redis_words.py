"""Text as Redis keeps it: bytes, whatever the text."""

from __future__ import annotations


def bytes_of(text: str) -> bytes:
    """Write any text, also one that no UTF-8 allows (a lone surrogate)."""
    return text.encode("utf-8", "surrogatepass")


def str_of(data: bytes) -> str:
    """Read what ``bytes_of`` wrote."""
    return data.decode("utf-8", "surrogatepass")
