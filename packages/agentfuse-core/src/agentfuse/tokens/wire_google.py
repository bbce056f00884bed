"""Bodies of Gemini's generateContent and countTokens, in camel case or snake case."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from agentfuse.messages import Message, Other, Reasoning, Text, ToolCall
from agentfuse.nothing import NOTHING
from agentfuse.tokens.json_shapes import items_of, object_of
from agentfuse.tokens.wire_parts import media_of, written

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentfuse.messages import Part
    from agentfuse.tokens.wire_parts import Kind

_KINDS: dict[str, Kind] = {"image": "image", "audio": "audio", "video": "video"}


def google_messages(body: Mapping[str, Any]) -> list[Message]:
    """Read the system instruction and the contents."""
    inner = object_of(body.get("generateContentRequest")) or body
    given = _either(inner, "systemInstruction", "system_instruction")
    messages = [_message_of(object_of(given), "system")] if given else []
    contents = inner.get("contents")
    if isinstance(contents, str):
        return [*messages, Message("user", (Text(contents),))]
    listed = items_of(contents) or ([contents] if contents else [])
    return messages + [_message_of(object_of(raw), "user") for raw in listed]


def google_tools(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Give each declared function as a tool of its own, then the provider's own tools."""
    given = body.get("tools")
    listed = items_of(given) or ([given] if isinstance(given, dict) else [])
    found: list[Mapping[str, Any]] = []
    for raw in listed:
        tool = object_of(raw)
        declared = items_of(_either(tool, "functionDeclarations", "function_declarations"))
        found += [_function_of(object_of(each)) for each in declared]
        for name in tool:
            if name not in ("functionDeclarations", "function_declarations"):
                found.append({"type": name})
    return found


def google_params(body: Mapping[str, Any]) -> dict[str, Any]:
    """Read the output schema and the name of cached content, if any."""
    config = object_of(_either(body, "generationConfig", "generation_config"))
    names = ("responseJsonSchema", "responseSchema", "response_json_schema", "response_schema")
    schema = next((config[name] for name in names if config.get(name)), None)
    kept = _either(body, "cachedContent", "cached_content")
    found = {"response_schema": schema} if schema else {}
    return found | {"cached_content": kept} if kept else found


def _function_of(raw: Mapping[str, Any]) -> dict[str, Any]:
    names = ("parameters", "parametersJsonSchema", "parameters_json_schema")
    parameters = next((raw[name] for name in names if raw.get(name)), None)
    found = {"name": str(raw.get("name", "")), "description": raw.get("description") or ""}
    return {**found, "parameters": parameters} if parameters else found


def _message_of(content: Mapping[str, Any], role: str) -> Message:
    parts: list[Part] = []
    calls: list[ToolCall] = []
    answered = ""
    listed = items_of(content.get("parts")) or ([content["parts"]] if content.get("parts") else [])
    for raw in listed:
        part = {"text": raw} if isinstance(raw, str) else object_of(raw)
        call = object_of(_either(part, "functionCall", "function_call"))
        answer = object_of(_either(part, "functionResponse", "function_response"))
        served = object_of(_either(part, "toolResponse", "tool_response"))
        if call:
            arguments = written(call.get("args") or {})
            calls.append(ToolCall("", str(call.get("name", "")), arguments, _signature(part)))
        elif answer:
            answered = str(answer.get("name") or "-")
            parts += [Text(answered), Text(written(answer.get("response")))]
            parts += [_part_of(object_of(each)) for each in items_of(answer.get("parts"))]
        elif served:
            parts.append(Other({"toolResponse": _unshown(served)}))
        else:
            parts.append(_part_of(part))
    return Message(str(content.get("role") or role), tuple(parts), tuple(calls), answered)


def _part_of(part: Mapping[str, Any]) -> Part:
    text = part.get("text")
    if isinstance(text, str):
        return Reasoning(text, part) if part.get("thought") else Text(text, _signature(part))
    for names in (("inlineData", "inline_data"), ("fileData", "file_data")):
        given = object_of(_either(part, *names))
        if given:
            media_type = str(_either(given, "mimeType", "mime_type") or "")
            kind = _KINDS.get(media_type.partition("/")[0], "document")
            if media_type.startswith("text/") and given.get("data"):
                return Text(_decoded(str(given["data"])))
            data = given.get("data") or _either(given, "fileUri", "file_uri")
            return media_of(kind, data, media_type=media_type, block=part)
    return Other(part)


def _unshown(served: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out the suggestions, which are markup for the caller's page and not for the model."""
    found = object_of(served.get("response"))
    shown = {key: value for key, value in found.items() if key != "search_suggestions"}
    return {**served, "response": shown}


def _signature(part: Mapping[str, Any]) -> Mapping[str, Any]:
    signature = _either(part, "thoughtSignature", "thought_signature")
    return {"thoughtSignature": signature} if isinstance(signature, str) else NOTHING


def _decoded(data: str) -> str:
    try:
        return base64.b64decode(data).decode("utf-8", "replace")
    except ValueError:
        return data


def _either(given: Mapping[str, Any], camel: str, snake: str) -> Any:
    return given.get(camel) or given.get(snake)
