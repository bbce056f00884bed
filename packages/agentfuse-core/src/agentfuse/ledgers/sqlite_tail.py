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

from agentfuse.ledgers.sqlite_folding import LINES_PER_FOLD, fold
from agentfuse.ledgers.sqlite_rows import (
    LEASE_LINE,
    KnownLease,
    State,
    stepped,
)

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

NEVER = float("inf")

# What an account holds that nobody has booked on.
UNUSED: State = (0, 0, 0, 0.0)

# Accounts and leases that are remembered; above this all is forgotten and read anew: some 5 MB.
_MOST_REMEMBERED = 10_000

# https://sqlite.org/rescode.html
_BUSY = 5

_ADD = f"INSERT INTO entries VALUES ({', '.join('?' * 17)})"
# A line that reserves, unless its lease was reserved long ago: looking that up in the same statement
# takes a third of the time.
_ADD_NEW = f"""INSERT INTO entries SELECT {", ".join(f"?{n}" for n in range(1, 18))}
    WHERE NOT EXISTS (SELECT 1 FROM folded_leases WHERE id = ?4)"""  # noqa: S608
_NEW = "SELECT line, what, lease, note, accounts, deadline FROM entries WHERE line > ?"
_ACCOUNT = "SELECT spent, held, due, resets FROM folded_accounts WHERE key = ?"
_LEASE = "SELECT opened, closed, renewed FROM folded_leases WHERE id = ?"
_FOLDED_LINES = f"SELECT {LEASE_LINE} FROM entries WHERE line IN (?, ?, ?) ORDER BY line"  # noqa: S608
_LEASE_LINES = f"""SELECT {LEASE_LINE} FROM entries WHERE line > ? AND lease = ?
    AND what IN ('reserve', 'settle', 'release', 'expire', 'renew') ORDER BY line"""  # noqa: S608
_DEADLINES = """SELECT min(deadline) FROM (
    SELECT min(deadline) AS deadline FROM folded_leases WHERE deadline > ?
    UNION ALL SELECT min(deadline) FROM entries WHERE line > ? AND deadline > ?)"""

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

    A step changes ``accounts`` and ``leases`` by ``book`` and ``put``, and adds its ``lines``; when
    they are written, ``keep`` makes that final, and otherwise ``drop`` takes it back.
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
        # What is to be folded: each with the last line that tells of it. `_strange` are leases
        # about which others have written.
        self._unfolded: dict[str, int] = {}
        self._strange: dict[str, int] = {}
        self._accounts_before: dict[str, State] = {}
        self._leases_before: dict[str, KnownLease | None] = {}
        self.lines: list[tuple[Any, ...]] = []

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
        if not rows:
            return False
        if rows[0][0] == self.line + 1:
            self._replay(rows)
        else:  # lines were pruned before this process had read them
            self.forget()
            self._load()
        return True

    def lease(self, lease_id: str) -> KnownLease | None:
        """Give a lease, unless it is unknown or forgotten."""
        known = self._leases.get(lease_id)
        return self._found(lease_id) if known is None else known

    def book(self, key: str, state: State) -> None:
        """Change what is booked on an account."""
        accounts = self.accounts
        self._accounts_before.setdefault(key, accounts[key])
        accounts[key] = state

    def put(self, lease_id: str, known: KnownLease) -> None:
        """Change what is known of a lease."""
        leases = self._leases
        self._leases_before.setdefault(lease_id, leases.get(lease_id))
        leases[lease_id] = known

    def may_know(self, lease_id: str) -> bool:
        """Say False where a lease is new, unless it was folded: then it is not added now, either."""
        return self.db.in_transaction or lease_id in self._leases or lease_id in self._strange

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
        if self.lines:
            self.db.executemany(_ADD, self.lines)
            self.keep()

    def keep(self) -> None:
        """Know what was written."""
        self.line += len(self.lines)
        self.lines.clear()
        self._unfolded.update(dict.fromkeys(self._accounts_before, self.line))
        self._accounts_before.clear()
        self._leases_before.clear()

    def drop(self) -> None:
        """Know nothing of what was not written."""
        self.lines.clear()
        self.accounts.update(self._accounts_before)
        self._accounts_before.clear()
        for lease_id, known in self._leases_before.items():
            if known is None:
                self._leases.pop(lease_id, None)
            else:
                self._leases[lease_id] = known
        self._leases_before.clear()

    def fold(self) -> bool:
        """Fold the lines, inside a transaction; False where another process has just done so."""
        folded: int = self.db.execute("SELECT folded FROM pruning").fetchone()[0]
        if folded > self.folded:
            self._trim(folded)
            if not self.is_long:
                return False
        accounts = ((key, *self.accounts[key]) for key in self._unfolded)
        fold(self.db, accounts, self.folded, self.line)
        self._trim(self.line)
        return True

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
        import sqlite3

        try:
            if line[2] == "reserve":
                return self._add(_ADD_NEW, line).rowcount == 1
            self._add(_ADD, line)
        except sqlite3.IntegrityError:
            return False  # another process has written this line
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != _BUSY:
                raise
            return False
        return True

    def _load(self) -> None:
        # Lines may be folded or added meanwhile: what is read later is told again by the lines.
        self.folded = self.line = self.db.execute("SELECT folded FROM pruning").fetchone()[0]
        self.look_ahead(-NEVER)
        self.stops = dict(self.db.execute("SELECT mark, reason FROM stops"))
        self._replay(self.db.execute(_NEW, (self.line,)).fetchall())

    def _replay(self, rows: list[tuple[int, str, str, str, str | None, float | None]]) -> None:
        """Learn from lines that others have written."""
        told = [row for row in rows if row[4]]
        states: list[dict[str, State]] = _read(f"[{','.join(row[4] or '' for row in told)}]")
        for (line, *_), accounts in zip(told, states, strict=True):
            self.accounts.update(accounts)
            self._unfolded.update(dict.fromkeys(accounts, line))
        for line, what, lease, note, _accounts, deadline in rows:
            if what == "stop":
                self.stops[lease] = note
            elif what == "resume":
                self.stops.pop(lease, None)
            else:
                self._strange[lease] = line
                self._leases.pop(lease, None)
            if deadline is not None and deadline < self.next_deadline:
                self.next_deadline = deadline
            self.line = line

    def _found(self, lease_id: str) -> KnownLease | None:
        folded = self.db.execute(_LEASE, (lease_id,)).fetchone()
        lines = [] if folded is None else self.db.execute(_FOLDED_LINES, folded).fetchall()
        if lease_id in self._strange:
            lines += self.db.execute(_LEASE_LINES, (self.folded, lease_id)).fetchall()
        known: KnownLease | None = None
        for line in lines:
            known = stepped(known, line)
        if known is not None and known.state == "open":
            self._leases[lease_id] = known
        return known

    def _trim(self, folded: int) -> None:
        """Remember of what was folded only the accounts, and the leases that are open."""
        self.folded = folded
        self._unfolded = {key: line for key, line in self._unfolded.items() if line > folded}
        self._strange = {name: line for name, line in self._strange.items() if line > folded}
        if folded == self.line:
            self._leases = {
                name: known for name, known in self._leases.items() if known.state == "open"
            }
