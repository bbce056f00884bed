"""A ledger in a SQLite file: for the processes of one machine, and for their next start."""

from __future__ import annotations

import time
from contextlib import suppress
from functools import cache, partial
from importlib.resources import files
from operator import methodcaller
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import unquote, urlsplit

from agentfuse.errors import ConfigurationError, StoreUnavailable
from agentfuse.ledgers.deliveries import Deliveries
from agentfuse.ledgers.faces import Face
from agentfuse.ledgers.group_commit import GroupCommit
from agentfuse.ledgers.sqlite_books import Books, NeedsTheLock
from agentfuse.ledgers.turns import Turns
from agentfuse.sqlite_files import Schema, SqliteFile

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from agentfuse.ledgers.group_commit import Job
    from agentfuse.ports import Clock

T = TypeVar("T")

# Commands that write nothing, unless a lease has expired.
_READS = {"balances", "open_leases", "stops", "trail"}

# How long a removed or replaced file may go unnoticed; asking costs 3 us.
_LOOK_EVERY = 0.1

# So many lines, each so many seconds after the last, and the next ones go on from one another.
_MANY_IN_A_ROW = 4
_SOON = 0.002

_BUSY = 5  # https://sqlite.org/rescode.html#busy


class SqliteLedger(Face):
    """Limits and leases in the file ``path``, for all threads and processes of one machine.

    What was answered survives the process, ``kill -9`` included, and the restart of the machine;
    a power cut may lose the last answers (``synchronous=NORMAL`` in WAL mode,
    https://sqlite.org/pragma.html#pragma_synchronous), so a lease may then have to expire, or money
    spent in the last moments be missing. Time is the machine's; ``clock`` replaces it in tests. The
    file must lie on a disk of this machine: WAL does not work over a network.

    Its methods hold up the thread they run on, and ``awaited()`` gives the face for event loops. A
    file that cannot be opened, read or written for ``patience`` seconds raises StoreUnavailable,
    and the next call tries again. So does a damaged file, which is left as it is, one of another
    program, and one of a newer AgentFuse.

    Closed leases are remembered for 25 hours, accounts for 35 days after their window has ended,
    and the trail for 30 days or 100,000 lines.
    """

    def __init__(
        self, path: Path | str, *, patience: float = 5.0, clock: Clock | None = None
    ) -> None:
        self.path = Path(path)
        self._file = SqliteFile(self.path, _schema(), patience=patience)
        self._patience = patience
        self._now = time.time if clock is None else clock.now
        self._turns = Turns(self.path)
        self._books: Books | None = None
        self._look_again = 0.0
        self._added_at = 0.0
        self._in_a_row = 0
        self._line_at_pause = 0
        self._deliveries = Deliveries()
        self._queue: GroupCommit[Books] = GroupCommit(
            self._write, self._add, self._deliveries.hand_over, self._pause
        )

    @classmethod
    def from_url(cls, url: str) -> SqliteLedger:
        """Read ``sqlite:///relative.db`` or ``sqlite:////absolute/path.db``.

        Raises ConfigurationError for another kind of URL.
        """
        parts = urlsplit(url)
        path = unquote(parts.path[1:])
        if parts.scheme != "sqlite" or parts.netloc or parts.query or not path:
            raise ConfigurationError(
                f"write sqlite:///relative.db or sqlite:////absolute/path.db, not {url!r}"
            )
        return cls(Path(path))

    def awaited(self) -> AwaitedSqliteLedger:
        """Give the same ledger for event loops: any number of them, none of which is held up."""
        return AwaitedSqliteLedger(self._queue, self._deliveries)

    def close(self) -> None:
        """End the thread and close the file; the next call opens it again."""
        self._queue.close(self._file.close)
        self._turns.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    async def _ask(self, command: str, *arguments: Any) -> Any:
        return self._queue.do(methodcaller(command, *arguments), reads=command in _READS)

    def _add(self, work: Callable[[Books], Any]) -> tuple[Any] | None:
        """Do what needs but one line, in this process's turn; None where that was not all.

        What goes wrong with the file changes nothing, and is told by the way that is gone next.
        """
        moment = time.monotonic()
        if moment >= self._look_again or not (moment < self._turns.until or self._turns.goes_on()):
            return None
        books = self._books
        if books is None or books.db is not self._file.connection or books.tail.is_long:
            return None
        try:
            answered = self._added(books, work)
        except BaseException as error:
            books.forget()
            if not hasattr(error, "sqlite_errorcode"):
                raise
            return None
        if answered is not None and not self._file.is_held:
            self._hold(moment)
        return answered

    def _added(self, books: Books, work: Callable[[Books], Any]) -> tuple[Any] | None:
        books.now = self._now()
        tail = books.tail
        try:
            answer = work(books)
            # Where no line is to be added, it has to be seen what others have written.
            if (tail.lines or not self._file.is_held) and tail.add_now():
                return (answer,)
        except NeedsTheLock:
            pass
        tail.drop()
        return None

    def _hold(self, moment: float) -> None:
        """Let lines go on from one another where one after another is added."""
        self._in_a_row = self._in_a_row + 1 if moment - self._added_at < _SOON else 0
        self._added_at = moment
        if self._in_a_row >= _MANY_IN_A_ROW and self._queue.watch():
            self._file.hold()

    def _write(self, batch: Sequence[Job[Books, Any]]) -> None:
        """Do a batch in one transaction, or raise and change nothing."""
        self._in_a_row = 0
        self._file.let_go()
        self._look_for_another_file()
        self._with_file(self._transact, batch)

    def _pause(self) -> bool:
        """Leave the file to others where nothing was written since this was asked last."""
        books = self._books
        if books is not None and self._file.is_held and books.tail.line != self._line_at_pause:
            self._line_at_pause = books.tail.line
            return False
        with suppress(StoreUnavailable):  # it is closed now, and told to whoever comes next
            self._file.let_go()
        return True

    def _with_file(self, work: Callable[..., T], *more: object) -> T:
        try:
            return self._file.read(work, *more)
        except StoreUnavailable as error:
            if not _is_busy(error.__cause__):
                self._file.close()  # what is wrong may be the connection
            raise

    def _look_for_another_file(self) -> None:
        """Follow the path to a file that was put in its place, as a process started now would."""
        moment = time.monotonic()
        if moment >= self._look_again:
            self._look_again = moment + _LOOK_EVERY
            self._file.follow()

    def _transact(self, db: sqlite3.Connection, batch: Sequence[Job[Books, Any]]) -> None:
        books = self._books
        if books is None or books.db is not db:
            # Waiting is the business of the turns; SQLite's own would be longer and longer.
            db.execute("PRAGMA busy_timeout = 0")
            books = self._books = Books(db, self._now)
        changes = db.total_changes
        try:
            self._change(books, batch)
        except BaseException as error:
            books.forget()
            if db.in_transaction:
                db.execute("ROLLBACK")
            elif not isinstance(error, Exception) and db.total_changes > changes:
                # Interrupted after it was written: what was done must not be done again.
                for job in batch:
                    job.finish()
            raise

    def _change(self, books: Books, batch: Sequence[Job[Books, Any]]) -> None:
        """Do jobs in one transaction."""
        writing = self._begin(books, reads=all(job.reads for job in batch))
        for job in batch:
            job.do(books)
        if writing:
            books.write()
        books.db.execute("COMMIT")

    def _begin(self, books: Books, *, reads: bool) -> bool:
        """Begin a transaction, and say whether it may write; an expired lease has to be booked."""
        if reads:
            if not _begun(books, "BEGIN"):
                self._take(books, "BEGIN")
            if not books.is_overdue():
                return False
            books.db.execute("COMMIT")
        self._take(books, "BEGIN IMMEDIATE")
        return True

    def _take(self, books: Books, statement: str) -> None:
        begin, goes_on = partial(_begun, books, statement), partial(_has_news, books)
        if not self._turns.take(begin, goes_on, self._patience):
            raise StoreUnavailable(
                f"the ledger {self.path} was locked by another process for {self._patience:g} s"
            )


