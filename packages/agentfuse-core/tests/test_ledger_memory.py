"""The ledger in memory keeps the contract, forgets in bounds, and is fast."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from agentfuse.ledgers import memory
from agentfuse.ledgers.memory import MemoryLedger
from agentfuse.runtime.now import run_now
from agentfuse.testing import FrozenClock, LedgerContract
from agentfuse.testing.ways import Awaited
from agentfuse.tickets import NOTHING_USED, Amounts, Balance, Lease, Limit, Settlement

if TYPE_CHECKING:
    from agentfuse.ports import Clock, Ledger

RUN = Limit("run", "r1", 10**12)
DAY = 86_400.0


class TestBlocking(LedgerContract):
    """For blocking callers."""

    def ledger(self, clock: Clock) -> Ledger:
        """Give an empty ledger."""
        return MemoryLedger(clock)


class TestAwaited(Awaited, LedgerContract):
    """For awaiting callers."""

    examples = 10

    def ledger(self, clock: Clock) -> Ledger:
        """Give an empty ledger."""
        return MemoryLedger(clock)


def a_lease(name: str, ttl: float) -> Lease:
    """A lease of 10 nanodollars, with 5 expected."""
    return Lease(id=name, amount=Amounts(10), estimate=Amounts(5), limits=(RUN,), ttl=ttl)


def balance_of(ledger: MemoryLedger) -> Balance:
    """Read the run's account."""
    return run_now(ledger.balances([RUN.key]))[0]


def test_a_settled_lease_is_remembered_for_a_day_and_then_forgotten() -> None:
    """The memory of repeats is bounded by age."""
    clock = FrozenClock()
    ledger = MemoryLedger(clock)
    run_now(ledger.reserve(a_lease("a", 60)))
    run_now(ledger.settle("a", Amounts(7)))
    clock.advance(memory.REMEMBERED_SECONDS - 1)
    assert run_now(ledger.settle("a", Amounts(7))) == Settlement(
        booked=Amounts(7), repeated=True, spent=(7,)
    )
    clock.advance(1)
    run_now(ledger.reserve(a_lease("b", 60)))
    run_now(ledger.release("b"))
    assert run_now(ledger.settle("a", Amounts(7))) == Settlement(booked=NOTHING_USED, repeated=True)
    assert balance_of(ledger) == Balance(spent=7)


def test_only_so_many_settled_leases_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The memory of repeats is bounded by number, and the oldest leave first."""
    monkeypatch.setattr(memory, "REMEMBERED_LEASES", 3)
    ledger = MemoryLedger(FrozenClock(0.0))
    for name in "abcde":
        run_now(ledger.reserve(a_lease(name, 60.0)))
        run_now(ledger.settle(name, Amounts(1)))
    remembered = [run_now(ledger.settle(name, Amounts(1))).booked.nanodollars for name in "abcde"]
    assert remembered == [0, 0, 1, 1, 1]
    assert balance_of(ledger) == Balance(spent=5)


def test_many_short_calls_with_far_deadlines_leave_nothing_behind() -> None:
    """Deadlines of settled leases do not pile up."""
    clock = FrozenClock()
    ledger = MemoryLedger(clock)
    for turn in range(5_000):
        run_now(ledger.reserve(a_lease(str(turn), 86_400)))
        run_now(ledger.settle(str(turn), Amounts(1)))
    assert len(ledger._deadlines) <= memory._SPARE_DEADLINES + 2
    assert run_now(ledger.open_leases()) == ()


def test_a_lease_outlives_the_rebuilding_of_the_deadlines() -> None:
    """An open lease still expires after thousands of others came and went."""
    clock = FrozenClock()
    ledger = MemoryLedger(clock)
    run_now(ledger.reserve(a_lease("old", 100)))
    for turn in range(3_000):
        run_now(ledger.reserve(a_lease(str(turn), 50)))
        run_now(ledger.release(str(turn)))
    assert balance_of(ledger) == Balance(held=10)
    clock.advance(100)
    assert balance_of(ledger) == Balance(spent=5)


def test_an_account_outlives_its_window_by_a_month() -> None:
    """Then it is let go of, unless a lease still holds something on it."""
    clock = FrozenClock()
    ledger = MemoryLedger(clock)

    def day(number: int) -> Limit:
        return Limit("user", "ann", 10**9, window=f"day-{number}", resets=clock.now() + DAY)

    first, held = day(0), Limit("user", "bob", 10**9, window="day-0", resets=clock.now() + DAY)
    run_now(ledger.spend((first, RUN), Amounts(7)))
    run_now(ledger.reserve(replace(a_lease("a", 90 * DAY), limits=(held,))))
    for number in range(1, 36):
        clock.advance(DAY)
        run_now(ledger.spend((day(number),), Amounts(1)))
    assert run_now(ledger.balances([first.key])) == (Balance(spent=7),)
    for number in range(36, 40):
        clock.advance(DAY)
        run_now(ledger.spend((day(number),), Amounts(1)))
    assert run_now(ledger.balances([first.key, held.key, RUN.key])) == (
        Balance(),
        Balance(held=10),
        Balance(spent=7),
    )
    assert len(ledger._accounts) < 40
    assert run_now(ledger.settle("a", Amounts(3))).spent == (3,)


def test_a_clock_that_leaps_is_not_believed_for_an_hour() -> None:
    """No month's budget is forgotten because a machine thinks for a while it is 2099."""
    clock = FrozenClock()
    ledger = MemoryLedger(clock)
    month = Limit("user", "ann", 10**9, window="month", resets=clock.now() + 20 * DAY)
    run_now(ledger.spend((month,), Amounts(7)))
    clock.advance(73 * 365 * DAY)
    later = Limit("user", "ann", 10**9, window="later", resets=clock.now() + DAY)
    run_now(ledger.spend((later,), Amounts(1)))
    clock.advance(-73 * 365 * DAY)
    assert run_now(ledger.balances([month.key])) == (Balance(spent=7),)


def test_without_a_clock_the_time_of_day_is_read() -> None:
    """A deadline in the past is past."""
    ledger = MemoryLedger()
    run_now(ledger.reserve(a_lease("a", 0.0)))
    assert balance_of(ledger) == Balance(spent=5)
