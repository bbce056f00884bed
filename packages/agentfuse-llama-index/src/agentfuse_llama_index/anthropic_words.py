"""A body of Anthropic's Messages API in the words of Chat Completions, which keys are made of.

The reverse of what ``agentfuse.providers.anthropic_requests`` writes, so that a question asked here
and through ``completion()`` is one question. Source: https://docs.anthropic.com/en/api/messages
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from agentfuse.messages import Media, Message, Other, Reasoning, Text, ToolCall
from agentfuse.nothing import NOTHING
from agentfuse.providers.wire_json import list_of, object_of
from agentfuse.usages import plain_body

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from agentfuse.messages import Json, Part

_CHOICES = {"auto": "auto", "any": "required", "none": "none"}


def messages_of(system: Json, turns: Iterable[Mapping[str, Json]]) -> tuple[Message, ...]:
    """Read the instructions and the turns; a tool's result becomes a message of its own."""
    found = [Message("system", parts_of(system))] if system else []
    for turn in turns:
        found += _turn_of(turn)
    return tuple(found)


def _turn_of(turn: Mapping[str, Json]) -> Iterator[Message]:
    content: Json = turn.get("content")
    role = str(turn.get("role"))
    if isinstance(content, str):
        yield Message(role, (Text(content),))
        return
    blocks: list[Any] = [_plain(block) for block in content or ()]
    results = [block for block in blocks if block.get("type") == "tool_result"]
    calls = [block for block in blocks if block.get("type") == "tool_use"]
    yield from map(_result_of, results)
    told = {"tool_result", "tool_use"}
    rest = tuple(_part_of(block) for block in blocks if block.get("type") not in told)
    if rest or calls or not results:
        yield Message(role, rest, tuple(map(_call_of, calls)))


def _plain(block: Any) -> dict[str, Json]:
    """Give a block as JSON: turns may hold the SDK's own objects."""
    return object_of(block) or dict(object_of(plain_body(block)))


def _result_of(block: Mapping[str, Json]) -> Message:
    extra = {k: v for k, v in block.items() if k not in {"type", "tool_use_id", "content"}}
    parts = parts_of(block.get("content"))
    return Message("tool", parts, (), str(block.get("tool_use_id") or ""), "", extra or NOTHING)


def _call_of(block: Mapping[str, Json]) -> ToolCall:
    extra = {k: v for k, v in block.items() if k not in {"type", "id", "name", "input"}}
    arguments: Json = block.get("input")
    text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return ToolCall(str(block.get("id") or ""), str(block.get("name")), text, extra or NOTHING)


def parts_of(content: Json) -> tuple[Part, ...]:
    """Read a content: a string, or a list of blocks."""
    if isinstance(content, str):
        return (Text(content),)
    return tuple(_part_of(_plain(block)) for block in list_of(content))


def _part_of(block: dict[str, Json]) -> Part:
    match block:
        case {"type": "text", "text": str(text), **rest}:
            extra = {str(name): value for name, value in rest.items() if value is not None}
            return Text(text, extra or NOTHING)
        case {"type": "thinking", "thinking": str(text)}:
            return Reasoning(text, block)
        case {"type": "image" | "document" as kind, "source": {"data": str(data), **source}}:
            media_type = str(source.get("media_type", ""))
            return Media(kind=kind, data=data, media_type=media_type, block=block)
        case {"type": "image" | "document" as kind, "source": {"url": str(url)}}:
            return Media(kind=kind, url=url, block=block)
        case _:
            return Other(block)


def tools_of(tools: Iterable[Any]) -> tuple[Mapping[str, Json], ...]:
    """Read the tools: the caller's own as function tools, Anthropic's as they are."""
    return tuple(_tool_of(_plain(tool)) for tool in tools)


def _tool_of(tool: dict[str, Json]) -> dict[str, Json]:
    if "input_schema" not in tool or tool.get("type", "custom") != "custom":
        return tool
    words = {"type", "name", "description", "strict", "input_schema"}
    function: dict[str, Json] = {"name": tool["name"]}
    function |= {
        word: tool[word] for word in ("description", "strict") if tool.get(word) is not None
    }
    function["parameters"] = tool["input_schema"]
    beside = {name: value for name, value in tool.items() if name not in words}
    return {"type": "function", "function": function, **beside}


def params_of(given: Mapping[str, Any]) -> dict[str, Json]:
    """Read the parameters; what Chat Completions has no word for stays as it is."""
    params = {name: value for name, value in given.items() if value is not None}
    stop = params.pop("stop_sequences", None)
    if stop:
        params["stop"] = list(stop)
    choice = object_of(params.pop("tool_choice", None))
    if choice:
        params["tool_choice"] = _choice_of(choice)
    if choice.get("disable_parallel_tool_use"):
        params["parallel_tool_calls"] = False
    return params


def _choice_of(choice: Mapping[str, Json]) -> Json:
    kind = str(choice.get("type"))
    if kind == "tool":
        return {"type": "function", "function": {"name": choice.get("name")}}
    return _CHOICES.get(kind, kind)
