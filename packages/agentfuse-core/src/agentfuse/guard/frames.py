"""Rules on frames: two texts that are alike but for one piece in the middle."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentfuse.guard.meanings import meanings, stems_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentfuse.guard.pairs import Pair

LONGEST_FILLER = 3


def filler(pair: Pair) -> bool:
    """Put another word behind the same preposition: "is rice safe for a dog", "for a ferret"."""
    fillers = _fillers(pair.asked.order, pair.kept.order)
    if fillers is None:
        return False
    before, mine, yours, _ = fillers
    return (
        len(mine) == len(yours) == 1
        and _is_other(mine, yours, pair.misspelt)
        and next((s for s in reversed(before) if s not in stems_of("determiner")), "")
        in stems_of("preposition")
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


def _fillers(
    asked: Sequence[str], kept: Sequence[str]
) -> tuple[Sequence[str], Sequence[str], Sequence[str], int] | None:
    """Give what stands before the piece in which two orders differ, and the piece in each."""
    start = 0
    while start < min(len(asked), len(kept)) and asked[start] == kept[start]:
        start += 1
    end = 0
    while end < min(len(asked), len(kept)) - start and asked[-1 - end] == kept[-1 - end]:
        end += 1
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
