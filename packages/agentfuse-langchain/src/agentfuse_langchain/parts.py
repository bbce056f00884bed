"""Content blocks in LangChain's many dialects, as neutral parts and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentfuse.messages import Media, Other, Reasoning, Text
from agentfuse.nothing import NOTHING
from agentfuse.providers.wire_json import list_of, object_of
from agentfuse_langchain.json_values import plain_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentfuse.messages import Json, Part

# LangChain invents ids for its own blocks (langchain_core.utils.uuid, `ensure_id`).
OWN_IDS = "lc_"


def parts_of(content: Any) -> tuple[Part, ...]:
    """Read a message's content: a string or a list of strings and blocks."""
    if isinstance(content, str):
        return (Text(content),)
    return tuple(_part_of(block) for block in content or ())


def _part_of(written: Any) -> Part:
    if isinstance(written, str):
        return Text(written)
    block: dict[str, Json] = settled(plain_of(written))
    match block:
        case {"type": "text", "text": str(text), **extra}:
            return Text(text, {str(name): value for name, value in extra.items()} or NOTHING)
        case {"type": "thinking", "thinking": str(text)} | {
            "type": "reasoning",
            "reasoning": str(text),
        }:
            return Reasoning(text, block)
        case {"type": "reasoning", "summary": [*pieces]}:
            return Reasoning("".join(_summary_text(piece) for piece in pieces), block)
        case _:
            return _media_of(block) or Other(block)


def _summary_text(piece: Any) -> str:
    return str(object_of(piece).get("text", ""))


def settled(block: Json) -> Json:
    """Drop what only serves to put streamed chunks together: indices and LangChain's own ids."""
    if isinstance(block, list):
        return [settled(inner) for inner in list_of(block)]
    if not isinstance(block, dict):
        return block
    return {
        name: settled(value) if isinstance(value, list) else value
        for name, value in object_of(block).items()
        if name != "index" and not (name == "id" and str(value).startswith(OWN_IDS))
    }


def _media_of(block: Mapping[str, Json]) -> Media | None:  # noqa: PLR0911 - a table of dialects
    """Read an image, sound, film or document in OpenAI's, Anthropic's or LangChain's words."""
    match block:
        case {"type": "image_url", "image_url": {"url": str(url)} | str(url)}:
            return _media("image", url, block)
        case {"type": "input_audio", "input_audio": {"data": str(data), **sound}}:
            kind = f"audio/{sound.get('format', 'wav')}"
            return Media(kind="audio", data=data, media_type=kind, block=block)
        case {"type": "file", "file": {"file_data": str(data)}}:
            return _media("document", data, block)
        case {"type": "image" | "document" as kind, "source": {"data": str(data), **source}}:
            media_type = str(source.get("media_type", ""))
            return Media(kind=kind, data=data, media_type=media_type, block=block)
        case {"type": "image" | "document" as kind, "source": {"url": str(url)}}:
            return Media(kind=kind, url=url, block=block)
        case {"type": "image" | "audio" | "video" | "file" as kind}:
            return _standard_media("document" if kind == "file" else kind, block)
        case _:
            return None


def _standard_media(kind: Any, block: Mapping[str, Json]) -> Media:
    """Read LangChain's own data blocks (langchain_core.messages.content), both generations."""
    data, url = block.get("base64") or block.get("data"), block.get("url")
    return Media(
        kind=kind,
        data=data if isinstance(data, str) else "",
        url=url if isinstance(url, str) else "",
        media_type=str(block.get("mime_type") or ""),
        block=block,
    )


def _media(kind: Any, url: str, block: Mapping[str, Json]) -> Media:
    """Take a URL apart where it is ``data:<media type>;base64,<data>`` (RFC 2397)."""
    head, comma, data = url.partition(",")
    if comma and head.startswith("data:") and head.endswith(";base64"):
        media_type = head.removeprefix("data:").removesuffix(";base64").partition(";")[0]
        return Media(kind=kind, data=data, media_type=media_type, block=block)
    return Media(kind=kind, url=url, block=block)


def content_of(parts: Sequence[Part]) -> str | list[str | dict[str, Json]]:
    """Write parts as a message's content: a string where that says it all."""
    if not parts:
        return ""
    first = parts[0]
    if len(parts) == 1 and isinstance(first, Text) and not first.extra:
        return first.text
    return [_block_of(part) for part in parts]


def _block_of(part: Part) -> dict[str, Json]:
    match part:
        case Text(text, extra):
            return {"type": "text", "text": text, **extra}
        case Media():
            return dict(part.block) or _media_block(part)
        case Reasoning(text, block):
            return dict(block) or {"type": "reasoning", "reasoning": text}
        case Other(block):
            return dict(block)


def _media_block(media: Media) -> dict[str, Json]:
    """Write a medium as LangChain's standard block."""
    kind = "file" if media.kind == "document" else media.kind
    if media.url:
        return {"type": kind, "url": media.url}
    return {"type": kind, "base64": media.data, "mime_type": media.media_type}
