"""An answer as bytes for a store across a network: when it was kept, its tags, and itself."""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, NamedTuple

from agentfuse.caches.entries import reply_of, text_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentfuse.messages import Reply

# A longer answer is compressed (measured: zlib's level 1 makes 4 KB of English 1.2 KB in 75 us, and
# gives it back in 8 us; higher levels save a tenth more for up to twice the time).
LONG = 1_024
_LEVEL = 1

# What a compressed answer may unfold to: nobody who can write to the store can fill our memory.
MOST = 64 * 2**20

# How long a process may serve its own copy of a shared answer, in seconds: a question that a loop
# repeats then costs no trip, and an answer that another process dropped is gone everywhere within
# this time.
HOLD = 2.0

_PLAIN, _ZIPPED = b"1p", b"1z"


class Packed(NamedTuple):
    """What stands before an answer: when it was kept (Unix time), and its tags."""

    kept: float
    tags: tuple[str, ...]


def packed(reply: Reply, kept: float, tags: Sequence[str] = ()) -> bytes:
    """Write an answer; raises ValueError for one that JSON cannot carry."""
    body = text_of(reply).encode("ascii")
    mark = _PLAIN
    if len(body) > LONG:
        mark, body = _ZIPPED, zlib.compress(body, _LEVEL)
    head = json.dumps([kept, *tags], separators=(",", ":")).encode("ascii")
    return b"%b%b\n%b" % (mark, head, body)


def unpacked(data: bytes) -> Reply:
    """Read an answer; raises ValueError for anything that ``packed`` did not write."""
    _, newline, body = data.partition(b"\n")
    if not newline:
        raise ValueError("this is not a packed answer")
    try:
        return reply_of(_text_of(data[:2], body).decode("ascii"))
    except (RecursionError, zlib.error) as error:
        raise ValueError(f"this is not a packed answer: {error!r}") from error


def reply_in(data: bytes | None) -> Reply | None:
    """Read what the store gave: None where there is nothing, or nothing to rely on."""
    if data is None:
        return None
    try:
        return unpacked(data)
    except ValueError:
        return None


def label_of(data: bytes) -> Packed:
    """Read what stands before an answer; raises ValueError for anything else."""
    head, newline, _ = data.partition(b"\n")
    if not newline or head[:2] not in {_PLAIN, _ZIPPED}:
        raise ValueError("this is not a packed answer")
    try:
        kept, *tags = json.loads(head[2:])
        return Packed(float(kept), tuple(map(str, tags)))
    except (RecursionError, TypeError) as error:
        raise ValueError(f"this is not a packed answer: {error!r}") from error


def _text_of(mark: bytes, body: bytes) -> bytes:
    if mark == _PLAIN:
        return body
    if mark != _ZIPPED:
        raise ValueError("an answer of another version")
    unfolding = zlib.decompressobj()
    text = unfolding.decompress(body, MOST)
    if not unfolding.eof:
        raise ValueError("an answer that is cut, or longer than any")
    return text
