"""A ledger in the memory of one process: every budget ends with it."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, fields, replace
from heapq import heapify, heappop, heappush
from threading import Lock
from typing import TYPE_CHECKING, Any

from agentfuse.ledgers.rules import MICRO, booked_keys, check, overrun_of, refusal_of
from agentfuse.tickets import NOTHING_USED, Balance, Entry, Lease, Refusal, Settlement, Stop

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agentfuse.ports import Clock
    from agentfuse.tickets import Amounts, Limit

    # When, what, whose lease, how much, on which limits, and the note: an Entry once it is read.
    _Line = tuple[float, str, str, Amounts, tuple[Limit, ...], str]

# How long, and how many, closed leases are remembered. A provider's longest answer (a background or
# batch call) is over within 24 hours; 100,000 of them take some 30 MB. A settle that comes after
# that finds no lease: it books nothing, and the expired lease's estimate stands.
REMEMBERED_SECONDS = 86_400.0
REMEMBERED_LEASES = 100_000

# Lines of the trail that are kept: some 2 MB.
TRAIL = 10_000

# Deadlines of settled leases stay in the heap until they pass; above this it is rebuilt.
_SPARE_DEADLINES = 1_024

_UNKNOWN = Settlement(booked=NOTHING_USED, repeated=True)


@dataclass(slots=True)
class Account:
    """What is booked on one limit's key; ``due`` is when a rate is whole again (microseconds)."""

    spent: int = 0
    held: int = 0
    due: int = 0


_UNUSED = Account()

_SLOTS: dict[str, tuple[Callable[[Lease], Any], Callable[[Lease, Any], None]]] = {
    field.name: (getattr(Lease, field.name).__get__, getattr(Lease, field.name).__set__)
    for field in fields(Lease)
}


@dataclass(slots=True, kw_only=True)
class _Closed:
    """A lease that holds nothing any more; ``settled`` says that ``booked`` is final."""

    lease: Lease
    booked: Amounts
    settled: bool
    at: float


