"""Both faces of a cache that blocks: at once, and for an event loop on a thread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agentfuse.messages import Reply
    from agentfuse.semantics import Selection

T = TypeVar("T")


class BlockingCache(Protocol):
    """A cache that holds up the thread it runs on, written as four plain steps."""

    async def find(self, key: str) -> Reply | None:
        """Give the answer kept under ``key`` if it is still fresh; holds up the thread."""
        found = self.find_until_now(key)
        return None if found is None else found[0]

    async def find_until(self, key: str) -> tuple[Reply, float] | None:
        """Do as ``find_until_now``."""
        return self.find_until_now(key)

    async def keep(self, key: str, reply: Reply, tags: Sequence[str] = ()) -> None:
        """Keep an answer, in place of any older one; holds up the thread."""
        self.keep_now(key, reply, tags)

    async def drop(self, key: str) -> None:
        """Forget the answer kept under ``key``; holds up the thread."""
        self.drop_now(key)

    async def invalidate(self, selection: Selection) -> int:
        """Forget the answers that fit, and count them; holds up the thread."""
        return self.invalidate_now(selection)

    def awaited(self) -> ThreadedCache:
        """Give the same cache for an event loop."""
        return ThreadedCache(self)

    def find_until_now(self, key: str) -> tuple[Reply, float] | None:
        """Give the answer kept under ``key`` with its end (seconds since the epoch)."""
        ...

    def keep_now(self, key: str, reply: Reply, tags: Sequence[str] = ()) -> None:
        """Keep an answer, in place of any older one."""
        ...

    def drop_now(self, key: str) -> None:
        """Forget the answer kept under ``key``."""
        ...

    def invalidate_now(self, selection: Selection) -> int:
        """Forget the answers that fit, and count them."""
        ...


class ThreadedCache:
    """``inner``, with each step on a thread of the loop's pool; it raises what ``inner`` raises."""

    def __init__(self, inner: BlockingCache) -> None:
        self._inner = inner

    async def find(self, key: str) -> Reply | None:
        """Give the answer kept under ``key`` if it is still fresh."""
        found = await self.find_until(key)
        return None if found is None else found[0]

    async def find_until(self, key: str) -> tuple[Reply, float] | None:
        """Give the answer kept under ``key`` with its end (seconds since the epoch)."""
        return await on_a_thread(self._inner.find_until_now, key)

    async def keep(self, key: str, reply: Reply, tags: Sequence[str] = ()) -> None:
        """Keep an answer, in place of any older one."""
        await on_a_thread(self._inner.keep_now, key, reply, tags)

    async def drop(self, key: str) -> None:
        """Forget the answer kept under ``key``."""
        await on_a_thread(self._inner.drop_now, key)

    async def invalidate(self, selection: Selection) -> int:
        """Forget the answers that fit, and count them."""
        return await on_a_thread(self._inner.invalidate_now, selection)


async def on_a_thread(step: Callable[..., T], *arguments: Any) -> T:
    """Do a blocking step on a thread of the loop's pool."""
    import asyncio  # whoever awaits has it; blocking callers save 30 ms

    return await asyncio.to_thread(step, *arguments)
