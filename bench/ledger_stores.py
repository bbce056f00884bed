"""What a reserve and a settle cost in each ledger, beside hand-written SQL in the same run.

Three limits (run, user, tenant), as most calls have. ``floor`` is the least that could hold and
book on three accounts in a file: BEGIN IMMEDIATE, three UPDATEs, COMMIT, twice. It keeps no lease,
so it could neither expire one nor know a repeat; ``same rows`` writes by hand what the ledger
writes, and decides nothing. PostgreSQL (a durable server of its own on loopback) stands beside two
bare round trips. Rates are pairs a second of all processes together, over wall time, the
median of rounds that take turns; waits are of one pair. ``cpu_us`` is what a pair takes of all
processes' CPU time, what those spend who wait included: on a machine with other work, where a rate
is chance, that is what can be compared.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import statistics
import sys
import time
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import psycopg
from measure import figure_of

from agentfuse.ledgers.memory import MemoryLedger
from agentfuse.ledgers.postgres import PostgresLedger
from agentfuse.ledgers.sqlite import SqliteLedger
from agentfuse.runtime.ids import new_id
from agentfuse.runtime.now import run_now
from agentfuse.testing.postgres_server import PostgresServer
from agentfuse.tickets import Amounts, Lease, Limit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agentfuse.ports import Ledger

Row = dict[str, Any]

LIMITS = tuple(
    Limit(scope, name, 10**15)
    for scope, name in [("run", "r1"), ("user", "ann"), ("tenant", "acme")]
)
KEYS = tuple(limit.key for limit in LIMITS)
WORST, TRUE = Amounts(900, 700, 1), Amounts(400, 300, 1)
TARGET_MEMORY_US = 10.0
TARGET_SHARE = 0.6
TASKS = 64
SQLITE_KINDS = ("floor", "same rows", "ledger", "ledger, awaited")
POSTGRES_KINDS = ("two round trips", "postgres")

SAME_ROWS = """
    CREATE TABLE leases (id TEXT PRIMARY KEY, state TEXT, deadline REAL, amount INT, booked INT,
        body TEXT) WITHOUT ROWID;
    CREATE INDEX open_leases ON leases (deadline) WHERE state = 'open';
    CREATE TABLE entries (line INTEGER PRIMARY KEY, at REAL, what TEXT, lease TEXT, amount INT,
        keys TEXT);
