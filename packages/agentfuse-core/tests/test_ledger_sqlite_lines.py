"""What processes know of each other's lines, how lines are folded, and what people read."""

from __future__ import annotations

import sqlite3
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from agentfuse.errors import ConfigurationError
from agentfuse.ledgers import sqlite_tail
from agentfuse.ledgers.faces import Face
from agentfuse.ledgers.sqlite import SqliteLedger
from agentfuse.runtime.ids import new_id
from agentfuse.runtime.now import run_now
from agentfuse.testing import FrozenClock, LedgerContract
from agentfuse.tickets import Amounts, Balance, Lease, Limit, Refusal, Settlement, Stop

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentfuse.ports import Clock, Ledger

RUN = Limit("run", "r1", 1_000)
# What version 1 of the ledger wrote, as SQL, but for line 1 of `entries`: it was pruned.
VERSION_1 = Path(__file__).parent / "data" / "ledger-1.sql"


class InTurns(Face):
    """Several ledgers over one file, each of which does one command after another has done one."""

    def __init__(self, ledgers: list[SqliteLedger]) -> None:
        self._next = cycle(ledgers)

    async def _ask(self, command: str, *arguments: Any) -> Any:
        return await next(self._next)._ask(command, *arguments)


class TestInTurns(LedgerContract):
    """Ledgers that know of each other's steps by what they read alone keep the contract."""

    examples = 40
    lines_per_fold = 5

    @pytest.fixture(autouse=True)
    def _fresh_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        monkeypatch.setattr(sqlite_tail, "LINES_PER_FOLD", self.lines_per_fold)
        self.folder = tmp_path
        self.files: list[SqliteLedger] = []
        yield
        for file in self.files:
            file.close()

    @pytest.fixture(autouse=True)
    def _fresh_ledger(self, _fresh_folder: None) -> None:
        self.time = self.clock()
        self.books = self.ledger(self.time)

    def ledger(self, clock: Clock) -> Ledger:
        """Give an empty ledger."""
        path = self.folder / f"ledger-{len(self.files)}.db"
        ledgers = [SqliteLedger(path, clock=clock) for _ in range(3)]
        self.files += ledgers
        return InTurns(ledgers)


class TestUnfolded(TestInTurns):
    """The same where nothing is folded."""

    examples = 20
    lines_per_fold = 10**6


