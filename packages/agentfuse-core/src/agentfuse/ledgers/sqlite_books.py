"""The books of a ledger in a file: what the commands decide, over what its lines come to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentfuse.ledgers.rules import MICRO, lasting, refusal_of, settlement_of
from agentfuse.ledgers.sqlite_pruning import prune
from agentfuse.ledgers.sqlite_rows import (
    STATES,
    KnownLease,
    WordedAccount,
    Wording,
    entry_of,
    line_of,
    renewed,
    wording_of,
)
from agentfuse.ledgers.sqlite_tail import FULL, UNUSED, Tail
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


class NeedsTheLock(Exception):  # noqa: N818 - never an error: it says how to go on
    """A command cannot be done before the file is locked for writing."""


class Books:
    """Accounts and leases over one connection; each command decides, and adds lines to the tail.

    The caller has them written: at once, where a command needs but one line, or inside a
    transaction, which some commands insist on (NeedsTheLock). A command that raises
    ConfigurationError has changed nothing; after any other error the caller rolls back and calls
    ``forget``.
    """

    def __init__(self, db: sqlite3.Connection, clock: Callable[[], float]) -> None:
        self.db = db
        self.tail = Tail(db)
        self.now = 0.0
        self._clock = clock
        self._untidy = True

    def look_at_clock(self) -> None:
        """Read the time at which the commands that follow are done."""
        self.now = self._clock()

    def forget(self) -> None:
        """Know nothing: the next transaction reads all it needs."""
        self.tail.forget()

    def is_overdue(self) -> bool:
        """Say whether a lease may have expired that is still to be booked."""
        return self.now >= self.tail.next_deadline

    def write(self) -> None:
        """Write what was done, inside a transaction, and from time to time tidy up."""
        self.tail.write()
        if self.tail.is_long:
            self._untidy = self.tail.fold()
        if self._untidy:
            self._untidy = False
            if prune(self.db, self.now):
                self.forget()

    def reserve(self, lease: Lease) -> Lease | Refusal | Stop:
        """Hold a lease's amount on each account, or say who said no."""
        tail = self.tail
        if self.now >= tail.next_deadline:
            self.reap()
        known = tail.lease(lease.id) if tail.may_know(lease.id) else None
        if known is not None:
            return known.lease
        wording = wording_of(lease.limits)
        stop = self._stop_of(lease) if tail.stops else None
        refused = stop or self._refusal_of(lease)
        if refused is None:
            return self._hold(lease, wording)
        known = tail.lease(lease.id)
        return refused if known is None else known.lease

    def settle(self, lease_id: str, actual: Amounts) -> Settlement:
        """Book the true cost once, whatever was booked before."""
        known = self.tail.lease(lease_id)
        if known is None:
            return _UNKNOWN
        repeated = known.state == "settled"
        if not repeated:
            known = self._book(known, actual, "settle")
        accounts = self.tail.accounts
        spent = tuple([accounts[key][0] for key in known.wording.keys])
        return settlement_of(known.lease, known.booked, spent, repeated=repeated)

    def release(self, lease_id: str) -> None:
        """Drop a hold, or take an estimate back."""
        known = self.tail.lease(lease_id)
        if known is not None and known.state in {"open", "expired"}:
            self._book(known, NOTHING_USED, "release")

    def renew(self, lease_id: str, ttl: float) -> bool:
        """Move the deadline of an open lease."""
        self.reap()
        known = self.tail.lease(lease_id)
        if known is None or known.state != "open":
            return False
        deadline = self.now + ttl
        self.tail.put(lease_id, renewed(known, ttl=ttl, deadline=deadline))
        self.tail.next_deadline = min(self.tail.next_deadline, deadline)
        self._add(("renew", lease_id), more=(None, ttl, deadline))
        return True

    def balances(self, keys: Sequence[str]) -> tuple[Balance, ...]:
        """Read accounts."""
        self.reap()
        accounts = [self.tail.accounts[key] for key in keys]
        return tuple(Balance(spent=spent, held=held) for spent, held, _due, _resets in accounts)

    def spend(self, limits: Sequence[Limit], amount: Amounts, note: str) -> None:
        """Book a cost that has already happened."""
        wording = wording_of(tuple(limits))
        states: list[str] = []
        for account in wording.accounts:
            more = getattr(amount, account.unit)
            state = self.tail.accounts[account.key]
            spent, held, due, _resets = state
            due = self._paced(account, due, more)
            states.append(self.tail.change(account, state, (spent + more, held, due)))
        accounts = f"{{{','.join(states)}}}"
        self._add(("spend", ""), amount, keys=wording.keys_text, note=note, more=(accounts,))

    def open_leases(self) -> tuple[Lease, ...]:
        """List what is held now."""
        self.reap()
        self.tail.write()
        leases = [self.tail.lease(lease_id) for lease_id in self.tail.open_leases()]
        return tuple(known.lease for known in leases if known and known.state == "open")

    def stop(self, mark: str, reason: str) -> None:
        """Pull a kill switch."""
        self._lock()
        self.db.execute(
            "INSERT INTO stops VALUES (?, ?) ON CONFLICT (mark) DO UPDATE"
            " SET reason = excluded.reason",
            (mark, reason),
        )
        self.tail.stops[mark] = reason
        self._add(("stop", mark), note=reason)

    def resume(self, mark: str) -> None:
        """Put a kill switch back."""
        self._lock()
        if self.tail.stops.pop(mark, None) is not None:
            self.db.execute("DELETE FROM stops WHERE mark = ?", (mark,))
            self._add(("resume", mark))

    def stops(self) -> tuple[Stop, ...]:
        """List the kill switches that are pulled."""
        pulled = sorted(self.tail.stops.items())
        return tuple(Stop(mark=mark, reason=reason) for mark, reason in pulled)

    def claim(self, name: str) -> bool:
        """Keep a name; False where it was kept before."""
        self._lock()
        claimed = self.db.execute("INSERT INTO claims VALUES (?) ON CONFLICT DO NOTHING", (name,))
        return claimed.rowcount == 1

    def trail(self, last: int) -> tuple[Entry, ...]:
        """List the last lines, but for renewals."""
        self.tail.write()
        rows = self.db.execute(
            "SELECT line, at, what, lease, nanodollars, tokens, requests, keys, note"
            " FROM entries WHERE what <> 'renew' ORDER BY line DESC LIMIT ?",
            (last,),
        )
        return tuple(entry_of(row) for row in reversed(rows.fetchall()))

    def reap(self) -> None:
        """Book expired leases at their estimates."""
        if self.now < self.tail.next_deadline:
            return
        self._lock()
        self.tail.write()
        for lease_id in self.tail.overdue(self.now):
            known = self.tail.lease(lease_id)
            if known is not None and known.state == "open" and known.lease.deadline <= self.now:
                self._book(known, known.lease.estimate, "expire")
        self.tail.write()
        self.tail.look_ahead(self.now)

    def _lock(self) -> None:
        if not self.db.in_transaction:
            raise NeedsTheLock

    def _stop_of(self, lease: Lease) -> Stop | None:
        stops = self.tail.stops
        mark = next((mark for mark in lease.marks if mark in stops), None)
        return None if mark is None else Stop(mark=mark, reason=stops[mark])

    def _refusal_of(self, lease: Lease) -> Refusal | None:
        accounts, amount = self.tail.accounts, lease.amount
        for limit in lease.limits:
            spent, held, due, _resets = accounts[limit.key]
            used = spent + held
            for counted in limit.counted:
                earlier = accounts[counted]
                used += earlier[0] + earlier[1]
            if limit.pace or used + getattr(amount, limit.unit) > limit.amount:
                refusal = refusal_of(limit, amount, used=used, due=due, now=self.now)
                if refusal is not None:
                    return refusal
        return None

    def _hold(self, asked: Lease, wording: Wording) -> Lease:
        tail, now, amount = self.tail, self.now, asked.amount
        deadline = now + asked.ttl
        lease = lasting(asked, asked.ttl, deadline)
        accounts, change = tail.accounts, tail.change
        states: list[str] = []
        for account in wording.accounts:
            more = getattr(amount, account.unit)
            state = accounts[account.key]
            spent, held, due, _resets = state
            if account.pace:
                due = self._paced(account, due, more)
            states.append(change(account, state, (spent, held + more, due)))
        known = KnownLease(lease, wording)
        tail.put(lease.id, known)
        tail.next_deadline = min(tail.next_deadline, deadline)
        tail.lines.append(line_of((tail.next_line, now, "reserve"), known, amount, states))
        return lease

    def _paced(self, account: WordedAccount, due: int, amount: int) -> int:
        """Move the moment at which a rate is whole again."""
        if not account.pace:
            return due
        return min(max(due, round(self.now * MICRO)) + amount * account.pace, FULL)

    def _book(self, known: KnownLease, booked: Amounts, what: str) -> KnownLease:
        """Book what a lease has cost, in place of what it held or of what was booked before."""
        lease, wording, tail = known.lease, known.wording, self.tail
        is_open = known.state == "open"
        before = lease.amount if is_open else known.booked
        accounts, change = tail.accounts, tail.change
        states: list[str] = []
        for account in wording.accounts:
            state = accounts[account.key]
            if state is UNUSED and not is_open:
                continue  # it was pruned since: there is nothing to correct
            spent, held, due, _resets = state
            more, less = getattr(booked, account.unit), getattr(before, account.unit)
            if account.pace:
                due = min(due + (more - less) * account.pace, FULL)
            if is_open:
                spent, held = spent + more, held - less
            else:
                spent += more - less
            states.append(change(account, state, (spent, held, due)))
        known = KnownLease(lease, wording, STATES[what], booked)
        tail.put(lease.id, known)
        step = (tail.next_line, self.now, what)
        tail.lines.append(line_of(step, known, booked, states))
        return known

    def _add(
        self,
        step: tuple[str, str],
        amount: Amounts = NOTHING_USED,
        *,
        keys: str = "[]",
        note: str = "",
        more: tuple[object, ...] = (None,),
    ) -> None:
        """Add a line that books on no lease: what, and about which lease or mark.

        ``more`` are its columns from ``accounts`` on.
        """
        amounts = (amount.nanodollars, amount.tokens, amount.requests)
        line = (self.tail.next_line, self.now, *step, *amounts, keys, note, *more)
        self.tail.lines.append(line)
