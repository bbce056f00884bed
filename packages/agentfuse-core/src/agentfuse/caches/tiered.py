"""A fast cache in front of a lasting one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, cast

from agentfuse.ports import Cache

if TYPE_CHECKING:
    from agentfuse.caches.memory import MemoryCache
    from agentfuse.messages import Reply
    from agentfuse.ports import Flights


class DatedCache(Cache, Protocol):
    """A cache that also tells when an answer goes stale."""

    async def find_until(self, key: str) -> tuple[Reply, float] | None:
        """Give the answer kept under ``key`` with its end (seconds since the epoch)."""
        ...


class TieredCache:
    """Looks in ``front``, then in ``back``, whose answers it keeps in front until they go stale.

    What is kept or dropped is so in both. What another process drops from a shared back is still
    served from this process's front until it goes stale.
    """

    def __init__(self, front: MemoryCache, back: DatedCache) -> None:
        self._front = front
        self._back = back

    async def find(self, key: str) -> Reply | None:
        """Give the answer kept under ``key`` in either tier; raises what the back raises."""
        reply = await self._front.find(key)
        if reply is not None:
            return reply
        found = await self._back.find_until(key)
        if found is None:
            return None
        await self._front.keep_until(key, *found)
        return found[0]

    async def keep(self, key: str, reply: Reply) -> None:
        """Keep an answer in both tiers, in front first; raises what the back raises."""
        await self._front.keep(key, reply)
        await self._back.keep(key, reply)

    async def drop(self, key: str) -> None:
        """Forget the answer in both tiers; raises what the back raises."""
        await self._front.drop(key)
        await self._back.drop(key)

    def flights_over(self, inner: Flights) -> Flights:
        """Join identical calls as the back does."""
        over = getattr(self._back, "flights_over", None)
        return inner if over is None else cast("Flights", over(inner))

    def close(self) -> None:
        """Close the back's file or connections; the next use opens them again."""
        close = getattr(self._back, "close", None)
        if close is not None:
            close()

    def awaited(self) -> TieredCache:
        """Give the same tiers for an event loop, with what touches a disk on a thread."""
        face = getattr(self._back, "awaited", None)
        return self if face is None else TieredCache(self._front, face())
