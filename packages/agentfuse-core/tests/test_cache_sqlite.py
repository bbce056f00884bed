"""The cache in a file keeps the contract, survives restarts, and sets a damaged file aside."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agentfuse.caches.memory import MemoryCache
from agentfuse.caches.sqlite import SCHEMA, SqliteCache
from agentfuse.caches.tiered import TieredCache
from agentfuse.errors import StoreUnavailable
from agentfuse.messages import Choice, Other, Reply, Text
from agentfuse.runtime.now import run_now
from agentfuse.semantics import Selection
from agentfuse.testing import CacheContract, FrozenClock
from agentfuse.testing.cache_contract import WHOLE
from agentfuse.testing.ways import Awaited

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentfuse.ports import Cache, Clock


class TestFile(CacheContract):
    """For blocking callers."""

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path, _fresh_folder: None) -> None:
        """Only orders the fixtures: the folder is there before the cache."""

    @pytest.fixture
    def _fresh_folder(self, tmp_path: Path) -> Iterator[None]:
        self.folder = tmp_path
        self.files: list[SqliteCache] = []
        yield
        for file in self.files:
            file.close()

    @pytest.fixture(autouse=True)
    def _fresh_cache(self, _fresh_folder: None) -> None:
        self.time = self.clock()
        self.kept = self.cache(self.time, ttl=4 * self.moment)

    def file(self, clock: Clock, ttl: float, jitter: float, max_entries: int) -> SqliteCache:
        """Begin a new file."""
        path = self.folder / f"cache-{len(self.files)}.sqlite3"
        cache = SqliteCache(path, ttl=ttl, jitter=jitter, max_entries=max_entries, clock=clock)
        self.files.append(cache)
        return cache

    def cache(
        self, clock: Clock, *, ttl: float = 3_600.0, jitter: float = 0.0, max_entries: int = 1_000
    ) -> Cache:
        """Give an empty cache."""
        return self.file(clock, ttl, jitter, max_entries)


class TestFileAwaited(Awaited, TestFile):
    """For awaiting callers, on threads."""

    def cache(
        self, clock: Clock, *, ttl: float = 3_600.0, jitter: float = 0.0, max_entries: int = 1_000
    ) -> Cache:
        """Give an empty cache."""
        return self.file(clock, ttl, jitter, max_entries).awaited()


class TestTiers(TestFile):
    """Memory in front of a file."""

    def cache(
        self, clock: Clock, *, ttl: float = 3_600.0, jitter: float = 0.0, max_entries: int = 1_000
    ) -> Cache:
        """Give an empty cache."""
        front = MemoryCache(ttl=ttl, jitter=jitter, max_entries=max_entries, clock=clock)
        return TieredCache(front, self.file(clock, ttl, jitter, max_entries))

    @pytest.mark.skip(reason="the front keeps its own order of use, and the file another")
    def test_the_least_recently_used_leaves_first(self) -> None:
        """Each tier's own test shows it."""


class TestTiersAwaited(Awaited, TestTiers):
    """Memory in front of a file, for awaiting callers."""

    def cache(
        self, clock: Clock, *, ttl: float = 3_600.0, jitter: float = 0.0, max_entries: int = 1_000
    ) -> Cache:
        """Give an empty cache."""
        front = MemoryCache(ttl=ttl, jitter=jitter, max_entries=max_entries, clock=clock)
        return TieredCache(front, self.file(clock, ttl, jitter, max_entries)).awaited()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "cache.sqlite3"


def saying(text: str) -> Reply:
    return Reply(choices=(Choice(parts=(Text(text),)),))


def test_answers_survive_a_restart(path: Path) -> None:
    """Another process finds what this one kept."""
    cache = SqliteCache(path)
    run_now(cache.keep("k", WHOLE))
    cache.close()
    script = (
        "import sys; from agentfuse.caches.sqlite import SqliteCache;"
        "print(len(SqliteCache(sys.argv[1]).find_until_now('k')[0].choices))"
    )
    out = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True
    )
    assert out.stdout.strip() == "2"


def test_nothing_is_opened_before_the_first_use(path: Path) -> None:
    """Making a cache touches no disk."""
    SqliteCache(path)
    assert not path.parent.exists()


def test_two_processes_write_into_one_file(path: Path) -> None:
    """Neither loses an answer, whoever makes the file."""
    script = (
        "import sys; from agentfuse.caches.sqlite import SqliteCache;"
        "from agentfuse.messages import Reply;"
        "cache = SqliteCache(sys.argv[1]);"
        "[cache.keep_now(f'{sys.argv[2]}-{n}', Reply(choices=(), id=str(n))) for n in range(100)]"
    )
    writers = [
        subprocess.Popen([sys.executable, "-c", script, str(path), name]) for name in ("a", "b")
    ]
    assert [writer.wait(30) for writer in writers] == [0, 0]
    cache = SqliteCache(path)
    assert all(cache.find_until_now(f"{name}-{n}") for name in "ab" for n in range(100))
    cache.close()


