"""Blocks of a message's content, as the chat, responses and Anthropic dialects write them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

from agentfuse.messages import Media, Other, Reasoning, Text
from agentfuse.tokens.json_shapes import items_of, object_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentfuse.messages import Part

Kind = Literal["image", "audio", "document", "video"]

_KINDS: dict[str, Kind] = {
    "image": "image",
    "image_url": "image",
    "input_image": "image",
    "input_audio": "audio",
    "document": "document",
    "file": "document",
    "input_file": "document",
    "video": "video",
    "video_url": "video",
}


def parts_of(content: Any) -> tuple[Part, ...]:
    """Read a content: a text, one block, a list of texts and blocks, or nothing."""
    if isinstance(content, str):
        return (Text(content),)
    if isinstance(content, dict):
        return (part_of(content),)
    return tuple(part_of(block) for block in items_of(content))


def part_of(block: Any) -> Part:
    """Read one block; what is unknown is kept whole."""
    if isinstance(block, str):
        return Text(block)
    given = object_of(block)
    kind = str(given.get("type", ""))
    for field in ("text", "refusal"):
        if isinstance(given.get(field), str) and kind != "thinking":
            return Text(given[field])
    if isinstance(given.get("thinking"), str | list):
        return Reasoning(_thought(given["thinking"]), given)
    if kind in _KINDS:
        return _media_of(_KINDS[kind], given)
    return Other(given)


def _thought(given: Any) -> str:
    """Read a thought: a text, or as Mistral writes it, blocks of text."""
    if isinstance(given, str):
        return given
    return "\n".join(str(object_of(each).get("text", "")) for each in items_of(given))


def media_of(kind: Kind, data: Any, *, media_type: str = "", block: Mapping[str, Any]) -> Media:
    """Make a medium of its base64 text, its data URL or its address."""
    text = data if isinstance(data, str) else ""
    if text.startswith("data:"):
        head, _, text = text.partition(",")
        return Media(kind=kind, data=text, media_type=head[5:].split(";")[0], block=block)
    if "://" in text[:16]:
        return Media(kind=kind, url=text, media_type=media_type, block=block)
    return Media(kind=kind, data=text, media_type=media_type, block=block)


def written(value: Any) -> str:
    """Write arguments as the compact JSON a model writes; a text is one already."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)


def _media_of(kind: Kind, block: Mapping[str, Any]) -> Part:
    source = object_of(block.get("source"))
    if source.get("type") == "text":
        return Text(str(source.get("data", "")))
    if source.get("type") == "content":
        return Other(source)
    media_type = str(source.get("media_type", ""))
    data = source.get("data") or source.get("url") or _inner(block)
    return media_of(kind, data, media_type=media_type, block=block)


def _inner(block: Mapping[str, Any]) -> Any:
    """Find a medium's data where OpenAI's dialects put it."""
    for field in ("image_url", "video_url", "input_audio", "file"):
        inner = block.get(field)
        if isinstance(inner, str):
            return inner
        for name in ("url", "data", "file_data"):
            if name in object_of(inner):
                return object_of(inner)[name]
    return block.get("file_data") or block.get("file_url") or block.get("data") or ""
