"""Semantic entries in the Redis Query Engine and in pgvector: real servers, the same promises."""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
import redis

from agentfuse.caches.fleet.pg_vectors import PgVectorStore
from agentfuse.caches.fleet.redis_search import RedisSearchStore
from agentfuse.connections import brisk_links
from agentfuse.errors import StoreUnavailable
from agentfuse.semantics import Selection
from agentfuse.testing.postgres_server import PostgresServer
from agentfuse.testing.redis_clock import RedisClock
from agentfuse.testing.redis_stack import SearchServer, why_no_search
from agentfuse.testing.semantic_contract import DIM, HERE, SemanticCacheContract, vector

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentfuse.ports import Clock, SemanticStore

namespaces = (f"engines-{os.getpid()}-{number}" for number in count())

pytestmark = pytest.mark.timeout(240)


class Engine(SemanticCacheContract):
    """What both promise, and that they come back by themselves."""

    bounded = False
    server: Any

    def opened(self, clock: Clock, namespace: str) -> SemanticStore:
        raise NotImplementedError

    def lose_everything(self) -> None:
        raise NotImplementedError

    @pytest.fixture(autouse=True)
    def _fresh_store(self, engine: Any) -> Iterator[None]:
        self.server = engine
        self.stores: list[SemanticStore] = []
        self.time = self.clock()
        self.kept = self.store(self.time)
        yield
        for store in self.stores:
            store.close()

    def store(self, clock: Clock, *, max_entries: int = 1_000) -> SemanticStore:
        self.stores.append(self.opened(clock, next(namespaces)))
        return self.stores[-1]

    def test_processes_share_what_they_keep(self) -> None:
        namespace = next(namespaces)
        here, there = (self.opened(self.time, namespace) for _ in range(2))
        self.stores += [here, there]
        self.kept = here
        entry = self.keep("q", vector(1))
        assert [near.entry for near in there.nearest(HERE, vector(1), 5)] == [entry]
        assert there.drop(entry.id)
        assert here.answer(entry.id) is None

    def test_namespaces_never_meet(self) -> None:
        self.keep("q", vector(1))
        assert self.store(self.time).nearest(HERE, vector(1), 5) == []

    def test_a_store_that_lost_everything_is_begun_anew(self) -> None:
        """No wrong answer, no restart of ours: the next call is a miss, or is told; all works."""
        entry = self.keep("q", vector(1))
        self.lose_everything()
        with suppress(StoreUnavailable):
            assert self.kept.nearest(HERE, vector(1), 5) == []
        assert self.kept.nearest(HERE, vector(1), 5) == []
        assert self.kept.answer(entry.id) is None
        self.keep("q", vector(1))
        assert self.prompts(vector(1)) == ["q"]

    def test_an_outage_is_told_and_gets_over(
        self, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now = [1000.0]
        monkeypatch.setattr(brisk_links.time, "monotonic", lambda: now[0])
        self.keep("q", vector(1))
        self.stop()
        with caplog.at_level(logging.WARNING, "agentfuse"):
            for _ in range(3):
                with pytest.raises(StoreUnavailable, match="the semantic cache at"):
                    self.kept.nearest(HERE, vector(1), 5)
        assert len([line for line in caplog.messages if "out of reach" in line]) == 1
        self.server.start()
        now[0] += brisk_links.REST
        self.kept.invalidate(Selection())
        self.keep("q", vector(1))
        assert self.prompts(vector(1)) == ["q"]

    def stop(self) -> None:
        raise NotImplementedError


@pytest.mark.skipif(bool(why_no_search()), reason=why_no_search() or "it can be run here")
class TestQueryEngine(Engine):
    """RediSearch 2.10 in Redis 7.4, through redisvl."""

    @pytest.fixture(scope="class")
    @classmethod
    def engine(cls, tmp_path_factory: Any) -> Iterator[SearchServer]:
        with SearchServer(tmp_path_factory.mktemp("search")) as running:
            yield running

    def clock(self) -> RedisClock:
        self.client = redis.Redis.from_url(self.server.url)
        return RedisClock(self.client)

    def opened(self, clock: Clock, namespace: str) -> SemanticStore:
        url = self.server.url.replace("redis:", "redis+search:") + "?patience=10"
        return RedisSearchStore(url, DIM, fingerprint="test", namespace=namespace, clock=clock)

    def lose_everything(self) -> None:
        self.client.flushall()

    def stop(self) -> None:
        self.server.kill()


class TestPgVector(Engine):
    """PostgreSQL 18 with pgvector 0.8."""

    @pytest.fixture(scope="class")
    @classmethod
    def engine(cls) -> Iterator[PostgresServer]:
        with PostgresServer() as running:
            yield running

    def opened(self, clock: Clock, namespace: str) -> SemanticStore:
        return PgVectorStore(
            self.server.url,
            DIM,
            fingerprint="test",
            namespace=namespace,
            patience=10,
            clock=clock,
        )

    def lose_everything(self) -> None:
        import psycopg

        with psycopg.connect(self.server.url, autocommit=True) as db:
            db.execute("DROP TABLE agentfuse_semantic_entries, agentfuse_semantic_pairs")

    def stop(self) -> None:
        self.server.stop()
