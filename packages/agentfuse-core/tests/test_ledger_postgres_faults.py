"""The ledger in PostgreSQL with many at once, and with its server away, paused or crashed."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING

import psycopg
import pytest

from agentfuse.errors import ConfigurationError, StoreUnavailable
from agentfuse.ledgers import postgres
from agentfuse.ledgers.postgres import PostgresLedger
from agentfuse.runtime.now import run_now
from agentfuse.testing.postgres_server import PostgresServer
from agentfuse.tickets import Amounts, Balance, Lease, Limit, Settlement, Stop

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NUMBERS = count()
RUN = Limit("run", "r1", 1_000)

# What another process does to the ledger named in its first two arguments.
OTHER = """
import sys, time
from agentfuse.ledgers.postgres import PostgresLedger
from agentfuse.runtime.now import run_now
from agentfuse.tickets import Amounts, Lease, Limit
ledger = PostgresLedger(sys.argv[1], schema=sys.argv[2], patience=30.0)
RUN = Limit("run", "r1", 1_000)
def lease(name, amount, ttl=60.0):
    half = Amounts(amount // 2)
    return Lease(id=name, amount=Amounts(amount), estimate=half, limits=(RUN,), ttl=ttl)
"""


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A real server that tests may stop."""
    with PostgresServer() as server:
        yield server


@pytest.fixture
def schema() -> str:
    return f"faults_{next(NUMBERS)}"


@pytest.fixture
def ledger(server: PostgresServer, schema: str) -> Iterator[PostgresLedger]:
    with PostgresLedger(server.url, schema=schema, patience=1.0) as ledger:
        yield ledger


@pytest.fixture
def db(server: PostgresServer) -> Iterator[psycopg.Connection]:
    """Somebody else's connection."""
    with psycopg.connect(server.url, autocommit=True) as db:
        yield db


def begun(ledger: PostgresLedger, server: PostgresServer, script: str, *arguments: str):
    """Start another process that runs ``script``."""
    command = [sys.executable, "-c", OTHER + script, server.url, ledger.schema, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def said(process: subprocess.Popen[str]) -> str:
    """Wait for another process, and give what it printed."""
    out, _ = process.communicate(timeout=50)
    assert process.returncode == 0
    return out.strip()


@contextmanager
def paused(server: PostgresServer) -> Iterator[None]:
    """Let the server stand still."""
    server.pause()
    try:
        yield
    finally:
        server.go_on()


def lease_of(name: str, amount: int = 40, *limits: Limit, ttl: float = 60.0) -> Lease:
    """A lease of nanodollars, half of which are expected."""
    estimate = Amounts(amount // 2)
    return Lease(
        id=name, amount=Amounts(amount), estimate=estimate, limits=limits or (RUN,), ttl=ttl
    )


def account_of(ledger: PostgresLedger, limit: Limit = RUN) -> Balance:
    """Read an account."""
    return run_now(ledger.balances([limit.key]))[0]


def test_processes_together_never_pass_the_limit_and_lose_nothing(
    ledger: PostgresLedger, server: PostgresServer
) -> None:
    """Four processes, one limit, one of them makes the tables."""
    script = """
booked = 0
for turn in range(60):
    name = f"{sys.argv[3]}-{turn}"
    if isinstance(run_now(ledger.reserve(lease(name, 9))), Lease):
        balance = run_now(ledger.balances([RUN.key]))[0]
        assert balance.spent + balance.held <= RUN.amount, balance
        booked += run_now(ledger.settle(name, Amounts(7))).booked.nanodollars
print(booked)
"""
    others = [begun(ledger, server, script, name) for name in "abcd"]
    booked = [int(said(other)) for other in others]
    assert account_of(ledger) == Balance(spent=sum(booked))
    assert sum(booked) > RUN.amount - 4 * 9
    assert run_now(ledger.open_leases()) == ()


def test_what_a_killed_process_held_is_booked_at_its_estimate(
    ledger: PostgresLedger, server: PostgresServer
) -> None:
    """By the server's own time."""
    script = """
run_now(ledger.reserve(lease("a", 40, ttl=1.0)))
print("held", flush=True)
time.sleep(60)
"""
    other = begun(ledger, server, script)
    assert other.stdout is not None
    assert other.stdout.readline().strip() == "held"
    assert account_of(ledger) == Balance(held=40)
    other.kill()
    other.communicate()
    time.sleep(1.1)
    assert account_of(ledger) == Balance(spent=20)
    assert run_now(ledger.settle("a", Amounts(33))) == Settlement(booked=Amounts(33), spent=(33,))


def test_calls_on_the_same_accounts_never_wait_in_a_circle(
    server: PostgresServer, schema: str, db: psycopg.Connection
) -> None:
    """Limits in any order, leases that expire under others' hands, one lease from two sides."""
    limits = tuple(Limit("user", f"u{n}", 10**9) for n in range(6))
    start = threading.Barrier(8)
    booked: dict[str, tuple[int, tuple[Limit, ...]]] = {}

    def work(thread: int) -> None:
        draw = random.Random(thread)
        start.wait()
        for turn in range(40):
            # Two threads use each name: the second finds the first one's lease.
            name = f"{thread // 2}-{turn}"
            on = tuple(draw.sample(limits, 3))
            lease = run_now(ledger.reserve(lease_of(name, 10, *on, ttl=draw.choice((0.005, 60)))))
            assert isinstance(lease, Lease)
            if draw.random() < 0.3:
                time.sleep(0.01)
            settled = run_now(ledger.settle(name, Amounts(draw.randrange(9))))
            booked[name] = (settled.booked.nanodollars, lease.limits)

    with PostgresLedger(server.url, schema=schema, patience=20.0) as ledger:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(work, range(8)))
        for limit in limits:
            spent = sum(cost for cost, on in booked.values() if limit in on)
            assert account_of(ledger, limit) == Balance(spent=spent)
    # A connection that ends has told its figures.
    assert db.execute("SELECT sum(deadlocks) FROM pg_stat_database").fetchone() == (0,)


def test_a_server_that_was_away_is_used_again_and_has_everything(
    ledger: PostgresLedger, server: PostgresServer
) -> None:
    """Closed meanwhile, and told by its address."""
    run_now(ledger.reserve(lease_of("a")))
    asyncio.run(ledger.awaited().reserve(lease_of("b")))
    server.stop()
    try:
        with pytest.raises(StoreUnavailable, match=r"postgresql://127\.0\.0\.1:\d+/postgres"):
            run_now(ledger.settle("a", Amounts(3)))
        with pytest.raises(StoreUnavailable, match="cannot be used"):
            asyncio.run(ledger.awaited().settle("a", Amounts(3)))
    finally:
        server.start()
    assert run_now(ledger.settle("a", Amounts(3))) == Settlement(booked=Amounts(3), spent=(3,))
    assert account_of(ledger) == Balance(spent=3, held=40)


def test_a_restart_between_two_calls_is_not_noticed(
    ledger: PostgresLedger, server: PostgresServer
) -> None:
    """A connection is looked at before it is used."""

    async def restarted() -> Settlement:
        face = ledger.awaited()
        await face.reserve(lease_of("a"))
        await asyncio.to_thread(server.crash)
        await asyncio.to_thread(server.start)
        return await face.settle("a", Amounts(3))

    run_now(ledger.spend((RUN,), Amounts(5)))
    server.stop()
    server.start()
    run_now(ledger.spend((RUN,), Amounts(5)))
    assert asyncio.run(restarted()) == Settlement(booked=Amounts(3), spent=(13,))


def test_a_server_that_stands_still_is_not_waited_for_long(
    ledger: PostgresLedger, server: PostgresServer
) -> None:
    """Its connections are open and say nothing; what it was asked may yet be done, once."""
    run_now(ledger.reserve(lease_of("a")))
    with paused(server):
        start = time.monotonic()
        with pytest.raises(StoreUnavailable, match="did not answer in time"):
            run_now(ledger.settle("a", Amounts(3)))
        assert 0.9 < time.monotonic() - start < 3
    assert run_now(ledger.settle("a", Amounts(3))).booked == Amounts(3)
    assert account_of(ledger) == Balance(spent=3)


def test_the_loop_goes_on_while_the_server_stands_still(
    ledger: PostgresLedger, server: PostgresServer
) -> None:
    """One task waits, not the loop; a task that is cancelled lets go at once."""

    async def main() -> int:
        face = ledger.awaited()
        await face.reserve(lease_of("a"))
        with paused(server):
            settling = asyncio.create_task(face.settle("a", Amounts(3)))
            turns = 0
            while not settling.done():
                await asyncio.sleep(0.01)
                turns += 1
            with pytest.raises(StoreUnavailable, match="did not answer in time"):
                await settling
        return turns

    assert asyncio.run(main()) > 30
    assert run_now(ledger.settle("a", Amounts(3))).booked == Amounts(3)


def test_a_connection_that_breaks_under_a_command_is_replaced(
    ledger: PostgresLedger, db: psycopg.Connection
) -> None:
    """What is known by its id is asked again; a cost is not, since it may have been booked."""
    run_now(ledger.reserve(lease_of("a")))
    end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"

    def broken_under(step: str) -> object:
        """Keep the accounts locked until the connection that waits for them has been ended."""
        with psycopg.connect(ledger._lane._url) as holder, ThreadPoolExecutor(1) as pool:
            holder.execute(f"LOCK TABLE {ledger.schema}.accounts IN EXCLUSIVE MODE")
            asked = {
                "settle": lambda: run_now(ledger.settle("a", Amounts(3))),
                "spend": lambda: run_now(ledger.spend((RUN,), Amounts(5))),
            }[step]
            answer = pool.submit(asked)
            while not db.execute(end).fetchall():
                time.sleep(0.01)
            holder.rollback()
            return answer.result(5)

    assert broken_under("settle") == Settlement(booked=Amounts(3), spent=(3,))
    with pytest.raises(StoreUnavailable, match="terminat"):
        broken_under("spend")
    assert account_of(ledger) == Balance(spent=3)


def test_another_programs_lock_is_not_waited_for_long(
    ledger: PostgresLedger, db: psycopg.Connection
) -> None:
    """Nothing was booked, and it works again afterwards."""
    run_now(ledger.reserve(lease_of("a")))
    with db.transaction():
        db.execute(f"LOCK TABLE {ledger.schema}.accounts IN EXCLUSIVE MODE")
        with pytest.raises(StoreUnavailable, match="timeout"):
            run_now(ledger.settle("a", Amounts(3)))
    assert account_of(ledger) == Balance(held=40)


def test_a_ledger_whose_connections_are_all_in_use_says_so(
    server: PostgresServer, schema: str
) -> None:
    with PostgresLedger(server.url, schema=schema, patience=0.3, connections=1) as ledger:
        run_now(ledger.stops())
        with ledger._lane.connection(), pytest.raises(StoreUnavailable, match="1 connections"):
            run_now(ledger.stops())
        assert run_now(ledger.stops()) == ()

        async def both() -> None:
            async with ledger._awaited_lane.connection():
                with pytest.raises(StoreUnavailable, match="1 connections"):
                    await ledger.awaited().stops()
            assert await ledger.awaited().stops() == ()

        asyncio.run(both())


def test_a_server_that_is_not_there_is_told_without_the_password() -> None:
    url = "postgresql://ann:geheim@127.0.0.1:1/money"
    with pytest.raises(StoreUnavailable, match=r"postgresql://127\.0\.0\.1:1/money") as caught:
        run_now(PostgresLedger(url).reserve(lease_of("a")))
    assert "geheim" not in str(caught.value)


def test_processes_that_come_first_together_make_the_tables_once(
    server: PostgresServer, schema: str
) -> None:
    start = threading.Barrier(6)

    def work(_number: int) -> int:
        with PostgresLedger(server.url, schema=schema, patience=20.0) as ledger:
            start.wait()
            run_now(ledger.spend((RUN,), Amounts(1)))
            return account_of(ledger).spent

    with ThreadPoolExecutor(6) as pool:
        assert max(pool.map(work, range(6))) == 6


def test_an_older_version_is_upgraded_by_one_and_left_alone_by_the_older(
    ledger: PostgresLedger,
    server: PostgresServer,
    db: psycopg.Connection,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What was in it is still there."""
    run_now(ledger.reserve(lease_of("a")))
    second = tmp_path / "second.sql"
    second.write_text("ALTER TABLE agentfuse.accounts ADD COLUMN owner text DEFAULT 'nobody';")
    monkeypatch.setattr(postgres, "MIGRATIONS", (*postgres.MIGRATIONS, str(second)))
    for _ in range(2):
        with PostgresLedger(server.url, schema=ledger.schema) as newer:
            assert account_of(newer) == Balance(held=40)
    rows = db.execute(f"SELECT owner FROM {ledger.schema}.accounts").fetchall()
    assert rows == [("nobody",)]
    monkeypatch.undo()
    with (
        PostgresLedger(server.url, schema=ledger.schema) as older,
        pytest.raises(StoreUnavailable, match=r"version 3.*update AgentFuse"),
    ):
        account_of(older)


def test_another_programs_schema_is_left_alone(
    ledger: PostgresLedger, db: psycopg.Connection
) -> None:
    db.execute(f"CREATE SCHEMA {ledger.schema}")
    db.execute(f"CREATE TABLE {ledger.schema}.accounts (theirs int)")
    with pytest.raises(ConfigurationError, match="another program's tables"):
        account_of(ledger)
    with pytest.raises(ConfigurationError, match=r"\?schema="):
        asyncio.run(ledger.awaited().stops())
    tables = db.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", (ledger.schema,))
    assert tables.fetchall() == [("accounts",)]


def test_a_role_that_may_not_make_tables_is_told(
    ledger: PostgresLedger, server: PostgresServer, db: psycopg.Connection
) -> None:
    """Waiting would not help."""
    db.execute("CREATE ROLE guest LOGIN")
    url = server.url.replace("postgres@", "guest@")
    with (
        PostgresLedger(url, schema=ledger.schema) as guest,
        pytest.raises(ConfigurationError, match="permission denied"),
    ):
        account_of(guest)


def test_a_schema_that_was_dropped_is_told_once_and_made_again(
    ledger: PostgresLedger, db: psycopg.Connection
) -> None:
    run_now(ledger.reserve(lease_of("a")))
    db.execute(f"DROP SCHEMA {ledger.schema} CASCADE")
    with pytest.raises(StoreUnavailable, match="does not exist"):
        account_of(ledger)
    assert account_of(ledger) == Balance()


def test_an_auditor_finds_every_account_in_the_entries(
    ledger: PostgresLedger, db: psycopg.Connection
) -> None:
    """The last line of each lease is what it cost, and lines are never changed."""
    user = Limit("user", "ann", 10_000)
    for number in range(5):
        run_now(ledger.reserve(lease_of(str(number), 40, RUN, user)))
    run_now(ledger.settle("0", Amounts(30)))
    run_now(ledger.release("1"))
    run_now(ledger.settle("1", Amounts(7)))
    run_now(ledger.reserve(lease_of("late", 40, user, ttl=0.0)))
    run_now(ledger.spend((user,), Amounts(3), "web_search"))
    booked = f"""
        SELECT key, sum(nanodollars) FROM (
            SELECT DISTINCT ON (CASE lease WHEN '' THEN line::text ELSE lease END) *
            FROM {ledger.schema}.entries
            WHERE what IN ('settle', 'release', 'expire', 'spend')
            ORDER BY CASE lease WHEN '' THEN line::text ELSE lease END, line DESC
        ) AS last, jsonb_array_elements_text(keys) AS key GROUP BY key ORDER BY key"""
    assert account_of(ledger, user).spent == 30 + 7 + 20 + 3
    assert db.execute(booked).fetchall() == [("run:r1", 37), ("user:ann", 60)]
    allowed = db.execute(f"SELECT key, spent, held, allowed FROM {ledger.schema}.accounts")
    assert sorted(allowed) == [("run:r1", 37, 120, 1_000), ("user:ann", 60, 120, 10_000)]
    for change in ("UPDATE {} SET nanodollars = 0", "DELETE FROM {}"):
        with pytest.raises(psycopg.errors.RaiseException, match="only ever added"):
            db.execute(change.format(f"{ledger.schema}.entries"))


def test_leases_closed_a_day_ago_are_let_go_of(
    ledger: PostgresLedger, db: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "_COMMANDS_PER_PRUNING", 3)
    for name in ("old", "new", "open"):
        run_now(ledger.reserve(lease_of(name)))
    for name in ("old", "new"):
        run_now(ledger.settle(name, Amounts(3)))
    db.execute(
        f"UPDATE {ledger.schema}.leases SET closed = closed - interval '26 hours' WHERE id = 'old'"
    )
    asyncio.run(ledger.awaited().stops())
    left = db.execute(f"SELECT id FROM {ledger.schema}.leases ORDER BY id").fetchall()
    assert left == [("new",), ("open",)]
    assert run_now(ledger.settle("old", Amounts(3))) == Settlement(booked=Amounts(0), repeated=True)
    assert account_of(ledger) == Balance(spent=6, held=40)


def test_a_database_with_another_isolation_level_keeps_the_books(
    server: PostgresServer, schema: str, db: psycopg.Connection
) -> None:
    """The ledger asks for the level it is written for."""
    db.execute("ALTER DATABASE postgres SET default_transaction_isolation TO serializable")
    start = threading.Barrier(4)

    def work(thread: int) -> int:
        start.wait()
        return sum(
            isinstance(run_now(ledger.reserve(lease_of(f"{thread}-{n}", 9))), Lease)
            for n in range(40)
        )

    try:
        with PostgresLedger(server.url, schema=schema, patience=20.0) as ledger:
            run_now(ledger.stops())
            with ThreadPoolExecutor(4) as pool:
                held = sum(pool.map(work, range(4)))
            assert held == 1_000 // 9
            assert account_of(ledger) == Balance(held=9 * held)
    finally:
        db.execute("ALTER DATABASE postgres RESET default_transaction_isolation")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_opens_its_own_connections(ledger: PostgresLedger) -> None:
    run_now(ledger.reserve(lease_of("a")))
    child = os.fork()
    if child == 0:
        asyncio.run(ledger.awaited().reserve(lease_of("b")))
        os._exit(0 if run_now(ledger.settle("a", Amounts(7))).booked == Amounts(7) else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert account_of(ledger) == Balance(spent=7, held=40)


def test_a_kill_switch_and_a_claim_count_for_every_process(
    ledger: PostgresLedger, server: PostgresServer
) -> None:
    script = """
run_now(ledger.stop("*", "all of it"))
print(run_now(ledger.claim("alert")))
"""
    assert said(begun(ledger, server, script)) == "True"
    marked = replace(lease_of("a"), marks=("run:r1", "*"))
    assert run_now(ledger.reserve(marked)) == Stop(mark="*", reason="all of it")
    assert not asyncio.run(ledger.awaited().claim("alert"))


def test_an_account_that_is_full_stays_full(ledger: PostgresLedger) -> None:
    """Sums beyond what the database holds break nothing."""
    rate = Limit("user", "u1", 2**53, unit="tokens", pace=10**6)
    for _ in range(520):
        run_now(ledger.spend((RUN, rate), Amounts(2**53, 2**53)))
    assert account_of(ledger).spent == 2**62


def test_the_oldest_release_of_the_wheel_will_do() -> None:
    """PostgreSQL 16."""
    with PostgresServer(release=16) as server, PostgresLedger(server.url) as ledger:
        run_now(ledger.reserve(lease_of("a")))
        assert run_now(ledger.settle("a", Amounts(3))) == Settlement(booked=Amounts(3), spent=(3,))


@pytest.mark.parametrize(
    ("url", "schema", "name"),
    [
        ("postgresql://ann@db/money", "agentfuse", "postgresql://db/money (agentfuse)"),
        ("postgres://db:5433/m?schema=team_1", "team_1", "postgresql://db:5433/m (team_1)"),
        (
            "postgresql://ann:x%40y@db/m?sslmode=require&schema=s",
            "s",
            "postgresql://db/m (s)",
        ),
    ],
)
def test_a_url_names_the_database_and_the_schema(url: str, schema: str, name: str) -> None:
    ledger = PostgresLedger.from_url(url)
    assert (ledger.schema, ledger.name) == (schema, name)


@pytest.mark.parametrize(
    "url",
    [
        "mysql://db/m",
        "db/m",
        "postgresql://db/m?schema=A;drop",
        "postgresql://db/m?no_such_option=1",
    ],
)
def test_a_url_that_cannot_be_read_is_turned_away(url: str) -> None:
    with pytest.raises(ConfigurationError):
        PostgresLedger.from_url(url)
