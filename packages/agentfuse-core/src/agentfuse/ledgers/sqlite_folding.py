"""How the lines of a ledger in a file are folded into its tables of accounts and leases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

# Folding so many lines takes half a millisecond, and a process that starts reads as many at most.
LINES_PER_FOLD = 256

_ACCOUNTS = """INSERT INTO folded_accounts VALUES (?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE
    SET spent = excluded.spent, held = excluded.held, due = excluded.due"""

_CLOSINGS = """SELECT lease, max(line) AS line FROM entries
    WHERE line > :folded AND what IN ('settle', 'release', 'expire') GROUP BY lease"""
# Most leases are closed a few lines after they were opened, and are written once.
_OPEN = f"""INSERT INTO folded_leases
    SELECT opening.lease, opening.line, closing.line, NULL,
        CASE WHEN closing.line IS NULL THEN opening.deadline END
    FROM entries AS opening LEFT JOIN ({_CLOSINGS}) AS closing ON closing.lease = opening.lease
    WHERE opening.line > :folded AND opening.what = 'reserve'
    ORDER BY opening.lease"""  # noqa: S608 - no value is written into the text
_OPENED_BEFORE = f"""SELECT line, lease FROM ({_CLOSINGS})
    WHERE lease NOT IN (SELECT lease FROM entries WHERE line > :folded AND what = 'reserve')
    """  # noqa: S608
_CLOSE = "UPDATE folded_leases SET closed = ?, deadline = NULL WHERE id = ?"
# A bare column beside max() is of the row that has the maximum:
# https://sqlite.org/lang_select.html#bareagg
_RENEWALS = """SELECT max(line), deadline, lease FROM entries
    WHERE line > :folded AND what = 'renew' GROUP BY lease"""
_RENEW = """UPDATE folded_leases
    SET renewed = ?, deadline = CASE WHEN closed IS NULL THEN ? END WHERE id = ?"""


def fold(
    db: sqlite3.Connection, accounts: Iterable[tuple[Any, ...]], folded: int, line: int
) -> None:
    """Fold the lines after ``folded``, up to ``line``, which is the last one.

    ``accounts`` are rows of those they tell of, as they are now. A lease that was forgotten, and
    is told of after that, stays so.
    """
    after = {"folded": folded}
    db.executemany(_ACCOUNTS, accounts)
    db.execute(_OPEN, after)
    for select, update in ((_OPENED_BEFORE, _CLOSE), (_RENEWALS, _RENEW)):
        rows = db.execute(select, after).fetchall()
        if rows:
            db.executemany(update, rows)
    db.execute("UPDATE pruning SET folded = ?", (line,))
