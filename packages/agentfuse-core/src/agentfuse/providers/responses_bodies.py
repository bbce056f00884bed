"""A body of OpenAI's Responses API, read into our words, and its input items written again.

Instructions come first as a system message, each item is a message of its own, and what Chat
Completions has too gets the name it has there. Source:
https://platform.openai.com/docs/api-reference/responses/create
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentfuse.by_content import ByContent, copy_of
from agentfuse.messages import Media, Message, Other, Reasoning, Text, ToolCall
from agentfuse.nothing import NOTHING
from agentfuse.providers.chat_requests import media_of
from agentfuse.providers.wire_json import list_of, object_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from agentfuse.messages import Json, Part

# What an item is given by the API and means nothing to the model; reasoning alone needs its id.
_GIVEN = frozenset({"id", "status", "type"})
_EMPTY: tuple[Json, ...] = ([], None)
_TEXTS = frozenset({"input_text", "output_text", "text"})
# Blocks of a message's content that are neither text nor media; all other kinds are items.
_CONTENT = frozenset({"refusal", "input_audio"})


def messages_of(body: Mapping[str, Json]) -> tuple[Message, ...]:
    """Read instructions and input."""
    given = body.get("instructions")
    told = (Message("system", (Text(given),)),) if isinstance(given, str) and given else ()
    asked = body.get("input")
    if isinstance(asked, str):
        return (*told, Message("user", (Text(asked),)))
    return (*told, *map(_known_messages, map(object_of, list_of(asked))))


def _message_of(given: Mapping[str, Json]) -> Message:
    item = copy_of(given)
    match item.get("type", "message"):
        case "message":
            extra = _beside(item, {"role", "content"})
            return Message(str(item.get("role")), parts_of(item.get("content")), extra=extra)
        case "function_call" | "custom_tool_call":
            return Message("assistant", tool_calls=(call_of(item),))
        case "function_call_output" | "custom_tool_call_output" as kind:
            extra = _beside(item, {"call_id", "output"})
            if kind == "custom_tool_call_output":
                extra = {**extra, "type": kind}
            answered = str(item.get("call_id") or "")
            parts = parts_of(item.get("output"))
            return Message("tool", parts, tool_call_id=answered, extra=extra)
        case "reasoning":
            return Message("assistant", (Reasoning(thoughts_in(item), item),))
        case _:
            return Message("assistant", (Other(item),))


# A conversation is sent whole each time, and all but its last items were read before.
_known_messages = ByContent(_message_of)


def _beside(item: Mapping[str, Json], read: Iterable[str]) -> Mapping[str, Json]:
    known = _GIVEN.union(read)
    return {w: v for w, v in item.items() if w not in known and v not in _EMPTY} or NOTHING


def parts_of(content: Json) -> tuple[Part, ...]:
    """Read an item's content: a text, or a list of blocks."""
    if isinstance(content, str):
        return (Text(content),)
    return tuple(_part_of(object_of(block)) for block in list_of(content))


def _part_of(block: Mapping[str, Json]) -> Part:
    match block:
        case {"type": kind, "text": str(text)} if kind in _TEXTS:
            known = {"type", "text"}
            extra = {w: v for w, v in block.items() if w not in known and v not in _EMPTY}
            return Text(text, extra or NOTHING)
        case {"type": "input_image", "image_url": str(url)}:
            return media_of("image", url, block)
        case {"type": "input_file", "file_data": str(data)}:
            return media_of("document", data, block)
        case {"type": "input_file", "file_url": str(url)}:
            return Media(kind="document", url=url, block=block)
        case {"type": "input_file"}:
            return Media(kind="document", block=block)
        case _:
            return Other(block)


def call_of(item: Mapping[str, Json]) -> ToolCall:
    """Read a call of a function or of a custom tool."""
    custom = item.get("type") == "custom_tool_call"
    arguments = item.get("input" if custom else "arguments")
    extra = _beside(item, {"call_id", "name", "input" if custom else "arguments"})
    if custom:
        extra = {**extra, "type": "custom"}
    return ToolCall(
        str(item.get("call_id") or ""), str(item.get("name") or ""), str(arguments or ""), extra
    )