"""


def figures(
    *, seconds: float = 1.0, rounds: int = 5, processes: tuple[int, ...] = (1, 2, 4)
) -> Row:
    """Measure every store; ``seconds`` is how long each round of each store lasts."""
    memory = figure_of(partial(pair, MemoryLedger()), 2_000)
    found: Row = {
        "memory": {**memory.as_dict(), "holds": memory.median <= TARGET_MEMORY_US},
        "sqlite": [sqlite_row(count, seconds, rounds) for count in processes],
    }
    with PostgresServer(durable=True) as server:
        found["postgres"] = [
            row_of(POSTGRES_KINDS, count, seconds, rounds, server.url) for count in processes
        ]
    return found


def pair(ledger: Ledger) -> None:
    """Reserve, and settle."""
    name = new_id()
    run_now(ledger.reserve(lease_of(name)))
    run_now(ledger.settle(name, TRUE))


def lease_of(name: str) -> Lease:
    """Write the lease of one call."""
    return Lease(id=name, amount=WORST, estimate=WORST, limits=LIMITS, ttl=600.0, marks=("*",))


def row_of(
    kinds: tuple[str, ...], processes: int, seconds: float, rounds: int, url: str = ""
) -> Row:
    """Measure one number of processes: a ledger, and what is compared with it, in turns."""
    taken: dict[str, list[Row]] = {kind: [] for kind in kinds}
    for _ in range(rounds):
        for kind in kinds:
            with TemporaryDirectory() as folder:
                where = url or str(Path(folder) / "ledger.db")
                taken[kind].append(round_of(kind, where, processes, seconds))
    row: Row = {"processes": processes}
    for kind in kinds:
        row[kind] = {
            name: statistics.median(each[name] for each in taken[kind])
            for name in ("pairs_per_s", "p50_us", "p99_us", "slowest_share", "cpu_us")
        }
    return row


def sqlite_row(processes: int, seconds: float, rounds: int) -> Row:
    """Measure one number of processes, and compare with the floor."""
    row = row_of(SQLITE_KINDS, processes, seconds, rounds)
    ours = row["ledger"]["pairs_per_s"]
    row["of_floor"] = ours / row["floor"]["pairs_per_s"]
    row["of_same_rows"] = ours / row["same rows"]["pairs_per_s"]
    row["floor_cpu_of_ours"] = row["floor"]["cpu_us"] / row["ledger"]["cpu_us"]
    row["floor_cpu_of_awaited"] = row["floor"]["cpu_us"] / row["ledger, awaited"]["cpu_us"]
    row["awaited_of_floor"] = row["ledger, awaited"]["pairs_per_s"] / row["floor"]["pairs_per_s"]
    row["holds"] = row["of_floor"] >= TARGET_SHARE
    return row


def round_of(kind: str, path: str, processes: int, seconds: float) -> Row:
    """Let processes write into one file at the same time, and sum up what each did.

    ``slowest_share`` is the slowest process's part, 1.0 being its fair one.
    """
    make(kind, path)
    context = get_context("spawn")
    start = context.Barrier(processes)
    queue = context.Queue()
    workers = [
        context.Process(target=work, args=(kind, path, seconds, start, queue))
        for _ in range(processes)
    ]
    for worker in workers:
        worker.start()
    told: list[tuple[list[float], float]] = [queue.get(timeout=seconds + 60) for _ in workers]
    for worker in workers:
        worker.join()
    waits = [each for each, _ in told]
    everything = sorted(wait for each in waits for wait in each)
    return {
        "pairs_per_s": len(everything) / seconds,
        "p50_us": everything[len(everything) // 2] * 1e6,
        "p99_us": everything[len(everything) * 99 // 100] * 1e6,
        "slowest_share": min(map(len, waits)) * processes / len(everything),
        "cpu_us": sum(spent for _, spent in told) / len(everything) * 1e6,
    }


def work(kind: str, path: str, seconds: float, start: Any, queue: Any) -> None:
    """Do pairs for so many seconds, and put the time that each took, and the CPU time of all."""
    if kind == "ledger, awaited":
        with SqliteLedger(path, patience=60.0) as ledger:
            queue.put(asyncio.run(awaited_waits(ledger, seconds, start)))
        return
    once = step_of(kind, path)
    once()
    start.wait()
    waits: list[float] = []
    end, spent = time.perf_counter() + seconds, time.process_time()
    while (began := time.perf_counter()) < end:
        once()
        waits.append(time.perf_counter() - began)
    queue.put((waits, time.process_time() - spent))


async def awaited_waits(
    ledger: SqliteLedger, seconds: float, start: Any
) -> tuple[list[float], float]:
    """Do pairs in many tasks of one event loop."""
    face, waits = ledger.awaited(), list[float]()
    await face.balances(KEYS)
    start.wait()
    end, spent = time.perf_counter() + seconds, time.process_time()

    async def task() -> None:
        while (began := time.perf_counter()) < end:
            name = new_id()
            await face.reserve(lease_of(name))
            await face.settle(name, TRUE)
            waits.append(time.perf_counter() - began)

    await asyncio.gather(*(task() for _ in range(TASKS)))
    return waits, time.process_time() - spent


def step_of(kind: str, path: str) -> Callable[[], None]:
    """Give one pair of a kind, as a function."""
    if kind == "ledger":
        return partial(pair, SqliteLedger(path, patience=60.0))
    if kind == "postgres":
        return partial(pair, PostgresLedger(path, patience=60.0))
    if kind == "two round trips":
        return partial(two_round_trips, psycopg.connect(path, autocommit=True))
    db = sqlite3.connect(path, timeout=60.0, isolation_level=None)
    db.execute("PRAGMA synchronous = NORMAL")
    return partial(bare_pair if kind == "floor" else same_rows_pair, db)


def two_round_trips(db: psycopg.Connection[Any]) -> None:
    """Ask the server for nothing, twice."""
    for _ in range(2):
        db.execute("SELECT 1").fetchone()


def make(kind: str, path: str) -> None:
    """Make the file, so that the first one to come does not."""
    if kind in POSTGRES_KINDS:
        return
    if kind.startswith("ledger"):
        with SqliteLedger(path) as ledger:
            pair(ledger)
        return
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("CREATE TABLE accounts (key TEXT PRIMARY KEY, spent INT, held INT) WITHOUT ROWID")
    db.executemany("INSERT INTO accounts VALUES (?, 0, 0)", [(key,) for key in KEYS])
    db.executescript(SAME_ROWS)
    db.close()


def bare_pair(db: sqlite3.Connection) -> None:
    """Hold and book on three accounts, and keep nothing else."""
    for _ in transactions(db):
        pass


def same_rows_pair(db: sqlite3.Connection) -> None:
    """Write by hand what the ledger writes: accounts, the lease, two lines of the trail."""
    name, now, keys = new_id(), time.time(), json.dumps(KEYS)
    body = json.dumps([[limit.scope, limit.id, limit.amount] for limit in LIMITS])
    line = "INSERT INTO entries VALUES (NULL, ?, ?, ?, ?, ?)"
    for what in transactions(db):
        if what == "reserve":
            lease = (name, "open", now + 600, WORST.nanodollars, 0, body)
            db.execute("INSERT INTO leases VALUES (?, ?, ?, ?, ?, ?)", lease)
        else:
            closing = ("settled", TRUE.nanodollars, name)
            db.execute("UPDATE leases SET state = ?, booked = ? WHERE id = ?", closing)
        db.execute(line, (now, what, name, WORST.nanodollars, keys))


def transactions(db: sqlite3.Connection) -> Iterator[str]:
    """Hold and then book, each in a transaction that the caller may add to."""
    for what, held, spent in (
        ("reserve", WORST.nanodollars, 0),
        ("settle", -WORST.nanodollars, TRUE.nanodollars),
    ):
        db.execute("BEGIN IMMEDIATE")
        for key in KEYS:
            db.execute(
                "UPDATE accounts SET held = held + ?, spent = spent + ? WHERE key = ?",
                (held, spent, key),
            )
        yield what
        db.execute("COMMIT")


def main() -> None:
    """Print the figures as JSON; the first argument is how many seconds each round lasts."""
    print(json.dumps(figures(seconds=float((*sys.argv, "1")[1])), indent=1))


if __name__ == "__main__":
    main()
