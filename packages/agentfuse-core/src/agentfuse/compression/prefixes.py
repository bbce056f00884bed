"""The names of a conversation's beginnings, by which it is known again when it has grown."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from agentfuse.messages import Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentfuse.messages import Message, Request


def prefixes_of(request: Request) -> list[bytes]:
    """Name the first message, the first two, and so on: each name is a digest of all before it.

    Fields beside the words (cache marks, which frameworks move along) and ids of tool calls (which
    they invent anew) are no part of it; the tenant is.
    """
    digest = sha256(f"{request.tenant!r} {request.provider} {request.model}".encode())
    names: list[bytes] = []
    for message in request.messages:
        digest.update(_spelt(message).encode("utf-8", "surrogatepass"))
        names.append(digest.digest())
    return names


def _spelt(message: Message) -> str:
    pieces: Sequence[str] = [
        message.role,
        message.name,
        *(part.text if isinstance(part, Text) else repr(part) for part in message.parts),
        *(f"{call.name} {call.arguments}" for call in message.tool_calls),
    ]
    return "".join([f"{len(piece)}:{piece}" for piece in pieces]) + "\n"
