"""The books inside one SQLite transaction: what the commands decide, read and write."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agentfuse.ledgers.lease_texts import text_of
from agentfuse.ledgers.rules import MICRO, booked_keys, overrun_of, refusal_of
from agentfuse.ledgers.sqlite_rows import KnownLease, entry_of, known_of, lasting, row_of
from agentfuse.tickets import (
    NOTHING_USED,
    Amounts,
    Balance,
    Entry,
    Lease,
    Refusal,
    Settlement,
    Stop,
)

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

    from agentfuse.tickets import Limit

_UNKNOWN = Settlement(booked=NOTHING_USED, repeated=True)
_NEVER = float("inf")

# SQLite's integers end at 2**63; an account that full ($4.6 billion) stays full.
_FULL = 2**62

# What is remembered between transactions while nobody else writes: some 5 MB.
_MOST_REMEMBERED = 10_000

_INSERT_LEASE = """INSERT INTO leases
    VALUES (?, 'open', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (id) DO NOTHING"""
_SELECT_LEASE = "SELECT * FROM leases WHERE id = ?"
_CLOSE_LEASE = """UPDATE leases SET state = ?, closed = ?, booked_nanodollars = ?,
    booked_tokens = ?, booked_requests = ? WHERE id = ?"""
_INSERT_ENTRY = "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_WRITE_ACCOUNT = """INSERT INTO accounts VALUES (?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE
    SET spent = excluded.spent, held = excluded.held, due = excluded.due"""
_NEXT_DEADLINE = "SELECT min(deadline) FROM leases WHERE state = 'open'"

_STATES = {"settle": "settled", "release": "released", "expire": "expired"}


@dataclass(slots=True)
class _Account:
    """One row of ``accounts``; ``known`` says that there is one."""

    spent: int = 0
    held: int = 0
    due: int = 0
    known: bool = False


class Books:
    """Accounts and leases over one connection, inside a transaction that the caller keeps.

    Accounts and lines of the trail are written by ``flush``, so that commands which share a
    transaction write each row once; leases are written at once. What was read stands until another
    connection writes. A command that raises ConfigurationError has changed nothing; after any other
    error the caller rolls back and calls ``forget``.
    """

    def __init__(self, db: sqlite3.Connection, clock: Callable[[], float]) -> None:
        self.db = db
        self._clock = clock
        self.now = 0.0
        self._version: int | None = None
        self._line = 0
        self._next_deadline = _NEVER
        self._stops: dict[str, str] = {}
        self.forget()

    def begin(self) -> None:
        """Read the time, and what is new since the last transaction."""
        version = self.db.execute("PRAGMA data_version").fetchone()[0]
        if version != self._version or len(self._accounts) + len(self._open) > _MOST_REMEMBERED:
            self.forget()
            self._load()
            self._version = version
        self.now = self._clock()

    def forget(self) -> None:
        """Know nothing: the next transaction reads all it needs."""
        self._version = None
        self._accounts: dict[str, _Account] = {}
        self._open: dict[str, KnownLease] = {}
        self._changed: dict[str, float] = {}
        self._lines: list[tuple[Any, ...]] = []

    def is_overdue(self) -> bool:
        """Say whether a lease has expired that is still to be booked."""
        return self.now >= self._next_deadline

    def flush(self) -> int:
        """Write the accounts that changed and the trail; give the number of lines."""
        if self._changed:
            accounts = self._accounts
            rows = [
                (key, accounts[key].spent, accounts[key].held, accounts[key].due, resets)
                for key, resets in self._changed.items()
            ]
            self.db.executemany(_WRITE_ACCOUNT, rows)
            self._changed.clear()
        count = len(self._lines)
        if count:
            self.db.executemany(_INSERT_ENTRY, self._lines)
            self._lines.clear()
        return count

    def reserve(self, lease: Lease) -> Lease | Refusal | Stop:
        """Hold a lease's amount on each account, or say who said no."""
        self.reap()
        keys = tuple([limit.key for limit in lease.limits])
        refused = self._stop_of(lease) or self._refusal_of(lease, keys)
        if refused is None:
            return self._hold(lease, keys)
        known = self._find(lease.id)
        return refused if known is None else known.lease

    def settle(self, lease_id: str, actual: Amounts) -> Settlement:
        """Book the true cost once, whatever was booked before."""
        known = self._find(lease_id)
        if known is None:
            return _UNKNOWN
        repeated = known.state == "settled"
        if known.state == "open":
            self._close(known, actual, "settle")
        elif not repeated:
            self._rebook(known, actual, "settle")
        return Settlement(
            booked=known.booked,
            overrun=overrun_of(known.lease, known.booked),
            repeated=repeated,
            spent=tuple([self._account(key).spent for key in known.keys]),
        )

    def release(self, lease_id: str) -> None:
        """Drop a hold, or take an estimate back."""
        known = self._find(lease_id)
        if known is None:
            return
        if known.state == "open":
            self._close(known, NOTHING_USED, "release")
        elif known.state == "expired":
            self._rebook(known, NOTHING_USED, "release")

    def renew(self, lease_id: str, ttl: float) -> bool:
        """Move the deadline of an open lease."""
        self.reap()
        known = self._find(lease_id)
        if known is None or known.state != "open":
            return False
        known.lease = lasting(known.lease, ttl, self.now + ttl)
        self.db.execute(
            "UPDATE leases SET ttl = ?, deadline = ? WHERE id = ?",
            (ttl, known.lease.deadline, lease_id),
        )
        self._next_deadline = min(self._next_deadline, known.lease.deadline)
        return True

    def balances(self, keys: Sequence[str]) -> tuple[Balance, ...]:
        """Read accounts."""
        self.reap()
        accounts = [self._account(key) for key in keys]
        return tuple(Balance(spent=each.spent, held=each.held) for each in accounts)

    def spend(self, limits: Sequence[Limit], amount: Amounts, note: str) -> None:
        """Book a cost that has already happened."""
        for key, limit in booked_keys(limits).items():
            more = amount.of(limit.unit)
            account = self._changing(key, limit)
            account.spent = min(account.spent + more, _FULL)
            self._pace(account, limit, more)
        self._write("spend", "", amount, tuple(limit.key for limit in limits), note)

    def open_leases(self) -> tuple[Lease, ...]:
        """List what is held now."""
        self.reap()
        rows = self.db.execute("SELECT * FROM leases WHERE state = 'open' ORDER BY opened")
        return tuple(known_of(row).lease for row in rows)

    def stop(self, mark: str, reason: str) -> None:
        """Pull a kill switch."""
        self.db.execute(
            "INSERT INTO stops VALUES (?, ?) ON CONFLICT (mark) DO UPDATE"
            " SET reason = excluded.reason",
            (mark, reason),
        )
        self._stops[mark] = reason
        self._write("stop", mark, NOTHING_USED, (), reason)

    def resume(self, mark: str) -> None:
        """Put a kill switch back."""
        if self._stops.pop(mark, None) is not None:
            self.db.execute("DELETE FROM stops WHERE mark = ?", (mark,))
            self._write("resume", mark, NOTHING_USED, (), "")

    def stops(self) -> tuple[Stop, ...]:
        """List the kill switches that are pulled."""
        pulled = sorted(self._stops.items())
        return tuple(Stop(mark=mark, reason=reason) for mark, reason in pulled)

    def claim(self, name: str) -> bool:
        """Keep a name; False where it was kept before."""
        claimed = self.db.execute("INSERT INTO claims VALUES (?) ON CONFLICT DO NOTHING", (name,))
        return claimed.rowcount == 1

    def trail(self, last: int) -> tuple[Entry, ...]:
        """List the last lines."""
        self.flush()
        rows = self.db.execute("SELECT * FROM entries ORDER BY line DESC LIMIT ?", (last,))
        return tuple(entry_of(row) for row in reversed(rows.fetchall()))

    def reap(self) -> None:
        """Book expired leases at their estimates."""
        if self.now < self._next_deadline:
            return
        expired = self.db.execute(
            "SELECT id FROM leases WHERE state = 'open' AND deadline <= ?"
            " ORDER BY deadline, opened",
            (self.now,),
        )
        for (lease_id,) in expired.fetchall():
            known = self._find(lease_id)
            if known is not None:
                self._close(known, known.lease.estimate, "expire")
        self._next_deadline = self._first_deadline()

    def _load(self) -> None:
        self._next_deadline = self._first_deadline()
        self._line = self.db.execute("SELECT max(line) FROM entries").fetchone()[0] or 0
        self._stops = dict(self.db.execute("SELECT mark, reason FROM stops"))

    def _first_deadline(self) -> float:
        first: float | None = self.db.execute(_NEXT_DEADLINE).fetchone()[0]
        return _NEVER if first is None else first

    def _account(self, key: str) -> _Account:
        account = self._accounts.get(key)
        if account is None:
            row = self.db.execute(
                "SELECT spent, held, due FROM accounts WHERE key = ?", (key,)
            ).fetchone()
            account = _Account() if row is None else _Account(*row)
            account.known = row is not None
            self._accounts[key] = account
        return account

    def _changing(self, key: str, limit: Limit) -> _Account:
        account = self._account(key)
        account.known = True
        self._changed[key] = limit.resets
        return account

    def _find(self, lease_id: str) -> KnownLease | None:
        known = self._open.get(lease_id)
        if known is None:
            row = self.db.execute(_SELECT_LEASE, (lease_id,)).fetchone()
            if row is None:
                return None
            known = known_of(row)
            if known.state == "open":
                self._open[lease_id] = known
        return known

    def _stop_of(self, lease: Lease) -> Stop | None:
        if not self._stops:
            return None
        mark = next((mark for mark in lease.marks if mark in self._stops), None)
        return None if mark is None else Stop(mark=mark, reason=self._stops[mark])

    def _refusal_of(self, lease: Lease, keys: tuple[str, ...]) -> Refusal | None:
        for own, limit in zip(keys, lease.limits, strict=True):
            account = self._account(own)
            used = account.spent + account.held
            for key in limit.counted:
                counted = self._account(key)
                used += counted.spent + counted.held
            refusal = refusal_of(limit, lease.amount, used=used, due=account.due, now=self.now)
            if refusal is not None:
                return refusal
        return None

    def _hold(self, asked: Lease, keys: tuple[str, ...]) -> Lease:
        lease = lasting(asked, asked.ttl, self.now + asked.ttl)
        inserted = self.db.execute(_INSERT_LEASE, row_of(lease, self._line + 1))
        if inserted.rowcount == 0:
            known = self._find(lease.id)
            return lease if known is None else known.lease
        known = self._open[lease.id] = KnownLease(lease, keys)
        for key, limit in known.accounts():
            amount = lease.amount.of(limit.unit)
            account = self._changing(key, limit)
            account.held += amount
            self._pace(account, limit, amount)
        self._next_deadline = min(self._next_deadline, lease.deadline)
        self._write("reserve", lease.id, lease.amount, keys, lease.note)
        return lease

    def _pace(self, account: _Account, limit: Limit, amount: int) -> None:
        """Move the moment at which a rate is whole again."""
        if limit.pace:
            due = max(account.due, round(self.now * MICRO)) + amount * limit.pace
            account.due = min(due, _FULL)

    def _close(self, known: KnownLease, booked: Amounts, what: str) -> None:
        lease = known.lease
        for key, limit in known.accounts():
            held, spent = lease.amount.of(limit.unit), booked.of(limit.unit)
            account = self._changing(key, limit)
            account.held -= held
            account.spent = min(account.spent + spent, _FULL)
            account.due = min(account.due + (spent - held) * limit.pace, _FULL)
        self._open.pop(lease.id, None)
        self._book(known, booked, what)

    def _rebook(self, known: KnownLease, booked: Amounts, what: str) -> None:
        """Correct what was booked; an account that was pruned since has nothing to correct."""
        for key, limit in known.accounts():
            more = booked.of(limit.unit) - known.booked.of(limit.unit)
            if self._account(key).known:
                account = self._changing(key, limit)
                account.spent = min(account.spent + more, _FULL)
                account.due = min(account.due + more * limit.pace, _FULL)
        self._book(known, booked, what)

    def _book(self, known: KnownLease, booked: Amounts, what: str) -> None:
        known.state, known.booked = _STATES[what], booked
        amounts = (booked.nanodollars, booked.tokens, booked.requests)
        self.db.execute(_CLOSE_LEASE, (known.state, self.now, *amounts, known.lease.id))
        self._write(what, known.lease.id, booked, known.keys, known.lease.note)

    def _write(
        self, what: str, lease: str, amount: Amounts, keys: tuple[str, ...], note: str
    ) -> None:
        self._line += 1
        amounts = (amount.nanodollars, amount.tokens, amount.requests)
        self._lines.append((self._line, self.now, what, lease, *amounts, text_of(keys), note))
