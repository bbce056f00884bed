"""Rules on frames: two texts that are alike but for one piece in the middle."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentfuse.guard.meanings import meanings, stems_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentfuse.guard.pairs import Pair

LONGEST_FILLER = 3
LONGEST_INSERTION = 2


def filler(pair: Pair) -> bool:
    """Put another noun in the same place: "is rice safe for a dog", "is rice safe for a ferret".

    A word behind a preposition or an article is taken for a noun. Verbs are exchanged too often
    without another meaning ("change my card", "switch my card").
    """
    fillers = _fillers(pair.asked.order, pair.kept.order)
    if fillers is None:
        return False
    before, mine, yours, _ = fillers
    return (
        len(mine) == len(yours) == 1
        and bool(before)
        and before[-1] in stems_of("preposition") | stems_of("article")
        and _is_other(mine, yours, pair.misspelt)
    )


def frame(pair: Pair) -> bool:
    """Say the same but for one piece: whatever it is, unless it is known to mean the same."""
    fillers = _fillers(pair.asked.order, pair.kept.order)
    if fillers is None:
        return False
    _, mine, yours, shared = fillers
    return (
        len(mine) <= LONGEST_FILLER >= len(yours)
        and shared >= 2
        and _is_other(mine, yours, pair.misspelt)
    )


def insertion(pair: Pair) -> bool:
    """Say the same with a word or two more: "reset my password", "reset my email password"."""
    start, end = _ends_alike(pair.asked.order, pair.kept.order)
    short, long = sorted((pair.asked.order, pair.kept.order), key=len)
    if start + end < len(short):
        return False
    idle = stems_of("function") | stems_of("idle")
    added = [stem for stem in long[start : len(long) - end] if stem not in idle]
    return 0 < len(added) <= LONGEST_INSERTION


def _ends_alike(asked: Sequence[str], kept: Sequence[str]) -> tuple[int, int]:
    """Count the stems that two orders begin with alike, and those that they end with."""
    length = min(len(asked), len(kept))
    start = end = 0
    while start < length and asked[start] == kept[start]:
        start += 1
    while end < length - start and asked[-1 - end] == kept[-1 - end]:
        end += 1
    return start, end


def _fillers(
    asked: Sequence[str], kept: Sequence[str]
) -> tuple[Sequence[str], Sequence[str], Sequence[str], int] | None:
    """Give what stands before the piece in which two orders differ, and the piece in each."""
    start, end = _ends_alike(asked, kept)
    mine, yours = asked[start : len(asked) - end], kept[start : len(kept) - end]
    return (asked[:start], mine, yours, start + end) if mine and yours else None


def _is_other(mine: Sequence[str], yours: Sequence[str], misspelt: frozenset[str]) -> bool:
    """Say whether two pieces differ in content that no table and no misspelling explains."""
    function = stems_of("function")
    left = [stem for stem in mine if stem not in function]
    right = [stem for stem in yours if stem not in function]
    return bool(
        left
        and right
        and not any(
            meanings().same(one, other) or {one, other} <= misspelt
            for one in left
            for other in right
        )
    )
