"""Embed every text once, and keep the vectors from run to run under the embedder's fingerprint."""

from __future__ import annotations

import re
import sys
import tempfile
import time
from hashlib import sha1
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SECONDS_BETWEEN_WORDS = 5.0
SAVED_EVERY = 5_000


class Vectors:
    """Vectors by text."""

    def __init__(self, rows: dict[str, Any]) -> None:
        self._rows = rows

    def matrix(self, texts: Sequence[str]) -> Any:
        """Give the vectors of texts, one a row."""
        return np.stack([self._rows[_key(text)] for text in texts])

    def of(self, text: str) -> Any:
        """Give a text's vector."""
        return self._rows[_key(text)]

    def cosine(self, one: str, other: str) -> float:
        """Give the cosine of two texts."""
        return float(self._rows[_key(one)] @ self._rows[_key(other)])


def vectors_of(texts: Sequence[str], fingerprint: str, embed: Callable[[str], Any]) -> Vectors:
    """Embed what no earlier run has embedded."""
    path = _place(fingerprint)
    rows = _read(path)
    missing = [text for text in texts if _key(text) not in rows]
    began = spoken = time.monotonic()
    for done, text in enumerate(missing, 1):
        rows[_key(text)] = np.asarray(embed(text), dtype=np.float32)
        if time.monotonic() - spoken > SECONDS_BETWEEN_WORDS:
            spoken = time.monotonic()
            pace = done / (spoken - began)
            print(
                f"embedded {done:,} of {len(missing):,}; {(len(missing) - done) / pace:.0f} s left",
                file=sys.stderr,
                flush=True,
            )
        if not done % SAVED_EVERY:
            _write(path, rows)
    if missing:
        _write(path, rows)
    return Vectors(rows)


def _key(text: str) -> str:
    return sha1(text.encode(), usedforsecurity=False).hexdigest()


def _place(fingerprint: str) -> Path:
    folder = Path(tempfile.gettempdir()) / "agentfuse-evals"
    folder.mkdir(exist_ok=True)
    return folder / f"{re.sub(r'[^A-Za-z0-9.-]+', '-', fingerprint)}.npz"


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    with np.load(path) as kept:
        return dict(zip(kept["keys"].tolist(), kept["vectors"], strict=True))


def _write(path: Path, rows: dict[str, Any]) -> None:
    unfinished = path.with_suffix(".part.npz")
    np.savez(unfinished, keys=np.array(list(rows)), vectors=np.stack(list(rows.values())))
    unfinished.replace(path)
