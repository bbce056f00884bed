"""Bodies in Anthropic's dialect, also as Bedrock's InvokeModel takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentfuse.messages import Message, ToolCall
from agentfuse.tokens.json_shapes import items_of, object_of
from agentfuse.tokens.wire_parts import part_of, parts_of, written

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentfuse.messages import Part


def anthropic_messages(body: Mapping[str, Any]) -> list[Message]:
    """Read system and messages; results of tools stay in the turn they came with."""
    given = body.get("system")
    messages = [Message("system", parts_of(given))] if given else []
    for raw in items_of(body.get("messages")):
        messages += _turns_of(object_of(raw))
    return messages


def _turns_of(raw: Mapping[str, Any]) -> list[Message]:
    content = raw.get("content")
    role = str(raw.get("role", ""))
    if not isinstance(content, list):
        return [Message(role, parts_of(content))]
    rest: list[Part] = []
    calls: list[ToolCall] = []
    results: list[Message] = []
    for block in items_of(content):
        given = object_of(block)
        match given.get("type"):
            case "tool_use":
                calls.append(_call_of(given))
            case "tool_result":
                answered = str(given.get("tool_use_id") or "-")
                results.append(Message("tool", parts_of(given.get("content")), (), answered))
            case _:
                rest.append(part_of(block))
    own = [Message(role, tuple(rest), tuple(calls))] if rest or calls else []
    return results + own


def _call_of(block: Mapping[str, Any]) -> ToolCall:
    return ToolCall(
        str(block.get("id") or ""), str(block.get("name") or ""), written(block.get("input") or {})
    )
