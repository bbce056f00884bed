"""Vectors in faiss: half the memory or a quarter of it, and a graph where there are very many."""

from __future__ import annotations

from importlib import import_module
from itertools import islice
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from agentfuse.caches.vectors.checked import checked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

faiss: Any = import_module("faiss")  # what it says of its types is not so

GRAPH_FROM = 100_000  # where a flat scan takes longer (3 ms) than adding to a graph (0.3 ms) weighs
LINKS = 16  # of a node in the graph; top-1 recall was complete with it at 100,000
# How many vectors move to the new part at each change: a rebuild ends within half as many changes
# as there are vectors, and each of them takes a millisecond longer at most.
MOVED = 3
FEW = 1_024  # dead rows that are not worth a rebuild
# int8: most numbers in a unit vector are below 3 / sqrt(dim); beyond 8 / sqrt(dim) they are cut.
SPREAD = 8.0

Storage = Literal["fp16", "int8"]


class FaissIndex:
    """Vectors as fp16 (exact to 1e-3) or int8 (to 3e-3), from 100,000 on in an HNSW graph.

    A graph finds nearly all that is near, not certainly all: a miss more, never a wrong score. It
    can't forget either, so what is removed is passed over until a new part takes the place of the
    old, a few vectors at each change and without a pause; the same way a flat part becomes a graph.
    ``graph_from`` says from how many on. Safe for many threads, one at a time.
    """

    def __init__(
        self, dim: int, *, storage: Storage = "fp16", graph_from: int = GRAPH_FROM
    ) -> None:
        self.dim = dim
        self._storage: Storage = storage
        self._graph_from = graph_from
        self._where: dict[str, tuple[_Part, int]] = {}
        self._new = self._part(graph=graph_from <= 0)
        self._old: _Part | None = None
        self._lock = Lock()

    def add(self, entry_id: str, vector: NDArray[np.float32]) -> None:
        """Take in a vector, in place of an older one of the same id."""
        vector = checked(vector, self.dim)
        with self._lock:
            self._forget(entry_id)
            self._where[entry_id] = (self._new, self._new.append(entry_id, vector))
            self._renew()

    def remove(self, entry_id: str) -> None:
        """Forget a vector; an id that is not there changes nothing."""
        with self._lock:
            self._forget(entry_id)
            self._renew()

    def nearest(
        self, vector: NDArray[np.float32], count: int, at_least: float
    ) -> list[tuple[str, float]]:
        """Give up to ``count`` ids with their cosines, nearest first, none below ``at_least``."""
        vector = checked(vector, self.dim)
        with self._lock:
            parts = (self._new,) if self._old is None else (self._new, self._old)
            found = [each for part in parts for each in part.nearest(vector, count, at_least)]
        found.sort(key=lambda each: -each[1])
        return found[:count]

    def rows(self) -> tuple[list[str], NDArray[np.float32]]:
        """Give all ids and their vectors ``[n, dim]``, as near as they are kept."""
        with self._lock:
            ids = list(self._where)
            vectors = np.empty((len(ids), self.dim), np.float32)
            for row, (part, place) in enumerate(self._where.values()):
                vectors[row] = part.vector_at(place)
        return ids, vectors

    def __len__(self) -> int:
        """Count the vectors."""
        return len(self._where)

    def _forget(self, entry_id: str) -> None:
        part, place = self._where.pop(entry_id, (None, 0))
        if part is not None:
            part.drop(place)

    def _renew(self) -> None:
        """Begin a new part where it pays, and bring a few vectors over to it."""
        if self._old is None:
            new = self._new
            outgrown = not new.graph and len(new.ids) >= self._graph_from
            if not outgrown and new.dead <= max(FEW, len(new.ids) // 2):
                return
            self._old, self._new = new, self._part(graph=len(self._where) >= self._graph_from)
        old = self._old
        for place, entry_id in list(islice(old.living(), MOVED)):
            moved = self._new.append(entry_id, old.vector_at(place))
            self._where[entry_id] = (self._new, moved)
            old.drop(place)
        if old.dead == len(old.ids):
            self._old = None

    def _part(self, *, graph: bool) -> _Part:
        return _Part(self.dim, self._storage, graph=graph)


class _Part:
    """A faiss index that only grows, and which of its rows still stand for something."""

    def __init__(self, dim: int, storage: Storage, *, graph: bool) -> None:
        kind = faiss.ScalarQuantizer.QT_8bit if storage == "int8" else faiss.ScalarQuantizer.QT_fp16
        inner = faiss.METRIC_INNER_PRODUCT
        self.graph = graph
        self.ids: list[str | None] = []
        self.dead = 0
        self._next = 0  # no living row lies before it
        self._index: Any = (
            faiss.IndexHNSWSQ(dim, kind, LINKS, inner)
            if graph
            else faiss.IndexScalarQuantizer(dim, kind, inner)
        )
        bound = np.full(dim, SPREAD / dim**0.5, np.float32)
        self._index.train(np.stack([-bound, bound]))
        self._alive = np.zeros(128, np.uint8)  # a bit for each row

    def append(self, entry_id: str, vector: NDArray[np.float32]) -> int:
        place = len(self.ids)
        if place == 8 * len(self._alive):
            self._alive = np.concatenate([self._alive, np.zeros_like(self._alive)])
        self._index.add(np.ascontiguousarray(vector)[None])
        self.ids.append(entry_id)
        self._alive[place >> 3] |= np.uint8(1 << (place & 7))
        return place

    def drop(self, place: int) -> None:
        self.ids[place] = None
        self.dead += 1
        self._alive[place >> 3] &= np.uint8(~(1 << (place & 7)) & 0xFF)

    def living(self) -> Iterator[tuple[int, str]]:
        """Go through the living rows from the oldest: a list that is walked once in all."""
        while self._next < len(self.ids) and self.ids[self._next] is None:
            self._next += 1
        for place in range(self._next, len(self.ids)):
            if (entry_id := self.ids[place]) is not None:
                yield place, entry_id

    def nearest(
        self, vector: NDArray[np.float32], count: int, at_least: float
    ) -> list[tuple[str, float]]:
        if self.dead == len(self.ids):
            return []
        options: dict[str, Any] = {}
        if self.dead:
            options["sel"] = faiss.IDSelectorBitmap(self._alive)
        if self.graph:
            options["efSearch"] = max(64, 2 * count)
        kind = faiss.SearchParametersHNSW if self.graph else faiss.SearchParameters
        scores, places = self._index.search(vector[None], count, params=kind(**options))
        found: list[tuple[str, float]] = []
        rows: list[tuple[float, int]] = list(zip(scores[0], places[0], strict=True))
        for score, place in rows:
            entry_id = self.ids[place] if place >= 0 else None
            if entry_id is not None and score >= at_least:
                found.append((entry_id, float(score)))
        return found

    def vector_at(self, place: int) -> NDArray[np.float32]:
        vector: NDArray[np.float32] = self._index.reconstruct(place)
        length = np.sqrt(vector @ vector)
        whole: NDArray[np.float32] = (vector / length).astype(np.float32, copy=False)
        return whole
