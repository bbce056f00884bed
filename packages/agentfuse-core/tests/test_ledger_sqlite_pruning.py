"""A ledger in a file lets go of what nobody can ask for any more, and of nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agentfuse.ledgers import sqlite_pruning
from agentfuse.ledgers.sqlite import SqliteLedger
from agentfuse.runtime.now import run_now
from agentfuse.testing import FrozenClock
from agentfuse.tickets import NOTHING_USED, Amounts, Balance, Lease, Limit, Settlement

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOUR = 3_600.0
DAY = 24 * HOUR
RUN = Limit("run", "r1", 10**12)


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
def ledger(tmp_path: Path, clock: FrozenClock) -> Iterator[SqliteLedger]:
    with SqliteLedger(tmp_path / "ledger.db", clock=clock) as ledger:
        run_now(ledger.spend((), NOTHING_USED))
        clock.advance(HOUR)  # a new file is not believed its time for an hour
        yield ledger


def lease_of(name: str, *limits: Limit, ttl: float = 60.0) -> Lease:
    """A lease of 10 nanodollars, with 5 expected."""
    return Lease(id=name, amount=Amounts(10), estimate=Amounts(5), limits=limits or (RUN,), ttl=ttl)


def settled(ledger: SqliteLedger, name: str, *limits: Limit) -> None:
    """Reserve and settle 7."""
    run_now(ledger.reserve(lease_of(name, *limits)))
    run_now(ledger.settle(name, Amounts(7)))


def work_on(ledger: SqliteLedger, lines: int = 3 * sqlite_pruning.LINES_PER_STEP) -> None:
    """Write so many lines that something is pruned."""
    for _ in range(lines):
        run_now(ledger.spend((), NOTHING_USED))


def counted(ledger: SqliteLedger, table: str) -> int:
    """Count the rows of a table."""
    return ledger._file.read(lambda db: db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def test_a_closed_lease_is_remembered_for_a_day_and_then_forgotten(
    ledger: SqliteLedger, clock: FrozenClock
) -> None:
    settled(ledger, "a")
    clock.advance(DAY)
    work_on(ledger)
    assert run_now(ledger.settle("a", Amounts(9))) == Settlement(
        booked=Amounts(7), repeated=True, spent=(7,)
    )
    clock.advance(2 * HOUR)
    work_on(ledger)
    assert counted(ledger, "leases") == 0
    assert run_now(ledger.settle("a", Amounts(9))) == Settlement(booked=NOTHING_USED, repeated=True)
    assert run_now(ledger.balances([RUN.key])) == (Balance(spent=7),)


def test_an_open_lease_is_never_forgotten(ledger: SqliteLedger, clock: FrozenClock) -> None:
    """Nor one that was closed of late, however long ago it was opened."""
    for name in "ab":
        run_now(ledger.reserve(lease_of(name, ttl=40 * DAY)))
    for _ in range(6):
        clock.advance(6 * DAY)
        work_on(ledger)
    run_now(ledger.settle("b", Amounts(7)))
    clock.advance(DAY)
    work_on(ledger)
    assert run_now(ledger.balances([RUN.key])) == (Balance(spent=7, held=10),)
    assert run_now(ledger.settle("b", Amounts(9))).repeated
    assert run_now(ledger.settle("a", Amounts(9))).booked == Amounts(9)


def test_an_account_outlives_its_window_by_a_month(
    ledger: SqliteLedger, clock: FrozenClock
) -> None:
    today = Limit("user", "ann", 10**9, window="today", resets=clock.now() + DAY)
    settled(ledger, "a", today, RUN)
    for _ in range(5):
        clock.advance(7 * DAY)
        work_on(ledger)
    assert run_now(ledger.balances([today.key, RUN.key])) == (Balance(spent=7), Balance(spent=7))
    clock.advance(2 * DAY)
    work_on(ledger)
    assert run_now(ledger.balances([today.key, RUN.key])) == (Balance(), Balance(spent=7))


def test_a_late_settlement_finds_no_account_to_correct_where_the_window_is_long_over(
    ledger: SqliteLedger, clock: FrozenClock
) -> None:
    """The estimate that was booked on it is gone with it; the other limits are corrected."""
    today = Limit("user", "ann", 10**9, window="today", resets=clock.now() + DAY)
    run_now(ledger.reserve(lease_of("a", today, RUN, ttl=37 * DAY)))
    for _ in range(5):
        clock.advance(7 * DAY)
        work_on(ledger)
    clock.advance(3 * DAY)
    work_on(ledger)
    assert run_now(ledger.balances([today.key, RUN.key])) == (Balance(spent=5), Balance(spent=5))
    work_on(ledger)
    assert run_now(ledger.settle("a", Amounts(3))) == Settlement(booked=Amounts(3), spent=(0, 3))
    assert run_now(ledger.balances([today.key, RUN.key])) == (Balance(), Balance(spent=3))


def test_the_trail_is_bounded_by_lines(
    ledger: SqliteLedger, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But a line stays as long as its lease is remembered."""
    monkeypatch.setattr(sqlite_pruning, "TRAIL_LINES", 100)
    work_on(ledger, 2_000)
    assert counted(ledger, "entries") > 2_000
    clock.advance(2 * DAY)
    work_on(ledger, 5 * sqlite_pruning.LINES_PER_STEP)
    clock.advance(2 * DAY)
    work_on(ledger, 8 * sqlite_pruning.LINES_PER_STEP)
    assert counted(ledger, "entries") < 9 * sqlite_pruning.LINES_PER_STEP
    lines = ledger._file.read(lambda db: db.execute("SELECT line FROM entries").fetchall())
    assert lines == sorted(lines)


def test_the_trail_is_bounded_by_age(ledger: SqliteLedger, clock: FrozenClock) -> None:
    settled(ledger, "a")
    for _ in range(5):
        clock.advance(6 * DAY + 1)
        work_on(ledger, sqlite_pruning.LINES_PER_STEP)
    work_on(ledger)
    trail = run_now(ledger.trail(100_000))
    assert "settle" not in {entry.what for entry in trail}
    assert trail[0].at > clock.now() - 30 * DAY


@pytest.mark.parametrize("years", [73, -20])
def test_a_clock_that_leaps_is_not_believed_for_an_hour(
    ledger: SqliteLedger, clock: FrozenClock, years: int
) -> None:
    """This month's budget is not forgotten because a machine thinks for a while it is 2099."""
    month = Limit("user", "ann", 10**9, window="month", resets=clock.now() + 20 * DAY)
    settled(ledger, "a", month)
    clock.advance(years * 365 * DAY)
    work_on(ledger)
    clock.advance(0.9 * HOUR)
    work_on(ledger)
    clock.advance(-years * 365 * DAY)
    work_on(ledger)
    assert run_now(ledger.balances([month.key])) == (Balance(spent=7),)
    assert run_now(ledger.settle("a", Amounts(9))).repeated


def test_a_clock_set_back_brings_no_expired_lease_back(
    ledger: SqliteLedger, clock: FrozenClock
) -> None:
    """What was booked at its estimate stays booked."""
    run_now(ledger.reserve(lease_of("a")))
    clock.advance(61)
    assert run_now(ledger.balances([RUN.key])) == (Balance(spent=5),)
    clock.advance(-DAY)
    assert run_now(ledger.balances([RUN.key])) == (Balance(spent=5),)
    assert run_now(ledger.open_leases()) == ()
    run_now(ledger.reserve(lease_of("b")))
    assert run_now(ledger.balances([RUN.key])) == (Balance(spent=5, held=10),)
