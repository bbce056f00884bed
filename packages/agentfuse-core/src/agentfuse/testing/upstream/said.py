"""What an Upstream was asked and what it says, in no vendor's dialect."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, cast

from agentfuse.nothing import NOTHING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentfuse.usage import Usage

Json = Any
"""A JSON value."""


@dataclass(frozen=True, slots=True)
class Call:
    """One tool call to make: ``arguments`` is a mapping, or JSON text to send as it stands."""

    name: str
    arguments: Mapping[str, Json] | str = NOTHING
    id: str = ""

    @property
    def text(self) -> str:
        """The arguments as the JSON text a model writes."""
        return self.arguments if isinstance(self.arguments, str) else compact(dict(self.arguments))


@dataclass(frozen=True, slots=True)
class Say:
    """One answer to give.

    ``finish_reason`` is the vendor's own word, or None for the true one (stop, length,
    tool_calls). ``usage`` overrides fields of the vendor's usage object, for odd providers.
    ``overlong`` says all of it, whatever maximum the request set.
    """

    text: str = ""
    tool_calls: Sequence[Call] = ()
    _: KW_ONLY
    reasoning: str = ""
    finish_reason: str | None = None
    overlong: bool = False
    usage: Mapping[str, Json] | None = None


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool the request offers, with the JSON schema of its arguments."""

    name: str
    schema: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Turn:
    """One message as far as tools and the last question need it."""

    role: str
    text: str = ""
    _: KW_ONLY
    calls: tuple[tuple[str, str], ...] = ()
    """(id, tool name) of each call the model made."""
    results: tuple[str, ...] = ()
    """Ids of the calls this message answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request, parsed.

    ``api`` is chat.completions, responses, embeddings or anthropic.messages; ``text`` the last user
    text; ``messages`` the vendor's own messages (or input items); ``turns`` the same, neutrally.
    ``forced`` is the tool that must be called by name, ``any`` for one of them, or empty.
    ``schema`` is the answer's JSON schema, ``{}`` for any JSON object, None for free text.
    """

    api: str
    model: str
    body: Mapping[str, Json]
    messages: tuple[Mapping[str, Json], ...]
    turns: tuple[Turn, ...]
    tools: tuple[Tool, ...] = ()
    forced: str = ""
    parallel: bool = True
    schema: Mapping[str, Json] | None = None
    max_tokens: int | None = None
    n: int = 1

    @property
    def text(self) -> str:
        """The last text a user wrote."""
        return next((t.text for t in reversed(self.turns) if t.role == "user" and t.text), "")

    @property
    def stream(self) -> bool:
        """Whether the answer is wanted in chunks."""
        return self.body.get("stream") is True

    @property
    def answered(self) -> frozenset[str]:
        """Names of the tools called since the last user text."""
        names: set[str] = set()
        for turn in reversed(self.turns):
            if turn.role == "user" and turn.text:
                break
            names.update(name for _, name in turn.calls)
        return frozenset(names)


Responder = Callable[[Asked], Say | None]
"""Decides an answer; None leaves it to the default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """One choice as it goes out: cut to length, ids filled in, ``finish`` decided."""

    text: str
    calls: tuple[Call, ...]
    reasoning: str
    finish: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """All choices of one answer with what they cost; ``serial`` makes its ids unique."""

    serial: int
    created: int
    choices: tuple[Spoken, ...]
    billed: Usage
    override: Mapping[str, Json] = NOTHING


@dataclass(frozen=True, slots=True)
class Event:
    """One framed chunk of a stream; ``text`` is the billed output in it."""

    data: bytes
    text: str = ""


def object_in(value: Json) -> Mapping[str, Json]:
    """Take a value as an object; anything else is an empty one."""
    return cast("Mapping[str, Json]", value) if isinstance(value, Mapping) else {}


def list_in(value: Json) -> list[Json]:
    """Take a value as a list; anything else is an empty one."""
    return list(cast("Iterable[Json]", value)) if isinstance(value, list) else []


def compact(value: Json) -> str:
    """Write JSON as providers do: no spaces, no escaped letters."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
