"""Vectors and what belongs to them in one file: whole and checked, or not there."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import struct
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from agentfuse.sqlite_files import set_aside

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

MAGIC = b"AFvec1\r\n"  # the line end tells a file that was copied as text
_SIZES = struct.Struct("<QQ")  # bytes of the head, bytes of the vectors
_DIGEST = 32
_STALE = 3600.0  # seconds after which a half-written file is one that somebody was killed over


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Entries (JSON objects) and their vectors ``[n, dim]``, in the same order.

    ``fingerprint`` is that of the embedder which made the vectors.
    """

    fingerprint: str
    entries: Sequence[Mapping[str, Any]]
    vectors: NDArray[np.float32]


def save(path: Path | str, snapshot: Snapshot) -> None:
    """Write a file in the place of an older one, in one step: a reader sees the old or the new.

    Vectors are kept in half precision, which moves a cosine by less than 1e-3. Raises OSError where
    it can't be written, ValueError where entries and vectors are not as many, TypeError for an
    entry that is no JSON; the older file then stays.
    """
    path = Path(path)
    if len(snapshot.entries) != len(snapshot.vectors):
        raise ValueError(f"{len(snapshot.entries)} entries, {len(snapshot.vectors)} vectors")
    head = json.dumps(
        {
            "fingerprint": snapshot.fingerprint,
            "shape": snapshot.vectors.shape,
            "entries": list(map(dict, snapshot.entries)),
        },
        separators=(",", ":"),
    ).encode()
    vectors = snapshot.vectors.astype("<f2").tobytes()
    pieces = (MAGIC, _SIZES.pack(len(head), len(vectors)), head, vectors)
    digest = hashlib.sha256()
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "wb") as file:
            for piece in pieces:
                digest.update(piece)
                file.write(piece)
            file.write(digest.digest())
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    finally:
        with suppress(FileNotFoundError):
            Path(name).unlink()
    _sweep(path)


def load(path: Path | str, fingerprint: str) -> Snapshot | None:
    """Read what ``save`` wrote; None where there is nothing to go on with.

    A file that is damaged, cut off, of another version or of another embedder is renamed to
    ``<name>.corrupt-<time>`` or ``<name>.foreign-<time>`` and said to the ``agentfuse`` logger.
    Raises OSError where a file is there and can't be read.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        snapshot = _snapshot_in(content)
    except (ValueError, KeyError, TypeError, struct.error) as error:
        _set_aside(path, "corrupt", f"is damaged ({error})")
        return None
    if snapshot.fingerprint != fingerprint:
        made = f"was made by {snapshot.fingerprint}, and the embedder now is {fingerprint}"
        _set_aside(path, "foreign", made)
        return None
    return snapshot


def _snapshot_in(content: bytes) -> Snapshot:
    if not content.startswith(MAGIC):
        raise ValueError("it does not begin as such a file does")
    body = memoryview(content)[:-_DIGEST]
    if hashlib.sha256(body).digest() != content[-_DIGEST:]:
        raise ValueError("its checksum does not fit")
    start = len(MAGIC) + _SIZES.size
    head_size, vector_size = _SIZES.unpack_from(body, len(MAGIC))
    head = json.loads(bytes(body[start : start + head_size]))
    flat = np.frombuffer(body[start + head_size : start + head_size + vector_size], "<f2")
    vectors = flat.reshape(head["shape"]).astype(np.float32)
    if len(vectors):
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Snapshot(head["fingerprint"], head["entries"], vectors)


def _sweep(path: Path) -> None:
    """Remove what processes that were killed had half written."""
    for left in path.parent.glob(f".{path.name}-*"):
        with suppress(FileNotFoundError):  # another process sweeps too
            if time.time() - left.stat().st_mtime > _STALE:
                left.unlink()


def _set_aside(path: Path, why: str, what: str) -> None:
    aside = set_aside(path, why)
    logging.getLogger("agentfuse").warning(
        "the vectors in %s cannot be used: the file %s; it was set aside as %s and a new one is"
        " begun",
        path,
        what,
        aside.name,
    )
