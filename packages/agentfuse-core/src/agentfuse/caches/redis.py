"""Answers in Redis or Valkey: the machines of a fleet share them, at one round trip each."""

from __future__ import annotations

import random as randomness
import time
from typing import TYPE_CHECKING, Any

from agentfuse.caches.leases import LeasedFlights, LeaseKeeper
from agentfuse.caches.lifetimes import Lifetime
from agentfuse.caches.packing import HOLD, label_of, packed, reply_in
from agentfuse.connections.redis_stores import RedisStore
from agentfuse.connections.redis_words import bytes_of, str_of
from agentfuse.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agentfuse.connections.brisk_links import BriskLink
    from agentfuse.messages import Reply
    from agentfuse.ports import Clock, Flights
    from agentfuse.semantics import Selection

# The share of an answer's life for which a copy may be served, at most: one in so many.
_SHARE_OF_LIFE = 10


class RedisCacheFace:
    """The cache's methods over one way to the store: each is one command, so one trip.

    They raise StoreUnavailable where the store does not answer within its patience, or at once
    while it is known to be away.
    """

    def __init__(self, link: BriskLink, rules: CacheInRedis) -> None:
        self.link = link
        self.rules = rules

    def flights_over(self, inner: Flights) -> Flights:
        """Join identical calls of all processes too, unless that is turned off."""
        keeper = self.rules.keeper
        if keeper is None:
            return inner
        return LeasedFlights(inner, self.link, keeper, self.rules.prefix)

    async def find(self, key: str) -> Reply | None:
        """Give the answer kept under ``key`` if it is there; what cannot be read is a miss."""
        return reply_in(await self.link.send("GET", self.rules.name_of(key)))

    async def find_until(self, key: str) -> tuple[Reply, float] | None:
        """Give the answer kept under ``key``, and until when this process may serve its copy."""
        reply = await self.find(key)
        return None if reply is None else (reply, self.rules.now() + self.rules.hold)

    async def keep(self, key: str, reply: Reply, tags: Sequence[str] = ()) -> None:
        """Keep an answer, in place of any older one."""
        now = self.rules.now()
        try:
            data = packed(reply, now, tags)
        except ValueError as error:
            raise StoreUnavailable(
                f"an answer cannot be kept at {self.link.address}: {error}"
            ) from error
        name = self.rules.name_of(key)
        await self.link.send("SET", name, data, b"PX", self.rules.life_from(now))

    async def drop(self, key: str) -> None:
        """Forget the answer kept under ``key``; a copy elsewhere is served for ``hold`` seconds."""
        await self.link.send("DEL", self.rules.name_of(key))

    async def invalidate(self, selection: Selection) -> int:
        """Forget the answers that fit, and count them.

        By a key it is one command; by tags or age all answers of the namespace are read, some ten
        thousand a second, while the store goes on serving.
        """
        if selection.key and not selection.tags and selection.before is None:
            return int(await self.link.send("DEL", self.rules.name_of(selection.key)))
        gone = 0
        for name in await self.link.keys(self.rules.pattern):
            data = await self.link.send("GET", name)
            if data is not None and _fits(selection, self.rules.key_of(name), data):
                gone += int(await self.link.send("DEL", name))
        return gone


class CacheInRedis:
    """What both faces of one cache go by: names, lifetimes, and the time."""

    keeper: LeaseKeeper | None = None

    def __init__(
        self, namespace: str, lifetime: Lifetime, hold: float, clock: Clock | None
    ) -> None:
        self.prefix = bytes_of(f"{namespace}:answer:")
        self.pattern = _literal(self.prefix) + b"*"
        self.hold = min(hold, lifetime.ttl / _SHARE_OF_LIFE)
        self.now = time.time if clock is None else clock.now
        self._lifetime = lifetime

    def name_of(self, key: str) -> bytes:
        """Give the name of an answer in the store."""
        return self.prefix + bytes_of(key)

    def key_of(self, name: bytes) -> str:
        """Give the key of an answer in the store."""
        return str_of(name.removeprefix(self.prefix))

    def life_from(self, now: float) -> int:
        """Give an answer's lifetime in the store, in milliseconds.

        It is shorter than the answer's own by the time for which a copy may still be served.
        """
        return max(1, round(1000 * (self._lifetime.end(now) - now - self.hold)))


class RedisCache(RedisCacheFace):
    """Answers in Redis 6.2 or newer, Valkey, or a cluster of either, each for ``ttl`` seconds.

    ``store`` is a URL (``redis://host:6379/0?namespace=acme``, ``rediss://``, ``unix://``,
    ``redis+cluster://``) or a client of redis-py. Behind the URL's ``?`` or as an argument:
    ``namespace`` keeps caches apart; ``patience`` is how many seconds an answer may take before the
    call is made without (0.5); ``hold`` for how long a process may serve its own copy (2);
    ``leases`` (1 or 0) whether one process asks for all that ask the same at once. Lifetimes are
    shortened by ``jitter`` as in ``MemoryCache``. How much is kept is the store's to bound: give it
    a ``maxmemory`` and an eviction policy. Its methods hold up the thread they run on;
    ``awaited()`` gives the face for event loops.
    """

    def __init__(  # noqa: PLR0913 - each is one bound of the same cache
        self,
        store: Any,
        namespace: str | None = None,
        *,
        ttl: float = 86_400.0,
        jitter: float = 0.1,
        hold: float | None = None,
        patience: float | None = None,
        leases: bool | None = None,
        clock: Clock | None = None,
        random: Callable[[], float] = randomness.random,
    ) -> None:
        place = RedisStore(
            store, "the cache", ours=("hold", "leases"), namespace=namespace, patience=patience
        )
        held = place.number("hold", HOLD, hold, lambda value: value >= 0)
        self._place = place
        lifetime = Lifetime(ttl, jitter, random=random)
        super().__init__(place.blocking, CacheInRedis(place.namespace, lifetime, held, clock))
        if place.yes("leases", given=leases):
            self.rules.keeper = LeaseKeeper(place.blocking)

    def awaited(self) -> RedisCacheFace:
        """Give the same cache for event loops."""
        return RedisCacheFace(self._place.awaited, self.rules)

    def close(self) -> None:
        """End this process' leases and close the connections; the next use opens new ones."""
        if self.rules.keeper is not None:
            self.rules.keeper.close()
        self._place.close()


def _literal(prefix: bytes) -> bytes:
    r"""Write a prefix so that no character of it is special to SCAN's MATCH."""
    return b"".join(b"\\" + bytes([c]) if c in b"*?[]\\^-" else bytes([c]) for c in prefix)


def _fits(selection: Selection, key: str, data: bytes) -> bool:
    try:
        label = label_of(data)
    except ValueError:
        return False
    return selection.fits((key,), label.tags, label.kept)
