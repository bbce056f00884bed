"""Answers of Anthropic's Messages API, read from their body.

Source: https://docs.anthropic.com/en/api/messages (the Message object, its blocks, stop reasons).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from agentfuse.messages import Choice, Other, Reasoning, Reply, Text, ToolCall
from agentfuse.nothing import NOTHING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentfuse.messages import Json, Part

SHAPE = "anthropic.messages"
_FINISHES: Mapping[str, str] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
}


def finish_of(stop_reason: str | None) -> str:
    """Read why an answer ended; Claude's own words (refusal, pause_turn) stay."""
    return _FINISHES.get(stop_reason or "", stop_reason or "")


def reply_of_message(
    body: Mapping[str, Json], *, provider: str, model: str, raw: str = ""
) -> Reply:
    """Read a Message's body.

    One that was cut has no finish_reason, and the usage of its first event: all of the input, next
    to nothing of the output.
    """
    from agentfuse.usages import report_of

    blocks = body.get("content") or ()
    ended = body.get("stop_reason")
    choice = Choice(
        parts=tuple(part_of(block) for block in blocks if block.get("type") != "tool_use"),
        tool_calls=tuple(call_of_use(block) for block in blocks if block.get("type") == "tool_use"),
        finish_reason=finish_of(ended),
    )
    return Reply(
        choices=(choice,),
        report=report_of(body, provider=provider, model=model),
        model=body.get("model") or model,
        id=body.get("id") or "",
        shape=SHAPE,
        raw=raw or json.dumps(body, ensure_ascii=False, separators=(",", ":")),
    )


def part_of(block: Mapping[str, Json]) -> Part:
    """Read one content block that is not a tool call."""
    match block.get("type"):
        case "text":
            beside = {k: v for k, v in block.items() if k not in {"type", "text"} and v is not None}
            return Text(block["text"], beside or NOTHING)
        case "thinking":
            return Reasoning(block.get("thinking") or "", block)
        case "redacted_thinking":
            return Reasoning("", block)
        case _:
            return Other(block)


def call_of_use(block: Mapping[str, Json]) -> ToolCall:
    """Read a tool_use block; an input that was cut short is its text so far."""
    given = block.get("input")
    arguments = given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
    return ToolCall(block.get("id") or "", block.get("name") or "", arguments)
