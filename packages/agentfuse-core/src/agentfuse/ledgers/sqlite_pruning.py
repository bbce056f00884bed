"""What a ledger in a file lets go of, a little with every few hundred lines it writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentfuse.ledgers.steadiness import DAY, ENDED_SECONDS, HOUR, Steadiness

if TYPE_CHECKING:
    import sqlite3

# A closed lease: a provider's longest answer (a background or batch call) is over within 24 hours.
REMEMBERED_SECONDS = 25 * HOUR
# The trail: whichever is less.
TRAIL_SECONDS = 30 * DAY
TRAIL_LINES = 100_000

# A step goes through as many rows of each kind; it is taken each time half as many were written.
ROWS_PER_STEP = 512
LINES_PER_STEP = ROWS_PER_STEP // 2


def prune(db: sqlite3.Connection, now: float) -> bool:
    """Take a step, inside the transaction that is open; say whether accounts were deleted."""
    line, at, since = db.execute("SELECT line, at, steady FROM pruning").fetchone()
    steadiness = Steadiness(at, since)
    is_steady = steadiness.is_steady(now)
    db.execute("UPDATE pruning SET at = ?, steady = ?", (steadiness.at, steadiness.since))
    if not is_steady:
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
    )
    closed: list[tuple[str, float]] = []
    for number, at, lease in rows:
        if oldest <= at <= now + DAY:
            break
        line = number
        closed.append((lease, oldest))
    rows.close()
    db.executemany(
        "DELETE FROM folded_leases WHERE id = ?"
        " AND (SELECT at FROM entries WHERE line = folded_leases.closed) < ?",
        closed,
    )
    db.execute("UPDATE pruning SET line = ?", (line,))


def _prune_trail(db: sqlite3.Connection, now: float) -> None:
    """Let go of lines whose leases are forgotten; the last one stays, since it counts on."""
    last: int = db.execute("SELECT max(line) FROM entries").fetchone()[0] or 0
    rows = db.execute(
        "SELECT line, at FROM entries WHERE line <= (SELECT line FROM pruning) AND line < ?"
        " AND lease NOT IN (SELECT id FROM folded_leases WHERE id = entries.lease)"
        " ORDER BY line LIMIT ?",
        (last, ROWS_PER_STEP),
    )
    old: list[tuple[int]] = []
    for line, at in rows:
        if line <= last - TRAIL_LINES or at < now - TRAIL_SECONDS:
            old.append((line,))
        elif at <= now:
            break  # what comes after it is younger
    rows.close()
    db.executemany("DELETE FROM entries WHERE line = ?", old)
