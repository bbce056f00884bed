"""How text is cut into chunks and events are framed as server-sent events."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from agentfuse.testing.upstream.said import Event, compact

if TYPE_CHECKING:
    from agentfuse.testing.upstream.said import Json

_PIECE = re.compile(r"\s*\S{1,8}|\s+$")

DONE = Event(b"data: [DONE]\n\n")


def pieces_of(text: str) -> list[str]:
    """Cut a text about where tokens are: at words, and after eight characters of a long one."""
    return _PIECE.findall(text)


def data_event(value: Json, text: str = "") -> Event:
    """Frame a value as OpenAI's chat API does: data alone."""
    return Event(f"data: {compact(value)}\n\n".encode(errors="replace"), text)


def named_event(value: Json, text: str = "") -> Event:
    """Frame a value as Anthropic and the Responses API do: its type is the event's name."""
    frame = f"event: {value['type']}\ndata: {compact(value)}\n\n"
    return Event(frame.encode(errors="replace"), text)
