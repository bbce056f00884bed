"""The note that stands for what was left out: how much it was, a summary, and what is needed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agentfuse.compression.facts import words_of
from agentfuse.messages import Message, Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from agentfuse.messages import Message as Said

HEAD = "[Notes on earlier messages of this conversation, left out to save tokens"
_SUMMARY, _ANSWERS, _FACTS = "Summary:", "Short answers:", "Referred to later:"
# An answer of so many characters is short, and a question is quoted up to so many.
_SHORT, _QUESTION = 80, 160
_ASSISTANT, _USER = "assistant", "user"


@dataclass(frozen=True, slots=True)
class Note:
    """What stands for ``count`` messages; ``words`` are what its facts already tell of."""

    count: int = 0
    summary: str = ""
    answers: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()
    words: frozenset[str] = frozenset()

    def message(self) -> Said | None:
        """Write it as a message of the user's, which every provider takes first; None for none."""
        if not self.count:
            return None
        lines = [f"{HEAD}: {self.count}]"]
        if self.summary:
            lines += [_SUMMARY, self.summary]
        if self.answers:
            lines += [_ANSWERS, *self.answers]
        if self.facts:
            lines += [_FACTS, *self.facts]
        return Message("user", (Text("\n".join(lines)),))

    def telling(self, words: Iterable[str], pieces: Iterable[str]) -> Note:
        """Add facts about some words; the oldest come last."""
        facts = dict.fromkeys([*self.facts, *pieces])
        return replace(self, facts=tuple(facts), words=self.words | set(words))


def is_note(message: Said) -> bool:
    """Say whether a message is a note of ours, which an agent took for its own conversation."""
    return message.role == _USER and message.text.startswith(HEAD)


def carried(messages: Sequence[Said]) -> str:
    """Give what the notes among these messages say, so that nothing is lost with them."""
    return "\n".join(each.text.partition("\n")[2] for each in messages if is_note(each))


def short_answers(messages: Sequence[Said]) -> Iterator[str]:
    """Give each short answer with the question it answers, the newest first.

    Yes, No or "the blue one" is a decision that nothing else in the conversation tells of.
    """
    spoken = [m for m in messages if m.role in {_USER, _ASSISTANT} and m.text and not is_note(m)]
    for question, answer in zip(reversed(spoken[:-1]), reversed(spoken[1:]), strict=True):
        if len(answer.text) <= _SHORT and _answers(question, answer):
            asked = _last_line(words_of(question))
            yield f"- {question.role}: {asked} / {answer.role}: {answer.text.strip()}"


def _answers(question: Said, answer: Said) -> bool:
    """Say whether one answers the other: a user only what ends with a question mark."""
    if answer.role == _ASSISTANT:
        return question.role == _USER and not answer.tool_calls
    return question.role == _ASSISTANT and question.text.rstrip().endswith("?")


def within(lines: Iterable[str], tokens: int, count: Callable[[str], int]) -> Iterator[str]:
    """Give lines as long as they fit."""
    room = tokens
    for line in lines:
        room -= count(line) + 1
        if room < 0:
            return
        yield line


def _last_line(text: str) -> str:
    line = text.strip().rpartition("\n")[2]
    return line if len(line) <= _QUESTION else f"... {line[-_QUESTION:]}"