class AwaitedSqliteLedger(Face):
    """The face for event loops: commands are written by the process's thread, or beside others."""

    def __init__(self, queue: GroupCommit[Books], deliveries: Deliveries) -> None:
        self._queue = queue
        self._deliveries = deliveries

    async def _ask(self, command: str, *arguments: Any) -> Any:
        future = self._queue.submit(methodcaller(command, *arguments), reads=command in _READS)
        return await self._deliveries.answer_of(future)


@cache
def _schema() -> Schema:
    views = _statements_of("sqlite_views.sql")
    return Schema(
        what="ledger",
        application_id=0x41466C65,  # "AFle"
        version=2,
        statements=_statements_of("sqlite.sql") + views,
        upgrades=(_statements_of("sqlite_from_1.sql") + views,),
        # Each step writes one page to the WAL: with 4 kB it takes a tenth more.
        page_size=2048,
        checkpoint=8000,
        precious=True,
    )


def _statements_of(name: str) -> tuple[str, ...]:
    text = files("agentfuse.ledgers").joinpath(name).read_text("utf-8")
    return tuple(text.split(";\n")[:-1])


def _begun(books: Books, statement: str) -> bool:
    """Begin a transaction; False while another process has the lock."""
    import sqlite3

    try:
        if not books.db.in_transaction:
            books.tail.catch_up()  # what there is to read is not read under the lock
            books.db.execute(statement)
        books.tail.catch_up()
        books.look_at_clock()
    except sqlite3.OperationalError as error:
        if not _is_busy(error):
            raise
        if books.db.in_transaction:
            books.db.execute("ROLLBACK")
        return False
    return True


def _has_news(books: Books) -> bool:
    """Read what others have written, and say whether that was anything."""
    import sqlite3

    try:
        has_news = books.tail.catch_up()
        if books.tail.is_long:
            books.tail.follow()  # what can be done while waiting is not done in the turn
    except sqlite3.OperationalError as error:
        if not _is_busy(error):
            raise
        return False  # to begin is to wait for it
    return has_news


def _is_busy(error: BaseException | None) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == _BUSY
