"""The spend book outlives its process, takes several writers, and never stops a call."""

from __future__ import annotations

import gc
import logging
import os
import sqlite3
import subprocess
import sys
import threading
import time
import weakref
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from agentfuse.errors import StoreUnavailable
from agentfuse.observe import batches, spend_book
from agentfuse.observe.spend_book import SpendBook
from agentfuse.tickets import Failed, Limit, Receipt, Refusal, Refused
from agentfuse.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def paid(model: str, cost: int, source="provider") -> Receipt:
    usage = Usage(input_tokens=3, output_tokens=4)
    return Receipt(id="c", model=model, provider="p", source=source, cost=cost, usage=usage)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "spend.sqlite3"


@pytest.fixture
def book(path: Path) -> Iterator[SpendBook]:
    book = SpendBook(path)
    yield book
    book.close()


def test_a_book_that_heard_nothing_is_empty_and_makes_no_file(book: SpendBook, path: Path) -> None:
    book.hear(paid("m-1", 0))
    assert book.report() == {
        "total_usd": Decimal(0),
        "by_model": {},
        "by_tool": {},
        "calls_by_model": {},
    }
    assert not path.exists()


def test_what_cost_something_is_written_down(book: SpendBook) -> None:
    limit = Limit("run", "r", 5)
    for event in (
        paid("m-1", 600_000),
        paid("m-1", 1),
        paid("m-2", 5),
        paid("m-2", 0, "exact"),
        paid("search", 10**9, "tool"),
        Failed(id="f", model="m-3", provider="p", kind="timeout", attempt=1, cost=7),
        Failed(id="f", model="m-3", provider="p", kind="status", attempt=1),
        Refused(model="m-1", refusal=Refusal(limit=limit, needed=6, left=5)),
    ):
        book.hear(event)
    report = book.report()
    assert report["total_usd"] == Decimal("1.000600013")
    assert report["by_model"] == {
        "m-1": Decimal("0.000600001"),
        "m-2": Decimal("0.000000005"),
        "m-3": Decimal("0.000000007"),
    }
    assert report["by_tool"] == {"search": Decimal(1)}
    assert report["calls_by_model"] == {"m-1": 2, "m-2": 1, "m-3": 1}


def test_a_report_can_begin_at_any_time(book: SpendBook) -> None:
    book.hear(paid("m-1", 5))
    book.flush()
    now = datetime.now(UTC)
    assert book.report(since=now - timedelta(hours=1))["total_usd"] == Decimal("0.000000005")
    assert book.report(since=now + timedelta(hours=1))["total_usd"] == 0
    assert book.report(since=time.time() + 60)["total_usd"] == 0


def test_the_book_is_read_by_the_next_process_and_by_others_beside_it(path: Path) -> None:
    script = (
        "import sys; from agentfuse.observe.spend_book import SpendBook;"
        "from agentfuse.tickets import Receipt;"
        "book = SpendBook(sys.argv[1]);"
        "[book.hear(Receipt(id='c', model='m', provider='p', source='provider', cost=1))"
        " for _ in range(200)]"
    )
    # The processes end at once after the last event: what is left is written at exit.
    writers = [subprocess.Popen([sys.executable, "-c", script, str(path)]) for _ in range(3)]
    assert [writer.wait(30) for writer in writers] == [0, 0, 0]
    book = SpendBook(path)
    assert book.report()["calls_by_model"] == {"m": 600}
    book.close()


def test_hearing_costs_a_queue_put(book: SpendBook) -> None:
    book.hear(paid("m", 1))
    event = paid("m", 1)
    started = time.thread_time()
    for _ in range(2_000):
        book.hear(event)
    assert (time.thread_time() - started) / 2_000 < 100e-6
    assert book.report()["calls_by_model"] == {"m": 2_001}


def test_threads_lose_no_entry(book: SpendBook) -> None:
    threads = [
        threading.Thread(target=lambda: [book.hear(paid("m", 1)) for _ in range(200)])
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert book.report()["calls_by_model"] == {"m": 1_600}


def test_a_damaged_book_is_set_aside_and_a_new_one_begun(
    book: SpendBook, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path.parent.mkdir()
    path.write_bytes(b"not a database " * 500)
    book.hear(paid("m", 5))
    assert book.report()["total_usd"] == Decimal("0.000000005")
    assert len(list(path.parent.glob("spend.sqlite3.corrupt-*"))) == 1
    assert len(caplog.records) == 1


def test_a_book_that_cannot_be_written_is_said_once_and_caught_up_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where a folder should be")
    book = SpendBook(blocked / "spend.sqlite3")
    for _ in range(3):
        book.hear(paid("m", 1))
        assert book.flush()
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert book.lost == 0
    with pytest.raises(StoreUnavailable):
        book.report()
    blocked.unlink()
    book.hear(paid("m", 1))
    assert book.report()["calls_by_model"] == {"m": 4}
    book.close()


def test_entries_waiting_for_a_broken_book_are_bounded_and_the_lost_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spend_book, "MOST_PENDING", 5)
    (tmp_path / "blocked").write_text("")
    book = SpendBook(tmp_path / "blocked" / "spend.sqlite3")
    for _ in range(8):
        book.hear(paid("m", 1))
    book.flush()
    assert book.lost == 3


def test_the_writer_ends_when_idle_and_begins_again(
    book: SpendBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "IDLE_SECONDS", 0.02)
    monkeypatch.setattr(batches, "GATHER_SECONDS", 0.0)
    for turn in range(1, 4):
        book.hear(paid("m", 1))
        wait_for(lambda: book._batches._thread is None)
        assert book.report()["calls_by_model"] == {"m": turn}


def test_what_could_not_be_written_is_when_the_book_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "IDLE_SECONDS", 0.02)
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where a folder should be")
    book = SpendBook(blocked / "spend.sqlite3")
    book.hear(paid("m", 1))
    wait_for(lambda: book._pending and book._batches._thread is None)
    blocked.unlink()
    book.close()
    assert models_in(book.path) == ["m"]


def test_a_book_that_is_dropped_is_written_and_let_go(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "IDLE_SECONDS", 0.02)
    book = SpendBook(path)
    book.hear(paid("m", 1))
    thread, dropped = book._batches._thread, weakref.ref(book)
    del book
    assert thread is not None
    thread.join(10)
    gc.collect()
    assert dropped() is None
    assert models_in(path) == ["m"]


def wait_for(happened: Callable[[], object]) -> None:
    """Wait until something has happened."""
    deadline = time.monotonic() + 10
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def models_in(path: Path) -> list[str]:
    """Read what is written, as another program would."""
    with closing(sqlite3.connect(path)) as db:
        return [model for (model,) in db.execute("SELECT model FROM spends")]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_writes_its_own_entries_and_none_of_its_parents(book: SpendBook) -> None:
    book.hear(paid("parent", 1))
    child = os.fork()
    if child == 0:
        book.hear(paid("child", 1))
        os._exit(0 if book.flush() else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert book.report()["calls_by_model"] == {"child": 1, "parent": 1}
