"""How the lines of a ledger in a file are folded into its tables of accounts and leases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping

# Folding so many lines takes 0.3 ms, and a process that starts reads as many at most.
LINES_PER_FOLD = 256

_ACCOUNTS = """INSERT INTO folded_accounts VALUES (?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE
    SET spent = excluded.spent, held = excluded.held, due = excluded.due"""
_OPEN = "INSERT INTO folded_leases VALUES (?, ?, ?, ?, ?)"
_CLOSE = "UPDATE folded_leases SET closed = ?, deadline = NULL WHERE id = ?"
_RENEW = """UPDATE folded_leases
    SET renewed = ?, deadline = CASE WHEN closed IS NULL THEN ? END WHERE id = ?"""


@dataclass(slots=True)
class Steps:
    """The lines not folded yet in which a lease was opened, last renewed and last closed (or 0)."""

    opened: int = 0
    renewed: int = 0
    closed: int = 0
    deadline: float | None = None

    def take(self, line: int, what: str, deadline: float | None) -> None:
        """Note another line."""
        if what == "reserve":
            self.opened, self.deadline = line, deadline
        elif what == "renew":
            self.renewed, self.deadline = line, deadline
        else:
            self.closed = line

    def after(self, folded: int) -> Steps | None:
        """Give what is left of the steps when lines were folded; None where that is nothing."""
        if max(self.opened, self.renewed, self.closed) <= folded:
            return None
        opened, renewed, closed = (
            line if line > folded else 0 for line in (self.opened, self.renewed, self.closed)
        )
        return Steps(opened, renewed, closed, self.deadline)


def fold(
    db: sqlite3.Connection,
    accounts: Iterable[tuple[Any, ...]],
    leases: Mapping[str, Steps],
    line: int,
) -> None:
    """Fold all lines, up to ``line``: rows of the ``accounts`` and steps of the ``leases`` in them.

    A lease that was forgotten, and is told of after that, stays so.
    """
    db.executemany(_ACCOUNTS, accounts)
    opened = [
        (
            name,
            each.opened,
            each.closed or None,
            each.renewed or None,
            None if each.closed else each.deadline,
        )
        for name, each in sorted(leases.items())
        if each.opened
    ]
    earlier = [(name, each) for name, each in leases.items() if not each.opened]
    closed = [(each.closed, name) for name, each in earlier if each.closed]
    renewed = [(each.renewed, each.deadline, name) for name, each in earlier if each.renewed]
    for statement, rows in ((_OPEN, opened), (_CLOSE, closed), (_RENEW, renewed)):
        if rows:
            db.executemany(statement, rows)
    db.execute("UPDATE pruning SET folded = ?", (line,))
