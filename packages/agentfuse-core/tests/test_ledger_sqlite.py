"""The ledger in a file keeps the contract, for many processes, through kills and restarts."""

from __future__ import annotations

import asyncio
import gc
import os
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count
from operator import methodcaller
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from agentfuse.errors import ConfigurationError, StoreUnavailable
from agentfuse.ledgers.sqlite import SqliteLedger
from agentfuse.runtime.now import run_now
from agentfuse.sqlite_files import Schema, SqliteFile
from agentfuse.testing import LedgerContract
from agentfuse.testing.ways import Awaited
from agentfuse.tickets import Amounts, Balance, Lease, Limit, Refusal, Settlement, Stop

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Future

    from agentfuse.ledgers.group_commit import Job
    from agentfuse.ledgers.sqlite_books import Books
    from agentfuse.ports import Clock, Ledger


class TestBlocking(LedgerContract):
    """For blocking callers."""

    examples = 30

    @pytest.fixture(autouse=True)
    def _fresh_folder(self, tmp_path: Path) -> Iterator[None]:
        self.folder = tmp_path
        self.files: list[SqliteLedger] = []
        yield
        for file in self.files:
            file.close()

    @pytest.fixture(autouse=True)
    def _fresh_ledger(self, _fresh_folder: None) -> None:
        self.time = self.clock()
        self.books = self.ledger(self.time)

    def file(self, clock: Clock) -> SqliteLedger:
        """Begin a new file."""
        ledger = SqliteLedger(self.folder / f"ledger-{len(self.files)}.db", clock=clock)
        self.files.append(ledger)
        return ledger

    def ledger(self, clock: Clock) -> Ledger:
        """Give an empty ledger."""
        return self.file(clock)


class TestAwaited(Awaited, TestBlocking):
    """For awaiting callers."""

    examples = 5

    def ledger(self, clock: Clock) -> Ledger:
        """Give an empty ledger."""
        return self.file(clock).awaited()


# What another process does to the ledger named in its first argument.
OTHER = """
import os, sys, time
from agentfuse.ledgers.sqlite import SqliteLedger
from agentfuse.runtime.now import run_now
from agentfuse.tickets import Amounts, Lease, Limit
ledger = SqliteLedger(sys.argv[1], patience=30.0)
RUN = Limit("run", "r1", int(sys.argv[2]))
def lease(name, amount, ttl=60.0):
    half = Amounts(amount // 2)
    return Lease(id=name, amount=Amounts(amount), estimate=half, limits=(RUN,), ttl=ttl)
"""
RUN = Limit("run", "r1", 1_000)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "ledger.db"


@pytest.fixture
def ledger(path: Path) -> Iterator[SqliteLedger]:
    with SqliteLedger(path, patience=0.5) as ledger:
        yield ledger


