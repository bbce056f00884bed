"""Answers in the memory of one process, the least recently used leaving first."""

from __future__ import annotations

import random as randomness
import time
from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from agentfuse.caches.lifetimes import Lifetime
from agentfuse.caches.weights import bytes_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agentfuse.messages import Reply
    from agentfuse.ports import Clock
    from agentfuse.semantics import Selection


class _Entry(NamedTuple):
    reply: Reply
    expires: float
    weight: int
    kept: float
    tags: tuple[str, ...]


class MemoryCache:
    """At most ``max_entries`` answers and about ``max_bytes``, each fresh for ``ttl`` seconds.

    ``jitter`` shortens each lifetime by a random share of up to that much, so that what was kept
    together does not go stale together; no answer outlives ``ttl``. ``random`` gives numbers in
    [0, 1). Safe for threads and tasks. A reply heavier than ``max_bytes`` is not kept.
    """

    def __init__(
        self,
        *,
        max_entries: int = 10_000,
        max_bytes: int = 64 * 2**20,
        ttl: float = 86_400.0,
        jitter: float = 0.1,
        clock: Clock | None = None,
        random: Callable[[], float] = randomness.random,
    ) -> None:
        self._now = time.time if clock is None else clock.now
        self._lifetime = Lifetime(ttl, jitter, random=random)
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._lock = Lock()
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._bytes = 0

    async def find(self, key: str) -> Reply | None:
        """Give the answer kept under ``key`` if it is still fresh."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                return None
            if entry.expires <= self._now():
                self._remove(key)
                return None
            self._entries.move_to_end(key)
            return entry.reply

    async def keep(self, key: str, reply: Reply, tags: Sequence[str] = ()) -> None:
        """Keep an answer in place of any older one, and let the least recently used leave."""
        await self.keep_until(key, reply, self._lifetime.end(self._now()), tags)

    async def keep_until(
        self, key: str, reply: Reply, expires: float, tags: Sequence[str] = ()
    ) -> None:
        """Keep an answer that goes stale at ``expires`` (seconds since the epoch)."""
        weight = bytes_of(reply)
        with self._lock:
            self._remove(key)
            if weight > self._max_bytes:
                return
            self._entries[key] = _Entry(reply, expires, weight, self._now(), tuple(tags))
            self._bytes += weight
            while len(self._entries) > self._max_entries or self._bytes > self._max_bytes:
                self._remove(next(iter(self._entries)))

    async def drop(self, key: str) -> None:
        """Forget the answer kept under ``key``."""
        with self._lock:
            self._remove(key)

    async def invalidate(self, selection: Selection) -> int:
        """Forget the answers that fit, and count them."""
        with self._lock:
            found = [
                key
                for key, entry in self._entries.items()
                if selection.fits((key,), entry.tags, entry.kept)
            ]
            for key in found:
                self._remove(key)
        return len(found)

    def __len__(self) -> int:
        """Count the answers kept, stale ones included."""
        return len(self._entries)

    def _remove(self, key: str) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._bytes -= entry.weight
