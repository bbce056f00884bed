"""Where a conversation is cut, and what then stands for its beginning."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agentfuse.compression.facts import index_of, references_in, words_of
from agentfuse.compression.notes import Note
from agentfuse.compression.outputs import shortened_output
from agentfuse.compression.spans import ANSWERING, INSTRUCTING, Spans
from agentfuse.messages import Text
from agentfuse.nothing import NOTHING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from agentfuse.messages import Message

Keep = "Callable[[Message], bool]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """A conversation with the tokens of each message; ``frame`` is what tools and the rest take."""

    messages: Sequence[Message]
    sizes: Sequence[int]
    frame: int
    size_of: Callable[[Message], int]
    count: Callable[[str], int]

    @property
    def size(self) -> int:
        """All its tokens."""
        return self.frame + sum(self.sizes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What stands for the first ``reach`` messages, for as long as the conversation goes on.

    ``kept`` are the places of those that stay, some in a shorter form (``trimmed``). ``left`` are
    the places of those left out; ``index`` says where what they name stood. ``size`` is the tokens
    of what stands for them all. The cut was made at ``above`` tokens in all, down to ``floor``.
    """

    reach: int
    kept: tuple[int, ...]
    left: tuple[int, ...]
    trimmed: Mapping[int, Message]
    note: Note
    size: int
    above: int
    index: Mapping[str, list[int]]
    floor: int = 0

    def messages(self, messages: Sequence[Message]) -> tuple[Message, ...]:
        """Give the conversation under this plan; the note stands behind the first instructions."""
        head = [self.trimmed.get(place, messages[place]) for place in self.kept]
        opening = 0
        while opening < len(head) and head[opening].role in INSTRUCTING:
            opening += 1
        written = self.note.message()
        note = () if written is None else (written,)
        return (*head[:opening], *note, *head[opening:], *messages[self.reach :])

    def size_in(self, talk: Talk) -> int:
        """Give all tokens of the conversation under this plan."""
        return talk.frame + self.size + sum(talk.sizes[self.reach :])

    def holds_for(self, talk: Talk) -> bool:
        """Say whether the plan of a conversation's beginning fits how it went on."""
        last = Spans.of(talk.messages).last_user
        return self.reach <= len(talk.messages) and (last >= self.reach or last in self.kept)

    def missing(self, talk: Talk) -> set[str]:
        """Name what the untouched part refers to and only what was left out tells of."""
        if not self.index:
            return set()
        tail = talk.messages[self.reach :]
        named = {word for message in tail for word in references_in(words_of(message))}
        return {word for word in named if word in self.index} - self.note.words

    def with_note(self, note: Note, talk: Talk) -> Plan:
        """Put another note in the place of this plan's."""
        size = self.size - _size_of(self.note, talk) + _size_of(note, talk)
        return replace(self, note=note, size=size)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cutting:
    """How to cut: to ``target`` tokens, or to the last ``units`` where they are given.

    ``keep`` marks messages that stay, with the whole step they are a part of. A tool's result above
    ``tool_tokens`` is shortened before anything is left out.
    """

    target: int
    units: int | None = None
    tool_tokens: int | None = None
    keep: Callable[[Message], bool] | None = None
    room_for_note: int = 0

    def plan(self, talk: Talk, *, above: int) -> Plan:
        """Decide what stays; the note is still to be written."""
        spans = Spans.of(talk.messages)
        trimmed = self._trimmed(talk, spans)
        sizes = [talk.size_of(trimmed[i]) if i in trimmed else n for i, n in enumerate(talk.sizes)]
        left = self._left(talk, spans, sizes)
        kept = tuple(i for i in range(spans.reach) if i not in left)
        places = tuple(sorted(left))
        return Plan(
            reach=spans.reach,
            kept=kept,
            left=places,
            trimmed={place: trimmed[place] for place in kept if place in trimmed},
            note=Note(),
            size=sum(sizes[place] for place in kept),
            above=above,
            index=index_of(talk.messages, places) if places else NOTHING,
        )

    def _trimmed(self, talk: Talk, spans: Spans) -> dict[int, Message]:
        """Shorten long results of tools that the model has read."""
        limit = self.tool_tokens
        if limit is None:
            return {}
        found: dict[int, Message] = {}
        for place in range(spans.reach):
            message = talk.messages[place]
            if message.role in ANSWERING and talk.sizes[place] > limit and not self._pins(message):
                shorter = shortened_message(message, limit, talk.count)
                if shorter is not message:
                    found[place] = shorter
        return found

    def _left(self, talk: Talk, spans: Spans, sizes: Sequence[int]) -> set[int]:
        """Leave out whole turns, then whole steps, the oldest first, until the rest fits."""
        stays = self._staying(talk, spans)
        size = talk.frame + sum(sizes)
        left: set[int] = set()
        surplus = None if self.units is None else max(len(spans.units) + 1 - self.units, 0)
        for number, unit in enumerate(spans.units):
            if size <= self.target and (surplus is None or number >= surplus):
                break
            if not left and surplus is None:
                size += self.room_for_note
            going = [place for place in unit if place not in stays]
            left.update(going)
            size -= sum(sizes[place] for place in going)
        return left

    def _staying(self, talk: Talk, spans: Spans) -> set[int]:
        """Give the places that no cut touches."""
        stays = {i for i, message in enumerate(talk.messages) if message.role in INSTRUCTING}
        stays.add(spans.last_user)
        for place in range(spans.reach):
            if self._pins(talk.messages[place]):
                stays.update(spans.step_of(talk.messages, place))
        return stays

    def _pins(self, message: Message) -> bool:
        return self.keep is not None and self.keep(message)


def shortened_message(message: Message, tokens: int, count: Callable[[str], int]) -> Message:
    """Shorten the texts of a tool's result; images and the like stay."""
    texts = [part for part in message.parts if isinstance(part, Text)]
    if not texts:
        return message
    each = max(tokens // len(texts), 1)
    parts = tuple(
        Text(shortened_output(part.text, each, count), part.extra)
        if isinstance(part, Text)
        else part
        for part in message.parts
    )
    return message if parts == message.parts else replace(message, parts=parts)


def left_out(plan: Plan, messages: Sequence[Message], but: Iterable[int] = ()) -> list[Message]:
    """Give the messages that a plan leaves out, ``but`` for some places."""
    known = set(but)
    return [messages[place] for place in plan.left if place not in known]


def _size_of(note: Note, talk: Talk) -> int:
    written = note.message()
    return 0 if written is None else talk.size_of(written)
