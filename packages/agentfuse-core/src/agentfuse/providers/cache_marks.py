"""The policy's marks for Claude's cache of prompts, put on what is sent.

A mark stands on the last block of what it ends: ``"cache_control": {"type": "ephemeral"}``, with
``"ttl": "1h"`` for an hour. Source:
https://docs.anthropic.com/en/docs/build-with-claude/prompt-caching
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from agentfuse.providers.anthropic_bodies import turns_of
from agentfuse.providers.wire_json import list_of, object_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentfuse.messages import Json, Message, PromptCaching, Request

_THINKING = frozenset({"thinking", "redacted_thinking"})
_INSTRUCTIONS = frozenset({"system", "developer"})


def control_of(caching: PromptCaching) -> dict[str, Json]:
    """Write one mark; five minutes go without saying."""
    kind: dict[str, Json] = {"type": "ephemeral"}
    return kind if caching.ttl == "5m" else {**kind, "ttl": caching.ttl}


def marked_messages(request: Request) -> tuple[Message, ...]:
    """Give a request's messages with the marks on them, as their own ``cache_control``."""
    caching = request.caching
    if caching is None or not caching.marks:
        return request.messages
    chosen = {mark.index for mark in caching.marks if mark.place == "turn"}
    if any(mark.place == "system" for mark in caching.marks):
        chosen.add(max(i for i, m in enumerate(request.messages) if m.role in _INSTRUCTIONS))
    control = control_of(caching)
    return tuple(
        replace(message, extra={**message.extra, "cache_control": control})
        if index in chosen
        else message
        for index, message in enumerate(request.messages)
    )


def marked_tools(tools: Sequence[Any], caching: PromptCaching | None) -> list[Any]:
    """Give tools with the mark on the last, if there is to be one."""
    if caching is None or not any(mark.place == "tools" for mark in caching.marks) or not tools:
        return list(tools)
    return [*tools[:-1], {**tools[-1], "cache_control": control_of(caching)}]


def marked_body(body: Mapping[str, Json], caching: PromptCaching | None) -> Mapping[str, Json]:
    """Put the marks on a Messages body as its caller wrote it; nothing else is changed."""
    if caching is None or not caching.marks:
        return body
    marked = dict(body)
    if body.get("tools"):
        marked["tools"] = marked_tools(list_of(body["tools"]), caching)
    if any(mark.place == "system" for mark in caching.marks):
        marked["system"] = _with_mark(body.get("system"), caching)
    chosen = {mark.index for mark in caching.marks if mark.place == "turn"}
    # The policy counts the instructions, where there are any, as the first message.
    place = 1 if body.get("system") else 0
    turns: list[Json] = []
    for each in list_of(body.get("messages")):
        after = place + sum(1 for _ in turns_of(object_of(each)))
        if chosen.isdisjoint(range(place, after)):
            turns.append(each)
        else:
            turns.append({**each, "content": _with_mark(each.get("content"), caching)})
        place = after
    marked["messages"] = turns
    return marked


def _with_mark(content: Json, caching: PromptCaching) -> Json:
    """Mark the last block that takes a mark."""
    plain: list[Json] = [{"type": "text", "text": content}]
    blocks = plain if isinstance(content, str) else list(list_of(content))
    for place in range(len(blocks) - 1, -1, -1):
        block = object_of(blocks[place])
        if block.get("type") not in _THINKING and block.get("text") != "":
            blocks[place] = {**block, "cache_control": control_of(caching)}
            return blocks
    return content
