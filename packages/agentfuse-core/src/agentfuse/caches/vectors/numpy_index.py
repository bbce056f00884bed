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
# A third of the dimensions rule out nearly all rows: at 0.85 and MiniLM's vectors of 12,000
# questions, 99.8 % of them. What a scan costs is reading memory, and it reads a third. Of fewer
# dimensions than 64 a product is no faster than of 64.
HEAD = 1 / 3
SHORTEST_HEAD = 64
SLACK = 1e-5  # float32 rounds; the bound must not
# Where more rows than that are left, picking them out costs more than reading all.
MANY = 1 / 8
# Rows and numbers of one product at most. OpenBLAS starts threads for a matrix of 9,216 numbers,
# and on a busy machine waits for them; many small products in one call take 36 us for 8,192 rows of
# 64 dimensions, one row after another 66 us.
GROUP = 64
UNTHREADED = 8_192
# Of so many rows to each one that is wanted, a few are tried first: the worst of the best of them
# is a threshold that rules out most others. Every PROBEth row says which are worth trying.
CROWD = 64
PROBE = 16


class NumpyIndex:
    """Vectors ``[dim]`` in float32, compared with all of them: exact at any size.

    The product of two vectors is at most that of their first parts plus that of the lengths of the
    rest (Cauchy-Schwarz), so what stays below the threshold by its first part alone is passed over
    unread, and the rest is multiplied out: nothing is missed.

    Adding and removing take the same time at any size: the last row moves to where one left. Safe
    for many threads, one at a time. Memory is 4 bytes a dimension, kept until the index goes.
    """

    def __init__(self, dim: int) -> None:
        self.dim = dim
        self._ids: list[str] = []
        self._rows: dict[str, int] = {}
        self._blocks = [_Block(dim, FIRST)]
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
            self._blocks[row // BLOCK].put(row % BLOCK, vector)

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
                moved = self._blocks[last // BLOCK].whole(last % BLOCK, last % BLOCK + 1)[0]
                self._blocks[row // BLOCK].put(row % BLOCK, moved)
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
                block = self._blocks[start // BLOCK]
                least = max(at_least, found[-1][0]) if found and len(found) == count else at_least
                near, scores = block.near(vector, len(self._ids) - start, least, count)
                if len(near) > count:
                    best = np.argpartition(scores, -count)[-count:]
                    near, scores = near[best], scores[best]
                found += zip(scores.tolist(), (near + start).tolist(), strict=True)
                found = sorted(found, key=lambda each: (-each[0], each[1]))[:count]
            return [(self._ids[row], score) for score, row in found]

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
                rows = min(BLOCK, len(self._ids) - start)
                copied.append(self._blocks[number].whole(0, rows))
                ids += self._ids[start : start + BLOCK]
        # An id that left and came back, or whose row moved, may have been met twice.
        latest = {entry_id: row for row, entry_id in enumerate(ids)}
        return list(latest), np.concatenate(copied)[list(latest.values())]

    def __len__(self) -> int:
        """Count the vectors."""
        return len(self._ids)

    def _make_room(self, row: int) -> None:
        first = self._blocks[0]
        if row == len(first.rest) < BLOCK:
            self._blocks[0] = first.doubled()
        elif row == len(self._blocks) * BLOCK:
            self._blocks.append(_Block(self.dim, BLOCK))


class _Block:
    """Rows in two parts, the first of which is read in every search, and the second's length."""

    def __init__(self, dim: int, rows: int) -> None:
        self._cut = min(dim, max(SHORTEST_HEAD, round(dim * HEAD)))
        self._group = min(rows, GROUP)
        while self._group > 1 and self._group * self._cut > UNTHREADED:
            self._group //= 2
        # Zeros, not whatever was there: a group is read to its end.
        self.head = np.zeros((rows, self._cut), np.float32)
        self.tail = np.empty((rows, dim - self._cut), np.float32)
        self.rest = np.empty(rows, np.float32)

    def put(self, row: int, vector: NDArray[np.float32]) -> None:
        tail = vector[self._cut :]
        self.head[row], self.tail[row] = vector[: self._cut], tail
        self.rest[row] = np.sqrt(tail @ tail)

    def near(
        self, vector: NDArray[np.float32], rows: int, at_least: float, count: int
    ) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
        """Give those of the first ``rows`` rows that are near enough, and their cosines.

        All of the nearest ``count`` are among them, others may be missing.
        """
        rows = min(rows, len(self.rest))
        tail = vector[self._cut :]
        scores = self._heads(vector[: self._cut], rows)
        bound = self.rest[:rows] * np.sqrt(tail @ tail)
        bound += scores
        near = np.flatnonzero(bound >= at_least - SLACK)
        if 0 < CROWD * count < len(near):
            least = self._reached(near, bound[near], scores, tail, count)
            near = near[bound[near] >= max(at_least, least) - SLACK]
        if len(near) > MANY * rows:
            near = np.arange(rows)
            scores += np.vecdot(self.tail[:rows], tail)
        else:
            scores = scores[near] + np.vecdot(self.tail[near], tail)
        enough = scores >= at_least
        return near[enough], scores[enough]

    def _heads(self, head: NDArray[np.float32], rows: int) -> NDArray[np.float32]:
        """Multiply the first parts of the first ``rows`` rows."""
        groups = self.head.reshape(-1, self._group, self._cut)[: -(-rows // self._group)]
        scores: NDArray[np.float32] = np.matmul(groups, head).reshape(-1)
        return scores[:rows]

    def _reached(
        self,
        near: NDArray[np.intp],
        bound: NDArray[np.float32],
        scores: NDArray[np.float32],
        tail: NDArray[np.float32],
        count: int,
    ) -> float:
        """Give a cosine that ``count`` of the rows reach, from a few that may be the best."""
        mark = np.partition(bound[::PROBE], -count)[-count]
        tried = near[bound >= mark][: 2 * PROBE * count]
        cosines = scores[tried] + np.vecdot(self.tail[tried], tail)
        return float(np.partition(cosines, -count)[-count])

    def whole(self, start: int, end: int) -> NDArray[np.float32]:
        """Give a copy of some rows."""
        return np.concatenate([self.head[start:end], self.tail[start:end]], axis=1)

    def doubled(self) -> _Block:
        rows = len(self.rest)
        grown = _Block(self.head.shape[1] + self.tail.shape[1], 2 * rows)
        for name in ("head", "tail", "rest"):
            getattr(grown, name)[:rows] = getattr(self, name)
        return grown
