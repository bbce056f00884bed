"""SQLite files that processes share: opened when first used, versioned, never quietly replaced."""

from __future__ import annotations

import logging
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar
from weakref import finalize

from agentfuse.errors import StoreUnavailable

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

T = TypeVar("T")
More = ParamSpec("More")

# https://sqlite.org/rescode.html: SQLITE_CORRUPT, SQLITE_FORMAT and SQLITE_NOTADB say that the file
# itself is damaged; all else (busy, full, read-only, no such folder) may be well tomorrow.
DAMAGE = frozenset({11, 24, 26})

_SUFFIXES = ("", "-wal", "-shm")
_WAL_TRIES = 50

# Connections of a parent process, and reads: they must not be used, nor closed, across a fork
# (https://sqlite.org/howtocorrupt.html, 2.6), so they are kept from being collected.
_INHERITED: list[sqlite3.Connection | sqlite3.Cursor] = []


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """What a kind of file holds: its ``application_id``, ``version`` and the statements making it.

    ``what`` names it in messages. Both numbers are kept in the file's header
    (https://sqlite.org/pragma.html#pragma_application_id). ``upgrades`` are the statements that
    lead from version 1 to 2, from 2 to 3 and so on. Pages are of ``page_size`` bytes in a new file,
    and the write-ahead log is copied into the file each time it is ``checkpoint`` pages long. What
    is ``precious`` (money) is never set aside when it is damaged.
    """

    what: str
    application_id: int
    version: int
    statements: tuple[str, ...]
    upgrades: tuple[tuple[str, ...], ...] = ()
    page_size: int = 4096
    checkpoint: int = 1000
    precious: bool = False


