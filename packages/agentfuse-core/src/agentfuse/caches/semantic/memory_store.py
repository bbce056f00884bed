"""Semantic entries in the memory of one process, and on request in a file between two starts."""

from __future__ import annotations

import time
from collections import OrderedDict
from threading import RLock
from typing import TYPE_CHECKING, NamedTuple

from agentfuse.caches.semantic.saving import Saving
from agentfuse.caches.vectors import NumpyIndex
from agentfuse.caches.weights import bytes_of
from agentfuse.semantics import Near

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from agentfuse.messages import Reply
    from agentfuse.ports import Clock, Index
    from agentfuse.semantics import Selection, SemanticEntry, Vector

# Every vector is above this: no two of length one are further apart.
OPPOSITE = -1.1

# How many rejected pairs are remembered, the latest ones; each is 32 letters.
MOST_FORBIDDEN = 100_000

# The objects around an entry: its words, times, places in tables (measured: some 1,200 bytes).
_FRAME = 1_200


class _Kept(NamedTuple):
    entry: SemanticEntry
    reply: Reply
    weight: int


class MemorySemanticStore:
    """At most ``max_entries`` entries, about ``max_bytes``, and ``max_scopes`` scopes.

    One small index for each scope, made by ``index`` of a number of dimensions; what is below a
    cosine of ``floor`` is never given, which lets an index pass over most of its vectors. The least
    recently used leave first, over all scopes. With a ``path`` the entries are read when the store
    is made, and written (whole, in one step) by a thread some seconds after a change and by
    ``close``: a process killed on the spot loses those seconds. A file that is damaged or of
    another embedder is set aside and said to the ``agentfuse`` logger.
    """

    def __init__(  # noqa: PLR0913 - each is one bound of the same store
        self,
        dim: int,
        *,
        fingerprint: str = "",
        max_entries: int = 100_000,
        max_bytes: int = 512 * 2**20,
        max_scopes: int = 10_000,
        path: Path | str | None = None,
        clock: Clock | None = None,
        index: Callable[[int], Index] = NumpyIndex,
        floor: float = OPPOSITE,
    ) -> None:
        self._floor = floor
        self.dim = dim
        self._bounds = (max_entries, max_bytes, max_scopes)
        self._now = time.time if clock is None else clock.now
        self._index = index
        self._lock = RLock()
        self._entries: OrderedDict[str, _Kept] = OrderedDict()
        self._scopes: OrderedDict[str, Index] = OrderedDict()
        self._forbidden: OrderedDict[str, None] = OrderedDict()
        self._bytes = 0
        self._saving = None if path is None else Saving(path, fingerprint, self)
        if self._saving is not None:
            self._saving.restore()

    def nearest(self, scope: str, vector: Vector, count: int) -> Sequence[Near]:
        """Give the entries of one scope nearest to ``vector``, best first; none has expired."""
        with self._lock:
            index = self._scopes.get(scope)
            if index is None:
                return ()
            self._scopes.move_to_end(scope)
            now = self._now()
            found = index.nearest(vector, count, self._floor)
            stale = [id_ for id_, _ in found if self._entries[id_].entry.expires <= now]
            if stale:
                for entry_id in stale:
                    self._remove(entry_id)
                return self.nearest(scope, vector, count)
            return [Near(self._entries[entry_id].entry, score) for entry_id, score in found]

    def answer(self, entry_id: str) -> Reply | None:
        """Give an entry's answer, and note its use; None where it is gone."""
        with self._lock:
            kept = self._fresh(entry_id)
            if kept is None:
                return None
            self._entries.move_to_end(entry_id)
            return kept.reply

    def entry(self, entry_id: str) -> SemanticEntry | None:
        """Give an entry by its id; None where it is gone."""
        with self._lock:
            kept = self._fresh(entry_id)
            return None if kept is None else kept.entry

    def keep(self, entry: SemanticEntry, vector: Vector, reply: Reply) -> None:
        """Keep an answer, in place of the older one of the same id."""
        self.take_in(entry, vector, reply)
        if self._saving is not None:
            self._saving.changed()

    def take_in(self, entry: SemanticEntry, vector: Vector, reply: Reply) -> None:
        """Keep an answer, and write nothing down: it comes from the file."""
        weight = _FRAME + bytes_of(reply) + 4 * self.dim + 2 * len(entry.prompt)
        most, most_bytes, most_scopes = self._bounds
        with self._lock:
            self._remove(entry.id)
            if weight > most_bytes:
                return
            index = self._scopes.get(entry.scope)
            if index is None:
                index = self._scopes[entry.scope] = self._index(self.dim)
            self._scopes.move_to_end(entry.scope)
            index.add(entry.id, vector)
            self._entries[entry.id] = _Kept(entry, reply, weight)
            self._bytes += weight
            while len(self._entries) > most or self._bytes > most_bytes:
                self._remove(next(iter(self._entries)))
            while len(self._scopes) > most_scopes:
                self._remove_scope(next(iter(self._scopes)))

    def drop(self, entry_id: str) -> bool:
        """Forget an entry; False where there was none."""
        with self._lock:
            found = self._remove(entry_id)
        if found and self._saving is not None:
            self._saving.changed()
        return found

    def invalidate(self, selection: Selection) -> int:
        """Forget the entries that fit, and count them."""
        with self._lock:
            fitting = self.fitting(selection)
            for entry_id in fitting:
                self._remove(entry_id)
        if fitting and self._saving is not None:
            self._saving.changed()
        return len(fitting)

    def fitting(self, selection: Selection) -> list[str]:
        """List the ids of the entries that fit."""
        with self._lock:
            return [
                kept.entry.id
                for kept in self._entries.values()
                if selection.fits((kept.entry.key, kept.entry.id), kept.entry.tags, kept.entry.kept)
            ]

    def forbid(self, pair: str) -> None:
        """Remember a pair that was called wrong; the oldest leave in time."""
        with self._lock:
            self._forbidden[pair] = None
            while len(self._forbidden) > MOST_FORBIDDEN:
                self._forbidden.popitem(last=False)
        if self._saving is not None:
            self._saving.changed()

    def is_forbidden(self, pair: str) -> bool:
        """Say whether a pair was called wrong."""
        return pair in self._forbidden

    def close(self) -> None:
        """Write down what is to survive; without a path, nothing."""
        if self._saving is not None:
            self._saving.close()

    def contents(self) -> tuple[list[tuple[SemanticEntry, Reply, Vector]], list[str]]:
        """Give the fresh entries with answers and vectors, oldest use first, and the pairs."""
        now = self._now()
        with self._lock:
            kept = list(self._entries.values())
            indexes = list(self._scopes.values())
            forbidden = list(self._forbidden)
        # Copying the vectors takes a while: nobody who asks has to wait for it.
        vectors = {
            entry_id: vector
            for index in indexes
            for entry_id, vector in zip(*index.rows(), strict=True)
        }
        listed = [
            (each.entry, each.reply, vectors[each.entry.id])
            for each in kept
            if each.entry.expires > now and each.entry.id in vectors
        ]
        return listed, forbidden

    def __len__(self) -> int:
        """Count the entries kept, those that have expired unseen included."""
        return len(self._entries)

    def _fresh(self, entry_id: str) -> _Kept | None:
        kept = self._entries.get(entry_id)
        if kept is not None and kept.entry.expires <= self._now():
            self._remove(entry_id)
            return None
        return kept

    def _remove(self, entry_id: str) -> bool:
        kept = self._entries.pop(entry_id, None)
        if kept is None:
            return False
        self._bytes -= kept.weight
        scope = kept.entry.scope
        index = self._scopes[scope]
        index.remove(entry_id)
        if not len(index):
            del self._scopes[scope]
        return True

    def _remove_scope(self, scope: str) -> None:
        for entry_id in self._scopes[scope].rows()[0]:
            self._remove(entry_id)
