"""The name under which an answer is remembered: a digest of everything that was asked.

Whatever is not known to leave the answer alone is part of the key, so a new parameter can cost a
miss but never a wrong answer. Ids of tool calls are numbered in order of appearance, since
frameworks invent them anew in every run.
"""

from __future__ import annotations

import json
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from agentfuse.by_content import ByContent
from agentfuse.messages import Media, Other, Reasoning, Text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentfuse.messages import Message, Request

KEY_VERSION = 1

# A piece of nothing.
_NONE = "0:"

# What changes how an answer travels or is billed, but not what it says:
# https://platform.openai.com/docs/api-reference/chat/create (stream, stream_options, metadata,
# prompt_cache_key, prompt_cache_retention); timeout is the SDK's own.
IGNORED = frozenset(
    {
        "metadata",
        "prompt_cache_key",
        "prompt_cache_retention",
        "stream",
        "stream_options",
        "timeout",
    }
)

# Parameters whose effect is all in the text and the tool calls, which every framework can rebuild.
# A request with any other is answered only in the dialect it was asked in: log probabilities, say,
# live in the provider's own fields.
PORTABLE = frozenset(
    {
        "frequency_penalty",
        "parallel_tool_calls",
        "presence_penalty",
        "reasoning_effort",
        "response_format",
        "seed",
        "stop",
        "temperature",
        "tool_choice",
        "top_p",
    }
)


def key_of(request: Request) -> str | None:
    """Digest a request (hex SHA-256); None where a parameter has no canonical form."""
    ids: dict[str, str] = {}
    spelled: list[str] = []
    try:
        digest = _begun_of(request).copy()
        for message in request.messages:
            _spell(message, ids, spelled)
    except (TypeError, ValueError):
        return None
    digest.update("".join(spelled).encode("utf-8", "surrogatepass"))
    key: str = digest.hexdigest()
    return key


def _counted(piece: str) -> str:
    """Put a piece's length before it, so that no two rows of pieces read alike."""
    return f"{len(piece)}:{piece}"


def _begun_of(request: Request) -> Any:
    """Give the digest of all that is not the conversation, which an agent sends time and again.

    The tenant comes first, and none is one too.
    """
    portable, params = _params(request.params) if request.params else (True, "")
    return _begun(
        request.tools,
        params,
        f"agentfuse {KEY_VERSION}",
        "no tenant" if request.tenant is None else f"tenant {request.tenant}",
        request.provider,
        request.model,
        request.base_url,
        "" if portable else request.api,
        str(request.max_output_tokens),
    )


def _digest_of(tools: Sequence[Mapping[str, Any]], params: str, *pieces: str) -> Any:
    frame = (*pieces, _canonical(tools) if tools else "", params)
    return sha256("".join(map(_counted, frame)).encode("utf-8", "surrogatepass"))


_begun = ByContent(_digest_of)


def _params_of(given: Mapping[str, Any]) -> tuple[bool, str]:
    """Write out the parameters that count, and say whether they mean the same to every dialect."""
    params = {name: value for name, value in given.items() if name not in IGNORED}
    return PORTABLE.issuperset(params), _canonical(params) if params else ""


_params = ByContent(_params_of)


def _spell(message: Message, ids: dict[str, str], spelled: list[str]) -> None:
    """Spell one turn out, each piece counted; counts come before lists too."""
    parts, calls = message.parts, message.tool_calls
    called = message.tool_call_id
    number = _numbered(called, ids) if called else ""
    spelled.append(_head(message.role, message.name, number, len(parts), len(calls)))
    spelled.append(_fields(message.extra) if message.extra else _NONE)
    for part in parts:
        if isinstance(part, Text):
            text = part.text
            beside = _fields(part.extra) if part.extra else _NONE
            spelled.append(f"4:text{len(text)}:{text}{beside}")
        else:
            spelled += map(_counted, _part(part))
    for call in calls:
        number, name, arguments = _numbered(call.id, ids), call.name, call.arguments
        beside = _fields(call.extra) if call.extra else _NONE
        spelled.append(
            f"{len(number)}:{number}{len(name)}:{name}{len(arguments)}:{arguments}{beside}"
        )


@lru_cache(maxsize=1024)
def _head(role: str, name: str, number: str, parts: int, calls: int) -> str:
    return "".join(map(_counted, (role, name, number, f"{parts} {calls}")))


def _fields(value: Mapping[str, Any]) -> str:
    return _counted(_canonical(value))


def _part(part: Media | Reasoning | Other) -> tuple[str, ...]:
    match part:
        case Media():
            return (part.kind, part.url, part.data, part.media_type, _canonical(part.block))
        case Reasoning():
            return ("reasoning", part.text, _canonical(part.block))
        case Other():
            return ("other", _canonical(part.block))


def _numbered(call_id: str, ids: dict[str, str]) -> str:
    """Replace a tool call's id by its place in the conversation."""
    if not call_id:
        return ""
    return ids.get(call_id) or ids.setdefault(call_id, f"call {len(ids)}")


def _plain(value: Mapping[str, Any]) -> dict[str, Any]:
    return dict(value)


_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), default=_plain).encode
