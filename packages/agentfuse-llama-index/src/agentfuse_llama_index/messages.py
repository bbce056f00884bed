"""LlamaIndex's chat messages in neutral words and back, for LLMs that are metered as a whole."""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llama_index.core.base.llms.types import (
    ChatMessage,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)

from agentfuse.messages import Media, Message, Other, Reasoning, Text, ToolCall
from agentfuse.nothing import NOTHING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentfuse.messages import Choice, Json, Part

_KINDS = {"image": "image", "audio": "audio", "video": "video", "document": "document"}
# What LlamaIndex's integrations keep beside a message, in an SDK's own objects: its blocks say it.
_REPEATED = frozenset({"tool_calls", "usage", "stop_reason", "thinking_delta"})


def message_of(message: ChatMessage) -> Message:
    """Read one message; a tool's result keeps the id of its call."""
    beside = dict(message.additional_kwargs)
    call_id = beside.pop("tool_call_id", None)
    extra = {name: value for name, value in beside.items() if name not in _REPEATED and value}
    return Message(
        message.role.value,
        parts_of(message.blocks),
        calls_of(message.blocks),
        str(call_id or ""),
        "",
        extra or NOTHING,
    )


def parts_of(blocks: Sequence[Any]) -> tuple[Part, ...]:
    """Read what is said, without the tool calls."""
    return tuple(_part_of(block) for block in blocks if not isinstance(block, ToolCallBlock))


def _part_of(block: Any) -> Part:
    if isinstance(block, TextBlock):
        return Text(block.text)
    written: dict[str, Json] = block.model_dump(mode="json", exclude_none=True)
    if isinstance(block, ThinkingBlock):
        return Reasoning(block.content or "", written)
    kind: Any = _KINDS.get(str(written.get("block_type")))
    if kind is None:
        return Other(written)
    return Media(
        kind=kind,
        url=str(getattr(block, "url", None) or ""),
        data=_data_of(block, kind),
        media_type=str(getattr(block, f"{kind}_mimetype", None) or ""),
        block=written,
    )


def _data_of(block: Any, kind: str) -> str:
    """Give a medium's bytes in base64, as LlamaIndex keeps them; a file's are read."""
    data = getattr(block, kind, None) or getattr(block, "data", None)
    if isinstance(data, bytes):
        return data.decode("utf-8", "replace")
    path = getattr(block, "path", None)
    return b64encode(Path(path).read_bytes()).decode() if path else ""


def calls_of(blocks: Sequence[Any]) -> tuple[ToolCall, ...]:
    """Read the tool calls."""
    return tuple(
        ToolCall(block.tool_call_id or "", block.tool_name, _arguments_of(block.tool_kwargs))
        for block in blocks
        if isinstance(block, ToolCallBlock)
    )


def _arguments_of(given: Any) -> str:
    return given if isinstance(given, str) else json.dumps(given, ensure_ascii=False, default=str)


def chat_message_of(said: Message | Choice) -> ChatMessage:
    """Write a message, or an answer, as LlamaIndex's."""
    blocks: list[Any] = [block for part in said.parts if (block := _block_of(part)) is not None]
    blocks += [
        ToolCallBlock(tool_call_id=call.id, tool_name=call.name, tool_kwargs=call.arguments)
        for call in said.tool_calls
    ]
    beside = dict(said.extra) if isinstance(said, Message) else {}
    if isinstance(said, Message) and said.tool_call_id:
        beside["tool_call_id"] = said.tool_call_id
    role: Any = said.role if isinstance(said, Message) else "assistant"
    return ChatMessage(role=role, blocks=blocks, additional_kwargs=beside)


def _block_of(part: Part) -> Any:
    match part:
        case Text(text):
            return TextBlock(text=text)
        case Reasoning(text):
            return ThinkingBlock(content=text)
        case _:
            written = part.block
            known = "block_type" in written
            return ChatMessage(blocks=[dict(written)]).blocks[0] if known else None
