"""How the lines of a ledger in a file are folded into its tables of accounts and leases."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator

# Folding so many lines takes 0.3 ms, and a process that starts reads as many at most.
LINES_PER_FOLD = 256

CLOSING = frozenset({"settle", "release", "expire"})

# Rows of one INSERT: that takes half the time of one for each.
_ROWS_AT_ONCE = 32

_ACCOUNTS = """INSERT INTO folded_accounts VALUES (?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE
    SET spent = excluded.spent, held = excluded.held, due = excluded.due"""
_OPEN = "INSERT INTO folded_leases VALUES (?, ?, ?, ?, ?)"
_OPEN_MORE = ", (?, ?, ?, ?, ?)"
_CLOSE = "UPDATE folded_leases SET closed = ?, deadline = NULL WHERE id = ?"
_RENEW = """UPDATE folded_leases
    SET renewed = ?, deadline = CASE WHEN closed IS NULL THEN ? END WHERE id = ?"""

_NEVER = (0, None)

# By lease, a line and the deadline that it sets.
_Until = dict[str, tuple[int, float | None]]


@dataclass(slots=True)
class Steps:
    """The lines not folded yet in which leases were opened, renewed and closed last."""

    opened: _Until = field(default_factory=_Until)
    renewed: _Until = field(default_factory=_Until)
    closed: dict[str, int] = field(default_factory=dict[str, int])

    def __contains__(self, lease: str) -> bool:
        """Say whether any line tells of a lease."""
        return lease in self.opened or lease in self.closed or lease in self.renewed

    def take(self, line: int, what: str, lease: str, deadline: float | None) -> bool:
        """Note another line; False where it is about no lease."""
        if what == "reserve":
            self.opened[lease] = line, deadline
        elif what in CLOSING:
            self.closed[lease] = line
        elif what == "renew":
            self.renewed[lease] = line, deadline
        else:
            return False
        return True

    def of(self, lease: str) -> tuple[int, int, int]:
        """Give the lines in which a lease was opened, closed and renewed, each 0 where none is."""
        opened, renewed = self.opened.get(lease, _NEVER), self.renewed.get(lease, _NEVER)
        return opened[0], self.closed.get(lease, 0), renewed[0]

    def forget(self, folded: int) -> None:
        """Forget the lines up to the one ``folded`` last."""
        self.opened = {name: step for name, step in self.opened.items() if step[0] > folded}
        self.renewed = {name: step for name, step in self.renewed.items() if step[0] > folded}
        self.closed = {name: line for name, line in self.closed.items() if line > folded}


def fold(db: sqlite3.Connection, accounts: Iterable[tuple[Any, ...]], steps: Steps) -> None:
    """Fold all lines: rows of the ``accounts``, and the ``steps`` of leases in them.

    A lease that was forgotten, and is told of after that, stays so.
    """
    db.executemany(_ACCOUNTS, accounts)
    rows = sorted(_opened(steps))
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        part = rows[start : start + _ROWS_AT_ONCE]
        values = [value for row in part for value in row]
        db.execute(_OPEN + _OPEN_MORE * (len(part) - 1), values)
    opened = steps.opened
    closed = [(line, name) for name, line in steps.closed.items() if name not in opened]
    renewed = [(*step, name) for name, step in steps.renewed.items() if name not in opened]
    for statement, changes in ((_CLOSE, closed), (_RENEW, renewed)):
        if changes:
            db.executemany(statement, changes)


def _opened(steps: Steps) -> Iterator[tuple[str, int, int | None, int | None, float | None]]:
    """Give a row for each lease that was opened."""
    closed, renewed = steps.closed.get, steps.renewed.get
    for name, (line, deadline) in steps.opened.items():
        end, (renewal, until) = closed(name), renewed(name, _NEVER)
        left = until if renewal else deadline
        yield name, line, end, renewal or None, None if end else left
