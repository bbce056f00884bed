"""What may be remembered: which requests may be answered from memory, which answers kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agentfuse.by_content import ByContent
from agentfuse.messages import Other

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentfuse.messages import Choice, Json, Reply, Request

# Requests whose answer hangs on state the provider keeps and others change, a stored prompt among
# it, or that only start a job: https://platform.openai.com/docs/api-reference/responses/create
STATEFUL = frozenset({"background", "conversation", "previous_response_id", "prompt"})

# Tools the caller runs itself. Any other type is run by the provider (web search, code, computer
# use), so that the answer hangs on a world that moves on.
CALLERS_TOOLS = frozenset({"", "function", "custom"})

COMPLETE = frozenset({"stop", "tool_calls"})


@dataclass(frozen=True, slots=True)
class CacheRules:
    """What the user allows.

    A request whose ``temperature`` is given and above ``max_temperature`` asks for variety and is
    never answered from memory; one that leaves it out is. An answer that calls one of
    ``side_effect_tools`` is never kept.
    """

    max_temperature: float = 0.5
    side_effect_tools: frozenset[str] = frozenset()


def may_be_remembered(request: Request, rules: CacheRules) -> bool:
    """Say whether this request may be answered from memory at all."""
    temperature = request.params.get("temperature")
    if isinstance(temperature, int | float) and temperature > rules.max_temperature:
        return False
    if not STATEFUL.isdisjoint(request.params) or "web_search_options" in request.params:
        return False
    return not request.tools or _are_callers(request.tools)


def may_be_kept(reply: Reply, rules: CacheRules) -> bool:
    """Say whether an answer is whole: not cut, truncated, filtered, refused or empty."""
    return bool(reply.choices) and all(_is_whole(choice, rules) for choice in reply.choices)


def _is_whole(choice: Choice, rules: CacheRules) -> bool:
    if choice.finish_reason not in COMPLETE or not _says_something(choice):
        return False
    effects = rules.side_effect_tools
    return not effects or effects.isdisjoint(call.name for call in choice.tool_calls)


def _says_something(choice: Choice) -> bool:
    return bool(choice.text or choice.tool_calls) or any(
        isinstance(part, Other) and part.block.get("type") == "embeddings" for part in choice.parts
    )


def _is_callers(tool: Mapping[str, Json]) -> bool:
    return "input_schema" in tool or tool.get("type", "") in CALLERS_TOOLS


def _all_callers(tools: Sequence[Mapping[str, Json]]) -> bool:
    return all(map(_is_callers, tools))


_are_callers = ByContent(_all_callers)
