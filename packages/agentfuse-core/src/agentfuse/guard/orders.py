"""Rules on order: from A to B and from B to A, A older than B and B older than A."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from agentfuse.guard.meanings import meanings, stems_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from agentfuse.guard.features import Features
    from agentfuse.guard.pairs import Pair

# Content beyond so many words is compared no further: the pairs of words grow with the square.
LONGEST = 24
SOURCE, TARGET = "from", "to"
# How a way's two ends are told: by a preposition, or by a verb whose object the end is.
_SOURCES = ("from", "out", "off", "depart", "leav", "leave", "origin")
_TARGETS = ("to", "into", "onto", "toward", "towards", "arriv", "reach", "bound")
ENDS = dict.fromkeys(_SOURCES, SOURCE) | dict.fromkeys(_TARGETS, TARGET)


def direction(pair: Pair) -> bool:
    """Give two words each other's place: each plays the part that the other played.

    A part is the preposition before a word, with the word that the preposition hangs on; or the end
    of a way, whatever tells it ("from", "departing", "into").
    """
    if _is_symmetric(pair):
        return False
    if _is_active_for_passive(pair):
        return not any(swapped(pair))
    asked, kept = _roles(pair.asked), _roles(pair.kept)
    moved = [stem for stem in asked if stem in kept and asked[stem] != kept[stem]]
    if _trade(asked, kept, combinations(moved[:LONGEST], 2), pair.asked.order) or _trade_ends(pair):
        return True
    return _trade(
        _marks(pair.asked.order), _marks(pair.kept.order), swapped(pair), pair.asked.order
    )


def _trade(
    asked: Mapping[str, str],
    kept: Mapping[str, str],
    words: Iterable[tuple[str, str]],
    order: Sequence[str],
) -> bool:
    """Say whether two of the words have each other's part."""
    return any(
        asked[one] == kept[other] and asked[other] == kept[one] and asked[one] != asked[other]
        for one, other in words
        if not _are_joined(order, one, other)
    )


def _trade_ends(pair: Pair) -> bool:
    """Say whether what one text goes to is not what the other goes to, though both name both."""
    asked, kept = _ends(pair.asked), _ends(pair.kept)
    for end in (SOURCE, TARGET):
        one, other = asked.get(end), kept.get(end)
        if one and other and one != other and one in pair.kept.stems and other in pair.asked.stems:
            return _comparable(pair, one, other)
    return False


def _ends(text: Features) -> dict[str, str]:
    """Give the names at the two ends of a text's way."""
    ends: dict[str, str] = {}
    for stem, role in _marks(text.order).items():
        if role in ENDS and stem in text.names:
            ends.setdefault(ENDS[role], stem)
    return ends


def _comparable(pair: Pair, one: str, other: str) -> bool:
    names = pair.asked.names | pair.kept.names
    return {one, other} <= names or any(meanings().clashes(one, other))


def word_order(pair: Pair) -> bool:
    """Say the same words, but two of them in each other's place: "older than", "smarter than".

    A piece that has moved as a whole is a way of putting it, and two neighbours that have changed
    places ("where is my PIN located") are one too.
    """
    asked, kept = pair.asked.content, pair.kept.content
    if len(asked) != len(kept) or _is_symmetric(pair) or _is_active_for_passive(pair):
        return False
    moved = [at for at, stem in enumerate(asked) if stem != kept[at]]
    if len(moved) != 2 or moved[1] - moved[0] < 2:
        return False
    one, other = (asked[at] for at in moved)
    if _are_joined(pair.asked.order, one, other):
        return False
    return one == kept[moved[1]] and other == kept[moved[0]]


def swapped(pair: Pair) -> Iterator[tuple[str, str]]:
    """Give the pairs of shared words that follow each other the other way round."""
    asked, kept = _places(pair.asked.content), _places(pair.kept.content)
    shared = [stem for stem in asked if stem in kept]
    if [kept[stem] for stem in shared] == sorted(kept[stem] for stem in shared):
        return
    for one, other in combinations(shared[:LONGEST], 2):
        if kept[one] > kept[other]:
            yield one, other


def _places(content: Sequence[str]) -> dict[str, int]:
    """Give the place of each word that stands once."""
    return {stem: at for at, stem in enumerate(content) if content.count(stem) == 1}


def _marks(order: Sequence[str]) -> dict[str, str]:
    """Give what stands before each content word: a preposition, or the content word before."""
    marks: dict[str, str] = {}
    mark = before = ""
    determiners, function = stems_of("determiner"), stems_of("function")
    for stem in order:
        if stem in determiners:
            continue
        if stem not in function:
            marks[stem] = before if mark in {"in", "at"} and before in ENDS else mark
            before = stem
        mark = stem
    return marks


def _roles(text: Features) -> dict[str, str]:
    """Give each content word its mark, with the content word that the mark hangs on."""
    roles: dict[str, str] = {}
    mark = before = ""
    determiners, function = stems_of("determiner"), stems_of("function")
    for stem in text.order:
        if stem in determiners:
            continue
        if stem not in function:
            roles[stem] = mark if mark == before or mark in ENDS else f"{before} {mark}"
            before = stem
        mark = stem
    return roles


def _are_joined(order: Sequence[str], one: str, other: str) -> bool:
    """Say whether two words stand side by side with "and", "or", "versus" between them."""
    first, last = sorted((order.index(one), order.index(other)))
    between = order[first + 1 : last]
    return not stems_of("joining").isdisjoint(between) and stems_of("function").issuperset(between)


def _is_symmetric(pair: Pair) -> bool:
    symmetric = stems_of("symmetric")
    return not (symmetric.isdisjoint(pair.asked.stems) or symmetric.isdisjoint(pair.kept.stems))


def _is_active_for_passive(pair: Pair) -> bool:
    """Say whether one text says in the passive what the other says in the active."""
    return (
        pair.alike()
        and ("by" in pair.asked.stems) != ("by" in pair.kept.stems)
        and ("be" in (pair.asked.stems if "by" in pair.asked.stems else pair.kept.stems))
    )
