"""Messages that the policy changed, in LangChain's words; unchanged ones stay the caller's own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
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
    kind = _KINDS.get(message.role, ChatMessage)
    words: dict[str, Any] = {
        "content": _content_of(message),
        "name": message.name or None,
        **_metadata_of(message),
        **_own_words_of(message),
    }
    return kind(**words)


_KINDS: dict[str, type[BaseMessage]] = {
    "system": SystemMessage,
    "developer": SystemMessage,
    "user": HumanMessage,
    "assistant": AIMessage,
    "tool": ToolMessage,
    "function": FunctionMessage,
}


def _own_words_of(message: Message) -> dict[str, Any]:
    """Give what only messages of this role have."""
    match message.role:
        case "assistant":
            return _calls_of(message.tool_calls)
        case "tool":
            status = message.extra.get("status", "success")
            return {"tool_call_id": message.tool_call_id, "status": status}
        case "function":
            return {"name": message.name}
        case role:
            return {} if role in _KINDS else {"role": role}


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
    developer = {ROLE: "developer"} if message.role == "developer" else {}
    extra = message.extra.items()
    return {
        "additional_kwargs": {
            **{name: value for name, value in extra if name not in told and name not in status},
            **developer,
        },
        "response_metadata": {name: message.extra[name] for name in told if name in message.extra},
    }


def _calls_of(calls: Sequence[ToolCall]) -> dict[str, list[dict[str, Json]]]:
    good: list[dict[str, Json]] = []
    broken: list[dict[str, Json]] = []
    for call in calls:
        if call.extra.get("invalid"):
            raw = {"type": "invalid_tool_call", "args": call.arguments, "error": None}
            broken.append({**raw, "id": call.id, "name": call.name})
        else:
            args = json.loads(call.arguments or "{}")
            good.append({"name": call.name, "args": args, "id": call.id, **call.extra})
    return {"tool_calls": good, "invalid_tool_calls": broken}
