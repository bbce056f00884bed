"""Bodies of Bedrock's Converse."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from agentfuse.messages import Message, Other, Reasoning, Text, ToolCall
from agentfuse.tokens.json_shapes import items_of, object_of
from agentfuse.tokens.wire_parts import media_of, written

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentfuse.messages import Part
    from agentfuse.tokens.wire_parts import Kind

_KINDS: tuple[Kind, ...] = ("image", "document", "audio", "video")


def bedrock_messages(body: Mapping[str, Any]) -> list[Message]:
    """Read system and messages; results of tools become turns of their own."""
    system = [part for raw in items_of(body.get("system")) for part in _parts_of(object_of(raw))]
    messages = [Message("system", tuple(system))] if system else []
    for raw in items_of(body.get("messages")):
        messages += _turns_of(object_of(raw))
    return messages


def bedrock_tools(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Give each tool in the shape Claude's own dialect has."""
    found: list[Mapping[str, Any]] = []
    for raw in items_of(object_of(body.get("toolConfig")).get("tools")):
        spec = object_of(object_of(raw).get("toolSpec"))
        if spec:
            schema = object_of(spec.get("inputSchema")).get("json")
            found.append(
                {"name": spec.get("name"), "description": spec.get("description") or ""}
                | {"input_schema": schema}
            )
        elif "cachePoint" not in object_of(raw):
            found.append(object_of(raw))
    return found


def bedrock_params(body: Mapping[str, Any]) -> dict[str, Any]:
    """Read the tool choice, the output schema and thinking in the shapes the rules know."""
    params = dict(object_of(body.get("additionalModelRequestFields")))
    choice = object_of(object_of(body.get("toolConfig")).get("toolChoice"))
    if choice:
        params["tool_choice"] = {"type": next(iter(choice))}
    structure = object_of(
        object_of(object_of(body.get("outputConfig")).get("textFormat")).get("structure")
    )
    schema = object_of(structure.get("jsonSchema")).get("schema")
    if schema:
        params["response_format"] = {"json_schema": {"schema": _read(schema)}}
    return params


def _read(schema: Any) -> Any:
    try:
        return json.loads(schema) if isinstance(schema, str) else schema
    except ValueError:
        return schema


def _turns_of(raw: Mapping[str, Any]) -> list[Message]:
    role = str(raw.get("role", ""))
    parts: list[Part] = []
    calls: list[ToolCall] = []
    results: list[Message] = []
    for block in items_of(raw.get("content")):
        given = object_of(block)
        call, result = object_of(given.get("toolUse")), object_of(given.get("toolResult"))
        if call:
            arguments = written(call.get("input") or {})
            calls.append(ToolCall("", str(call.get("name", "")), arguments))
        elif result:
            inner = [part for each in items_of(result.get("content")) for part in _parts_of(each)]
            answered = str(result.get("toolUseId") or "-")
            results.append(Message("tool", tuple(inner), (), answered))
        else:
            parts += _parts_of(given)
    own = [Message(role, tuple(parts), tuple(calls))] if parts or calls else []
    return results + own


def _parts_of(block: Any) -> list[Part]:
    given = object_of(block)
    if "cachePoint" in given:
        return []
    if "guardContent" in given:
        return _parts_of(object_of(given["guardContent"]).get("text"))
    return [_part_of(given)]


def _part_of(given: Mapping[str, Any]) -> Part:
    if isinstance(given.get("text"), str):
        return Text(given["text"])
    if "json" in given:
        return Text(written(given["json"]))
    if "reasoningContent" in given:
        inner = object_of(object_of(given["reasoningContent"]).get("reasoningText"))
        return Reasoning(str(inner.get("text", "")), given)
    for kind in _KINDS:
        if kind in given:
            return _media_of(kind, object_of(given[kind]))
    return Other(given)


def _media_of(kind: Kind, block: Mapping[str, Any]) -> Part:
    source = object_of(block.get("source"))
    if isinstance(source.get("text"), str):
        return Text(source["text"])
    data = source.get("bytes") or object_of(source.get("s3Location")).get("uri")
    return media_of(kind, data, media_type=str(block.get("format", "")), block=block)
