"""How the lines of a ledger in a file are folded into its tables of accounts and leases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

# Folding so many lines takes a millisecond, and a process that starts reads as many at most.
LINES_PER_FOLD = 256

_ACCOUNTS = """INSERT INTO folded_accounts VALUES (?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE
    SET spent = excluded.spent, held = excluded.held, due = excluded.due"""

# The last closing of each lease; a bare column beside max() is of the row that has the maximum:
# https://sqlite.org/lang_select.html#bareagg
_CLOSINGS = """SELECT
        CASE what WHEN 'settle' THEN 'settled' WHEN 'release' THEN 'released' ELSE 'expired' END
        AS state, at, nanodollars, tokens, requests, lease, max(line)
    FROM entries WHERE line > :folded AND what IN ('settle', 'release', 'expire') GROUP BY lease"""
_RENEWALS = """SELECT ttl, deadline, lease, max(line) FROM entries
    WHERE line > :folded AND what = 'renew' GROUP BY lease"""

# Most leases are closed a few lines after they were opened, and are written once.
_OPEN = f"""INSERT INTO folded_leases
    SELECT opening.lease, coalesce(closing.state, 'open'), opening.line, closing.at,
        opening.deadline, opening.ttl, opening.nanodollars, opening.tokens, opening.requests,
        opening.estimated_nanodollars, opening.estimated_tokens, opening.estimated_requests,
        coalesce(closing.nanodollars, 0), coalesce(closing.tokens, 0),
        coalesce(closing.requests, 0), opening.limits, opening.marks, opening.note
    FROM entries AS opening LEFT JOIN ({_CLOSINGS}) AS closing ON closing.lease = opening.lease
    WHERE opening.line > :folded AND opening.what = 'reserve'
    ORDER BY opening.lease"""  # noqa: S608 - no value is written into the text
_OPENED_BEFORE = f"""SELECT state, at, nanodollars, tokens, requests, lease FROM ({_CLOSINGS})
    WHERE lease NOT IN (SELECT lease FROM entries WHERE line > :folded AND what = 'reserve')
    """  # noqa: S608
_CLOSE = """UPDATE folded_leases SET state = ?, closed = ?, booked_nanodollars = ?,
    booked_tokens = ?, booked_requests = ? WHERE id = ?"""
_RENEW = "UPDATE folded_leases SET ttl = ?, deadline = ? WHERE id = ?"


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
    db.executemany(_CLOSE, db.execute(_OPENED_BEFORE, after).fetchall())
    renewals = db.execute(_RENEWALS, after).fetchall()
    db.executemany(_RENEW, [row[:3] for row in renewals])
    db.execute("UPDATE pruning SET folded = ?", (line,))
