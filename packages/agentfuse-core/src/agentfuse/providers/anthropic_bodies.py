"""A body of Anthropic's Messages API, read into our words: what ``anthropic_requests`` writes.

System comes first, each tool result becomes a turn of its own, tools and parameters that OpenAI has
too get OpenAI's names; what it lacks stays under Anthropic's. Source:
https://docs.anthropic.com/en/api/messages
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentfuse.messages import Media, Message, Other, Text
from agentfuse.nothing import NOTHING
from agentfuse.providers.anthropic_replies import call_of_use, part_of
from agentfuse.providers.wire_json import list_of, object_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from agentfuse.messages import Json, Part

_CHOICES = {"auto": "auto", "any": "required", "none": "none"}
_RESULT_WORDS = frozenset({"type", "tool_use_id", "content"})


def messages_of(body: Mapping[str, Json]) -> tuple[Message, ...]:
    """Read system and turns."""
    system = _parts_of(body.get("system"))
    turns = [turn for each in list_of(body.get("messages")) for turn in turns_of(object_of(each))]
    return ((Message("system", system),) if system else ()) + tuple(turns)


def turns_of(message: Mapping[str, Json]) -> Iterator[Message]:
    """Split a turn: results of tools answer the turn before, the rest is a turn of its own."""
    content = message.get("content")
    role = str(message.get("role"))
    beside = {word: value for word, value in message.items() if word not in {"role", "content"}}
    if isinstance(content, str):
        yield Message(role, (Text(content),), extra=beside or NOTHING)
        return
    blocks = [object_of(block) for block in list_of(content)]
    kinds = [block.get("type") for block in blocks]
    yield from (_result_of(block) for block in blocks if block.get("type") == "tool_result")
    said = [block for block in blocks if block.get("type") not in {"tool_use", "tool_result"}]
    uses = [block for block in blocks if block.get("type") == "tool_use"]
    if said or uses:
        if kinds != sorted(kinds, key=_place):
            beside["order"] = kinds  # words after a call are not words before it
        parts = tuple(_part_of(block) for block in said)
        calls = tuple(call_of_use(block) for block in uses)
        yield Message(role, parts, calls, extra=beside or NOTHING)


def _place(kind: Json) -> int:
    return {"tool_result": 0, "tool_use": 2}.get(kind, 1)


def _result_of(block: Mapping[str, Json]) -> Message:
    beside = {word: value for word, value in block.items() if word not in _RESULT_WORDS}
    return Message(
        "tool",
        _parts_of(block.get("content")),
        tool_call_id=str(block.get("tool_use_id") or ""),
        extra=beside or NOTHING,
    )


def _parts_of(content: Json) -> tuple[Part, ...]:
    if isinstance(content, str):
        return (Text(content),) if content else ()
    return tuple(_part_of(object_of(block)) for block in list_of(content))


def _part_of(block: Mapping[str, Json]) -> Part:
    if block.get("type") == "text" and not isinstance(block.get("text"), str):
        return Other(block)
    return _media_of(block) or part_of(block)


def _media_of(block: Mapping[str, Json]) -> Media | None:
    source = object_of(block.get("source"))
    match block.get("type"), source.get("type"):
        case ("image" | "document" as kind, "base64"):
            data, media_type = str(source.get("data")), str(source.get("media_type"))
            return Media(kind=kind, data=data, media_type=media_type, block=block)
        case ("image" | "document" as kind, "url"):
            return Media(kind=kind, url=str(source.get("url")), block=block)
        case ("image" | "document" as kind, "file"):
            return Media(kind=kind, block=block)
        case _:
            return None


def tools_of(body: Mapping[str, Json]) -> tuple[Mapping[str, Json], ...]:
    """Read the tools: the caller's own as OpenAI's functions, the provider's as they are."""
    return tuple(_tool_of(object_of(tool)) for tool in list_of(body.get("tools")))


def _tool_of(tool: Mapping[str, Json]) -> Mapping[str, Json]:
    if "input_schema" not in tool or tool.get("type") not in {None, "custom"}:
        return tool
    function: dict[str, Json] = {"name": tool.get("name"), "parameters": tool["input_schema"]}
    function |= {word: tool[word] for word in ("description", "strict") if word in tool}
    written = function.keys() | {"input_schema", "type"}
    beside = {word: value for word, value in tool.items() if word not in written}
    return {"type": "function", "function": function, **beside}


def params_of(body: Mapping[str, Json], read: frozenset[str]) -> dict[str, Json]:
    """Read the parameters that are not in ``read``."""
    params: dict[str, Json] = {}
    for word, value in body.items():
        if word in read:
            continue
        match word:
            case "stop_sequences":
                params["stop"] = value
            case "tool_choice":
                params |= _choice_of(object_of(value))
            case "output_config":
                params |= _output_of(object_of(value))
            case _:
                params[word] = value
    return params


def _choice_of(choice: Mapping[str, Json]) -> dict[str, Json]:
    rest = dict(choice)
    kind = rest.pop("type", None)
    params: dict[str, Json] = {}
    if rest.get("disable_parallel_tool_use") is True:
        params["parallel_tool_calls"] = not rest.pop("disable_parallel_tool_use")
    if kind == "tool" and rest.keys() == {"name"}:
        return {**params, "tool_choice": {"type": "function", "function": rest}}
    if kind in _CHOICES and not rest:
        return {**params, "tool_choice": _CHOICES[kind]}
    return {"tool_choice": dict(choice)}


def _output_of(config: Mapping[str, Json]) -> dict[str, Json]:
    rest = dict(config)
    params: dict[str, Json] = {}
    wanted = object_of(rest.get("format"))
    if wanted.keys() == {"type", "schema"} and wanted["type"] == "json_schema":
        schema = {"schema": rest.pop("format")["schema"]}
        params["response_format"] = {"type": "json_schema", "json_schema": schema}
    if isinstance(rest.get("effort"), str):
        params["reasoning_effort"] = rest.pop("effort")
    return {**params, "output_config": rest} if rest else params
