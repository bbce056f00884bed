"""LangChain's messages in neutral words: what is sent to a model, and nothing that is not."""

from __future__ import annotations

import json
from functools import lru_cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)

from agentfuse.by_content import LONGEST, ByContent
from agentfuse.messages import Message, Other, Text, ToolCall
from agentfuse.nothing import NOTHING
from agentfuse.providers.wire_json import object_of
from agentfuse_langchain.json_values import plain_of
from agentfuse_langchain.parts import parts_of
from agentfuse_langchain.remembered import remembered

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agentfuse.messages import Json, Part

_ROLES = {"human": "user", "ai": "assistant", "AIMessageChunk": "assistant"}

# The kinds of message that mostly are text and nothing else.
_SAID_BY: dict[type[BaseMessage], str] = {SystemMessage: "system", HumanMessage: "user"}
# And those that an agent's history is made of.
_SPEAKERS: dict[type[BaseMessage], str] = {AIMessage: "assistant", ToolMessage: "tool"}

# Where LangChain keeps which word OpenAI is told for a system message: system or developer.
ROLE = "__openai_role__"
# What LangChain derives from an answer, and what repeats a message's role or its tool calls.
_DERIVED = frozenset({"parsed", ROLE})
_REPEATED = frozenset({"tool_calls", "function_call"})

# What integrations read off an earlier answer when they send it back: the dialect of its blocks
# (langchain-openai and langchain-anthropic, `_get_request_payload`) and a container to reuse.
SENT_BACK = ("output_version", "container")
DIALECT = "model_provider"
_READ = (*SENT_BACK, DIALECT)

# The fields of a history's messages that are read, and their answers' metadata in ``_READ``.
_WHOSE_FIELDS = ("content", "name", "additional_kwargs")
_TOLD_BY: dict[type[BaseMessage], Callable[[Mapping[str, Any]], tuple[Any, ...]]] = {
    AIMessage: itemgetter(*_WHOSE_FIELDS, "tool_calls", "invalid_tool_calls"),
    ToolMessage: itemgetter(*_WHOSE_FIELDS, "tool_call_id", "status"),
}

# A block that repeats one of the message's tool calls, but for where it stood.
CALL_BLOCKS = frozenset({"tool_use", "tool_call", "function_call"})
_CALL_WORDS = frozenset(
    {"type", "id", "call_id", "name", "input", "args", "arguments", "partial_json", "index"}
)


def message_of(message: BaseMessage) -> Message:
    """Read one message, lossless but for its id and LangChain's own bookkeeping.

    What an agent's history is made of comes again with each call, and is the same message again.
    """
    kind, content = type(message), message.content
    role = _SAID_BY.get(kind)
    if role and isinstance(content, str) and not _says_more(message):
        return Message(role, (Text(content),), name=message.name or "")
    told = _told_by(message) if kind in _TOLD_BY else None
    return _read(message) if told is None else _read_once(told, kind, message)


def _told_by(message: BaseMessage) -> tuple[Any, ...] | None:
    """Give all of a message that is read of it; None where it may say more, or is long."""
    if message.__pydantic_extra__ or len(message.content) > LONGEST:
        return None
    metadata = message.response_metadata
    try:
        told = _TOLD_BY[type(message)](message.__dict__)
    except KeyError:  # made without its fields (pydantic's `model_construct`)
        return None
    return (*told, *map(metadata.get, _READ)) if metadata else told


def _read(message: BaseMessage) -> Message:
    calls = calls_of(message)
    return Message(
        _role_of(message),
        _without_repeated_calls(message.content, calls),
        calls,
        str(field_of(message, "tool_call_id") or ""),
        message.name or "",
        _extra_of(message, calls) or NOTHING,
    )


_read_once = remembered(_read)


def _says_more(message: BaseMessage) -> bool:
    more = message.additional_kwargs or message.response_metadata or message.__pydantic_extra__
    return bool(more)


