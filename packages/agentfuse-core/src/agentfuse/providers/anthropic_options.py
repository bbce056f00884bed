"""Tools and parameters of a chat request, in the words of Anthropic's Messages API.

Sources: https://docs.anthropic.com/en/api/messages (parameters),
https://docs.anthropic.com/en/docs/agents-and-tools/tool-use (tools and tool_choice).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentfuse.errors import ConfigurationError
from agentfuse.providers.wire_json import object_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from agentfuse.messages import Json

# What Anthropic lacks, with the values that ask for nothing and may therefore be left out.
_LACKING: Mapping[str, tuple[Json, ...]] = {
    "n": (1,),
    "seed": (),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "logit_bias": ({},),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "modalities": (["text"],),
    "audio": (),
    "prediction": (),
    "functions": ([],),
    "function_call": (),
    "web_search_options": (),
    "verbosity": ("medium",),
    "store": (False,),
    "prompt_cache_key": (),
    "prompt_cache_retention": (),
    "moderation": (),
}
_TRANSLATED = frozenset(
    {"stop", "user", "safety_identifier", "metadata", "tool_choice", "parallel_tool_calls"}
    | {"response_format", "reasoning_effort", "service_tier", "stream_options", "output_config"}
)
_CHOICES: Mapping[str, str] = {"auto": "auto", "required": "any", "none": "none"}


def tools_of(tools: Iterable[Mapping[str, Json]]) -> list[dict[str, Json]]:
    """Write the tools; Anthropic's own (without ``function``) are passed on."""
    return [_tool_of(tool) for tool in tools]


def _tool_of(tool: Mapping[str, Json]) -> dict[str, Json]:
    if tool.get("type") == "custom" and "custom" in tool:
        raise ConfigurationError(
            f"Anthropic takes no custom tools ({tool['custom'].get('name')!r})"
        )
    if "function" not in tool:
        return dict(tool)
    function = tool["function"]
    written: dict[str, Json] = {
        "name": function["name"],
        "input_schema": function.get("parameters") or {"type": "object", "properties": {}},
    }
    if function.get("description"):
        written["description"] = function["description"]
    if function.get("strict") is not None:
        written["strict"] = function["strict"]
    beside = {key: value for key, value in tool.items() if key not in {"type", "function"}}
    return {**written, **beside}


def options_of(params: Mapping[str, Json]) -> dict[str, Json]:
    """Write the parameters; raises ConfigurationError naming one that Anthropic lacks."""
    for name, harmless in _LACKING.items():
        value = params.get(name)
        if value is not None and value not in harmless:
            raise ConfigurationError(
                f"Anthropic has no parameter {name}: leave it out, or ask a model that has it"
            )
    body: dict[str, Json] = {
        name: value
        for name, value in params.items()
        if value is not None and name not in _LACKING and name not in _TRANSLATED
    }
    stop = params.get("stop")
    if stop:
        body["stop_sequences"] = [stop] if isinstance(stop, str) else list(stop)
    user = params.get("safety_identifier") or params.get("user")
    metadata = {**({"user_id": user} if user else {}), **object_of(params.get("metadata"))}
    if metadata:
        body["metadata"] = metadata
    tier = params.get("service_tier")
    if tier is not None:
        body["service_tier"] = "standard_only" if tier == "default" else tier
    choice = _choice_of(params)
    if choice:
        body["tool_choice"] = choice
    return body | _output_of(params)


def _choice_of(params: Mapping[str, Json]) -> dict[str, Json]:
    wanted = params.get("tool_choice")
    alone = params.get("parallel_tool_calls") is False
    choice: dict[str, Json] = {}
    if isinstance(wanted, str):
        if wanted not in _CHOICES:
            raise ConfigurationError(f"tool_choice {wanted!r} is none of {', '.join(_CHOICES)}")
        choice = {"type": _CHOICES[wanted]}
    elif "function" in object_of(wanted):
        choice = {"type": "tool", "name": object_of(object_of(wanted)["function"]).get("name")}
    elif object_of(wanted).get("type") in {"auto", "any", "tool", "none"}:
        choice = dict(object_of(wanted))
    elif wanted is not None:
        raise ConfigurationError(f"Anthropic has no tool_choice like {wanted!r}")
    if alone and choice.get("type") != "none":
        return {"type": "auto", **choice, "disable_parallel_tool_use": True}
    return choice


def _output_of(params: Mapping[str, Json]) -> dict[str, Json]:
    """Write what shapes the output: a JSON schema, and the effort spent on thinking.

    Source: https://docs.anthropic.com/en/docs/build-with-claude/structured-outputs and /effort.
    """
    config: dict[str, Json] = dict(object_of(params.get("output_config")))
    body: dict[str, Json] = {}
    wanted = object_of(params.get("response_format")) or {"type": "text"}
    if wanted.get("type") == "json_schema":
        schema = object_of(object_of(wanted.get("json_schema")).get("schema"))
        config["format"] = {"type": "json_schema", "schema": schema}
    elif wanted.get("type") != "text":
        raise ConfigurationError(
            f"Anthropic has no response_format {wanted.get('type')!r}: give a json_schema"
        )
    effort = params.get("reasoning_effort")
    if effort == "none":
        body["thinking"] = {"type": "disabled"}
    elif effort is not None:
        config["effort"] = "low" if effort == "minimal" else effort
    if config:
        body["output_config"] = config
    return body
