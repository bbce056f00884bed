"""What is asked and what was said, in no provider's dialect.

A request keeps each block it does not understand whole, so that what goes out is what came in.
Parameters stay as the caller wrote them: their meaning belongs to the provider named beside them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from agentfuse.nothing import NOTHING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentfuse.usage import UsageReport

Json = Any
"""A JSON value: None, bool, int, float, str, or lists and string-keyed dicts of these."""


@dataclass(frozen=True, slots=True)
class Text:
    """Plain text; ``extra`` holds the fields that stood beside it (``cache_control`` ...)."""

    text: str
    extra: Mapping[str, Json] = NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """An image, sound, document or film, by ``url`` or as base64 ``data``.

    ``block`` is the block as it was written, whole: it is sent back where the dialect is the same.
    """

    kind: Literal["image", "audio", "document", "video"]
    url: str = ""
    data: str = ""
    media_type: str = ""
    block: Mapping[str, Json] = NOTHING


@dataclass(frozen=True, slots=True)
class Reasoning:
    """The model's thinking as far as it is shown; ``block`` keeps signatures and ids."""

    text: str
    block: Mapping[str, Json] = NOTHING


@dataclass(frozen=True, slots=True)
class Other:
    """A provider's own block, kept whole."""

    block: Mapping[str, Json]


Part = Text | Media | Reasoning | Other


def text_of(parts: tuple[Part, ...]) -> str:
    """Join the texts among parts; of one text, which most are, it is that very string."""
    if len(parts) == 1 and isinstance(parts[0], Text):
        return parts[0].text
    return "".join([part.text for part in parts if isinstance(part, Text)])


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call the model asks for; ``arguments`` is the JSON text as the model wrote it."""

    id: str
    name: str
    arguments: str
    extra: Mapping[str, Json] = NOTHING


@dataclass(frozen=True, slots=True)
class Message:
    """One turn: ``role`` is system, developer, user, assistant or tool."""

    role: str
    parts: tuple[Part, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""
    name: str = ""
    extra: Mapping[str, Json] = NOTHING

    @property
    def text(self) -> str:
        """The text parts, joined."""
        return text_of(self.parts)


@dataclass(frozen=True, slots=True)
class CacheMark:
    """Where a part of the prompt ends that the provider may keep: the tools, the system, a turn.

    ``index`` is the turn's place among the request's messages.
    """

    place: Literal["tools", "system", "turn"]
    index: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptCaching:
    """What is asked of the provider's own cache of prompts.

    ``marks`` and ``ttl`` are for Claude, in the order of the prompt; ``key`` is OpenAI's
    ``prompt_cache_key``. None of it changes what is answered.
    """

    marks: tuple[CacheMark, ...] = ()
    ttl: Literal["5m", "1h"] = "5m"
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One question to one model.

    ``api`` names the dialect of ``params``, ``tools`` and the kept blocks (``chat.completions``,
    ``anthropic.messages``, ``langchain`` ...). ``params`` holds every other parameter as the caller
    gave it; ``max_output_tokens`` is kept apart, since a budget may lower it, and
    ``output_ceiling`` is what the way to the provider sends where that is None (a dialect that
    cannot do without). ``base_url`` is empty for the provider's own address.

    ``reach`` says whether the way it is asked can ask another provider too; ``caching`` is what the
    policy asks of the provider's cache of prompts, for ways that can write it. Neither is part of
    the question.
    """

    provider: str
    model: str
    messages: tuple[Message, ...]
    api: str = "chat.completions"
    max_output_tokens: int | None = None
    output_ceiling: int | None = None
    tools: tuple[Mapping[str, Json], ...] = ()
    params: Mapping[str, Json] = NOTHING
    stream: bool = False
    tenant: str | None = None
    base_url: str = ""
    reach: Literal["own", "any"] = "own"
    caching: PromptCaching | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One of the answers to a request.

    ``finish_reason`` is stop, length, tool_calls, content_filter, refusal, another word of the
    provider's own, or empty for an answer that was cut off.
    """

    parts: tuple[Part, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: str = ""

    @property
    def text(self) -> str:
        """The text parts, joined."""
        return text_of(self.parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What was said.

    ``report`` is None where the provider gave no usage. ``raw`` is the answer in its own ``shape``
    as JSON text (immutable, so a hit can never be changed by who got the one before it).
    """

    choices: tuple[Choice, ...]
    report: UsageReport | None = None
    model: str = ""
    id: str = ""
    shape: str = ""
    raw: str = ""

    @property
    def text(self) -> str:
        """The first answer's text."""
        return self.choices[0].text if self.choices else ""

    @property
    def finish_reason(self) -> str:
        """Why the first answer ended; empty if it was cut off."""
        return self.choices[0].finish_reason if self.choices else ""


@dataclass(frozen=True, slots=True)
class Delta:
    """What one chunk of a stream added that is billed as output: text, reasoning, arguments."""

    text: str = ""