class MemoryLedger:
    """Limits and leases in memory, for the threads and tasks of one process.

    One lock makes each method atomic; it is never held across an ``await``. An expired lease is
    booked at its estimate by the next ``reserve``, ``balances`` or ``open_leases``. Closed leases
    are remembered for 24 hours, and at most 100,000 of them, so that repeats change nothing.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self._now = time.time if clock is None else clock.now
        self._lock = Lock()
        self._accounts: dict[str, Account] = {}
        self._open: dict[str, Lease] = {}
        self._closed: dict[str, _Closed] = {}
        self._deadlines: list[tuple[float, str]] = []
        self._stops: dict[str, str] = {}
        self._claimed: set[str] = set()
        self._trail: deque[_Line] = deque(maxlen=TRAIL)

    async def reserve(self, lease: Lease) -> Lease | Refusal | Stop:
        """Hold ``lease.amount`` on each account, or name the first limit that said no.

        Raises ConfigurationError for a negative amount or estimate.
        """
        check(lease.amount)
        check(lease.estimate)
        with self._lock:
            now = self._reap()
            known = self._lease_of(lease.id)
            if known is not None:
                return known
            return self._stop_of(lease) or self._refusal_of(lease, now) or self._hold(lease, now)

    async def settle(self, lease_id: str, actual: Amounts) -> Settlement:
        """Book ``actual`` as the lease's whole cost.

        A repeat is answered with what was booked first. A lease that had expired or been released
        is corrected to ``actual``: that was billed. An id this ledger does not know (never
        reserved, or forgotten) has no accounts to book on: nothing is ``booked``, and ``repeated``
        is True. Raises ConfigurationError for a negative amount.
        """
        check(actual)
        with self._lock:
            lease = self._open.get(lease_id)
            if lease is not None:
                self._close(lease, actual, what="settle")
                return self._settlement(lease, actual, repeated=False)
            closed = self._closed.get(lease_id)
            return _UNKNOWN if closed is None else self._correct(closed, actual)

    async def release(self, lease_id: str) -> None:
        """Drop the hold and book nothing; an expired lease gets its estimate back."""
        with self._lock:
            lease = self._open.get(lease_id)
            if lease is not None:
                self._close(lease, NOTHING_USED, what="release")
                return
            closed = self._closed.get(lease_id)
            if closed is not None and not closed.settled:
                self._rebook(closed, NOTHING_USED, "release")

    async def renew(self, lease_id: str, ttl: float) -> bool:
        """Let an open lease last ``ttl`` seconds from now."""
        with self._lock:
            now = self._reap()
            lease = self._open.get(lease_id)
            if lease is None:
                return False
            renewed = replace(lease, ttl=ttl, deadline=now + ttl)
            self._open[lease_id] = renewed
            heappush(self._deadlines, (renewed.deadline, lease_id))
            return True

    async def balances(self, keys: Sequence[str]) -> tuple[Balance, ...]:
        """Read accounts; one that nobody used holds nothing."""
        with self._lock:
            self._reap()
            accounts = [self._accounts.get(key) or _UNUSED for key in keys]
            return tuple(Balance(spent=each.spent, held=each.held) for each in accounts)

    async def spend(self, limits: Sequence[Limit], amount: Amounts, note: str = "") -> None:
        """Book ``amount`` on each limit's account, even past the limit.

        Raises ConfigurationError for a negative amount.
        """
        check(amount)
        with self._lock:
            now = self._now()
            for key, limit in booked_keys(limits).items():
                self._account(key).spent += amount.of(limit.unit)
                self._pace(key, limit, amount.of(limit.unit), now)
            self._trail.append((now, "spend", "", amount, tuple(limits), note))

    async def open_leases(self) -> tuple[Lease, ...]:
        """List what is held now, oldest first."""
        with self._lock:
            self._reap()
            return tuple(self._open.values())

    async def stop(self, mark: str, reason: str = "") -> None:
        """Pull a kill switch."""
        with self._lock:
            self._stops[mark] = reason
            self._note_switch("stop", mark, reason)

    async def resume(self, mark: str) -> None:
        """Put a kill switch back."""
        with self._lock:
            if self._stops.pop(mark, None) is not None:
                self._note_switch("resume", mark, "")

    async def stops(self) -> tuple[Stop, ...]:
        """List the kill switches that are pulled."""
        with self._lock:
            pulled = sorted(self._stops.items())
        return tuple(Stop(mark=mark, reason=reason) for mark, reason in pulled)

    async def claim(self, name: str) -> bool:
        """Say True to the first who asks under a name."""
        with self._lock:
            first = name not in self._claimed
            self._claimed.add(name)
            return first

    async def trail(self, last: int = 100) -> tuple[Entry, ...]:
        """List what happened of late, oldest first."""
        with self._lock:
            lines = tuple(self._trail)[-last:]
        return tuple(
            Entry(
                at=at,
                what=what,
                lease=lease,
                amount=amount,
                keys=tuple(limit.key for limit in limits),
                note=note,
            )
            for at, what, lease, amount, limits, note in lines
        )

    def _account(self, key: str) -> Account:
        account = self._accounts.get(key)
        if account is None:
            account = self._accounts[key] = Account()
        return account

    def _lease_of(self, lease_id: str) -> Lease | None:
        lease = self._open.get(lease_id)
        if lease is not None:
            return lease
        closed = self._closed.get(lease_id)
        return None if closed is None else closed.lease

    def _stop_of(self, lease: Lease) -> Stop | None:
        if not self._stops:
            return None
        pulled = (mark for mark in lease.marks if mark in self._stops)
        mark = next(pulled, None)
        return None if mark is None else Stop(mark=mark, reason=self._stops[mark])

    def _refusal_of(self, lease: Lease, now: float) -> Refusal | None:
        for limit in lease.limits:
            account = self._accounts.get(limit.key, _UNUSED)
            used = account.spent + account.held
            for key in limit.counted:
                counted = self._accounts.get(key, _UNUSED)
                used += counted.spent + counted.held
            refusal = refusal_of(limit, lease.amount, used=used, due=account.due, now=now)
            if refusal is not None:
                return refusal
        return None

    def _hold(self, lease: Lease, now: float) -> Lease:
        lease = _lasting(lease, now)
        for key, limit in booked_keys(lease.limits).items():
            amount = lease.amount.of(limit.unit)
            self._account(key).held += amount
            if limit.pace:
                self._pace(key, limit, amount, now)
        self._open[lease.id] = lease
        self._note("reserve", lease, lease.amount, now)
        heappush(self._deadlines, (lease.deadline, lease.id))
        if len(self._deadlines) > _SPARE_DEADLINES + 2 * len(self._open):
            self._deadlines = [(held.deadline, held.id) for held in self._open.values()]
            heapify(self._deadlines)
        return lease

    def _pace(self, key: str, limit: Limit, amount: int, now: float) -> None:
        """Move the moment at which a rate is whole again."""
        if limit.pace:
            account = self._account(key)
            account.due = max(account.due, round(now * MICRO)) + amount * limit.pace

    def _close(self, lease: Lease, booked: Amounts, *, what: str) -> None:
        del self._open[lease.id]
        for key, limit in booked_keys(lease.limits).items():
            account = self._accounts[key]
            held, spent = lease.amount.of(limit.unit), booked.of(limit.unit)
            account.held -= held
            account.spent += spent
            if limit.pace:
                account.due += (spent - held) * limit.pace
        now = self._now()
        settled = what == "settle"
        self._closed[lease.id] = _Closed(lease=lease, booked=booked, settled=settled, at=now)
        self._note(what, lease, booked, now)
        self._forget(now)

    def _correct(self, closed: _Closed, actual: Amounts) -> Settlement:
        repeated = closed.settled
        if not repeated:
            self._rebook(closed, actual, "settle")
            closed.settled = True
        return self._settlement(closed.lease, closed.booked, repeated=repeated)

    def _settlement(self, lease: Lease, booked: Amounts, *, repeated: bool) -> Settlement:
        spent = tuple([self._accounts[limit.key].spent for limit in lease.limits])
        return Settlement(
            booked=booked, overrun=overrun_of(lease, booked), repeated=repeated, spent=spent
        )

    def _rebook(self, closed: _Closed, booked: Amounts, what: str) -> None:
        for key, limit in booked_keys(closed.lease.limits).items():
            more = booked.of(limit.unit) - closed.booked.of(limit.unit)
            account = self._accounts[key]
            account.spent += more
            account.due += more * limit.pace
        closed.booked = booked
        self._note(what, closed.lease, booked, self._now())

    def _reap(self) -> float:
        """Book expired leases at their estimates, and give the time."""
        now = self._now()
        deadlines = self._deadlines
        while deadlines and deadlines[0][0] <= now:
            deadline, lease_id = heappop(deadlines)
            lease = self._open.get(lease_id)
            if lease is not None and lease.deadline == deadline:
                self._close(lease, lease.estimate, what="expire")
        return now

    def _forget(self, now: float) -> None:
        while self._closed:
            lease_id, oldest = next(iter(self._closed.items()))
            if len(self._closed) <= REMEMBERED_LEASES and oldest.at + REMEMBERED_SECONDS > now:
                return
            del self._closed[lease_id]

    def _note(self, what: str, lease: Lease, amount: Amounts, now: float) -> None:
        self._trail.append((now, what, lease.id, amount, lease.limits, lease.note))

    def _note_switch(self, what: str, mark: str, reason: str) -> None:
        self._trail.append((self._now(), what, mark, NOTHING_USED, (), reason))


def _lasting(lease: Lease, now: float) -> Lease:
    """Copy a lease with its deadline: slot by slot, in half the time its init takes."""
    lasting = object.__new__(Lease)
    for name, (read, write) in _SLOTS.items():
        write(lasting, now + lease.ttl if name == "deadline" else read(lease))
    return lasting
