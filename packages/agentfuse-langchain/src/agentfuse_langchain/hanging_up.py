"""Hanging up on a provider whose stream an integration lets go of without closing it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

# The SDKs' streams, by name: neither SDK need be installed.
_STREAMS = frozenset(
    (sdk, kind) for sdk in ("anthropic", "openai") for kind in ("Stream", "AsyncStream")
)


def hang_up(wire: Iterator[Any]) -> None:
    """Close a provider's stream, and the SDK's stream that it reads from.

    ChatAnthropic leaves the latter to the garbage collector, and before anthropic 1.17 it is in a
    circle with its own generator: measured with 0.125, the provider went on to the end of what a
    user had left after four chunks.
    """
    read = _read_by(wire)
    close = getattr(wire, "close", None)
    if close is not None:
        close()
    for stream in read:
        stream.close()


async def ahang_up(wire: AsyncIterator[Any]) -> None:
    """Do as ``hang_up``, awaited."""
    read = _read_by(wire)
    close = getattr(wire, "aclose", None)
    if close is not None:
        await close()
    for stream in read:
        await stream.close()


def _read_by(wire: Any) -> list[Any]:
    """Name the SDK's streams in the frame of a generator, or of the one that it yields from."""
    found: list[Any] = []
    reader = wire
    while reader is not None:
        frame: Any = getattr(reader, "gi_frame", None) or getattr(reader, "ag_frame", None)
        held: list[Any] = [] if frame is None else list(frame.f_locals.values())
        found += [each for each in held if _name_of(each.__class__) in _STREAMS]
        reader = getattr(reader, "gi_yieldfrom", None)
    return found


def _name_of(kind: type[Any]) -> tuple[str, str]:
    return kind.__module__, kind.__name__
