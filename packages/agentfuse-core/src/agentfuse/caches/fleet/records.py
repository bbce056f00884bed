"""A semantic entry, its vector and its answer as bytes for a store that processes share."""

from __future__ import annotations

import json
from hashlib import sha256
from math import inf, isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from agentfuse.caches.packing import packed
from agentfuse.errors import StoreUnavailable
from agentfuse.semantics import SemanticEntry

if TYPE_CHECKING:
    from agentfuse.messages import Reply
    from agentfuse.semantics import Vector

# A longer vector is nobody's: today's embedders give 384 to 4,096 numbers.
MOST_NUMBERS = 16_384

# How far from 1 the length of a vector may be that was kept in half precision.
_SLACK = 0.02


def entry_bytes(entry: SemanticEntry) -> bytes:
    """Write an entry as JSON, ASCII alone, so that any text survives any store."""
    stale = None if entry.stale == inf else entry.stale
    fields = [entry.id, entry.scope, entry.prompt, entry.kept, entry.expires, stale, entry.key]
    return json.dumps([*fields, *entry.tags], separators=(",", ":")).encode("ascii")


def entry_of(data: bytes | str) -> SemanticEntry:
    """Read what ``entry_bytes`` wrote; raises ValueError for anything else."""
    try:
        id_, scope, prompt, kept, expires, stale, key, *tags = json.loads(data)
        times = [float(kept), float(expires), inf if stale is None else float(stale)]
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"this is not a semantic entry: {error!r}") from error
    words = (id_, scope, prompt, key, *tags)
    if not all(isinstance(word, str) for word in words) or not all(map(isfinite, times[:2])):
        raise ValueError("this is not a semantic entry: other types")
    return SemanticEntry(
        id=id_,
        scope=scope,
        prompt=prompt,
        kept=times[0],
        expires=times[1],
        stale=times[2],
        key=key,
        tags=tuple(tags),
    )


def half_bytes(vector: Vector) -> bytes:
    """Write a vector in half precision: cosines keep three digits, at half the room."""
    return bytes(np.ascontiguousarray(vector, dtype="<f2").tobytes())


def vector_of(data: bytes) -> Vector:
    """Read what ``half_bytes`` wrote; raises ValueError for what is no vector of length 1."""
    if not data or len(data) > 2 * MOST_NUMBERS or len(data) % 2:
        raise ValueError("this is not a vector")
    vector: Any = np.frombuffer(data, dtype="<f2").astype(np.float32)
    length = float(np.sqrt(np.dot(vector, vector)))
    if not abs(length - 1) < _SLACK:  # also where a number is none
        raise ValueError("this is not a vector of length 1")
    return vector / length


def answer_bytes(entry: SemanticEntry, reply: Reply, where: str) -> bytes:
    """Write an answer; raises StoreUnavailable for one that no store can keep."""
    try:
        return packed(reply, entry.kept, entry.tags)
    except ValueError as error:
        raise StoreUnavailable(f"an answer cannot be kept at {where}: {error}") from error


def mark_of(text: str) -> str:
    """Give a text a name that no query language can stumble over."""
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]