def begun(path: Path, script: str, limit: int, *arguments: str) -> subprocess.Popen[str]:
    """Start another process that runs ``script``."""
    command = [sys.executable, "-c", OTHER + script, str(path), str(limit), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def said(process: subprocess.Popen[str]) -> str:
    """Wait for another process, and give what it printed."""
    out, _ = process.communicate(timeout=50)
    assert process.returncode == 0
    return out.strip()


def until_settled(process: subprocess.Popen[str]) -> list[str]:
    """Wait until another process, which may be slow to start, has settled something."""
    assert process.stdout is not None
    lines = [process.stdout.readline().strip()]
    while lines[-1] != "settled":
        assert lines[-1], "it ended by itself"
        lines.append(process.stdout.readline().strip())
    return lines


def lease_of(name: str, amount: int = 40, *limits: Limit, ttl: float = 60.0) -> Lease:
    """A lease of nanodollars, half of which are expected."""
    estimate = Amounts(amount // 2)
    return Lease(
        id=name, amount=Amounts(amount), estimate=estimate, limits=limits or (RUN,), ttl=ttl
    )


def account_of(ledger: SqliteLedger, limit: Limit = RUN) -> Balance:
    """Read an account."""
    return run_now(ledger.balances([limit.key]))[0]


def test_processes_together_never_pass_the_limit_and_lose_nothing(path: Path) -> None:
    """Four processes, one limit, many calls: what they say they booked is what is booked."""
    script = """
booked = 0
for turn in range(150):
    name = f"{sys.argv[3]}-{turn}"
    if isinstance(run_now(ledger.reserve(lease(name, 9))), Lease):
        balance = run_now(ledger.balances([RUN.key]))[0]
        assert balance.spent + balance.held <= RUN.amount, balance
        booked += run_now(ledger.settle(name, Amounts(7))).booked.nanodollars
print(booked)
"""
    others = [begun(path, script, 2_000, name) for name in "abcd"]
    booked = [int(said(other)) for other in others]
    with SqliteLedger(path) as ledger:
        assert account_of(ledger) == Balance(spent=sum(booked))
        assert sum(booked) > 2_000 - 4 * 9
        assert run_now(ledger.open_leases()) == ()


def test_what_a_killed_process_held_is_booked_at_its_estimate(
    path: Path, ledger: SqliteLedger
) -> None:
    """A reservation that was answered outlives its process; another one books it."""
    script = """
run_now(ledger.reserve(lease("a", 40, ttl=1.0)))
print("held", flush=True)
time.sleep(60)
"""
    other = begun(path, script, RUN.amount)
    assert other.stdout is not None
    assert other.stdout.readline().strip() == "held"
    assert account_of(ledger) == Balance(held=40)
    other.kill()
    other.communicate()
    assert [lease.id for lease in run_now(ledger.open_leases())] == ["a"]
    time.sleep(1.0)
    assert account_of(ledger) == Balance(spent=20)
    assert run_now(ledger.settle("a", Amounts(33))).spent == (33,)


def test_processes_that_are_killed_at_random_lose_no_settled_money(path: Path) -> None:
    """Whatever was answered before the kill is in the books after it."""
    script = """
for turn in range(10_000):
    name = f"{sys.argv[3]}-{turn}"
    run_now(ledger.reserve(lease(name, 9)))
    print("asked", flush=True)
    run_now(ledger.settle(name, Amounts(7)))
    print("settled", flush=True)
"""
    others = [begun(path, script, 10**9, name) for name in "ab"]
    begun_with = [until_settled(other) for other in others]
    time.sleep(1.0)
    for other in others:
        other.kill()
    lines = [*begun_with, *(other.communicate()[0].split() for other in others)]
    asked = sum(each.count("asked") for each in lines)
    settled = sum(each.count("settled") for each in lines)
    assert settled > 0
    with SqliteLedger(path) as ledger:
        balance = account_of(ledger)
        assert balance.spent % 7 == balance.held % 9 == 0
        assert settled <= balance.spent // 7 <= asked
        assert balance.held // 9 <= len(others)
        entries = run_now(ledger.trail(100_000))
        booked = sum(each.amount.nanodollars for each in entries if each.what == "settle")
        assert booked == balance.spent


def test_a_restart_keeps_everything(path: Path) -> None:
    """Spent, held, stopped, claimed and told: all of it."""
    with SqliteLedger(path) as first:
        run_now(first.reserve(lease_of("a")))
        run_now(first.reserve(lease_of("b")))
        run_now(first.settle("b", Amounts(30)))
        run_now(first.stop("run:r1", "it loops"))
        run_now(first.claim("alert"))
        leases, trail = run_now(first.open_leases()), run_now(first.trail())
    with SqliteLedger(path) as second:
        assert account_of(second) == Balance(spent=30, held=40)
        assert run_now(second.open_leases()) == leases
        assert run_now(second.trail()) == trail
        assert run_now(second.stops()) == (Stop(mark="run:r1", reason="it loops"),)
        assert not run_now(second.claim("alert"))
        assert run_now(second.settle("b", Amounts(99))).repeated


def test_a_whole_lease_survives_the_file(path: Path) -> None:
    """Each field of each limit comes back as it was."""
    limits = (
        Limit("user", "ann", 9, unit="requests", window="day", resets=1.5, counted=("x", "y")),
        Limit("team", "red", 10**15, unit="tokens", pace=250),
    )
    amount = Amounts(5, 6, 7)
    asked = Lease(
        id="a", amount=amount, estimate=amount, limits=limits, ttl=5, marks=("*",), note="ann"
    )
    with SqliteLedger(path) as first:
        held = run_now(first.reserve(asked))
    with SqliteLedger(path) as second:
        assert run_now(second.open_leases()) == (held,)
        assert run_now(second.reserve(asked)) == held


def test_each_process_sees_at_once_what_another_did(path: Path, ledger: SqliteLedger) -> None:
    """What is remembered between transactions is dropped when another process writes."""
    run_now(ledger.reserve(lease_of("a")))
    run_now(ledger.reserve(lease_of("b")))
    assert account_of(ledger) == Balance(held=80)
    script = """
print(run_now(ledger.settle("a", Amounts(25))).booked.nanodollars)
run_now(ledger.release("b"))
run_now(ledger.stop("*", "all of it"))
"""
    assert said(begun(path, script, RUN.amount)) == "25"
    assert account_of(ledger) == Balance(spent=25)
    again = run_now(ledger.settle("a", Amounts(1)))
    assert again == Settlement(booked=Amounts(25), repeated=True, spent=(25,))
    assert not run_now(ledger.renew("b", 60.0))
    marked = replace(lease_of("c"), marks=("*",))
    assert run_now(ledger.reserve(marked)) == Stop(mark="*", reason="all of it")


def test_no_process_starves_beside_another(path: Path) -> None:
    """Each of three that write without a pause gets its turns (SQLite's own lock is not fair)."""
    script = """
import statistics
done, waits = 0, []
end = time.monotonic() + 3.0
while time.monotonic() < end:
    start = time.monotonic()
    run_now(ledger.spend((RUN,), Amounts(1)))
    waits.append(time.monotonic() - start)
print(len(waits), max(waits))
"""
    others = [begun(path, script, RUN.amount) for _ in range(3)]
    shares, longest = zip(
        *((float(n) for n in said(other).split()) for other in others), strict=True
    )
    assert min(shares) > 0.1 * sum(shares)
    assert max(longest) < 1.5


def test_a_file_that_is_damaged_is_left_as_it_is(path: Path) -> None:
    """There is money in it: nobody may begin another in its place."""
    path.parent.mkdir()
    garbage = b"this was a ledger once, and it is long enough" * 100
    path.write_bytes(garbage)
    with SqliteLedger(path) as ledger:
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match=r"damaged.*backup"):
                account_of(ledger)
        assert path.read_bytes() == garbage
        path.unlink()
        assert account_of(ledger) == Balance()
    assert not list(path.parent.glob("*.corrupt-*"))


def test_another_programs_file_is_left_as_it_is(path: Path) -> None:
    """A wrong path destroys nothing."""
    path.parent.mkdir()
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE theirs (x)")
    db.close()
    with pytest.raises(StoreUnavailable, match="no ledger but another database"):
        account_of(SqliteLedger(path))
    db = sqlite3.connect(path)
    assert [row[0] for row in db.execute("SELECT name FROM sqlite_master")] == ["theirs"]
    db.close()


def test_a_newer_version_is_left_alone(path: Path) -> None:
    """An older program says so, and touches nothing."""
    with SqliteLedger(path) as ledger:
        run_now(ledger.spend((RUN,), Amounts(3)))
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 3")
    db.close()
    with pytest.raises(StoreUnavailable, match="update AgentFuse"):
        account_of(SqliteLedger(path))


def test_an_older_version_is_upgraded_step_by_step(path: Path) -> None:
    """What was in it is still there."""
    make = ("CREATE TABLE words (word TEXT)", "INSERT INTO words VALUES ('kept')")
    first = Schema(what="test", application_id=7, version=1, statements=make)
    file = SqliteFile(path, first)
    file.write(lambda db: None)
    file.close()
    steps = (
        ("ALTER TABLE words ADD COLUMN n INTEGER DEFAULT 5",),
        ("CREATE INDEX by_n ON words (n)", "UPDATE words SET n = n + 1"),
    )
    third = Schema(what="test", application_id=7, version=3, statements=(), upgrades=steps)
    file = SqliteFile(path, third)
    assert file.read(lambda db: db.execute("SELECT word, n FROM words").fetchall()) == [("kept", 6)]
    assert file.read(lambda db: db.execute("PRAGMA user_version").fetchone()) == (3,)
    file.close()


@pytest.mark.parametrize("wrong", ["folder", "no folder"])
def test_a_path_that_cannot_be_a_file_is_told(tmp_path: Path, wrong: str) -> None:
    """As StoreUnavailable, whatever the operating system says."""
    (tmp_path / "file").write_text("no folder")
    path = tmp_path if wrong == "folder" else tmp_path / "file" / "ledger.db"
    with pytest.raises(StoreUnavailable, match="ledger"):
        run_now(SqliteLedger(path).reserve(lease_of("a")))


def test_a_file_that_cannot_be_written_books_nothing_and_can_be_read(path: Path) -> None:
    """A refusal of the file system closes the budget, and what is in it can still be asked."""
    with SqliteLedger(path) as ledger:
        run_now(ledger.reserve(lease_of("a")))
        ledger._file.read(lambda db: db.execute("PRAGMA query_only = ON"))
        assert account_of(ledger) == Balance(held=40)
        with pytest.raises(StoreUnavailable, match="readonly"):
            run_now(ledger.reserve(lease_of("b")))
        assert account_of(ledger) == Balance(held=40)


def test_a_full_disk_refuses_and_forgets_nothing(path: Path, ledger: SqliteLedger) -> None:
    """What could not be written was not booked, and what comes after the cleaning up is."""
    run_now(ledger.reserve(lease_of("a")))

    def fill(db: sqlite3.Connection) -> None:
        pages = db.execute("PRAGMA page_count").fetchone()[0]
        db.execute(f"PRAGMA max_page_count = {pages}")

    ledger._file.read(fill)
    notes = "x" * 5_000
    with pytest.raises(StoreUnavailable, match="full"):
        run_now(ledger.reserve(replace(lease_of("b"), note=notes)))
    # The failed call closed the connection, and with it went the ceiling.
    assert account_of(ledger) == Balance(held=40)
    assert isinstance(run_now(ledger.reserve(replace(lease_of("b"), note=notes))), Lease)
    assert account_of(ledger) == Balance(held=80)


def test_a_locked_file_is_told_and_works_again_afterwards(path: Path, ledger: SqliteLedger) -> None:
    """Another program that takes too long costs one call; reading goes on meanwhile."""
    run_now(ledger.reserve(lease_of("a")))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match=r"ledger\.db was locked .* for 0.5 s"):
        run_now(ledger.settle("a", Amounts(3)))
    assert account_of(ledger) == Balance(held=40)
    other.execute("ROLLBACK")
    other.close()
    assert run_now(ledger.settle("a", Amounts(3))) == Settlement(booked=Amounts(3), spent=(3,))


