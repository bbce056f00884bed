"""A request in OpenAI's words, written as a body of Anthropic's Messages API.

System and developer messages are gathered into ``system``; tool messages become ``tool_result``
blocks of one user turn; turns of the same role are joined. A parameter that Anthropic lacks is
refused by name; one we do not know is passed on. Sources:
https://docs.anthropic.com/en/api/messages, https://docs.anthropic.com/en/api/openai-sdk
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from agentfuse.errors import ConfigurationError
from agentfuse.messages import Media, Other, Reasoning, Text
from agentfuse.providers.anthropic_options import options_of, tools_of
from agentfuse.providers.cache_marks import marked_messages, marked_tools

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from agentfuse.messages import Json, Message, Part, Request, ToolCall

DEFAULT_MAX_TOKENS = 4096
"""What is sent where nobody gave ``max_tokens``, which the API requires: every Claude allows it."""

_THINKING = frozenset({"thinking", "redacted_thinking"})


def body_of(request: Request) -> dict[str, Json]:
    """Write the body to send; raises ConfigurationError for what Claude cannot be asked."""
    messages = marked_messages(request)
    body: dict[str, Json] = {
        "model": request.model,
        "max_tokens": request.max_output_tokens or DEFAULT_MAX_TOKENS,
        "messages": _turns_of(messages),
    }
    system = _system_of(messages)
    if system:
        body["system"] = system
    if request.tools:
        body["tools"] = marked_tools(tools_of(request.tools), request.caching)
    body |= options_of(request.params)
    if request.stream:
        body["stream"] = True
    return body


def _system_of(messages: Iterable[Message]) -> Json:
    """Gather the instructions: a string, or blocks where there are several or one is marked."""
    blocks = [
        block
        for message in messages
        if message.role in {"system", "developer"}
        for block in _marked(_blocks_of(message.parts), message)
    ]
    if len(blocks) == 1 and set(blocks[0]) == {"type", "text"}:
        return blocks[0]["text"]
    return blocks


def _turns_of(messages: Iterable[Message]) -> list[dict[str, Json]]:
    turns: list[dict[str, Json]] = []
    for message in messages:
        if message.role in {"system", "developer"}:
            continue
        role = "assistant" if message.role == "assistant" else "user"
        content = _content_of(message)
        if not content:  # Anthropic refuses empty turns
            continue
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += content
        else:
            turns.append({"role": role, "content": content})
    for turn in turns:
        only = turn["content"][0]
        if len(turn["content"]) == 1 and set(only) == {"type", "text"}:
            turn["content"] = only["text"]
    return turns


def _content_of(message: Message) -> list[dict[str, Json]]:
    match message.role:
        case "assistant":
            return _marked(_said(message), message)
        case "tool":
            return _marked([_result_of(message)], message)
        case "user":
            if message.name:
                raise ConfigurationError("Anthropic takes no name on a user message: leave it out")
            return _marked(_blocks_of(message.parts), message)
        case role:
            raise ConfigurationError(f"Anthropic takes no messages of role {role!r}")


def _marked(blocks: list[dict[str, Json]], message: Message) -> list[dict[str, Json]]:
    """Put a message's own ``cache_control`` on its last block, where Anthropic reads it."""
    mark = message.extra.get("cache_control")
    if not mark or not blocks:
        return blocks
    return [*blocks[:-1], {**blocks[-1], "cache_control": mark}]


def _said(message: Message) -> list[dict[str, Json]]:
    """Write an assistant's turn; what an earlier answer of Claude kept whole goes back whole."""
    kept = message.extra.get("content_blocks")
    if kept:
        return [dict(block) for block in kept]
    if message.extra.get("function_call"):
        raise ConfigurationError("Anthropic takes no function_call: write tool_calls")
    blocks = [dict(block) for block in message.extra.get("thinking_blocks") or ()]
    blocks += _blocks_of(message.parts)
    refusal = message.extra.get("refusal")
    if refusal:
        blocks.append({"type": "text", "text": refusal})
    return blocks + [_use_of(call) for call in message.tool_calls]


def _use_of(call: ToolCall) -> dict[str, Json]:
    if call.extra.get("type") == "custom":
        raise ConfigurationError(f"Anthropic takes no custom tool calls ({call.name!r})")
    try:
        arguments = json.loads(call.arguments or "{}")
    except ValueError:
        arguments = None
    if not isinstance(arguments, dict):
        raise ConfigurationError(
            f"the arguments of {call.name!r} ({call.id}) are no JSON object, which Anthropic needs"
        )
    return {"type": "tool_use", "id": call.id, "name": call.name, "input": arguments}


def _result_of(message: Message) -> dict[str, Json]:
    blocks = _blocks_of(message.parts)
    result: dict[str, Json] = {"type": "tool_result", "tool_use_id": message.tool_call_id}
    if len(blocks) == 1 and set(blocks[0]) == {"type", "text"}:
        result["content"] = blocks[0]["text"]
    elif blocks:
        result["content"] = blocks
    if message.extra.get("is_error"):
        result["is_error"] = True
    return result


def _blocks_of(parts: Sequence[Part]) -> list[dict[str, Json]]:
    return [block for part in parts if (block := _block_of(part)) is not None]


def _block_of(part: Part) -> dict[str, Json] | None:
    match part:
        case Text(text, extra):
            return {"type": "text", "text": text, **extra} if text else None
        case Media():
            return _media_block(part)
        case Reasoning(_, block):
            return dict(block) if block.get("type") in _THINKING else None
        case Other(block):
            if block.get("type") == "refusal":
                return {"type": "text", "text": block["refusal"]}
            return dict(block)


def _media_block(media: Media) -> dict[str, Json]:
    """Write an image or document by URL or in base64; a file by its id."""
    if media.kind not in {"image", "document"}:
        raise ConfigurationError(f"Anthropic takes no {media.kind} input")
    file: Any = media.block.get("file") or {}
    source: dict[str, Json]
    if media.data:
        source = {"type": "base64", "media_type": media.media_type, "data": media.data}
    elif media.url:
        source = {"type": "url", "url": media.url}
    elif file.get("file_id"):
        source = {"type": "file", "file_id": file["file_id"]}
    else:
        raise ConfigurationError(f"this {media.kind} has neither data, nor a URL, nor a file_id")
    block: dict[str, Json] = {"type": media.kind, "source": source}
    if media.kind == "document" and file.get("filename"):
        block["title"] = file["filename"]
    if media.block.get("cache_control"):
        block["cache_control"] = media.block["cache_control"]
    return block
