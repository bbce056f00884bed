"""A request written as a body of Gemini's generateContent, as far as its input goes.

Source: https://ai.google.dev/api/generate-content
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from agentfuse.messages import Media, Other, Reasoning, Text
from agentfuse.providers.wire_json import object_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentfuse.messages import Json, Message, Part, Request

_INSTRUCTING = frozenset({"system", "developer"})


def body_of(request: Request) -> dict[str, Json] | None:
    """Write contents, instructions and tools; None where a part or a tool has no equal here."""
    names = {call.id: call.name for message in request.messages for call in message.tool_calls}
    contents: list[dict[str, Json]] = []
    instructions: list[dict[str, Json]] = []
    for message in request.messages:
        parts = _parts_of(message, names)
        if parts is None:
            return None
        if message.role in _INSTRUCTING:
            instructions += parts
        else:
            role = "model" if message.role in {"assistant", "model"} else "user"
            contents.append({"role": role, "parts": parts})
    declared = [_declared(tool) for tool in request.tools]
    if None in declared or not contents:
        return None
    body: dict[str, Json] = {"contents": contents}
    if instructions:
        body["systemInstruction"] = {"parts": instructions}
    if declared:
        body["tools"] = [{"functionDeclarations": declared}]
    return body


def _parts_of(message: Message, names: Mapping[str, str]) -> list[dict[str, Json]] | None:
    if message.role == "tool" or message.tool_call_id:
        name = message.name or names.get(message.tool_call_id) or message.tool_call_id
        return [{"functionResponse": {"name": name, "response": _response_of(message)}}]
    parts: list[dict[str, Json]] = []
    for part in message.parts:
        written = _part_of(part)
        if written is None:
            return None
        parts += written
    for call in message.tool_calls:
        parts.append({"functionCall": {"name": call.name, "args": _read(call.arguments)}})
    return parts


def _part_of(part: Part) -> list[dict[str, Json]] | None:
    match part:
        case Text(text):
            return [{"text": text}]
        case Media() if part.data and part.media_type:
            return [{"inlineData": {"mimeType": part.media_type, "data": part.data}}]
        case Reasoning():
            return []
        case Media() | Other():
            return None


def _response_of(message: Message) -> dict[str, Json]:
    """Give a tool's answer as the object it has to be there."""
    read = _read(message.text)
    return read or {"result": message.text}


def _read(text: str) -> dict[str, Json]:
    try:
        return object_of(json.loads(text or "{}"))
    except ValueError:
        return {}


def _declared(tool: Mapping[str, Any]) -> dict[str, Json] | None:
    function = object_of(tool.get("function")) or dict(tool)
    if not isinstance(function.get("name"), str):
        return None
    declared: dict[str, Json] = {"name": function["name"]}
    if function.get("description"):
        declared["description"] = function["description"]
    schema = function.get("parameters") or function.get("input_schema")
    if schema:
        declared["parametersJsonSchema"] = schema
    return declared
