"""Answers in PostgreSQL: for fleets that have one, and no Redis."""

from __future__ import annotations

import random as randomness
import time
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from agentfuse.caches.lifetimes import Lifetime
from agentfuse.caches.packing import HOLD, packed, reply_in
from agentfuse.caches.threaded import BlockingCache
from agentfuse.connections.postgres_tables import PATIENCE, PostgresTables
from agentfuse.connections.redis_words import bytes_of
from agentfuse.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agentfuse.messages import Reply
    from agentfuse.ports import Clock
    from agentfuse.semantics import Selection

_KEEPS_PER_PRUNING = 64

_FIND = """SELECT answer, expires FROM agentfuse_answers
    WHERE store = %s AND key = %s AND expires > %s"""

_KEEP = """INSERT INTO agentfuse_answers VALUES (%s, %s, %s, %s, %s, %s)
    ON CONFLICT (store, key) DO UPDATE SET expires = excluded.expires, kept = excluded.kept,
    tags = excluded.tags, answer = excluded.answer"""

_FORGET = """DELETE FROM agentfuse_answers WHERE store = %s
    AND (%s::bytea IS NULL OR key = %s) AND tags @> %s::bytea[]
    AND (%s::double precision IS NULL OR kept < %s)"""


class PostgresCache(BlockingCache):
    """Answers in one table of a PostgreSQL 13 or newer, each fresh for ``ttl`` seconds.

    ``url`` is ``postgresql://user@host/database?namespace=acme``. Finding and keeping are a trip
    each. ``hold`` is for how many seconds a process may serve its own copy. Lives end by this
    machine's clock; what has expired is deleted in passing, and nothing else bounds the table.
    Methods hold up the thread they run on; ``awaited()`` gives the face for event loops, on
    threads. They raise StoreUnavailable where the server does not answer within ``patience``.
    """

    def __init__(  # noqa: PLR0913 - each is one bound of the same cache
        self,
        url: str,
        namespace: str | None = None,
        *,
        ttl: float = 86_400.0,
        jitter: float = 0.1,
        hold: float = HOLD,
        patience: float = PATIENCE,
        clock: Clock | None = None,
        random: Callable[[], float] = randomness.random,
    ) -> None:
        file = Path(__file__).with_suffix(".sql")
        self._tables = PostgresTables(
            url, "the cache", file, namespace=namespace, patience=patience
        )
        self._store = self._tables.namespace
        self._lifetime = Lifetime(ttl, jitter, random=random)
        self._now = time.time if clock is None else clock.now
        self._keeps = count(1)
        self.hold = hold

    def find_until_now(self, key: str) -> tuple[Reply, float] | None:
        """Give the answer kept under ``key``, and until when this process may serve its copy."""
        now = self._now()
        words = (self._store, bytes_of(key), now)
        row = self._tables.done(lambda db: db.execute(_FIND, words).fetchone())
        reply = None if row is None else reply_in(row[0])
        return None if row is None or reply is None else (reply, min(row[1], now + self.hold))

    def keep_now(self, key: str, reply: Reply, tags: Sequence[str] = ()) -> None:
        """Keep an answer, in place of any older one, and now and then delete what has expired."""
        now = self._now()
        try:
            data = packed(reply, now, tags)
        except ValueError as error:
            raise StoreUnavailable(
                f"an answer cannot be kept at {self._tables.address}: {error}"
            ) from error
        end, names = self._lifetime.end(now), [bytes_of(tag) for tag in tags]
        row = (self._store, bytes_of(key), end, now, names, data)
        self._tables.done(lambda db: db.execute(_KEEP, row))
        if next(self._keeps) % _KEEPS_PER_PRUNING == 0:
            old = "DELETE FROM agentfuse_answers WHERE expires <= %s"
            self._tables.done(lambda db: db.execute(old, (now,)))

    def drop_now(self, key: str) -> None:
        """Forget the answer kept under ``key``."""
        gone = "DELETE FROM agentfuse_answers WHERE store = %s AND key = %s"
        self._tables.done(lambda db: db.execute(gone, (self._store, bytes_of(key))))

    def invalidate_now(self, selection: Selection) -> int:
        """Forget the answers that fit, and count them."""
        key = bytes_of(selection.key) if selection.key else None
        tags = [bytes_of(tag) for tag in selection.tags]
        words = (self._store, key, key, tags, selection.before, selection.before)
        return self._tables.done(lambda db: db.execute(_FORGET, words).rowcount)

    def close(self) -> None:
        """Close the connections; the next use opens new ones."""
        self._tables.close()
