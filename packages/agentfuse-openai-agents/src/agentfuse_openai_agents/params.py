"""Everything beside model and conversation that changes an answer: parameters and tools."""

from __future__ import annotations

from dataclasses import fields
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

from agents import FunctionTool

from agentfuse_openai_agents.json_values import digest_of, plain_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agents import AgentOutputSchemaBase, Handoff, ModelSettings, Tool

    from agentfuse.messages import Json
    from agentfuse_openai_agents.places import Flavour

# How a call travels, is repeated, counted or reported, which leaves the answer as it is; the
# output's maximum is told apart.
_TRAVEL = frozenset(
    {"extra_args", "include_usage", "max_tokens", "preserve_raw_usage", "retry", "timeout"}
)
# Settings that only one of OpenAI's two APIs is sent (`_fetch_response` of either model).
_OF_RESPONSES = frozenset({"context_management", "response_include", "truncation"})
_OF_CHAT = frozenset({"frequency_penalty", "presence_penalty"})
_WORDS = {"response_include": "include"}


def params_of(
    settings: ModelSettings,
    schema: AgentOutputSchemaBase | None,
    *,
    flavour: Flavour,
    has_tools: bool,
) -> dict[str, Json]:
    """Gather the parameters that are sent, under the words of chat completions."""
    unsent = _OF_CHAT if flavour == "responses" else _OF_RESPONSES
    found: dict[str, Json] = {}
    for name in _settings_of(cast("Any", type(settings))):
        value = getattr(settings, name)
        if value is not None and name not in unsent:
            found.update(_written(name, value))
    if not has_tools:
        found.pop("parallel_tool_calls", None)
    if schema is not None and not schema.is_plain_text():
        found["response_format"] = _format_of(schema)
    found.update({name: plain_of(value) for name, value in (settings.extra_args or {}).items()})
    return found


@lru_cache(maxsize=16)
def _settings_of(kind: Any) -> tuple[str, ...]:
    """List the settings that may change an answer, those of newer releases too."""
    return tuple(field.name for field in fields(kind) if field.name not in _TRAVEL)


def _written(name: str, value: Any) -> dict[str, Json]:
    match name:
        case "tool_choice":
            return {name: _choice_of(value)}
        case "reasoning":
            return _reasoning_of(plain_of(value))
        case "extra_headers":
            return {name: digest_of(dict(value))}
        case _:
            return {_WORDS.get(name, name): plain_of(value)}


def _choice_of(choice: Any) -> Json:
    if not isinstance(choice, str):
        return plain_of(choice)
    if choice in {"auto", "required", "none"}:
        return choice
    return {"type": "function", "function": {"name": choice}}


def _reasoning_of(reasoning: Mapping[str, Json]) -> dict[str, Json]:
    """Say the effort as chat completions do, where that says it all."""
    if set(reasoning) == {"effort"}:
        return {"reasoning_effort": reasoning["effort"]}
    return {"reasoning": reasoning} if reasoning else {}


def _format_of(schema: AgentOutputSchemaBase) -> Json:
    """Write a structured output as chat completions take it (``convert_response_format``)."""
    return {
        "type": "json_schema",
        "json_schema": {
            "name": "final_output",
            "strict": schema.is_strict_json_schema(),
            "schema": schema.json_schema(),
        },
    }


def tools_of(
    tools: Sequence[Tool], handoffs: Sequence[Handoff[Any, Any]]
) -> tuple[Mapping[str, Json], ...]:
    """Write tools and handoffs as chat-completions tools; a hosted tool is just its kind."""
    return (*map(_tool_of, tools), *map(_handoff_of, handoffs))


def _tool_of(tool: Tool) -> Mapping[str, Json]:
    if not isinstance(tool, FunctionTool):
        return {"type": f"openai.{type(tool).__name__}", "name": tool.name}
    function: dict[str, Json] = {
        "name": tool.name,
        "description": tool.description or "",
        "parameters": tool.params_json_schema,
        "strict": tool.strict_json_schema,
    }
    if getattr(tool, "defer_loading", False):
        function["defer_loading"] = True
    return {"type": "function", "function": function}


def _handoff_of(handoff: Handoff[Any, Any]) -> Mapping[str, Json]:
    return {
        "type": "function",
        "function": {
            "name": handoff.tool_name,
            "description": handoff.tool_description,
            "parameters": handoff.input_json_schema,
            "strict": handoff.strict_json_schema,
        },
    }
