"""Server-sent events as bytes: cut into frames as they come, read, and written.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agentfuse.nothing import NOTHING
from agentfuse.providers.wire_json import object_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from agentfuse.messages import Json

_END = re.compile(rb"\r\n\r\n|\n\n|\r\r")

DONE = b"data: [DONE]\n\n"
"""How OpenAI ends a stream of chat chunks."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One event as it was sent, and the JSON object in it; empty where there is none."""

    raw: bytes
    event: Mapping[str, Json] = NOTHING


class FrameReader:
    """Cuts bytes into frames, wherever the network has cut them."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held = b""

    def feed(self, piece: bytes) -> Iterator[Frame]:
        """Give the frames that end in this piece."""
        held = self._held + piece
        start = 0
        for end in _END.finditer(held):
            yield frame_of(held[start : end.end()])
            start = end.end()
        self._held = held[start:]

    def rest(self) -> Iterator[Frame]:
        """Give what came after the last whole frame, if anything did."""
        if self._held:
            yield frame_of(self._held)
            self._held = b""


def frame_of(raw: bytes) -> Frame:
    """Read one frame; data that is no JSON object is passed on unread."""
    lines = [line[5:].removeprefix(b" ") for line in raw.splitlines() if line.startswith(b"data:")]
    data = lines[0] if len(lines) == 1 else b"\n".join(lines)
    if not data.startswith(b"{"):
        return Frame(raw)
    try:
        return Frame(raw, object_of(json.loads(data.decode("utf-8", "surrogatepass"))))
    except ValueError:
        return Frame(raw)


def frame_bytes(event: Mapping[str, Json], name: str = "") -> bytes:
    """Write an event as its provider frames it, with or without a name."""
    data = json.dumps(event, separators=(",", ":"))
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {data}\n\n".encode()
