"""The exact index: every vector is looked at, in blocks that numpy multiplies at once."""

from __future__ import annotations

from itertools import count as count_from
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from agentfuse.caches.vectors.checked import checked

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Rows of a block, 12.6 MB at 384 dimensions. The first grows to it by doubling (a scope mostly has
# few entries), and copying it for the last time takes 3 ms; a further one is only set aside, and
# its pages come as they are written. One array for all would stand still for 60 ms at 100,000.
BLOCK = 8_192
FIRST = 16


class NumpyIndex:
    """Vectors ``[dim]`` in float32, compared with all of them: exact at any size.

    Adding and removing take the same time at any size: the last row moves to where one left. Safe
    for many threads, one at a time. Memory is 4 bytes a dimension, kept until the index goes.
    """

    def __init__(self, dim: int) -> None:
        self.dim = dim
        self._ids: list[str] = []
        self._rows: dict[str, int] = {}
        self._blocks: list[NDArray[np.float32]] = [np.empty((FIRST, dim), np.float32)]
        self._lock = Lock()

    def add(self, entry_id: str, vector: NDArray[np.float32]) -> None:
        """Take in a vector, in place of an older one of the same id."""
        vector = checked(vector, self.dim)
        with self._lock:
            row = self._rows.get(entry_id)
            if row is None:
                row = len(self._ids)
                self._make_room(row)
                self._rows[entry_id] = row
                self._ids.append(entry_id)
            self._blocks[row // BLOCK][row % BLOCK] = vector

    def remove(self, entry_id: str) -> None:
        """Forget a vector; an id that is not there changes nothing."""
        with self._lock:
            row = self._rows.pop(entry_id, None)
            if row is None:
                return
            last_id, last = self._ids.pop(), len(self._ids)
            if row != last:
                self._ids[row] = last_id
                self._rows[last_id] = row
                moved = self._blocks[last // BLOCK][last % BLOCK]
                self._blocks[row // BLOCK][row % BLOCK] = moved
            # One empty block stays, so that coming and going at its edge costs nothing.
            del self._blocks[last // BLOCK + 2 :]

    def nearest(
        self, vector: NDArray[np.float32], count: int, at_least: float
    ) -> list[tuple[str, float]]:
        """Give up to ``count`` ids with their cosines, nearest first, none below ``at_least``."""
        vector = checked(vector, self.dim)
        found: list[tuple[float, int]] = []
        with self._lock:
            for start in range(0, len(self._ids), BLOCK):
                block = self._blocks[start // BLOCK][: len(self._ids) - start]
                scores = block @ vector
                near = np.flatnonzero(scores >= at_least)
                if len(near) > count:
                    near = near[np.argpartition(scores[near], -count)[-count:]]
                found += [(float(scores[row]), start + int(row)) for row in near]
            found.sort(key=lambda each: (-each[0], each[1]))
            return [(self._ids[row], score) for score, row in found[:count]]

    def rows(self) -> tuple[list[str], NDArray[np.float32]]:
        """Give all ids and a copy of their vectors ``[n, dim]``, in the same order.

        Block by block, so that nobody waits for long: what others change meanwhile may be in it or
        not, each id with a vector that was its own.
        """
        ids: list[str] = []
        copied: list[NDArray[np.float32]] = [np.empty((0, self.dim), np.float32)]
        for number in count_from(0):
            start = number * BLOCK
            with self._lock:
                if start >= len(self._ids):
                    break
                copied.append(self._blocks[number][: len(self._ids) - start].copy())
                ids += self._ids[start : start + BLOCK]
        # An id that left and came back, or whose row moved, may have been met twice.
        latest = {entry_id: row for row, entry_id in enumerate(ids)}
        return list(latest), np.concatenate(copied)[list(latest.values())]

    def __len__(self) -> int:
        """Count the vectors."""
        return len(self._ids)

    def _make_room(self, row: int) -> None:
        first = self._blocks[0]
        if row == len(first) < BLOCK:
            grown = np.empty((2 * row, self.dim), np.float32)
            grown[:row] = first
            self._blocks[0] = grown
        elif row == len(self._blocks) * BLOCK:
            self._blocks.append(np.empty((BLOCK, self.dim), np.float32))
