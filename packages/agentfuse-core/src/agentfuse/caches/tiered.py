"""A fast cache in front of a lasting one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, cast

from agentfuse.ports import Cache
from agentfuse.semantics import EVERYTHING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentfuse.caches.memory import MemoryCache
    from agentfuse.messages import Reply
    from agentfuse.ports import Flights
    from agentfuse.semantics import Selection


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

    async def keep(self, key: str, reply: Reply, tags: Sequence[str] = ()) -> None:
        """Keep an answer in both tiers, in front first; raises what the back raises."""
        await self._front.keep(key, reply, tags)
        await self._back.keep(key, reply, tags)

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

    async def invalidate(self, selection: Selection) -> int:
        """Forget what fits in the back, and count it; raises what the back raises.

        The front is emptied: its copies of the back's answers do not know when those were kept.
        """
        await self._front.invalidate(EVERYTHING)
        return await self._back.invalidate(selection)

    def awaited(self) -> TieredCache:
        """Give the same tiers for an event loop, with what touches a disk on a thread."""
        face = getattr(self._back, "awaited", None)
        return self if face is None else TieredCache(self._front, face())