def thoughts_in(item: Mapping[str, Json]) -> str:
    """Give what a reasoning item shows of its thoughts."""
    texts = [*list_of(item.get("summary")), *list_of(item.get("content"))]
    return "\n".join(str(object_of(each).get("text") or "") for each in texts)


def items_of(messages: Iterable[Message]) -> list[dict[str, Json]]:
    """Write messages as input items."""
    return [item for message in messages for item in _items_of(message)]


def _items_of(message: Message) -> Iterator[dict[str, Json]]:
    if message.role == "tool":
        kind = message.extra.get("type", "function_call_output")
        output = message.text if _is_plain(message.parts) else _blocks_of(message)
        yield {**message.extra, "type": kind, "call_id": message.tool_call_id, "output": output}
        return
    whole = [part for part in message.parts if isinstance(part, Reasoning | Other)]
    yield from (dict(part.block) for part in whole if part.block.get("type") not in _CONTENT)
    blocks = _blocks_of(message)
    if blocks:
        content: Any = message.text if _is_plain(message.parts) else blocks
        yield {"type": "message", "role": message.role, "content": content, **message.extra}
    for call in message.tool_calls:
        yield call_item(call)


def _is_plain(parts: Iterable[Part]) -> bool:
    return all(isinstance(part, Text) and not part.extra for part in parts)


def _blocks_of(message: Message) -> list[dict[str, Json]]:
    kind = "output_text" if message.role == "assistant" else "input_text"
    blocks: list[dict[str, Json]] = []
    for part in message.parts:
        if isinstance(part, Text):
            blocks.append({"type": kind, "text": part.text, **part.extra})
        elif isinstance(part, Media) or part.block.get("type") in _CONTENT:
            blocks.append(dict(part.block))
    return blocks


def call_item(call: ToolCall) -> dict[str, Json]:
    """Write a tool call as an item."""
    extra = dict(call.extra)
    named = {"call_id": call.id, "name": call.name}
    if extra.pop("type", "function") == "custom":
        return {"type": "custom_tool_call", **named, "input": call.arguments, **extra}
    return {"type": "function_call", **named, "arguments": call.arguments, **extra}


def tools_of(body: Mapping[str, Json]) -> tuple[Mapping[str, Json], ...]:
    """Read the tools: functions as Chat Completions nests them, the provider's as they are."""
    return tuple(_tool_of(object_of(tool)) for tool in list_of(body.get("tools")))


def _tool_of(tool: Mapping[str, Json]) -> Mapping[str, Json]:
    if tool.get("type") != "function":
        return tool
    return {"type": "function", "function": {w: v for w, v in tool.items() if w != "type"}}


def params_of(body: Mapping[str, Json], read: frozenset[str]) -> dict[str, Json]:
    """Read the parameters that are not in ``read``."""
    params: dict[str, Json] = {}
    for word, value in body.items():
        if word in read:
            continue
        match word:
            case "text":
                params |= _format_of(object_of(value))
            case "reasoning" if object_of(value).keys() == {"effort"}:
                params["reasoning_effort"] = value["effort"]
            case "tool_choice" if object_of(value).keys() == {"type", "name"}:
                named = {"name": value["name"]}
                params[word] = {"type": value["type"], value["type"]: named}
            case _:
                params[word] = value
    return params


def _format_of(text: Mapping[str, Json]) -> dict[str, Json]:
    rest = dict(text)
    wanted = dict(object_of(rest.pop("format", None)))
    params: dict[str, Json] = {"text": rest} if rest else {}
    if wanted.get("type") == "json_schema":
        schema = {word: value for word, value in wanted.items() if word != "type"}
        params["response_format"] = {"type": "json_schema", "json_schema": schema}
    elif wanted.get("type") != "text":
        params |= {"response_format": wanted} if wanted else {}
    return params
