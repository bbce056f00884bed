"""Answers in a SQLite file: they outlive the process, and others on the machine share them."""

from __future__ import annotations

import json
import random as randomness
import time
from math import inf
from threading import Lock
from typing import TYPE_CHECKING
from zlib import crc32

from agentfuse.caches.entries import reply_of, text_of
from agentfuse.caches.lifetimes import Lifetime
from agentfuse.caches.threaded import BlockingCache
from agentfuse.errors import StoreUnavailable
from agentfuse.sqlite_files import Schema, SqliteFile

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from agentfuse.messages import Reply
    from agentfuse.ports import Clock
    from agentfuse.semantics import Selection

SCHEMA = Schema(
    what="cache",
    application_id=0x41466361,  # "AFca"
    version=2,
    statements=(
        # The body comes last: sums and orders then need not read its overflow pages.
        """CREATE TABLE entries (
            key TEXT NOT NULL PRIMARY KEY,
            expires REAL NOT NULL,
            used REAL NOT NULL,
            bytes INTEGER NOT NULL,
            checksum INTEGER NOT NULL,
            kept REAL NOT NULL,
            tags TEXT NOT NULL,
            body BLOB NOT NULL
        )""",
        "CREATE INDEX entries_by_use ON entries (used)",
        "CREATE INDEX entries_by_end ON entries (expires)",
    ),
    # What an older version kept has no tags, and counts as kept at the beginning of time.
    upgrades=(
        (
            "ALTER TABLE entries ADD COLUMN kept REAL NOT NULL DEFAULT 0",
            "ALTER TABLE entries ADD COLUMN tags TEXT NOT NULL DEFAULT '[]'",
        ),
    ),
)

# The bounds are checked at every 64th keep (more often in a small cache), since that reads the
# sizes of all entries: for a while the file may hold 64 answers, or a sixteenth, more than allowed.
_KEEPS_PER_PRUNING = 64
_SHARE_PER_PRUNING = 16

# When an answer was last used is written with the next keep, or when this many have been found.
_MOST_UNWRITTEN_USES = 1_000

_KEEP = """INSERT INTO entries (key, expires, used, bytes, checksum, kept, tags, body)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (key) DO UPDATE SET expires = excluded.expires, used = excluded.used,
    bytes = excluded.bytes, checksum = excluded.checksum, kept = excluded.kept,
    tags = excluded.tags, body = excluded.body"""


class SqliteCache(BlockingCache):
    """At most about ``max_entries`` answers and ``max_bytes``, each fresh for ``ttl`` seconds.

    Lifetimes are shortened by ``jitter`` as in ``MemoryCache``, and the least recently used leave
    first. Safe for threads and processes. Its methods hold up the thread they run on; ``awaited()``
    gives its face for an event loop. A damaged file is set aside and a new one begun; a damaged
    entry is a miss. Methods raise StoreUnavailable where the file cannot be used.
    """

    def __init__(  # noqa: PLR0913 - each is one bound of the same cache
        self,
        path: Path | str,
        *,
        max_entries: int = 100_000,
        max_bytes: int = 2**30,
        ttl: float = 86_400.0,
        jitter: float = 0.1,
        clock: Clock | None = None,
        random: Callable[[], float] = randomness.random,
    ) -> None:
        self._file = SqliteFile(path, SCHEMA)
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._lifetime = Lifetime(ttl, jitter, random=random)
        self._now = time.time if clock is None else clock.now
        self._lock = Lock()
        self._uses: dict[str, float] = {}
        self._keeps = 0

    def find_until_now(self, key: str) -> tuple[Reply, float] | None:
        """Give the answer kept under ``key`` with its end; None if there is none to rely on."""
        row = self._file.read(
            lambda db: db.execute(
                "SELECT expires, checksum, CAST(body AS BLOB) FROM entries WHERE key = ?", (key,)
            ).fetchone()
        )
        now = self._now()
        if row is None or row[0] <= now or row[1] != _checksum_of(key, row[2]):
            return None
        try:
            reply = reply_of(row[2].decode("ascii"))
        except ValueError:
            return None
        self._note_use(key, now)
        return reply, row[0]

    def keep_now(self, key: str, reply: Reply, tags: Sequence[str] = ()) -> None:
        """Keep an answer, in place of any older one, and now and then let old ones leave."""
        try:
            body = text_of(reply).encode("ascii")
        except ValueError as error:
            raise StoreUnavailable(
                f"an answer cannot be kept in {self._file.path}: {error}"
            ) from error
        now = self._now()
        dated = (now, json.dumps(list(tags)))
        checksum = _checksum_of(key, body)
        entry = (key, self._lifetime.end(now), now, len(body), checksum, *dated, body)
        prune, uses = self._turn()

        def work(db: sqlite3.Connection) -> None:
            _write_uses(db, uses)
            db.execute(_KEEP, entry)
            if prune:
                self._prune(db, now)

        self._file.write(work)

    def drop_now(self, key: str) -> None:
        """Forget the answer kept under ``key``."""
        self._file.write(lambda db: db.execute("DELETE FROM entries WHERE key = ?", (key,)))

    def invalidate_now(self, selection: Selection) -> int:
        """Forget the answers that fit, and count them."""
        before = inf if selection.before is None else selection.before

        def work(db: sqlite3.Connection) -> int:
            rows = db.execute(
                "SELECT rowid, key, kept, tags FROM entries WHERE kept < ? AND (? = '' OR key = ?)",
                (before, selection.key, selection.key),
            )
            leaving = [
                (row,)
                for row, key, kept, tags in rows
                if selection.fits((key,), tuple(json.loads(tags)), kept)
            ]
            db.executemany("DELETE FROM entries WHERE rowid = ?", leaving)
            return len(leaving)

        return self._file.write(work)

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        self._file.close()

    def _note_use(self, key: str, now: float) -> None:
        with self._lock:
            self._uses[key] = now
            if len(self._uses) < _MOST_UNWRITTEN_USES:
                return
            uses, self._uses = self._uses, {}
        self._file.write(lambda db: _write_uses(db, uses))

    def _turn(self) -> tuple[bool, dict[str, float]]:
        """Say whether this keep prunes, and take the uses it is to write."""
        period = max(1, min(_KEEPS_PER_PRUNING, self._max_entries // _SHARE_PER_PRUNING))
        with self._lock:
            self._keeps += 1
            uses, self._uses = self._uses, {}
            return self._keeps % period == 0, uses

    def _prune(self, db: sqlite3.Connection, now: float) -> None:
        """Let go of what is stale, then of the least recently used, until the bounds hold."""
        db.execute("DELETE FROM entries WHERE expires <= ?", (now,))
        count, size = db.execute("SELECT count(*), coalesce(sum(bytes), 0) FROM entries").fetchone()
        leaving: list[tuple[int]] = []
        for row, weight in db.execute("SELECT rowid, bytes FROM entries ORDER BY used, rowid"):
            if count <= self._max_entries and size <= self._max_bytes:
                break
            leaving.append((row,))
            count -= 1
            size -= weight
        db.executemany("DELETE FROM entries WHERE rowid = ?", leaving)


def _write_uses(db: sqlite3.Connection, uses: dict[str, float]) -> None:
    db.executemany(
        "UPDATE entries SET used = max(used, ?) WHERE key = ?",
        [(used, key) for key, used in uses.items()],
    )


def _checksum_of(key: str, body: bytes) -> int:
    """Sum up key and body: SQLite notices damaged pages, not damaged bytes inside a value."""
    return crc32(body, crc32(key.encode("utf-8", "surrogatepass")))
