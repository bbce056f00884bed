"""What a request is made of, weighed in one family's tokens."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, assert_never

from agentfuse.messages import Media, Other, Reasoning, Text
from agentfuse.tokens.families import bare, family_of
from agentfuse.tokens.json_shapes import unsealed
from agentfuse.tokens.media import media_tokens
from agentfuse.tokens.text import MEMORIES, vocabulary_count

if TYPE_CHECKING:
    from agentfuse.messages import Message, Part, Request
    from agentfuse.tokens.estimates import Doubt
    from agentfuse.tokens.families import Family


_INSTRUCTING = frozenset({"system", "developer"})
_FRAMED = _INSTRUCTING | {"tool"}  # turns that are more than their text
_UNTHOUGHT = _FRAMED | {"assistant"}  # also, where past thinking is dropped


@dataclass(slots=True, kw_only=True)
class Contents:
    """A request taken apart: ``text`` tokens in messages, calls, pictures, and what is unsure.

    ``spare`` is how far the media may exceed ``media``, and past thinking, which providers mostly
    leave out of what they bill. ``loaded`` names tools that a search brought into the conversation.
    """

    family: Family
    model: str
    text: int = 0
    calls: int = 0
    call_count: int = 0
    results: int = 0
    named: int = 0
    media: int = 0
    spare: int = 0
    opaque: bool = False
    loaded: set[str] = field(default_factory=set[str])
    system: bool = False

    @property
    def doubt(self) -> Doubt:
        """Say what makes the count unsure: what cannot be read, or media."""
        if self.opaque:
            return "opaque"
        return "media" if self.media else ""


def contents_of(request: Request) -> Contents:
    """Weigh everything in a request's messages, each text once and from memory when resent."""
    family = family_of(request.model, request.provider)
    contents = Contents(family=family, model=bare(request.model))
    count, ratio = MEMORIES[family.vocabulary].count, family.text
    framed = _FRAMED if family.keeps_thoughts else _UNTHOUGHT
    plain = 0
    for message in request.messages:
        parts = message.parts
        part = parts[0] if len(parts) == 1 else None
        beside = message.tool_calls or message.tool_call_id or message.name
        if type(part) is Text and not beside and message.role not in framed:
            plain += (count(part.text) * ratio + 500) // 1000
        else:
            _weigh_message(contents, message)
    contents.text += plain
    return contents


def text_tokens(family: Family, text: str) -> int:
    """Count prose in a family's tokens."""
    return (MEMORIES[family.vocabulary].count(text) * family.text + 500) // 1000


def json_tokens(family: Family, value: Any) -> int:
    """Count a JSON value, written compactly, in a family's tokens, rounded up."""
    return -(-vocabulary_count(compact(value), family.vocabulary) * family.json // 1000)


def compact(value: Any) -> str:
    """Write a JSON value without spaces; what is no JSON is written as its text."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)


def _weigh_message(contents: Contents, message: Message) -> None:
    role, family = message.role, contents.family
    if role in _INSTRUCTING:
        contents.system = True
    if role == "tool" or message.tool_call_id:
        contents.results += 1
    if message.name:
        contents.named += 1
        contents.text += text_tokens(family, message.name)
    thoughts = role == "assistant" and not family.keeps_thoughts
    count, ratio = MEMORIES[family.vocabulary].count, family.text
    for part in message.parts:
        if type(part) is Text and not thoughts:
            contents.text += (count(part.text) * ratio + 500) // 1000
        else:
            _weigh_part(contents, _unthought(contents, part) if thoughts else part)
    for call in message.tool_calls:
        contents.call_count += 1
        contents.calls += (count(call.name) * ratio + 500) // 1000
        contents.calls += (count(call.arguments) * ratio + 500) // 1000


def _unthought(contents: Contents, part: Part) -> Part:
    """Leave out the thinking that a model's template drops from past answers."""
    if not isinstance(part, Text) or "</think>" not in part.text:
        return part
    contents.spare += text_tokens(contents.family, part.text)
    return Text(part.text.rpartition("</think>")[2])


def _weigh_part(contents: Contents, part: Part) -> None:
    match part:
        case Text():
            contents.text += text_tokens(contents.family, part.text)
        case Reasoning():
            contents.spare += text_tokens(contents.family, part.text)
            contents.opaque = True
        case Media():
            likely, most = media_tokens(contents.model, contents.family, part)
            contents.media += likely
            contents.spare += most - likely
        case Other() if part.block.get("type") == "tool_reference":
            contents.loaded.add(str(part.block.get("tool_name")))
        case Other():
            contents.text += json_tokens(contents.family, unsealed(part.block))
            contents.opaque = True
        case _:
            assert_never(part)