@pytest.mark.parametrize(
    "garbage", [b"this is no database at all, but long enough" * 50, b"\x00" * 4096]
)
def test_a_file_that_is_no_database_is_set_aside(
    path: Path, garbage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """The run goes on with a new file, and the old one is still there to look at."""
    path.parent.mkdir()
    path.write_bytes(garbage)
    cache = SqliteCache(path)
    with caplog.at_level(logging.WARNING, logger="agentfuse"):
        assert run_now(cache.find("k")) is None
        run_now(cache.keep("k", saying("hi")))
        assert run_now(cache.find("k")) == saying("hi")
    cache.close()
    aside = list(path.parent.glob("cache.sqlite3.corrupt-*"))
    assert len(aside) == 1
    assert aside[0].read_bytes() == garbage
    assert len(caplog.records) == 1
    assert aside[0].name in caplog.text


def test_damage_that_shows_later_sets_the_file_aside_too(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Pages overwritten behind an open connection are noticed by the find that reads them."""
    cache = SqliteCache(path)
    for number in range(200):
        cache.keep_now(str(number), saying("x" * 500))
    cache.close()
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(size - 4096))
    found = [cache.find_until_now(str(number)) for number in range(200)]
    assert not any(found)
    cache.keep_now("k", saying("hi"))
    assert cache.find_until_now("k") is not None
    cache.close()
    assert len(list(path.parent.glob("cache.sqlite3.corrupt-*"))) == 1
    assert len(caplog.records) == 1


def test_a_process_that_comes_second_does_not_set_the_new_file_aside(path: Path) -> None:
    """Two processes that notice the same damage replace the file once."""
    path.parent.mkdir()
    SqliteCache(path).keep_now("k", saying("old"))
    first, second = SqliteCache(path), SqliteCache(path)
    assert first.find_until_now("k")
    assert second.find_until_now("k")
    for cache in (first, second):
        cache._file._replace(sqlite3.DatabaseError("as if it were damaged"))
        cache.keep_now("k", saying("new"))
    assert len([p for p in path.parent.iterdir() if p.name.endswith("Z")]) == 1
    assert first.find_until_now("k") == second.find_until_now("k")
    first.close()
    second.close()


def test_a_damaged_entry_is_a_miss_and_can_be_replaced(path: Path) -> None:
    """A flipped bit inside a value never becomes another answer."""
    cache = SqliteCache(path)
    cache.keep_now("k", saying("yes"))
    cache.close()
    with sqlite3.connect(path) as db:
        db.execute("UPDATE entries SET body = replace(body, 'yes', 'no!')")
    db.close()
    assert cache.find_until_now("k") is None
    cache.keep_now("k", saying("yes"))
    assert cache.find_until_now("k") is not None
    cache.close()


def test_a_newer_version_is_left_alone(path: Path) -> None:
    """An older program says so, and touches nothing."""
    cache = SqliteCache(path)
    cache.keep_now("k", saying("hi"))
    cache.close()
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version = {SCHEMA.version + 1}")
    db.close()
    with pytest.raises(StoreUnavailable, match="update AgentFuse"):
        run_now(cache.find("k"))
    assert not list(path.parent.glob("*.corrupt-*"))


def test_another_programs_database_is_left_alone(path: Path) -> None:
    """A wrong path destroys nothing."""
    path.parent.mkdir()
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE theirs (x)")
    db.close()
    with pytest.raises(StoreUnavailable, match="another database"):
        run_now(SqliteCache(path).keep("k", saying("hi")))
    with sqlite3.connect(path) as db:
        assert [row[0] for row in db.execute("SELECT name FROM sqlite_master")] == ["theirs"]
    db.close()


def test_a_path_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """The pipeline hears of it as StoreUnavailable, whatever the operating system says."""
    (tmp_path / "file").write_text("no folder")
    for path in (tmp_path / "file" / "cache.sqlite3", tmp_path):
        with pytest.raises(StoreUnavailable, match="cannot be used"):
            run_now(SqliteCache(path).find("k"))


def test_a_locked_file_is_told_and_works_again_afterwards(path: Path) -> None:
    """Another writer who takes too long costs a hit, not the file."""
    cache = SqliteCache(path)
    cache._file._patience = 0.05
    cache.keep_now("k", saying("hi"))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreUnavailable, match="locked"):
        cache.keep_now("k", saying("ho"))
    other.execute("ROLLBACK")
    other.close()
    cache.keep_now("k", saying("ho"))
    assert cache.find_until_now("k") is not None
    cache.close()


def test_the_bytes_kept_are_bounded(path: Path) -> None:
    """The least recently used leave when the bytes are used up."""
    clock = FrozenClock()
    cache = SqliteCache(path, max_entries=16, max_bytes=5_000, clock=clock)
    for number in range(20):
        cache.keep_now(str(number), saying("x" * 1_000))
        clock.advance(1)
    assert [n for n in range(20) if cache.find_until_now(str(n))] == [16, 17, 18, 19]
    cache.close()


def test_many_finds_without_a_keep_still_count_as_uses(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Uses are written when enough have come together."""
    monkeypatch.setattr("agentfuse.caches.sqlite._MOST_UNWRITTEN_USES", 2)
    clock = FrozenClock()
    cache = SqliteCache(path, clock=clock)
    for key in "ab":
        cache.keep_now(key, saying(key))
    clock.advance(100)
    for key in "ab":
        cache.find_until_now(key)
    cache.close()
    db = sqlite3.connect(path)
    assert db.execute("SELECT min(used) FROM entries").fetchone()[0] == clock.now()
    db.close()


def test_an_answer_that_json_cannot_carry_is_told(path: Path) -> None:
    """A block with something else inside is not kept."""
    with pytest.raises(StoreUnavailable, match="JSON cannot carry"):
        run_now(
            SqliteCache(path).keep("k", Reply(choices=(Choice(parts=(Other({"x": object()}),)),)))
        )


def test_an_answer_from_the_back_lives_no_longer_in_front(path: Path) -> None:
    """Its lifetime began when it was first kept."""
    clock = FrozenClock()
    back = SqliteCache(path, ttl=100.0, jitter=0.0, clock=clock)
    back.keep_now("k", saying("hi"))
    tiers = TieredCache(MemoryCache(ttl=100.0, jitter=0.0, clock=clock), back)
    clock.advance(60)
    assert run_now(tiers.find("k")) == saying("hi")
    clock.advance(40)
    assert run_now(tiers.find("k")) is None
    back.close()


def test_the_front_answers_without_the_file(path: Path) -> None:
    """A second find touches no disk."""
    back = SqliteCache(path)
    back.keep_now("k", saying("hi"))
    tiers = TieredCache(MemoryCache(), back)
    assert run_now(tiers.find("k")) == saying("hi")
    back.close()
    path.unlink()
    assert run_now(tiers.find("k")) == saying("hi")
    assert not path.exists()


def test_the_loop_goes_on_while_the_file_is_waited_for(path: Path) -> None:
    """A locked file holds up one task, not the loop."""
    cache = SqliteCache(path)
    cache.keep_now("k", saying("hi"))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")

    async def main() -> int:
        keeping = asyncio.create_task(cache.awaited().keep("k", saying("ho")))
        turns = 0
        for _ in range(20):
            await asyncio.sleep(0.005)
            turns += not keeping.done()
        other.execute("ROLLBACK")
        await keeping
        return turns

    assert asyncio.run(main()) == 20
    assert cache.find_until_now("k") is not None
    other.close()
    cache.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_opens_the_file_anew(path: Path) -> None:
    """A connection is never used across a fork."""
    cache = SqliteCache(path)
    cache.keep_now("k", saying("hi"))
    child = os.fork()
    if child == 0:
        cache.keep_now("child", saying("ho"))
        os._exit(0 if cache.find_until_now("k") else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert cache.find_until_now("child") is not None
    cache.close()


def test_a_file_of_the_first_version_is_upgraded(tmp_path: Path) -> None:
    """Its answers are still there; they have no tags, and were kept before any time."""
    path = tmp_path / "cache.db"
    SqliteCache(path).keep_now("k", saying("hi"))
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("ALTER TABLE entries DROP COLUMN kept")
        db.execute("ALTER TABLE entries DROP COLUMN tags")
        db.execute("PRAGMA user_version = 1")
    cache = SqliteCache(path)
    found = cache.find_until_now("k")
    assert found is not None
    assert found[0] == saying("hi")
    assert cache.invalidate_now(Selection(tags=("user:ann",))) == 0
    cache.keep_now("new", saying("ho"), ("user:ann",))
    assert cache.invalidate_now(Selection(before=1)) == 1
    assert cache.invalidate_now(Selection(tags=("user:ann",))) == 1
