"""Whoever drops a file, a store or a fuse without closing it leaves nothing open behind."""

from __future__ import annotations

import gc
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from agentfuse import sqlite_files
from agentfuse.ledgers.sqlite import SqliteLedger
from agentfuse.runtime.now import run_now
from agentfuse.sqlite_files import Schema, SqliteFile
from agentfuse.testing import Upstream
from agentfuse.tickets import Amounts, Limit

FILES = Path("/proc/self/fd")
WORDS = Schema(
    what="list of words",
    application_id=7,
    version=1,
    statements=("CREATE TABLE words (word TEXT)",),
)


def connection_of(file: SqliteFile) -> sqlite3.Connection:
    return file.read(lambda db: db)


def is_open(db: sqlite3.Connection) -> bool:
    try:
        db.execute("SELECT 1").fetchall()
    except sqlite3.ProgrammingError:
        return False
    return True


@pytest.mark.parametrize("in_a_circle", [True, False])
def test_a_dropped_file_is_closed(tmp_path: Path, *, in_a_circle: bool) -> None:
    file = SqliteFile(tmp_path / "words.db", WORDS)
    db = connection_of(file)
    if in_a_circle:
        file.circle = file
    assert is_open(db)
    del file
    gc.collect()
    assert not is_open(db)


def test_a_closed_file_opens_again_and_is_closed_when_it_is_dropped(tmp_path: Path) -> None:
    file = SqliteFile(tmp_path / "words.db", WORDS)
    first = connection_of(file)
    file.close()
    second = connection_of(file)
    assert (is_open(first), is_open(second)) == (False, True)
    del file
    assert not is_open(second)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.parametrize("used", [True, False])
def test_a_forked_child_that_drops_a_file_leaves_its_parents_connection_alone(
    tmp_path: Path, *, used: bool
) -> None:
    """Closing it there could take away the parent's locks."""
    file = SqliteFile(tmp_path / "words.db", WORDS)
    inherited = connection_of(file)
    child = os.fork()
    if child == 0:
        own = connection_of(file) if used else None
        del file
        left = inherited in sqlite_files._INHERITED and is_open(inherited)
        os._exit(0 if left and (own is None or not is_open(own)) else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert is_open(inherited)
    file.close()


@pytest.mark.skipif(not FILES.is_dir(), reason="Linux lists a process's files")
def test_a_dropped_ledger_leaves_no_file_open(tmp_path: Path) -> None:
    """Neither the database nor the file beside it that says whose turn it is."""

    def opened() -> list[str]:
        files = [str(each.readlink()) for each in list(FILES.iterdir()) if each.is_symlink()]
        return [each for each in files if str(tmp_path) in each]

    ledger = SqliteLedger(tmp_path / "ledger.db")
    run_now(ledger.spend((Limit("run", "r1", 100),), Amounts(3)))
    assert any(each.endswith("ledger.db-turn") for each in opened())
    del ledger
    gc.collect()
    assert opened() == []


# What a script does that closes nothing: Python 3.13 says so of each connection that is left.
CARELESS = """
import gc, sys
from agentfuse import Fuse, completion, scope
folder = sys.argv[1]
def ask(question, **options):
    messages = [{"role": "user", "content": question}]
    with scope(user="ann"):
        completion(model="gpt-4o-mini", messages=messages, max_tokens=9, **options)
def fused(name):
    stores = {"ledger": f"{folder}/{name}.ledger", "cache": f"{folder}/{name}.cache"}
    return Fuse("$1", limits={"user": "$1"}, spend_book=f"{folder}/{name}.book", **stores)
dropped = fused("dropped")
ask("What is a fuse?", fuse=dropped)
del dropped
gc.collect()
kept = fused("kept")
ask("What is a fuse?", fuse=kept)
"""


def test_a_script_that_closes_nothing_is_not_warned_and_loses_nothing(tmp_path: Path) -> None:
    """Neither of what it dropped, nor of what is left when Python ends; the spending is there."""
    with Upstream() as provider:
        ended = subprocess.run(
            [sys.executable, "-X", "dev", "-W", "error", "-c", CARELESS, str(tmp_path)],
            env=os.environ
            | {"OPENAI_BASE_URL": provider.openai_url, "OPENAI_API_KEY": "sk-upstream"},
            capture_output=True,
            check=False,
            text=True,
            timeout=50,
        )
        assert (ended.returncode, ended.stderr) == (0, "")
        assert provider.calls == 2
    for name in ("dropped", "kept"):
        db = sqlite3.connect(tmp_path / f"{name}.book")
        assert db.execute("SELECT count(*) FROM spends").fetchone() == (1,)
        db.close()
        assert not list(tmp_path.glob(f"{name}.*-wal")), "the last one to close it cleans up"
