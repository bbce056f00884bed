"""Bodies in OpenAI's two dialects, and Cohere's, which resembles the older one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentfuse.messages import Message, Other, Reasoning, Text, ToolCall
from agentfuse.tokens.json_shapes import items_of, object_of
from agentfuse.tokens.wire_parts import parts_of, written

if TYPE_CHECKING:
    from collections.abc import Mapping

_COHERE_ROLES = {"USER": "user", "CHATBOT": "assistant", "SYSTEM": "system", "TOOL": "tool"}
_PLAIN = 2  # fields of a turn that is a role and a text, as most are
_RESENT = 4096  # characters, up to which such a turn is kept for when it is sent again
_MOST_TURNS = 2048

# By their text alone: looked up in half the time of an ``lru_cache`` by role and text.
_turns: dict[str, Message] = {}


def chat_messages(body: Mapping[str, Any]) -> list[Message]:
    """Read the messages of a chat body."""
    return [_chat_message(raw) for raw in items_of(body.get("messages"))]


def cohere_messages(body: Mapping[str, Any]) -> list[Message]:
    """Read a Cohere body: ``messages``, or the older ``chat_history`` and ``message``."""
    messages = chat_messages(body)
    for raw in items_of(body.get("chat_history")):
        role = str(object_of(raw).get("role", ""))
        messages.append(
            Message(_COHERE_ROLES.get(role, role), parts_of(object_of(raw).get("message")))
        )
    if isinstance(body.get("preamble"), str):
        messages.insert(0, Message("system", parts_of(body["preamble"])))
    for field in ("documents", "tool_results"):
        messages += [Message("user", (Other(object_of(raw)),)) for raw in items_of(body.get(field))]
    if isinstance(body.get("message"), str):
        messages.append(Message("user", parts_of(body["message"])))
    return messages


def responses_messages(body: Mapping[str, Any]) -> list[Message]:
    """Read the input of a responses body, instructions first."""
    given = body.get("instructions")
    messages = [Message("system", parts_of(given))] if given else []
    asked = body.get("input")
    if isinstance(asked, str):
        return [*messages, Message("user", parts_of(asked))]
    return messages + [_item_of(object_of(raw)) for raw in items_of(asked)]


def _chat_message(raw: dict[str, Any]) -> Message:
    if type(raw) is not dict:  # from outside, so it may be anything
        raw = object_of(raw)
    content = raw.get("content")
    if len(raw) == _PLAIN and type(content) is str:
        known = _turns.get(content)
        if known is not None and known.role == raw.get("role"):
            return known
        if "role" in raw:
            return _plain_turn(str(raw["role"]), content)
    calls = [_call_of(object_of(call)) for call in items_of(raw.get("tool_calls"))]
    legacy = object_of(raw.get("function_call"))
    if legacy:
        calls.append(_call_of({"function": legacy}))
    thought = raw.get("reasoning_content")
    thoughts = (Reasoning(thought, {}),) if isinstance(thought, str) and thought else ()
    return Message(
        str(raw.get("role", "")),
        (*thoughts, *parts_of(content)),
        tuple(calls),
        str(raw.get("tool_call_id") or ""),
        str(raw.get("name") or ""),
    )


def _plain_turn(role: str, text: str) -> Message:
    """Read a turn that is a role and a text, and keep it for when it is sent again."""
    turn = Message(role, (Text(text),))
    if len(text) < _RESENT:
        if len(_turns) >= _MOST_TURNS:
            _turns.clear()
        _turns[text] = turn
    return turn


def _call_of(call: Mapping[str, Any]) -> ToolCall:
    function = object_of(call.get("function")) or object_of(call.get("custom")) or call
    arguments = function.get("arguments", function.get("input", ""))
    return ToolCall(
        str(call.get("id") or ""), str(function.get("name") or ""), written(arguments or "")
    )


def _item_of(item: Mapping[str, Any]) -> Message:
    match item.get("type", "message"):
        case "message":
            return Message(str(item.get("role", "")), parts_of(item.get("content")))
        case "function_call" | "custom_tool_call":
            return Message("assistant", (), (_call_of(item),))
        case "function_call_output" | "custom_tool_call_output":
            answered = str(item.get("call_id") or "-")
            return Message("tool", parts_of(item.get("output")), (), answered)
        case "reasoning":
            return Message("assistant", (Reasoning(_thoughts(item), item),))
        case _:
            return Message("assistant", (Other(item),))


def _thoughts(item: Mapping[str, Any]) -> str:
    texts = [*items_of(item.get("summary")), *items_of(item.get("content"))]
    return "\n".join(str(object_of(each).get("text", "")) for each in texts)
