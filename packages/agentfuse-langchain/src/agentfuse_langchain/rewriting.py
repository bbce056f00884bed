"""Messages that the policy changed, in LangChain's words again; unchanged ones stay the caller's."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from langchain_core.messages import (
    AIMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)

from agentfuse.messages import Other
from agentfuse_langchain.messages import CALL_BLOCKS, DIALECT, ROLE, SENT_BACK
from agentfuse_langchain.parts import content_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_core.messages import BaseMessage

    from agentfuse.messages import Json, Message, ToolCall


def rewritten(
    own: Sequence[BaseMessage], asked: Sequence[Message], wanted: Sequence[Message]
) -> list[BaseMessage]:
    """Give ``wanted`` as LangChain's messages; ``own`` are what ``asked`` was read from."""
    found: list[BaseMessage] = []
    start = 0
    for message in wanted:
        place = _place_of(message, asked, start)
        if place is None:
            found.append(written(message))
        else:
            found.append(own[place])
            start = place + 1
    return found


def _place_of(message: Message, asked: Sequence[Message], start: int) -> int | None:
    places = range(start, len(asked))
    same = (place for place in places if asked[place] is message)
    equal = (place for place in places if asked[place] == message)
    return next(same, next(equal, None))


def written(message: Message) -> BaseMessage:
    """Write one message, as ``message_of`` reads it; where its calls stood is not kept."""
    words: dict[str, Any] = {"content": _content_of(message), "name": message.name or None}
    words |= _metadata_of(message)
    match message.role:
        case "system":
            return SystemMessage(**words)
        case "developer":
            words["additional_kwargs"] = {**words["additional_kwargs"], ROLE: "developer"}
            return SystemMessage(**words)
        case "user":
            return HumanMessage(**words)
        case "assistant":
            return AIMessage(**words, **_calls_of(message.tool_calls))
        case "tool":
            status = message.extra.get("status", "success")
            return ToolMessage(**words, tool_call_id=message.tool_call_id, status=status)
        case "function":
            return FunctionMessage(**{**words, "name": message.name})
        case role:
            return ChatMessage(**words, role=role)


def _content_of(message: Message) -> Any:
    """Write the content; the marks of tool calls go, since the calls stand beside it."""
    if not message.parts and not message.tool_calls:
        return []
    return content_of([part for part in message.parts if not _marks_a_call(part)])


def _marks_a_call(part: Any) -> bool:
    return isinstance(part, Other) and part.block.get("type") in CALL_BLOCKS


def _metadata_of(message: Message) -> dict[str, Any]:
    """Put each of the provider's own fields back where ``message_of`` found it."""
    told = (*SENT_BACK, DIALECT)
    status = {"status"} if message.role == "tool" else set[str]()
    return {
        "additional_kwargs": {
            name: value
            for name, value in message.extra.items()
            if name not in told and name not in status
        },
        "response_metadata": {name: message.extra[name] for name in told if name in message.extra},
    }


def _calls_of(calls: Sequence[ToolCall]) -> dict[str, list[dict[str, Json]]]:
    good, broken = [], []
    for call in calls:
        if call.extra.get("invalid"):
            raw = {"type": "invalid_tool_call", "args": call.arguments, "error": None}
            broken.append({**raw, "id": call.id, "name": call.name})
        else:
            args = json.loads(call.arguments or "{}")
            good.append({"name": call.name, "args": args, "id": call.id, **call.extra})
    return {"tool_calls": good, "invalid_tool_calls": broken}