def lease_of(name: str, amount: int = 40, *limits: Limit, ttl: float = 60.0) -> Lease:
    """A lease of nanodollars, half of which are expected."""
    estimate = Amounts(amount // 2)
    return Lease(
        id=name, amount=Amounts(amount), estimate=estimate, limits=limits or (RUN,), ttl=ttl
    )


def account_of(ledger: SqliteLedger, limit: Limit = RUN) -> Balance:
    """Read an account."""
    return run_now(ledger.balances([limit.key]))[0]


def rows_of(path: Path, query: str) -> list[tuple[Any, ...]]:
    """Ask the file, as a person would."""
    db = sqlite3.connect(path)
    try:
        return db.execute(query).fetchall()
    finally:
        db.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.mark.parametrize("folded", [True, False])
def test_people_read_what_is_true_whether_it_was_folded_or_not(
    path: Path, monkeypatch: pytest.MonkeyPatch, *, folded: bool
) -> None:
    """The views of accounts and leases say what the ledger says."""
    monkeypatch.setattr(sqlite_tail, "LINES_PER_FOLD", 2 if folded else 100)
    clock = FrozenClock()
    with SqliteLedger(path, clock=clock) as ledger:
        for name in ("a", "b", "c", "d", "e"):
            run_now(ledger.reserve(lease_of(name, ttl=9.0 if name == "c" else 60.0)))
        run_now(ledger.settle("a", Amounts(25)))
        run_now(ledger.release("b"))
        run_now(ledger.renew("d", 99.0))
        clock.advance(10)
        assert account_of(ledger) == Balance(spent=45, held=80)
        deadlines = {each.id: each.deadline for each in run_now(ledger.open_leases())}
    assert rows_of(path, "SELECT key, spent, held FROM accounts") == [(RUN.key, 45, 80)]
    leases = rows_of(path, "SELECT id, state, booked_nanodollars, nanodollars FROM leases")
    assert sorted(leases) == [
        ("a", "settled", 25, 40),
        ("b", "released", 0, 40),
        ("c", "expired", 20, 40),
        ("d", "open", 0, 40),
        ("e", "open", 0, 40),
    ]
    kept = rows_of(path, "SELECT id, deadline FROM leases WHERE state = 'open'")
    assert dict(kept) == deadlines


def test_a_process_that_comes_later_reads_few_lines(path: Path) -> None:
    """Everything before is folded, and nothing of it is lost."""
    with SqliteLedger(path) as ledger:
        for _ in range(700):
            name = new_id()
            run_now(ledger.reserve(lease_of(name, 1)))
            run_now(ledger.settle(name, Amounts(1)))
        assert isinstance(run_now(ledger.reserve(lease_of("last", 1))), Lease)
    left = rows_of(path, "SELECT max(entries.line) - folded FROM entries, pruning")[0][0]
    assert left < sqlite_tail.LINES_PER_FOLD
    with SqliteLedger(path) as ledger:
        assert account_of(ledger) == Balance(spent=700, held=1)
        again = run_now(ledger.settle(name, Amounts(9)))
        assert again == Settlement(booked=Amounts(1), repeated=True, spent=(700,))
        assert isinstance(run_now(ledger.reserve(lease_of(name, 400))), Lease)
        assert account_of(ledger) == Balance(spent=700, held=1)


def test_a_refusal_is_given_on_what_is_true_now(path: Path) -> None:
    """Another process has made room meanwhile, or taken it."""
    with SqliteLedger(path) as mine, SqliteLedger(path) as theirs:
        assert isinstance(run_now(mine.reserve(lease_of("a", 1_000))), Lease)
        assert isinstance(run_now(theirs.reserve(lease_of("b", 1))), Refusal)
        run_now(mine.release("a"))
        assert isinstance(run_now(theirs.reserve(lease_of("b", 600))), Lease)
        assert isinstance(run_now(mine.reserve(lease_of("c", 600))), Refusal)
        run_now(theirs.stop("*"))
        stopped = run_now(
            mine.reserve(
                Lease(
                    id="d",
                    amount=Amounts(),
                    estimate=Amounts(),
                    limits=(RUN,),
                    ttl=9.0,
                    marks=("*",),
                )
            )
        )
        assert stopped == Stop(mark="*")


def test_a_process_that_slept_while_lines_were_pruned_reads_all_anew(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It misses the lines it has not read, and does not go on from where it was."""
    with SqliteLedger(path) as sleeper, SqliteLedger(path) as other:
        run_now(sleeper.spend((RUN,), Amounts(3)))
        for _ in range(600):
            run_now(other.spend((RUN,), Amounts(1)))
        db = sqlite3.connect(path)
        db.execute("DELETE FROM entries WHERE line <= (SELECT folded FROM pruning)")
        db.commit()
        db.close()
        assert account_of(sleeper) == Balance(spent=603)
        run_now(sleeper.spend((RUN,), Amounts(1)))
        assert account_of(other) == Balance(spent=604)


def test_a_backup_that_is_put_into_the_file_counts(path: Path, tmp_path: Path) -> None:
    """A process that runs on goes on from what is in the file, not from what it remembers."""
    backup = sqlite3.connect(tmp_path / "backup.db")
    with SqliteLedger(path) as ledger:
        run_now(ledger.spend((RUN,), Amounts(3)))
        file = sqlite3.connect(path)
        file.backup(backup)
        for _ in range(5):
            run_now(ledger.spend((RUN,), Amounts(100)))
        backup.backup(file)
        file.close()
        backup.close()
        assert account_of(ledger) == Balance(spent=3)
        run_now(ledger.spend((RUN,), Amounts(1)))
        assert account_of(ledger) == Balance(spent=4)


def test_a_file_of_version_1_is_upgraded_with_all_that_is_in_it(path: Path) -> None:
    """Leases open, renewed and closed, accounts, switches, claims and the trail."""
    db = sqlite3.connect(path)
    db.executescript(VERSION_1.read_text("utf-8"))
    db.close()
    day = Limit("user", "ann", 500, window="2027-01-15", resets=1_800_050_000.0)
    rate = Limit("user", "ann", 100, unit="requests", pace=1_000_000)
    keys = [RUN.key, day.key, rate.key]
    with SqliteLedger(path, clock=FrozenClock(1_800_000_070.0)) as ledger:
        assert run_now(ledger.balances(keys)) == (
            Balance(spent=85, held=80),
            Balance(spent=78, held=80),
            Balance(spent=3, held=2),
        )
        held = run_now(ledger.open_leases())
        assert [(each.id, each.deadline, each.ttl) for each in held] == [
            ("open", 1_800_000_600.0, 600.0),
            ("renewed", 1_800_000_930.0, 900.0),
        ]
        assert held[0].limits == (RUN, day, rate)
        assert held[0].note == 'it\'s "open"'
        assert [each.what for each in run_now(ledger.trail())][-3:] == ["settle", "spend", "stop"]
        assert run_now(ledger.stops()) == (Stop(mark="run:r2", reason="it loops"),)
        assert not run_now(ledger.claim("alert"))
        assert run_now(ledger.settle("settled", Amounts(9))).repeated
        assert run_now(ledger.settle("late", Amounts(9))).booked == Amounts(33, 1, 1)
        corrected = run_now(ledger.settle("expired", Amounts(30, 1, 1)))
        assert corrected == Settlement(booked=Amounts(30, 1, 1), spent=(95, 88, 3))
        assert run_now(ledger.settle("open", Amounts(1, 1, 1))).spent == (96, 89, 4)
        run_now(ledger.release("renewed"))
    with SqliteLedger(path, clock=FrozenClock(1_800_000_070.0)) as ledger:
        assert account_of(ledger) == Balance(spent=96)
        assert run_now(ledger.open_leases()) == ()


def test_a_file_of_version_1_books_what_expired_since(path: Path) -> None:
    db = sqlite3.connect(path)
    db.executescript(VERSION_1.read_text("utf-8"))
    db.close()
    with SqliteLedger(path, clock=FrozenClock(1_800_000_700.0)) as ledger:
        assert account_of(ledger) == Balance(spent=85 + 20, held=40)
    assert ("open", "expired") in rows_of(path, "SELECT id, state FROM leases")


def test_a_lease_without_an_end_in_numbers_is_turned_away(path: Path) -> None:
    with SqliteLedger(path) as ledger:
        with pytest.raises(ConfigurationError, match="NaN"):
            run_now(ledger.reserve(lease_of("a", ttl=float("nan"))))
        assert isinstance(run_now(ledger.reserve(lease_of("a", ttl=float("inf")))), Lease)
        assert account_of(ledger) == Balance(held=40)
    assert rows_of(path, "SELECT ttl FROM leases") == [(float("inf"),)]
