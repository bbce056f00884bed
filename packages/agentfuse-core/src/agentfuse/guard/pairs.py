"""Two texts side by side: what each has that the other has not, misspellings apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agentfuse.guard.meanings import meanings, stems_of
from agentfuse.guard.stems import VOWELS, stem_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from agentfuse.guard.features import Features
    from agentfuse.guard.meanings import Sense

# Texts that differ in more words than so do not differ by misspelling; the search is quadratic.
MOST_MISSPELT = 24
# One-sided words that entries shared between principals may have, however long they are.
MOST_MISSING = 2
# These make an opposite of the word that stands behind them.
PREFIXES = ("un", "in", "im", "il", "ir", "dis", "non", "mis", "anti", "de")


@dataclass(frozen=True, slots=True)
class Pair:
    """What was asked and what was kept, the stems that only one has, and what opposes in them."""

    asked: Features
    kept: Features
    only_asked: frozenset[str]
    only_kept: frozenset[str]
    clashes: tuple[tuple[str, str, Sense], ...]
    prefixed: tuple[tuple[str, str], ...]
    misspelt: frozenset[str]

    @property
    def english(self) -> bool:
        """Say whether the rules for English hold for both."""
        return self.asked.english and self.kept.english

    def shared(self) -> frozenset[str]:
        """Give the content that both have."""
        return self.asked.stems & self.kept.stems - stems_of("function")

    def alike(self) -> bool:
        """Say whether both have the same content, whatever its order."""
        function = stems_of("function")
        return self.only_asked <= function and self.only_kept <= function


def pair_of(asked: Features, kept: Features) -> Pair:
    """Set two texts side by side."""
    only_asked, only_kept = asked.stems - kept.stems, kept.stems - asked.stems
    typos: frozenset[str] = frozenset()
    if only_asked and only_kept:
        typos = _misspelt(asked.words, kept.words)
        only_asked -= typos
        only_kept -= typos
    table, negators = meanings(), stems_of("negator")
    clashes = tuple(
        (one, other, sense)
        for one in only_asked
        if one in table.senses and one not in negators and not table.has(one, kept.order)
        for other in only_kept
        if other in table.senses and other not in negators and not table.has(other, asked.order)
        for sense in table.clashes(one, other)
    )
    mine, yours = only_asked - negators, only_kept - negators
    prefixed = tuple(_prefixed(mine, yours)) + tuple(_prefixed(yours, mine))
    return Pair(asked, kept, only_asked, only_kept, clashes, prefixed, typos)


def _misspelt(ones: frozenset[str], others: frozenset[str]) -> frozenset[str]:
    """Give the stems of the words that are misspellings of each other."""
    ones, others = ones - others, others - ones
    if max(len(ones), len(others)) > MOST_MISSPELT:
        return frozenset()
    return frozenset(
        stem_of(word)
        for one in ones
        if len(one) > 3
        for other in others
        if is_misspelt(one, other)
        for word in (one, other)
    )


def _prefixed(ones: frozenset[str], others: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Give the words that a prefix makes the opposite of a word of the other text."""
    for one in ones:
        for prefix in PREFIXES:
            if one.startswith(prefix) and one[len(prefix) :] in others and len(one) > 4:
                yield one, one[len(prefix) :]


def is_misspelt(one: str, other: str) -> bool:
    """Say whether one word is the other with two letters swapped, or one doubled or lost.

    A letter in place of another is no misspelling here: it makes words (Iran, Iraq). Words that the
    tables know are spelt right.
    """
    if one[0] != other[0] or abs(len(one) - len(other)) > 1:
        return False
    senses = meanings().senses
    if one in senses and other in senses:
        return False
    at = _first_difference(one, other)
    if len(one) == len(other):
        swapped = one[at : at + 2] == other[at : at + 2][::-1] and one[at + 2 :] == other[at + 2 :]
        vowel = len(one) > 7 and {one[at], other[at]} <= VOWELS and one[at + 1 :] == other[at + 1 :]
        return swapped or vowel
    short, long = sorted((one, other), key=len)
    return len(short) > 4 and long[at + 1 :] == short[at:]


def _first_difference(one: str, other: str) -> int:
    for at, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right:
            return at
    return min(len(one), len(other))


def covers(one: Features, other: Features, least: float) -> bool:
    """Say whether a text has enough of the other's content, by word or by meaning.

    At least the share ``least`` of its words, each counted once however often it is said, and all
    but two of them: beside a long question an instruction is a small share.
    """
    content = frozenset(one.content)
    meant = _sides(other.stems)
    rest = [stem for stem in content - other.stems if meant.isdisjoint(_sides((stem,)))]
    missing = len(rest) - (len(_misspelt(one.words, other.words)) + 1) // 2
    return missing <= min(MOST_MISSING, (1 - least) * len(content))


def _sides(stems: Iterable[str]) -> set[tuple[int, int]]:
    """Give the places of words in the tables; words of one place say the same."""
    senses = meanings().senses
    return {(sense.group, sense.side) for stem in stems for sense in senses.get(stem, ())}
