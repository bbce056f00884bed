"""What a ledger in a file lets go of, a little with every few hundred lines it writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

_HOUR = 3_600.0
_DAY = 24 * _HOUR

# A closed lease: a provider's longest answer (a background or batch call) is over within 24 hours.
REMEMBERED_SECONDS = 25 * _HOUR
# An account whose window has ended: a month's is asked for until the next month's bill is checked.
ENDED_SECONDS = 35 * _DAY
# The trail: whichever is less.
TRAIL_SECONDS = 30 * _DAY
TRAIL_LINES = 100_000

# A step goes through as many rows of each kind; it is taken each time half as many were written.
ROWS_PER_STEP = 512
LINES_PER_STEP = ROWS_PER_STEP // 2

# A clock that leaps (set wrong by years, or a ledger nobody used) is not believed at once.
_LEAP = 7 * _DAY
_STEADY_SECONDS = _HOUR


def prune(db: sqlite3.Connection, now: float) -> bool:
    """Take a step, inside the transaction that is open; say whether accounts were deleted.

    After a leap of the clock by more than a week, or back, nothing is deleted for an hour: a
    month's budget must not be forgotten because a machine believes for a while that it is 2099.
    """
    line, at, steady = db.execute("SELECT line, at, steady FROM pruning").fetchone()
    if not 0 <= now - at <= _LEAP:
        db.execute("UPDATE pruning SET at = ?, steady = ?", (now, now))
        return False
    db.execute("UPDATE pruning SET at = ?", (now,))
    if now - steady < _STEADY_SECONDS:
        return False
    _prune_leases(db, now, line)
    _prune_trail(db, now)
    ended = db.execute(
        "DELETE FROM folded_accounts WHERE key IN (SELECT key FROM folded_accounts"
        " WHERE resets > 0 AND resets < ? AND held = 0 LIMIT ?)",
        (now - ENDED_SECONDS, ROWS_PER_STEP),
    )
    return ended.rowcount > 0


def _prune_leases(db: sqlite3.Connection, now: float, line: int) -> None:
    """Follow the trail, in which each lease leaves a line when it is closed."""
    oldest = now - REMEMBERED_SECONDS
    rows = db.execute(
        "SELECT line, at, lease FROM entries WHERE line > ? ORDER BY line LIMIT ?",
        (line, ROWS_PER_STEP),
    ).fetchall()
    closed: list[tuple[str, float]] = []
    for number, at, lease in rows:
        if oldest <= at <= now + _DAY:
            break
        line = number
        closed.append((lease, oldest))
    db.executemany(
        "DELETE FROM folded_leases WHERE id = ?"
        " AND (SELECT at FROM entries WHERE line = folded_leases.closed) < ?",
        closed,
    )
    db.execute("UPDATE pruning SET line = ?", (line,))


def _prune_trail(db: sqlite3.Connection, now: float) -> None:
    """Let go of lines whose leases were looked at; the last one stays, since it counts on."""
    db.execute(
        "DELETE FROM entries WHERE line IN ("
        " SELECT line FROM entries WHERE line <= (SELECT line FROM pruning)"
        " AND line < (SELECT max(line) FROM entries)"
        " AND lease NOT IN (SELECT id FROM folded_leases WHERE id = entries.lease)"
        " AND (line <= (SELECT max(line) FROM entries) - ? OR at < ?) ORDER BY line LIMIT ?)",
        (TRAIL_LINES, now - TRAIL_SECONDS, ROWS_PER_STEP),
    )
