"""The lines of a stream of semantic entries: what each says, and what no reader need know."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from agentfuse.caches.fleet.records import entry_of, vector_of
from agentfuse.connections.redis_scripts import compiled
from agentfuse.semantics import Selection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agentfuse.connections.redis_scripts import Script
    from agentfuse.semantics import SemanticEntry, Vector

PUT = b"put1"
START = (0, 0)
Place = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Put:
    """An entry was kept, in place of the older one of its id."""

    entry: SemanticEntry
    vector: Vector


@dataclass(frozen=True, slots=True)
class Drop:
    """An entry was forgotten."""

    entry_id: str


@dataclass(frozen=True, slots=True)
class Forget:
    """All entries so far that fit were forgotten."""

    selection: Selection


@dataclass(frozen=True, slots=True)
class Forbid:
    """A pair of texts was called wrong."""

    pair: str


Line = Put | Drop | Forget | Forbid


@cache
def script_of(name: str) -> Script:
    """Read ``lua/<name>.lua``."""
    return compiled((Path(__file__).parent / "lua" / f"{name}.lua").read_text("utf-8"))


def place_of(line_id: bytes) -> Place:
    """Read a line's id, ``<ms>-<n>``."""
    ms, _, number = line_id.partition(b"-")
    return int(ms), int(number or 0)


def id_of(place: Place) -> bytes:
    """Write a line's id."""
    return b"%d-%d" % place


def lines_in(reply: Any) -> Iterator[tuple[Place, Line | None, bytes]]:
    """Read what XREAD gave, in any of the shapes that clients and protocols give it.

    A line of another version, another kind, or one that is damaged is None: it is passed over. The
    last is the name of the stream, where the line says it.
    """
    for line_id, fields in _raw_lines(reply):
        name, data = next(iter(fields.items()), (b"", b""))
        born, _, _ = data.partition(b"\n") if name == PUT else (b"", b"", b"")
        yield place_of(line_id), line_of(name, data), born


def line_of(name: bytes, data: bytes) -> Line | None:
    """Read a line's one field, its kind with a version; None where it says nothing we know.

    One field and not several: reading a line over the wire takes as long as it has parts.
    """
    read = _READERS.get(name)
    if read is None:
        return None
    try:
        return read(data)
    except ValueError:
        return None


def _put_of(data: bytes) -> Put:
    _, _, rest = data.partition(b"\n")
    entry, _, vector = rest.partition(b"\n")
    return Put(entry_of(entry), vector_of(vector))


_READERS: dict[bytes, Callable[[bytes], Line]] = {
    PUT: _put_of,
    b"drop1": lambda data: Drop(data.decode("ascii")),
    b"forget1": lambda data: Forget(selection_of(data)),
    b"forbid1": lambda data: Forbid(data.decode("ascii")),
}


def selection_bytes(selection: Selection) -> bytes:
    """Write a selection."""
    words = [selection.key, selection.before, *selection.tags]
    return json.dumps(words, separators=(",", ":")).encode("ascii")


def selection_of(data: bytes) -> Selection:
    """Read what ``selection_bytes`` wrote; raises ValueError for anything else."""
    try:
        key, before, *tags = json.loads(data)
        at = None if before is None else float(before)
    except (TypeError, RecursionError) as error:
        raise ValueError(f"this is not a selection: {error!r}") from error
    if not all(isinstance(word, str) for word in (key, *tags)):
        raise ValueError("this is not a selection: other types")
    return Selection(key=key, tags=tuple(tags), before=at)


def _raw_lines(reply: Any) -> Iterator[tuple[bytes, dict[bytes, bytes]]]:
    """Give ids and fields: RESP2 gives lists, RESP3 a map of lists, a cluster's client dicts."""
    if not reply:
        return
    lines: Any = next(iter(dict(reply).values()))
    if lines and isinstance(lines[0][0], list | tuple):
        lines = lines[0]  # a client's own wrapping of RESP3's map
    for line_id, fields in lines:
        yield line_id, _fields_of(fields)


def _fields_of(fields: Any) -> dict[bytes, bytes]:
    if isinstance(fields, dict):
        return cast("dict[bytes, bytes]", fields)
    words: list[bytes] = list(fields or ())
    return dict(zip(words[::2], words[1::2], strict=False))
