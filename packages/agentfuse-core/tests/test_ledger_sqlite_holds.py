"""A read that is left open between lines: nothing true is missed, and nobody is held up by it."""

from __future__ import annotations

import os
import sqlite3
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from agentfuse.errors import StoreUnavailable
from agentfuse.ledgers import sqlite as sqlite_ledger
from agentfuse.ledgers.sqlite import SqliteLedger
from agentfuse.runtime.now import run_now
from agentfuse.sqlite_files import Schema, SqliteFile
from agentfuse.tickets import Amounts, Balance, Lease, Limit, Refusal, Stop

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RUN = Limit("run", "r1", 1_000)
SCHEMA = Schema(
    what="test",
    application_id=7,
    version=1,
    statements=("CREATE TABLE kept (name TEXT)", "CREATE TABLE more (name TEXT)"),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def ledger(path: Path) -> Iterator[SqliteLedger]:
    with SqliteLedger(path) as ledger:
        yield ledger


def lease_of(name: str, amount: int = 40) -> Lease:
    """A lease of nanodollars."""
    one = Amounts(amount)
    return Lease(id=name, amount=one, estimate=one, limits=(RUN,), ttl=60.0, marks=("*",))


def spend(ledger: SqliteLedger, times: int = 20, amount: int = 1) -> None:
    """Add lines as fast as it goes."""
    for _ in range(times):
        run_now(ledger.spend((RUN,), Amounts(amount)))


def hold(ledger: SqliteLedger) -> None:
    """Add lines until a read is left open: this machine may stop for a moment between two."""
    end = time.monotonic() + 10.0
    while not ledger._file.is_held:
        assert time.monotonic() < end
        spend(ledger, 1, 0)


def account_of(ledger: SqliteLedger) -> Balance:
    """Read the account."""
    return run_now(ledger.balances([RUN.key]))[0]


def log_of(path: Path) -> int:
    """Begin the write-ahead log anew, and say whether somebody is in the way of that."""
    db = sqlite3.connect(path, timeout=0.0)
    try:
        busy: int = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    finally:
        db.close()
    return busy


def test_others_see_each_line_at_once(path: Path, ledger: SqliteLedger) -> None:
    with SqliteLedger(path) as other:
        hold(ledger)
        for times in range(1, 6):
            spend(ledger, 1)
            assert account_of(other) == Balance(spent=times)


def test_what_others_did_meanwhile_counts(path: Path, ledger: SqliteLedger) -> None:
    """They have taken what was left, given it back, or pulled a kill switch."""
    with SqliteLedger(path) as other:
        hold(ledger)
        assert isinstance(run_now(other.reserve(lease_of("a", 1_000))), Lease)
        assert isinstance(run_now(ledger.reserve(lease_of("b"))), Refusal)
        hold(ledger)
        run_now(other.release("a"))
        assert isinstance(run_now(ledger.reserve(lease_of("c", 1_000))), Lease)
        hold(ledger)
        assert isinstance(run_now(other.reserve(lease_of("d"))), Refusal)
        run_now(other.stop("*", "all"))
        assert run_now(ledger.reserve(lease_of("e", 0))) == Stop(mark="*", reason="all")


def test_a_refusal_is_given_on_what_is_true_now(path: Path, ledger: SqliteLedger) -> None:
    """Nothing is to be written for it, so nothing that is written would fail."""
    with SqliteLedger(path) as other:
        assert isinstance(run_now(other.reserve(lease_of("a", 1_000))), Lease)
        hold(ledger)
        run_now(other.release("a"))
        assert isinstance(run_now(ledger.reserve(lease_of("b", 1_000))), Lease)


def test_a_pause_leaves_the_file_to_others(path: Path, ledger: SqliteLedger) -> None:
    hold(ledger)
    end = time.monotonic() + 10.0
    while ledger._file.is_held:
        assert time.monotonic() < end
        time.sleep(0.01)
    assert log_of(path) == 0
    spend(ledger, 3)
    assert account_of(ledger) == Balance(spent=3)


def test_the_log_stays_short_while_lines_are_added_without_a_pause(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is copied, and begun anew, between reads: at the latest when lines are folded."""
    schema = replace(sqlite_ledger._schema(), checkpoint=200)
    monkeypatch.setattr(sqlite_ledger, "_schema", lambda: schema)
    with SqliteLedger(path) as ledger:
        spend(ledger, 3_000)
        longest = path.with_name("ledger.db-wal").stat().st_size
    assert longest < 1_500 * 2_048


def test_the_file_is_closed_and_opened_again(path: Path, ledger: SqliteLedger) -> None:
    hold(ledger)
    spend(ledger, 2)
    ledger.close()
    assert log_of(path) == 0
    spend(ledger, 2)
    assert account_of(ledger) == Balance(spent=4)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_leaves_the_read_to_its_parent(path: Path, ledger: SqliteLedger) -> None:
    hold(ledger)
    spend(ledger, 1)
    child = os.fork()
    if child == 0:
        spend(ledger, 50)
        hold(ledger)
        os._exit(0 if account_of(ledger) == Balance(spent=51) else 1)
    assert os.waitpid(child, 0)[1] == 0
    spend(ledger, 50)
    assert account_of(ledger) == Balance(spent=101)


def names_of(db: sqlite3.Connection) -> list[str]:
    """Read what is kept."""
    return [row[0] for row in db.execute("SELECT name FROM kept")]


def keep(file: SqliteFile, name: str) -> None:
    """Keep a name by one statement."""
    file.read(lambda db: db.execute("INSERT INTO kept VALUES (?)", (name,)))


def test_writes_go_on_from_one_another_until_another_process_writes(path: Path) -> None:
    mine, theirs = SqliteFile(path, SCHEMA), SqliteFile(path, SCHEMA)
    keep(mine, "a")
    mine.hold()
    keep(mine, "b")
    assert theirs.read(names_of) == ["a", "b"]
    assert log_of(path) == 1
    keep(theirs, "c")
    assert mine.read(names_of) == ["a", "b"]
    with pytest.raises(StoreUnavailable, match="locked"):
        keep(mine, "d")
    mine.let_go()
    keep(mine, "d")
    assert mine.read(names_of) == ["a", "b", "c", "d"]
    mine.close()
    theirs.close()
