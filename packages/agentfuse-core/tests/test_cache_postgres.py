"""The cache in PostgreSQL keeps the contract, and comes back by itself."""

from __future__ import annotations

import os
from itertools import count
from typing import TYPE_CHECKING

import psycopg
import pytest

from agentfuse.caches.addresses import cache_at
from agentfuse.caches.postgres import PostgresCache
from agentfuse.connections import brisk_links
from agentfuse.errors import StoreUnavailable
from agentfuse.runtime.now import run_now
from agentfuse.testing import CacheContract, FrozenClock
from agentfuse.testing.cache_contract import said
from agentfuse.testing.postgres_server import PostgresServer
from agentfuse.testing.ways import Awaited

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentfuse.ports import Cache, Clock

namespaces = (f"test-{os.getpid()}-{number}" for number in count())

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with PostgresServer() as running:
        yield running


class TestTable(CacheContract):
    """For blocking callers."""

    bounded = False

    @pytest.fixture(autouse=True)
    def _fresh_cache(self, server: PostgresServer) -> Iterator[None]:
        self.url = server.url
        self.caches: list[PostgresCache] = []
        self.time = self.clock()
        self.kept = self.cache(self.time, ttl=4 * self.moment)
        yield
        for cache in self.caches:
            cache.close()

    def opened(self, clock: Clock, ttl: float, jitter: float) -> PostgresCache:
        cache = PostgresCache(
            self.url, next(namespaces), ttl=ttl, jitter=jitter, clock=clock, patience=10
        )
        self.caches.append(cache)
        return cache

    def cache(
        self, clock: Clock, *, ttl: float = 3_600.0, jitter: float = 0.0, max_entries: int = 1_000
    ) -> Cache:
        return self.opened(clock, ttl, jitter)


class TestTableAwaited(Awaited, TestTable):
    """For awaiting callers, on threads."""

    def cache(
        self, clock: Clock, *, ttl: float = 3_600.0, jitter: float = 0.0, max_entries: int = 1_000
    ) -> Cache:
        return self.opened(clock, ttl, jitter).awaited()


def test_processes_share_and_hold_copies_for_a_moment(server: PostgresServer) -> None:
    clock, url = FrozenClock(), f"{server.url}?namespace={next(namespaces)}"
    here, there = (cache_at(url, 3_600, clock) for _ in range(2))
    run_now(here.keep("k", said("1")))
    assert run_now(there.find("k")) == said("1")
    run_now(here.drop("k"))
    assert run_now(there.find("k")) == said("1")
    clock.advance(2)
    assert run_now(there.find("k")) is None
    here.close()
    there.close()


def test_what_has_expired_is_deleted_in_passing(server: PostgresServer) -> None:
    clock = FrozenClock()
    cache = PostgresCache(server.url, next(namespaces), ttl=10, clock=clock, patience=10)
    run_now(cache.keep("old", said("1")))
    clock.advance(20)
    for number in range(63):
        run_now(cache.keep(str(number), said("1")))
    with psycopg.connect(server.url) as db:
        asked = "SELECT count(*) FROM agentfuse_answers WHERE store = %s"
        row = db.execute(asked, (cache._store,)).fetchone()
    assert row == (63,)
    cache.close()


def test_an_outage_is_told_and_a_lost_table_is_made_anew(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(brisk_links.time, "monotonic", lambda: now[0])
    cache = PostgresCache(server.url, next(namespaces))
    run_now(cache.keep("k", said("1")))
    server.stop()
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="the cache at postgresql"):
            run_now(cache.find("k"))
    server.start()
    now[0] += brisk_links.REST
    assert run_now(cache.find("k")) == said("1")
    with psycopg.connect(server.url, autocommit=True) as db:
        db.execute("DROP TABLE agentfuse_answers")
    with pytest.raises(StoreUnavailable, match="agentfuse_answers"):
        run_now(cache.find("k"))
    assert run_now(cache.find("k")) is None
    cache.close()
