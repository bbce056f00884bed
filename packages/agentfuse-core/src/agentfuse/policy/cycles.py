"""Repeats at the end of a sequence: the same thing over and over, or a few things in turn."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Item = TypeVar("Item")

# A, A-B, A-B-C and A-B-C-D: whoever goes round in more does so by chance.
LONGEST = 4
# Three times is the least that anybody may call a loop.
LEAST = 3


def cycle_in(
    items: Sequence[Item], times: int, same: Callable[[Item, Item], bool]
) -> tuple[int, int] | None:
    """Find a cycle that ends the sequence: its length, and how often it was gone round.

    It must have been gone round so many ``times``; one less where it has several parts, since two
    things that alternate do so by chance less often than one thing repeats. Takes a pass for each
    length.
    """
    for length in range(1, LONGEST + 1):
        needed = max(times - (length > 1), LEAST)
        if len(items) < needed * length:
            break
        last = len(items) - 1
        matched = 0
        while last - matched - length >= 0 and same(
            items[last - matched], items[last - matched - length]
        ):
            matched += 1
        rounds = matched // length + 1
        if matched >= length and rounds >= needed:
            return length, rounds
    return None
