"""What a ledger in PostgreSQL lets go of: accounts, long after their windows have ended."""

from __future__ import annotations

import os
from itertools import count
from typing import TYPE_CHECKING

import psycopg
import pytest

from agentfuse.ledgers import postgres
from agentfuse.ledgers.postgres import PostgresLedger
from agentfuse.runtime.now import run_now
from agentfuse.testing.postgres_server import PostgresServer
from agentfuse.tickets import Amounts, Balance, Lease, Limit, Settlement

if TYPE_CHECKING:
    from collections.abc import Iterator

# Read before conftest hides it from the tests.
GIVEN = os.environ.get("AGENTFUSE_TEST_POSTGRES_URL", "")
NUMBERS = count()
START, DAY = 1_700_000_000.0, 86_400.0
RUN = Limit("run", "r", 10**9)
TODAY = Limit("user", "ann", 10**9, window="today", resets=START + DAY)
BOTH = (TODAY.key, RUN.key)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    if GIVEN:
        yield GIVEN
        return
    with PostgresServer() as server:
        yield server.url


def lease_of(name: str, amount: int, *limits: Limit, ttl: float = 60.0) -> Lease:
    """A lease of nanodollars, half of which are expected."""
    estimate = Amounts(amount // 2)
    return Lease(id=name, amount=Amounts(amount), estimate=estimate, limits=limits, ttl=ttl)


class Aged:
    """A ledger whose server's clock is moved by SQL, and which prunes whenever it is asked to."""

    def __init__(self, ledger: PostgresLedger, db: psycopg.Connection) -> None:
        self.ledger, self.db, self.schema = ledger, db, ledger.schema
        run_now(ledger.stops())
        started = f"to_timestamp({START})"
        db.execute(f"CREATE TABLE {self.schema}.test_time AS SELECT {started} AS at")
        db.execute(
            f"CREATE OR REPLACE FUNCTION {self.schema}.moment() RETURNS timestamptz"
            f" LANGUAGE sql AS 'SELECT at FROM {self.schema}.test_time'"
        )
        db.execute(f"UPDATE {self.schema}.pruning SET (at, steady) = ({started}, {started})")

    def pass_days(self, *steps: float) -> None:
        """Let days pass, and prune after each of the steps."""
        for days in steps:
            self.db.execute(
                f"UPDATE {self.schema}.test_time SET at = at + make_interval(secs => %s)",
                (days * DAY,),
            )
            self.db.execute(f"SELECT {self.schema}.prune()")

    def reserve(self, name: str, amount: int, ttl: float = 60.0) -> None:
        lease = lease_of(name, amount, TODAY, RUN, ttl=ttl)
        assert isinstance(run_now(self.ledger.reserve(lease)), Lease)

    def settled(self, name: str) -> None:
        self.reserve(name, 40)
        run_now(self.ledger.settle(name, Amounts(7)))

    def balances(self) -> tuple[Balance, ...]:
        return run_now(self.ledger.balances(BOTH))

    def accounts(self) -> list[str]:
        rows = self.db.execute(f"SELECT key FROM {self.schema}.accounts ORDER BY key").fetchall()
        return [key for (key,) in rows]


@pytest.fixture
def aged(url: str) -> Iterator[Aged]:
    schema = f"pruning_{next(NUMBERS)}"
    with (
        psycopg.connect(url, autocommit=True) as db,
        PostgresLedger(url, schema=schema) as ledger,
    ):
        yield Aged(ledger, db)
        db.execute(f"DROP SCHEMA {schema} CASCADE")


def test_an_account_outlives_its_window_by_a_month(aged: Aged) -> None:
    aged.settled("a")
    aged.pass_days(7, 7, 7, 7, 7)
    assert aged.balances() == (Balance(spent=7), Balance(spent=7))
    aged.pass_days(2)
    assert aged.balances() == (Balance(), Balance(spent=7))
    assert aged.accounts() == [RUN.key]


@pytest.mark.parametrize("amount", [0, 40])
def test_an_account_of_an_open_lease_is_kept(aged: Aged, amount: int) -> None:
    """Also where the lease holds nothing: it will be settled there."""
    aged.settled("a")
    aged.reserve("b", amount, ttl=100 * DAY)
    aged.pass_days(*[7] * 7)
    assert aged.balances() == (Balance(spent=7, held=amount),) * 2
    run_now(aged.ledger.settle("b", Amounts(3)))
    assert aged.balances() == (Balance(spent=10),) * 2
    aged.pass_days(1)
    assert aged.accounts() == [RUN.key]


@pytest.mark.parametrize("closing", ["settle", "release"])
def test_what_comes_late_finds_no_account_to_correct_where_the_window_is_long_over(
    aged: Aged, closing: str
) -> None:
    """The estimate that was booked on it is gone with it; the other limits are corrected."""
    aged.reserve("a", 10, ttl=37 * DAY)
    aged.pass_days(7, 7, 7, 7, 7, 3)
    assert aged.balances() == (Balance(spent=5),) * 2
    aged.pass_days(0)
    if closing == "settle":
        told = run_now(aged.ledger.settle("a", Amounts(3)))
        assert told == Settlement(booked=Amounts(3), spent=(0, 3))
    else:
        run_now(aged.ledger.release("a"))
    assert aged.balances() == (Balance(), Balance(spent=3 if closing == "settle" else 0))
    assert aged.accounts() == [RUN.key]


def test_a_clock_that_leaps_is_not_believed_for_an_hour(aged: Aged) -> None:
    aged.settled("a")
    aged.pass_days(40, 0.9 / 24)
    assert aged.balances() == (Balance(spent=7), Balance(spent=7))
    aged.pass_days(0.2 / 24)
    assert aged.balances() == (Balance(), Balance(spent=7))


def test_commands_let_go_of_accounts(aged: Aged, monkeypatch: pytest.MonkeyPatch) -> None:
    aged.settled("a")
    aged.pass_days(7, 7, 7, 7, 7)
    monkeypatch.setattr(postgres, "_COMMANDS_PER_PRUNING", 2)
    aged.db.execute(f"UPDATE {aged.schema}.test_time SET at = at + interval '2 days'")
    for _ in range(2):
        run_now(aged.ledger.stops())
    assert aged.accounts() == [RUN.key]


def test_a_ledger_of_version_1_is_upgraded_and_keeps_its_accounts(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema = f"pruning_{next(NUMBERS)}"
    monkeypatch.setattr(postgres, "MIGRATIONS", ("postgres.sql",))
    with PostgresLedger(url, schema=schema) as older:
        run_now(older.reserve(lease_of("a", 40, RUN)))
    monkeypatch.undo()
    with PostgresLedger(url, schema=schema) as ledger, psycopg.connect(url) as db:
        assert run_now(ledger.balances([RUN.key])) == (Balance(held=40),)
        assert run_now(ledger.settle("a", Amounts(7))).spent == (7,)
        db.execute(f"SELECT {schema}.prune()")
        db.execute(f"DROP SCHEMA {schema} CASCADE")
