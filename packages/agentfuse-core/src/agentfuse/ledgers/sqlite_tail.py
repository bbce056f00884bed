"""What a process knows of a ledger's file: as far as it has read ``entries``, and what it adds.

Every step of a ledger is a line of ``entries`` that says what it left on each account. A process
that has read all lines knows all balances, so a step costs one INSERT of the next line, and nothing
is read: where another process has written that line, the INSERT fails, what is new is read, and the
step is decided again. Now and then the lines are folded into tables of accounts and leases, so that
a process which comes later reads a few hundred lines at most.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from agentfuse.ledgers.sqlite_folding import LINES_PER_FOLD, Steps, fold
from agentfuse.ledgers.sqlite_rows import (
    COLUMNS,
    LEASE_LINE,
    KnownLease,
    State,
    stepped,
)

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from agentfuse.ledgers.sqlite_rows import WordedAccount

    _NewLine = tuple[int, str, str, str, str, str, float | None]

NEVER = float("inf")

# SQLite's integers end at 2**63; an account that full ($4.6 billion) stays full.
FULL = 2**62

# What an account holds that nobody has booked on.
UNUSED: State = (0, 0, 0, 0.0)

# Accounts and leases that are remembered; above this all is forgotten and read anew: some 5 MB.
_MOST_REMEMBERED = 10_000

# https://sqlite.org/rescode.html
_BUSY = 5
_CONSTRAINT = 19

# A line with as many columns as a step needs, a renewal, or a lease.
_ADD = {
    n: f"INSERT INTO entries ({', '.join(COLUMNS[:n])}) VALUES ({', '.join('?' * n)})"  # noqa: S608
    for n in (10, 12, 17)
}
_NEW = "SELECT line, what, lease, note, keys, accounts, deadline FROM entries WHERE line >= ?"
_ACCOUNT = "SELECT spent, held, due, resets FROM folded_accounts WHERE key = ?"
_LEASE = "SELECT opened, closed, renewed FROM folded_leases WHERE id = ?"
_LEASE_LINES = f"SELECT {LEASE_LINE} FROM entries WHERE line IN (?, ?, ?) ORDER BY line"  # noqa: S608
_DEADLINES = """SELECT min(deadline) FROM (
    SELECT min(deadline) AS deadline FROM folded_leases WHERE deadline > ?
    UNION ALL SELECT min(deadline) FROM entries WHERE line > ? AND deadline > ?)"""

_SHORT = 10

_read = json.JSONDecoder().decode


class _Accounts(dict[str, State]):
    """Accounts by key; one that is not known is read."""

    def __init__(self, db: sqlite3.Connection) -> None:
        super().__init__()
        self._db = db

    def __missing__(self, key: str) -> State:
        row: State | None = self._db.execute(_ACCOUNT, (key,)).fetchone()
        state = self[key] = UNUSED if row is None else row
        return state


class Tail:
    """Accounts and leases as they are after the line that was read last, and lines to be added.

    A step ``change``s accounts, ``put``s a lease and appends to ``lines``. When those are written,
    ``keep`` makes that final; ``drop`` takes it back.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db
        self._add = db.cursor().execute
        self.forget()

    def forget(self) -> None:
        """Know nothing: the next look reads the file's lines since they were folded."""
        self.line = -1
        self.folded = 0
        self.next_deadline = NEVER
        self.stops: dict[str, str] = {}
        self.accounts = _Accounts(self.db)
        self._leases: dict[str, KnownLease] = {}
        # What is to be folded: accounts with the last line that tells of each, and leases.
        self._unfolded: dict[str, int] = {}
        self._steps = Steps()
        self._newest = ""
        self._accounts_before: list[tuple[str, State]] = []
        self._leases_before: list[tuple[str, KnownLease | None]] = []
        self.lines: list[tuple[Any, ...]] = []

    @property
    def next_line(self) -> int:
        """Number the line that is to be added next."""
        return self.line + len(self.lines) + 1

    @property
    def is_long(self) -> bool:
        """Say whether it is time to fold, or to read anything at all."""
        return self.line < 0 or self.line - self.folded >= LINES_PER_FOLD - 1

    def catch_up(self) -> bool:
        """Read what others have written, and say whether that was anything."""
        if self.line < 0 or len(self.accounts) + len(self._leases) > _MOST_REMEMBERED:
            self.forget()
            self._load()
            return True
        rows = self.db.execute(_NEW, (self.line,)).fetchall()
        # The line that was read last comes again. Where it does not, or the next one is missing, a
        # backup was put into the file, or lines were pruned before this process had read them.
        expected = [self.line, self.line + 1] if self.line else [1, 2]
        if [row[0] for row in rows[:2]] != expected[: len(rows)] or len(rows) < min(self.line, 1):
            self.forget()
            self._load()
            return True
        new = rows[1:] if self.line else rows
        if new:
            self._replay(new)
        return bool(new)

    def lease(self, lease_id: str) -> KnownLease | None:
        """Give a lease, unless it is unknown or forgotten."""
        known = self._leases.get(lease_id)
        return self._found(lease_id) if known is None else known

    def change(self, account: WordedAccount, before: State, now: tuple[int, int, int]) -> str:
        """Change an account to what is spent, held and due now, and write what it comes to."""
        spent, held, due = now
        spent = spent if spent < FULL else FULL  # noqa: FURB136 - min() takes four times as long
        key = account.key
        self._accounts_before.append((key, before))
        self.accounts[key] = (spent, held, due, account.resets)
        return f"{account.head}{spent},{held},{due}{account.tail}"

    def put(self, lease_id: str, known: KnownLease) -> None:
        """Change what is known of a lease."""
        leases = self._leases
        self._leases_before.append((lease_id, leases.get(lease_id)))
        leases[lease_id] = known

    def may_know(self, lease_id: str) -> bool:
        """Say False where a lease is new for sure: ids grow with time, and are seldom looked up."""
        opened = self._steps.opened
        return lease_id <= self._newest or lease_id in opened or lease_id in self._leases

    def add_now(self) -> bool:
        """Add the one line there is, without a transaction of ours; False: nothing was done.

        Where a step needs no line, only see that it was decided on what is true now.
        """
        lines = self.lines
        if not lines:
            return not self.catch_up()
        if len(lines) > 1:
            return False
        if not self._added(lines[0]):
            return False
        self.keep()
        return True

    def write(self) -> None:
        """Add the lines there are, inside a transaction."""
        for columns, statement in _ADD.items():
            lines = [line for line in self.lines if len(line) == columns]
            if lines:
                self.db.executemany(statement, lines)
        self.keep()

    def keep(self) -> None:
        """Know what was written."""
        take = self._steps.take
        for line in self.lines:
            take(line[0], line[2], line[3], None if len(line) == _SHORT else line[11])
            self.line = line[0]
        self.lines.clear()
        unfolded, last = self._unfolded, self.line
        for key, _state in self._accounts_before:
            unfolded[key] = last
        self._accounts_before.clear()
        self._leases_before.clear()

    def drop(self) -> None:
        """Know nothing of what was not written."""
        self.lines.clear()
        self.accounts.update(reversed(self._accounts_before))
        self._accounts_before.clear()
        for lease_id, known in reversed(self._leases_before):
            if known is None:
                self._leases.pop(lease_id, None)
            else:
                self._leases[lease_id] = known
        self._leases_before.clear()

    def fold(self) -> bool:
        """Fold the lines, inside a transaction; False where another process has just done so."""
        self.follow()
        if not self.is_long:
            return False
        accounts = ((key, *self.accounts[key]) for key in self._unfolded)
        fold(self.db, accounts, self._steps)
        self.db.execute("UPDATE pruning SET folded = ?", (self.line,))
        self._trim(self.line)
        return True

    def follow(self) -> None:
        """Forget what another process has folded, as far as it was read."""
        folded: int = self.db.execute("SELECT folded FROM pruning").fetchone()[0]
        if self.folded < folded <= self.line:
            self._trim(folded)

    def open_leases(self) -> Iterable[str]:
        """Name the leases that may be open, oldest first."""
        rows = self.db.execute(
            "SELECT id, opened FROM folded_leases WHERE deadline IS NOT NULL UNION ALL"
            " SELECT lease, line FROM entries WHERE line > ? AND what = 'reserve' ORDER BY 2",
            (self.folded,),
        )
        return dict(rows.fetchall())

    def overdue(self, now: float) -> Iterable[str]:
        """Name the leases that may be open and have expired, by deadline."""
        rows = self.db.execute(
            "SELECT id, deadline, opened FROM folded_leases WHERE deadline <= ? UNION ALL"
            " SELECT lease, deadline, line FROM entries WHERE line > ? AND deadline <= ?"
            " ORDER BY 2, 3",
            (now, self.folded, now),
        )
        return dict.fromkeys(row[0] for row in rows.fetchall())

    def look_ahead(self, now: float) -> None:
        """Find the next deadline, once nothing is overdue."""
        row = self.db.execute(_DEADLINES, (now, self.folded, now)).fetchone()
        self.next_deadline = NEVER if row[0] is None else row[0]

    def _added(self, line: tuple[Any, ...]) -> bool:
        try:
            self._add(_ADD[len(line)], line)
        except Exception as error:
            # Another process has written this line, or is writing now.
            if getattr(error, "sqlite_errorcode", 0) & 0xFF not in {_BUSY, _CONSTRAINT}:
                raise
            return False
        return True

    def _load(self) -> None:
        # Lines may be folded or added meanwhile: what is read later is told again by the lines.
        self.folded = self.line = self.db.execute("SELECT folded FROM pruning").fetchone()[0]
        self._newest = self._newest_folded()
        self.look_ahead(-NEVER)
        self.stops = dict(self.db.execute("SELECT mark, reason FROM stops"))
        self._replay(self.db.execute(_NEW, (self.line + 1,)).fetchall())

    def _replay(self, rows: list[_NewLine]) -> None:
        """Learn from lines that others have written."""
        # Of lines on the same accounts the last one tells all: most need not be read.
        last = {keys: (line, told) for line, _, _, _, keys, told, _ in rows if told}
        for line, told in sorted(last.values()):
            accounts: dict[str, State] = _read(told)
            self.accounts.update(accounts)
            self._unfolded.update(dict.fromkeys(accounts, line))
        take, forget = self._steps.take, self._leases.pop
        for line, what, lease, note, _, _, deadline in rows:
            if what == "stop":
                self.stops[lease] = note
            elif what == "resume":
                self.stops.pop(lease, None)
            elif take(line, what, lease, deadline):
                forget(lease, None)
            if deadline is not None and deadline < self.next_deadline:
                self.next_deadline = deadline
            self.line = line

    def _found(self, lease_id: str) -> KnownLease | None:
        opened, closed, renewed = self.db.execute(_LEASE, (lease_id,)).fetchone() or (0, 0, 0)
        latest = self._steps.of(lease_id)
        lines = (latest[0] or opened, latest[1] or closed, latest[2] or renewed)
        known: KnownLease | None = None
        for line in self.db.execute(_LEASE_LINES, lines).fetchall():
            known = stepped(known, line)
        if known is not None and known.state == "open":
            self._leases[lease_id] = known
        return known

    def _newest_folded(self) -> str:
        newest: str | None = self.db.execute("SELECT max(id) FROM folded_leases").fetchone()[0]
        return newest or ""

    def _trim(self, folded: int) -> None:
        """Remember of what was folded only the accounts, and the leases that are open."""
        self.folded = folded
        self._newest = self._newest_folded()
        self._unfolded = {key: line for key, line in self._unfolded.items() if line > folded}
        self._steps.forget(folded)
        self._leases = {
            lease: known
            for lease, known in self._leases.items()
            if known.state == "open" or lease in self._steps
        }