def _role_of(message: BaseMessage) -> str:
    role = _SPEAKERS.get(type(message))
    if role and not message.__pydantic_extra__:
        return role
    if message.type == "system":
        return str(message.additional_kwargs.get(ROLE, "system"))
    kind = message.type.removesuffix("MessageChunk").lower()
    return str(field_of(message, "role") or _ROLES.get(message.type) or _ROLES.get(kind, kind))


def field_of(message: BaseMessage, name: str) -> Any:
    """Give a field that not every message has, or None: asking for one it lacks is slow."""
    fields = message.__dict__
    if name in fields:
        return fields[name]
    if message.__pydantic_extra__ or _has(type(message), name):
        return getattr(message, name, None)
    return None


@lru_cache(maxsize=512)
def _has(kind: type[BaseMessage], name: str) -> bool:
    return hasattr(kind, name)


def calls_of(message: BaseMessage) -> tuple[ToolCall, ...]:
    """Read a message's tool calls, those with broken arguments too."""
    told, unread = field_of(message, "tool_calls"), field_of(message, "invalid_tool_calls")
    if not told and not unread:
        return ()
    calls = [
        ToolCall(call.get("id") or "", call["name"], arguments_of(call["args"]), _rest_of(call))
        for call in told or ()
    ]
    broken = [
        ToolCall(
            call.get("id") or "", call.get("name") or "", call.get("args") or "", {"invalid": True}
        )
        for call in unread or ()
    ]
    return (*calls, *broken)


_json_of = json.JSONEncoder(ensure_ascii=False).encode


def _written(args: Any) -> str:
    return _json_of(plain_of(args))


arguments_of: Callable[[Any], str] = ByContent(_written)
"""Write a call's arguments as LangChain sends them (langchain-openai)."""


def _rest_of(call: Any) -> Any:
    extras = call.get("extras")
    return {"extras": plain_of(extras)} if extras else NOTHING


def _without_repeated_calls(content: Any, calls: tuple[ToolCall, ...]) -> tuple[Part, ...]:
    """Read the content; a block at its end that only repeats a tool call goes."""
    if content == "" and calls:  # what LangChain writes for no content beside calls
        return ()
    if isinstance(content, str) or not calls:
        return parts_of(content)
    places = {call.id: place for place, call in enumerate(calls) if call.id}
    written = [_placed(block, places) for block in content]
    while written and written[-1] is None:
        written.pop()
    blocks = [_MARK if block is None else block for block in written]
    return tuple(
        Other(block) if _is_call(block) else part for block in blocks for part in parts_of([block])
    )


_MARK: dict[str, Json] = {"type": "tool_use"}


def _is_call(block: Any) -> bool:
    return object_of(block).get("type") in CALL_BLOCKS


def _placed(block: Any, places: dict[str, int]) -> Any:
    """Give None for a block that says no more than its tool call, and else what more it says."""
    if not _is_call(block):
        return block
    place = places.get(block.get("call_id") or block.get("id") or "")
    if place is None:
        return block
    more = {k: v for k, v in block.items() if k not in _CALL_WORDS and v is not None}
    return {"type": block["type"], "tool_call": place, **more} if more else None


def _extra_of(message: BaseMessage, calls: tuple[ToolCall, ...]) -> dict[str, Json]:
    """Gather what else travels: the provider's own fields, and how a tool ended."""
    status = field_of(message, "status")
    ended = {} if status is None or status == "success" else {"status": status}
    if not message.additional_kwargs and not message.response_metadata:
        return ended
    left = _DERIVED | _REPEATED if calls else _DERIVED
    extra = {
        name: plain_of(value)
        for name, value in message.additional_kwargs.items()
        if value is not None and name not in left
    }
    metadata = message.response_metadata
    extra |= {name: plain_of(metadata[name]) for name in SENT_BACK if metadata.get(name)}
    if isinstance(message.content, list) and metadata.get(DIALECT):
        extra[DIALECT] = metadata[DIALECT]
    return extra | ended