def test_the_loop_goes_on_while_the_file_is_waited_for(path: Path, ledger: SqliteLedger) -> None:
    """A locked file holds up one task, not the loop."""
    run_now(ledger.reserve(lease_of("a")))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    async def main() -> int:
        settling = asyncio.create_task(ledger.awaited().settle("a", Amounts(3)))
        turns = 0
        for _ in range(20):
            await asyncio.sleep(0.005)
            turns += not settling.done()
        other.execute("ROLLBACK")
        await settling
        return turns

    assert asyncio.run(main()) == 20
    assert account_of(ledger) == Balance(spent=3)
    other.close()


def test_a_file_put_in_its_place_is_used(path: Path, ledger: SqliteLedger) -> None:
    """A backup that was put back counts for processes that were running, too."""
    run_now(ledger.reserve(lease_of("a")))
    for part in path.parent.iterdir():
        part.unlink()
    time.sleep(0.15)
    assert account_of(ledger) == Balance()
    assert isinstance(run_now(ledger.reserve(lease_of("a"))), Lease)
    assert path.exists()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_opens_the_file_anew(path: Path, ledger: SqliteLedger) -> None:
    """Neither connection, lock nor thread is used across a fork."""
    run_now(ledger.reserve(lease_of("a")))
    asyncio.run(ledger.awaited().renew("a", 60.0))
    child = os.fork()
    if child == 0:
        asyncio.run(ledger.awaited().reserve(lease_of("b")))
        os._exit(0 if run_now(ledger.settle("a", Amounts(7))).booked == Amounts(7) else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert account_of(ledger) == Balance(spent=7, held=40)
    asyncio.run(ledger.awaited().release("b"))
    assert account_of(ledger) == Balance(spent=7)


def test_what_waits_together_is_written_together(ledger: SqliteLedger) -> None:
    """Ten commands of an event loop and one of a thread: one transaction."""
    batches = watched(ledger)
    with ledger._queue._door:
        futures = [submitted(ledger, lease_of(str(n), 9)) for n in range(10)]
        futures[0].cancel()
    answers = [future.result(5) for future in futures[1:]]
    assert all(isinstance(answer, Lease) for answer in answers)
    assert account_of(ledger) == Balance(held=81)
    assert max(batches) == 9


def test_one_command_that_fails_fails_alone(ledger: SqliteLedger) -> None:
    """The others of its transaction are written all the same."""

    def broken(books: Books) -> None:
        books.spend((RUN,), Amounts(500), "half done")
        raise ZeroDivisionError

    with ledger._queue._door:
        first = submitted(ledger, lease_of("a", 9))
        failing = ledger._queue.submit(broken)
        last = submitted(ledger, lease_of("b", 9))
    with pytest.raises(ZeroDivisionError):
        failing.result(5)
    assert isinstance(first.result(5), Lease)
    assert isinstance(last.result(5), Lease)
    assert account_of(ledger) == Balance(held=18)


def test_an_interrupted_thread_leaves_the_others_their_commands(
    ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Control-C in the thread that writes for others books neither twice nor never."""
    interrupts = [KeyboardInterrupt()]

    def interrupted(books: Books) -> None:
        books.spend((RUN,), Amounts(500), "half done")
        if interrupts:
            raise interrupts.pop()

    # The ledger's thread is not called: the blocking caller leads.
    monkeypatch.setattr(ledger._queue, "_call", lambda: None)
    other = ledger._queue.submit(lambda books: books.spend((RUN,), Amounts(3), ""))
    with pytest.raises(KeyboardInterrupt):
        ledger._queue.do(interrupted)
    assert account_of(ledger) == Balance(spent=3)
    assert other.done()


def test_two_loops_may_share_a_ledger(ledger: SqliteLedger) -> None:
    """Each awaits its own commands."""
    face = ledger.awaited()

    async def work(name: str) -> int:
        await asyncio.gather(*(face.reserve(lease_of(f"{name}{n}", 9)) for n in range(20)))
        settled = await asyncio.gather(*(face.settle(f"{name}{n}", Amounts(7)) for n in range(20)))
        return sum(each.booked.nanodollars for each in settled)

    with ThreadPoolExecutor(2) as pool:
        booked = list(pool.map(lambda name: asyncio.run(work(name)), "ab"))
    assert booked == [140, 140]
    assert account_of(ledger) == Balance(spent=280)


def test_a_closed_ledger_opens_again(ledger: SqliteLedger) -> None:
    """Closing ends the thread and the connection, not the ledger."""
    asyncio.run(ledger.awaited().reserve(lease_of("a")))
    ledger.close()
    ledger.close()
    assert not threads_of_ledgers()
    assert asyncio.run(ledger.awaited().settle("a", Amounts(3))).booked == Amounts(3)


def test_a_ledger_that_is_dropped_writes_what_waits_and_ends_its_thread(path: Path) -> None:
    ledger = SqliteLedger(path)
    asyncio.run(ledger.awaited().spend((RUN,), Amounts(1)))
    ledger._queue.submit(methodcaller("spend", (RUN,), Amounts(2), ""))
    thread = ledger._queue._thread
    assert thread is not None
    del ledger
    wait_for_the_end_of(thread)
    with SqliteLedger(path) as again:
        assert account_of(again) == Balance(spent=3)


def test_a_ledger_that_is_dropped_while_it_holds_its_file_ends_its_thread(path: Path) -> None:
    ledger = SqliteLedger(path)
    hold(ledger)
    thread = ledger._queue._thread
    assert thread is not None
    del ledger
    wait_for_the_end_of(thread)


def test_a_ledger_that_was_closed_looks_for_pauses_again(ledger: SqliteLedger) -> None:
    for _ in range(2):
        hold(ledger)
        assert threads_of_ledgers()
        ledger.close()


def hold(ledger: SqliteLedger) -> None:
    """Add lines until a read is left open: this machine may stop for a moment between two."""
    end = time.monotonic() + 10
    while not ledger._file.is_held:
        assert time.monotonic() < end
        run_now(ledger.spend((RUN,), Amounts(1)))


def wait_for_the_end_of(thread: threading.Thread) -> None:
    """Wait for the end of a thread whose ledger was dropped: it may be busy as yet."""
    tries = count()
    while thread.is_alive():
        assert next(tries) < 10
        gc.collect()  # holds all threads up, for a second where many tests have run before
        thread.join(1)


def threads_of_ledgers() -> list[threading.Thread]:
    """List the threads that write for ledgers."""
    return [each for each in threading.enumerate() if each.name == "agentfuse-ledger"]


def test_nothing_is_opened_before_the_first_use(path: Path) -> None:
    """Making a ledger touches no disk."""
    SqliteLedger(path)
    assert not path.parent.exists()


@pytest.mark.parametrize("name", ["a\0b", "\ud800"])
def test_names_that_no_database_keeps_are_turned_away(ledger: SqliteLedger, name: str) -> None:
    """They come from outside: a user's id, a note."""
    for step in (
        ledger.reserve(lease_of(name)),
        ledger.reserve(lease_of("a", 1, Limit("user", name, 9))),
        ledger.reserve(lease_of("a", 1, Limit("user", "u", 9, counted=(name,)))),
        ledger.settle(name, Amounts(1)),
        ledger.balances([name]),
        ledger.stop("*", name),
        ledger.claim(name),
    ):
        with pytest.raises(ConfigurationError, match="a ledger keeps n"):
            run_now(step)
    assert run_now(ledger.trail()) == ()


def test_an_account_that_is_full_stays_full(ledger: SqliteLedger) -> None:
    """Sums beyond what SQLite holds break nothing, and leave no room."""
    rate = Limit("user", "u1", 2**53, unit="tokens", pace=10**6)
    for _ in range(600):
        run_now(ledger.spend((RUN, rate), Amounts(2**53, 2**53)))
    assert account_of(ledger).spent == 2**62
    assert isinstance(run_now(ledger.reserve(lease_of("a", 1))), Refusal)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///ledger.db", "ledger.db"),
        ("sqlite:///a/my%20ledger.db", "a/my ledger.db"),
        ("sqlite:////var/lib/ledger.db", "/var/lib/ledger.db"),
    ],
)
def test_a_url_names_the_file(url: str, path: str) -> None:
    """Relative with three slashes, absolute with four."""
    assert SqliteLedger.from_url(url).path == Path(path)


@pytest.mark.parametrize(
    "url", ["sqlite://ledger.db", "sqlite:///", "sqlite:///a?mode=ro", "mysql:///a", "ledger.db"]
)
def test_a_url_that_names_no_file_is_turned_away(url: str) -> None:
    """With the two forms that do."""
    with pytest.raises(ConfigurationError, match="sqlite:///relative"):
        SqliteLedger.from_url(url)


def watched(ledger: SqliteLedger) -> list[int]:
    """Note the size of each batch that is written from now on."""
    sizes: list[int] = []
    write = ledger._queue._transact

    def noted(batch: Sequence[Job[Books, Any]]) -> None:
        sizes.append(len(batch))
        write(batch)

    ledger._queue._transact = noted
    return sizes


def submitted(ledger: SqliteLedger, lease: Lease) -> Future[Lease | Refusal | Stop]:
    """Reserve as the awaited face does."""
    return ledger._queue.submit(lambda books: books.reserve(lease))