class SqliteFile:
    """One file in WAL mode, for the threads of this process and for others beside it.

    One connection under one lock; a forked child opens its own. Whoever drops the file without
    closing it has it closed by the garbage collector, and at the latest when Python ends. An older
    version is upgraded when it is opened. A damaged file is renamed to ``<name>.corrupt-<time>``
    (with its -wal and -shm), said to the ``agentfuse`` logger, and a new one is begun, unless it is
    precious. What cannot be opened, read or written in ``patience`` seconds raises
    StoreUnavailable, and so does a file of a newer version or of another kind.
    """

    _held: sqlite3.Cursor | None

    def __init__(self, path: Path | str, schema: Schema, *, patience: float = 5.0) -> None:
        self.path = Path(path)
        self._schema = schema
        self._patience = patience
        self._begin()

    def read(
        self,
        work: Callable[Concatenate[sqlite3.Connection, More], T],
        *more: More.args,
        **named: More.kwargs,
    ) -> T:
        """Do ``work`` with a connection, and what ``more`` it takes."""
        import sqlite3  # as late as this, it costs those nothing who have no such file

        self._notice_fork()
        with self._lock:
            try:
                return work(self._connected(), *more, **named)
            except (sqlite3.Error, OSError) as error:
                if self._schema.precious or not _is_damage(error):
                    raise self._unavailable(error) from error
                self._replace(error)
            try:
                return work(self._connected(), *more, **named)
            except (sqlite3.Error, OSError) as error:
                raise self._unavailable(error) from error

    def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do ``work`` in one transaction that no other writer shares, or not at all."""

        def transact(db: sqlite3.Connection) -> T:
            db.execute("BEGIN IMMEDIATE")
            try:
                result = work(db)
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise
            return result

        return self.read(transact)

    def follow(self) -> None:
        """Let the next use open the file anew where another one lies at its path by now."""
        self._notice_fork()
        if self._opened and _identity_of(self.path) != self._identity:
            self.close()

    @property
    def connection(self) -> sqlite3.Connection | None:
        """Give the connection where this process has opened one, to whoever is alone with it."""
        return self._opened[0] if self._opened and self._process == os.getpid() else None

    @property
    def is_held(self) -> bool:
        """Say whether writes go on from one another, see ``hold``."""
        return self._held is not None

    def hold(self) -> None:
        """Let the writes that follow go on from one another, until another process writes.

        A read is left open that all of them share: two thirds of the locks that a small write takes
        are those of its own read. It sees nothing of what others write, and a write fails as busy
        once they have written; until ``let_go``, nobody can begin the write-ahead log anew.
        """
        import sqlite3

        with self._lock, suppress(sqlite3.Error):  # without it, writes are as slow as before
            if self._opened and self._held is None:
                self._held = self._opened[0].execute("SELECT name FROM sqlite_master")
                # SQLite would copy a log that is long at every write, since it cannot begin anew:
                # that is left to the next write that is by itself.
                self._opened[0].execute("PRAGMA wal_autocheckpoint = 0")

    def let_go(self) -> None:
        """Let the next write be by itself, and the next read see what others have written."""
        self._notice_fork()
        if self._held is not None:
            with self._lock:
                self._end_hold()

    def close(self) -> None:
        """Close the connection; the next use opens it again."""
        self._notice_fork()
        with self._lock:
            self._drop_connection()

    def _begin(self) -> None:
        self._process = os.getpid()
        self._lock = Lock()
        self._opened: list[sqlite3.Connection] = []  # one, or none; shared with what closes it
        self._held = None
        self._identity: tuple[int, int] | None = None
        finalize(self, _close_dropped, self._opened, self._lock, self._process)

    def _notice_fork(self) -> None:
        if self._process == os.getpid():
            return
        if self._held is not None:
            _INHERITED.append(self._held)
        self._begin()

    def _connected(self) -> sqlite3.Connection:
        if self._opened:
            return self._opened[0]
        import sqlite3

        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._identity = _identity_of(self.path)
        db = sqlite3.connect(
            self.path, timeout=self._patience, isolation_level=None, check_same_thread=False
        )
        try:
            self._check(db)
        except BaseException:
            db.close()
            raise
        self._identity = _identity_of(self.path)
        self._opened.append(db)
        return db

    def _check(self, db: sqlite3.Connection) -> None:
        schema = self._schema
        db.execute(f"PRAGMA page_size = {schema.page_size:d}")
        db.execute(f"PRAGMA wal_autocheckpoint = {schema.checkpoint:d}")
        _switch_to_wal(db)
        db.execute("PRAGMA synchronous = NORMAL")
        if _header_of(db) == (schema.application_id, schema.version):
            return
        db.execute("BEGIN IMMEDIATE")
        try:
            self._make(db)
            db.execute("COMMIT")
        except BaseException:
            db.execute("ROLLBACK")
            raise

    def _make(self, db: sqlite3.Connection) -> None:
        """Make or upgrade the tables, unless another process has just done so."""
        schema = self._schema
        kind, version = _header_of(db)
        if (kind, version) == (schema.application_id, schema.version):
            return
        if kind == schema.application_id and 0 < version < schema.version:
            self._upgrade(db, version)
            return
        if kind == schema.application_id:
            raise StoreUnavailable(
                f"{self.path} is a {schema.what} of version {version}, and this AgentFuse"
                f" writes version {schema.version}: update AgentFuse, or name another file"
            )
        if kind or version or db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise StoreUnavailable(
                f"{self.path} is no {schema.what} but another database: name another file"
            )
        for statement in schema.statements:
            db.execute(statement)
        db.execute(f"PRAGMA application_id = {schema.application_id:d}")
        db.execute(f"PRAGMA user_version = {schema.version:d}")

    def _upgrade(self, db: sqlite3.Connection, version: int) -> None:
        """Lead an older file to this version, step by step, in the transaction that is open."""
        for statements in self._schema.upgrades[version - 1 :]:
            for statement in statements:
                db.execute(statement)
        db.execute(f"PRAGMA user_version = {self._schema.version:d}")

    def _replace(self, error: Exception) -> None:
        """Set the damaged file aside, unless another process has done so already."""
        damaged = self._identity
        self._drop_connection()
        if damaged is not None and _identity_of(self.path) != damaged:
            return
        try:
            aside = set_aside(self.path)
        except OSError as trouble:
            raise self._unavailable(trouble) from error
        logging.getLogger("agentfuse").warning(
            "the %s %s is damaged (%s): it was set aside as %s and a new one is begun",
            self._schema.what,
            self.path,
            error,
            aside.name,
        )

    def _end_hold(self) -> None:
        import sqlite3

        held, self._held = self._held, None
        if held is None or not self._opened:
            return
        try:
            held.close()
            self._opened[0].execute(f"PRAGMA wal_autocheckpoint = {self._schema.checkpoint:d}")
        except sqlite3.Error as error:
            self._drop_connection()
            raise self._unavailable(error) from error

    def _drop_connection(self) -> None:
        self._held = None
        while self._opened:
            self._opened.pop().close()

    def _unavailable(self, error: Exception) -> StoreUnavailable:
        advice = ""
        if self._schema.precious and _is_damage(error):
            # It may hold what others still need, or another file may be back tomorrow: look anew.
            self._drop_connection()
            advice = (
                "; it is damaged and was left as it is, since nothing else knows what is in it:"
                " put a backup in its place, or save what `sqlite3 FILE .recover` finds"
            )
        return StoreUnavailable(
            f"the {self._schema.what} {self.path} cannot be used: {error}{advice}"
        )


def _close_dropped(opened: list[sqlite3.Connection], lock: Lock, process: int) -> None:
    """Close what a file left open that was dropped, or that lives until Python ends."""
    if process != os.getpid():
        _INHERITED.extend(opened)
        return
    with lock:  # a thread may still be at it when Python ends
        while opened:
            opened.pop().close()


def _is_damage(error: Exception) -> bool:
    # The low byte is the primary result code.
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in DAMAGE


def _header_of(db: sqlite3.Connection) -> tuple[int, int]:
    kind = db.execute("PRAGMA application_id").fetchone()[0]
    return kind, db.execute("PRAGMA user_version").fetchone()[0]


def _switch_to_wal(db: sqlite3.Connection) -> None:
    """Switch, with patience: the busy timeout does not cover two processes switching at once."""
    import sqlite3

    for attempt in range(_WAL_TRIES):
        try:
            db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or attempt == _WAL_TRIES - 1:
                raise
            time.sleep(0.02)
        else:
            return


def _identity_of(path: Path) -> tuple[int, int] | None:
    try:
        stat = os.stat(path)  # noqa: PTH116 - thrice as fast as Path.stat, and asked for each call
    except FileNotFoundError:
        return None
    return stat.st_dev, stat.st_ino


def set_aside(path: Path, why: str = "corrupt") -> Path:
    """Rename a file, with what SQLite keeps beside it, to ``<name>.<why>-<time>``; give that."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    aside = path.with_name(f"{path.name}.{why}-{stamp}")
    for suffix in _SUFFIXES:
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    return aside
