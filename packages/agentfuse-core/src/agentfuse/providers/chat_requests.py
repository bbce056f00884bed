"""Requests in the words of OpenAI's Chat Completions API: read from a body, and written as one.

What is read is written back as it was, but for these normalisations: a content list of one plain
text becomes the string; an empty content list becomes null; ``content`` left out becomes null; a
tool call's ``type`` is always written; ``max_tokens`` and ``max_completion_tokens`` become the word
the provider knows; ``tools: []`` (refused by OpenAI) and unset limits are left out; SDK objects
become plain dicts. Source: https://platform.openai.com/docs/api-reference/chat/create
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from agentfuse.by_content import ByContent, copy_of
from agentfuse.errors import ConfigurationError
from agentfuse.messages import Media, Message, Other, Reasoning, Request, Text, ToolCall
from agentfuse.nothing import NOTHING
from agentfuse.providers.directory import provider_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentfuse.messages import Json, Part
    from agentfuse.providers.names import Target

_NOT_PARAMS = frozenset(
    {"model", "messages", "tools", "stream", "max_tokens", "max_completion_tokens"}
)
_MESSAGE_WORDS = frozenset({"role", "content", "tool_calls", "tool_call_id", "name"})
ANTHROPIC_KEEPSAKES = ("thinking_blocks", "content_blocks")
"""Message fields in which an answer of Claude carries what its next turn needs back."""


def request_of(
    target: Target,
    body: Mapping[str, Json],
    *,
    tenant: str | None = None,
    stream: bool = False,
    base_url: str = "",
) -> Request:
    """Read what a caller of ``chat.completions.create`` wrote; ``model`` is the target's.

    ``base_url`` is where it goes, empty for the provider's own address.

    Raises ConfigurationError where messages are missing or two output limits disagree.
    """
    given = {key: value for key, value in body.items() if not _unset(value)}
    messages: Json = given.get("messages")
    if not isinstance(messages, list | tuple):
        raise ConfigurationError("a request needs messages: a list of dicts with role and content")
    params = {key: value for key, value in given.items() if key not in _NOT_PARAMS}
    return Request(
        provider=target.provider,
        model=target.model,
        messages=tuple(map(_known_messages, cast("list[Any]", messages))),
        max_output_tokens=_limit_of(given),
        tools=(*(given.get("tools") or ()),),  # a new one: the caller's own may be changed
        params=params or NOTHING,
        stream=stream,
        tenant=tenant,
        base_url=base_url,
    )


def _unset(value: object) -> bool:
    """Recognise the SDKs' markers for an argument that was left out."""
    return type(value).__name__ in {"NotGiven", "Omit"}


def _limit_of(given: Mapping[str, Json]) -> int | None:
    old, new = given.get("max_tokens"), given.get("max_completion_tokens")
    if old is not None and new is not None and old != new:
        raise ConfigurationError("max_tokens and max_completion_tokens differ: give one of them")
    return new if new is not None else old


def message_of(message: Any) -> Message:
    """Read one message: a dict, or an SDK object such as an answer's own message."""
    fields: Mapping[str, Json] = message
    if hasattr(message, "model_dump"):
        fields = message.model_dump(exclude_unset=True, warnings=False)
    if not isinstance(fields, dict) or "role" not in fields:
        raise ConfigurationError(f"a message is a dict with a role and content, not {message!r}")
    extra = {key: value for key, value in fields.items() if key not in _MESSAGE_WORDS}
    calls = fields.get("tool_calls")
    if calls is not None and not calls:  # an empty list says more than no list to no provider
        calls = None
    return Message(
        fields["role"],
        parts_of(fields.get("content")),
        tuple(call_of(call) for call in calls or ()),
        fields.get("tool_call_id") or "",
        fields.get("name") or "",
        extra or NOTHING,
    )


def _own_message_of(written: Any) -> Message:
    return message_of(copy_of(written))


# A conversation is sent whole each time, and all but its last turns were read before.
_known_messages = ByContent(_own_message_of)


def parts_of(content: Json) -> tuple[Part, ...]:
    """Read a message's content: a string, a list of blocks, or None."""
    if content is None:
        return ()
    if isinstance(content, str):
        return (Text(content),)
    return tuple(_part_of(block) for block in content)


def _part_of(written: Any) -> Part:
    if isinstance(written, str):
        return Text(written)
    block: dict[str, Json] = written
    if hasattr(written, "model_dump"):
        block = written.model_dump(exclude_unset=True, warnings=False)
    if block.get("type") == "text" and isinstance(block.get("text"), str):
        extra = {key: value for key, value in block.items() if key not in {"type", "text"}}
        return Text(block["text"], extra or NOTHING)
    if block.get("type") == "thinking" and isinstance(block.get("thinking"), str):
        return Reasoning(block["thinking"], block)
    return _media_of(block) or Other(block)


