"""What the tables say of words: which shut each other out, which say the same, which are names."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from agentfuse.guard.stems import stem_of
from agentfuse.guard.tables import grouped, words_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

# Kinds of groups: two members of one exclude each other in all but [synonym].
SYNONYM = "synonym"
NAMES = frozenset({"named", "date"})


@dataclass(frozen=True, slots=True)
class Sense:
    """A word's place in a table: the kind of the group, the group, and the side it stands on."""

    kind: str
    group: int
    side: int


@dataclass(frozen=True, slots=True)
class Meanings:
    """All tables by stem, and the phrases in them by their first word, longest first.

    ``names`` are the stems that name something in lower case too, and are no other word.
    """

    senses: Mapping[str, tuple[Sense, ...]]
    phrases: Mapping[str, tuple[tuple[str, ...], ...]]
    names: frozenset[str]

    def same(self, one: str, other: str) -> bool:
        """Say whether two stems stand on one side of a group."""
        there = self.senses.get(other, ())
        return one == other or any(
            sense.group == found.group and sense.side == found.side
            for sense in self.senses.get(one, ())
            for found in there
        )

    def clashes(self, one: str, other: str) -> Iterator[Sense]:
        """Give the groups in which two stems stand on different sides."""
        there = self.senses.get(other, ())
        for sense in self.senses.get(one, ()):
            for found in there:
                if sense.group == found.group and sense.side != found.side:
                    yield sense

    def has(self, stem: str, others: Iterable[str]) -> bool:
        """Say whether one of the stems says the same."""
        return any(self.same(stem, other) for other in others)


def joined(words: Iterable[str]) -> str:
    """Give a phrase as one stem."""
    return " ".join(stem_of(word) for word in words)


@cache
def meanings() -> Meanings:
    """Read the tables, once."""
    senses: defaultdict[str, list[Sense]] = defaultdict(list)
    phrases: defaultdict[str, set[tuple[str, ...]]] = defaultdict(set)
    for group, (kind, sides) in enumerate(grouped()):
        for side, members in enumerate(sides):
            for member in members:
                words = tuple(stem_of(word) for word in member.replace("-", " ").split())
                senses[" ".join(words)].append(Sense(kind, group, side))
                if len(words) > 1:
                    phrases[words[0]].add(words)
    named = {stem for stem, found in senses.items() if any(each.kind in NAMES for each in found)}
    return Meanings(
        {stem: tuple(found) for stem, found in senses.items()},
        {first: tuple(sorted(found, key=len, reverse=True)) for first, found in phrases.items()},
        frozenset(named - stems_of("ordinary")),
    )


@cache
def stems_of(kind: str) -> frozenset[str]:
    """Give a list of words.txt as stems, and as they are written there."""
    words = words_of(kind)
    return words | frozenset(stem_of(word) for word in words)