def _media_of(block: dict[str, Json]) -> Media | None:
    match block:
        case {"type": "image_url", "image_url": {"url": str(url)}}:
            return media_of("image", url, block)
        case {"type": "video_url", "video_url": {"url": str(url)}}:
            return media_of("video", url, block)
        case {"type": "input_audio", "input_audio": {"data": str(data), **sound}}:
            kind = f"audio/{sound.get('format', 'wav')}"
            return Media(kind="audio", data=data, media_type=kind, block=block)
        case {"type": "file", "file": {"file_data": str(data)}}:
            return media_of("document", data, block)
        case {"type": "file"}:
            return Media(kind="document", block=block)
        case _:
            return None


def media_of(kind: Any, url: str, block: Mapping[str, Json]) -> Media:
    """Take a URL apart where it is ``data:<media type>;base64,<data>`` (RFC 2397)."""
    head, comma, data = url.partition(",")
    if comma and head.startswith("data:") and head.endswith(";base64"):
        media_type = head.removeprefix("data:").removesuffix(";base64").partition(";")[0]
        return Media(kind=kind, data=data, media_type=media_type, block=block)
    return Media(kind=kind, url=url, block=block)


def call_of(call: Any) -> ToolCall:
    """Read one tool call, of a function or of a custom tool."""
    fields: Mapping[str, Json] = call
    if hasattr(call, "model_dump"):
        fields = call.model_dump(exclude_unset=True, warnings=False)
    extra = {key: value for key, value in fields.items() if key not in {"id", "function", "custom"}}
    if fields.get("custom") is not None:
        custom = fields["custom"]
        return ToolCall(fields.get("id") or "", custom["name"], custom["input"], extra)
    function = dict(fields.get("function") or {})
    if extra.get("type") in {"function", None}:
        extra.pop("type", None)
    name, arguments = function.pop("name", None), function.pop("arguments", None)
    if function:
        extra["function"] = function
    return ToolCall(fields.get("id") or "", name or "", arguments or "", extra or NOTHING)


def body_of(request: Request) -> dict[str, Json]:
    """Write the body to send; a stream asks for usage wherever the provider takes the option."""
    row = provider_of(request.provider)
    body: dict[str, Json] = {
        "model": request.model,
        "messages": [
            message_body(message, plain=row.id in {"openai", "azure"})
            for message in request.messages
        ],
        **request.params,
    }
    if request.tools:
        body["tools"] = list(request.tools)
    if request.max_output_tokens is not None:
        body[row.limit_word] = request.max_output_tokens
    if request.caching is not None and request.caching.key and row.id == "openai":
        body["prompt_cache_key"] = request.caching.key
    if request.stream:
        body["stream"] = True
        if row.usage_option:
            body["stream_options"] = {**(body.get("stream_options") or {}), "include_usage": True}
        else:
            body.pop("stream_options", None)
    else:  # of a stream that a cascade asks its cheap models for as a whole
        body.pop("stream_options", None)
    return body


def message_body(message: Message, *, plain: bool = True) -> dict[str, Json]:
    """Write one message; what only Claude understands is left out.

    ``plain`` says that the provider refuses fields it does not know, reasoning among them.
    """
    body: dict[str, Json] = {"role": message.role, "content": content_body(message.parts)}
    if message.name:
        body["name"] = message.name
    if message.tool_call_id:
        body["tool_call_id"] = message.tool_call_id
    if message.tool_calls:
        body["tool_calls"] = [call_body(call) for call in message.tool_calls]
    from_claude = any(word in message.extra for word in ANTHROPIC_KEEPSAKES)
    for word, value in message.extra.items():
        keepsake = word in ANTHROPIC_KEEPSAKES or (plain and word == "reasoning_content")
        if not (from_claude and keepsake):
            body[word] = value
    return body


def content_body(parts: Sequence[Part]) -> Json:
    """Write a content: null, a string where that says it all, or a list of blocks."""
    if not parts:
        return None
    first = parts[0]
    if len(parts) == 1 and isinstance(first, Text) and not first.extra:
        return first.text
    return [_block_of(part) for part in parts]


def _block_of(part: Part) -> Json:
    match part:
        case Text(text, extra):
            return {"type": "text", "text": text, **extra}
        case Media():
            return part.block or _media_block(part)
        case Reasoning(text, block):
            return block or {"type": "text", "text": text}
        case Other(block):
            return block


def _media_block(media: Media) -> dict[str, Json]:
    url = media.url or f"data:{media.media_type};base64,{media.data}"
    match media.kind:
        case "image" | "video" as kind:
            return {"type": f"{kind}_url", f"{kind}_url": {"url": url}}
        case "audio":
            sound = {"data": media.data, "format": media.media_type.rpartition("/")[2]}
            return {"type": "input_audio", "input_audio": sound}
        case "document":
            return {"type": "file", "file": {"filename": "document", "file_data": url}}


def call_body(call: ToolCall) -> dict[str, Json]:
    """Write one tool call."""
    extra = dict(call.extra)
    body: dict[str, Json] = {"id": call.id} if call.id else {}
    if extra.get("type") == "custom":
        return {**body, **extra, "custom": {"name": call.name, "input": call.arguments}}
    function = {"name": call.name, "arguments": call.arguments, **extra.pop("function", {})}
    return {**body, "type": "function", **extra, "function": function}
