"""A ledger in the memory of one process: every budget ends with it."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, replace
from heapq import heapify, heappop, heappush
from threading import Lock
from typing import TYPE_CHECKING

from agentfuse.ledgers.rules import MICRO, booked_keys, check, lasting, refusal_of, settlement_of
from agentfuse.ledgers.steadiness import ENDED_SECONDS, Steadiness
from agentfuse.tickets import NOTHING_USED, Balance, Entry, Lease, Refusal, Settlement, Stop

if TYPE_CHECKING:
    from collections.abc import Sequence

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


@dataclass(slots=True)
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
    are remembered for 24 hours, and at most 100,000 of them, so that repeats change nothing;
    accounts until 35 days after their window has ended.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self._now = time.time if clock is None else clock.now
        self._lock = Lock()
        self._accounts: dict[str, Account] = {}
        self._open: dict[str, Lease] = {}
        self._closed: dict[str, _Closed] = {}
        self._deadlines: list[tuple[float, str]] = []
        self._forget_at = 0.0
        self._ends: list[tuple[float, str]] = []
        self._steadiness = Steadiness()
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
            known = self._open.get(lease.id)
            if known is not None:
                return known
            closed = self._closed.get(lease.id)
            if closed is not None:
                return closed.lease
            if self._stops and (stop := self._stop_of(lease)):
                return stop
            return self._admit(lease, now)

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
                return settlement_of(lease, actual, self._close(lease, actual, "settle"))
            closed = self._closed.get(lease_id)
            return _UNKNOWN if closed is None else self._correct(closed, actual)

    async def release(self, lease_id: str) -> None:
        """Drop the hold and book nothing; an expired lease gets its estimate back."""
        with self._lock:
            lease = self._open.get(lease_id)
            if lease is not None:
                self._close(lease, NOTHING_USED, "release")
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
            for limit in booked_keys(limits).values():
                account, spent = self._account(limit), amount.of(limit.unit)
                account.spent += spent
                if limit.pace:
                    self._pace(account, limit, spent, now)
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

    def _account(self, limit: Limit) -> Account:
        account = self._accounts.get(limit.key)
        if account is None:
            account = self._accounts[limit.key] = Account()
            if limit.resets:
                self._let_go(self._now())
                heappush(self._ends, (limit.resets + ENDED_SECONDS, limit.key))
        return account

    def _let_go(self, now: float) -> None:
        """Let go of accounts whose windows ended long ago, while the clock is believed."""
        if not self._steadiness.is_steady(now):
            return
        ends = self._ends
        while ends and ends[0][0] <= now:
            _, key = heappop(ends)
            if self._is_in_use(key):
                heappush(ends, (now + ENDED_SECONDS, key))
            else:
                del self._accounts[key]

    def _is_in_use(self, key: str) -> bool:
        return self._accounts[key].held > 0

    def _stop_of(self, lease: Lease) -> Stop | None:
        pulled = (mark for mark in lease.marks if mark in self._stops)
        mark = next(pulled, None)
        return None if mark is None else Stop(mark=mark, reason=self._stops[mark])

    def _admit(self, lease: Lease, now: float) -> Lease | Refusal:
        accounts, amount = self._accounts, lease.amount
        booked: dict[str, Limit] = {}
        for limit in lease.limits:
            account = accounts.get(limit.key, _UNUSED)
            used = account.spent + account.held
            for key in limit.counted:
                counted = accounts.get(key, _UNUSED)
                used += counted.spent + counted.held
            # Most calls fit, and are spared the way there.
            if limit.pace or used + getattr(amount, limit.unit) > limit.amount:
                refusal = refusal_of(limit, amount, used=used, due=account.due, now=now)
                if refusal is not None:
                    return refusal
            booked[limit.key] = limit
        return self._hold(lease, booked, now)

    def _hold(self, lease: Lease, booked: dict[str, Limit], now: float) -> Lease:
        deadline = now + lease.ttl
        lease = lasting(lease, lease.ttl, deadline)
        accounts, amount = self._accounts, lease.amount
        for key, limit in booked.items():
            account = accounts.get(key) or self._account(limit)
            held = getattr(amount, limit.unit)
            account.held += held
            if limit.pace:
                self._pace(account, limit, held, now)
        self._open[lease.id] = lease
        self._trail.append((now, "reserve", lease.id, amount, lease.limits, lease.note))
        deadlines = self._deadlines
        heappush(deadlines, (deadline, lease.id))
        if len(deadlines) > _SPARE_DEADLINES + 2 * len(self._open):
            self._deadlines = [(held.deadline, held.id) for held in self._open.values()]
            heapify(self._deadlines)
        return lease

    def _pace(self, account: Account, limit: Limit, amount: int, now: float) -> None:
        """Move the moment at which a rate is whole again."""
        account.due = max(account.due, round(now * MICRO)) + amount * limit.pace

    def _close(self, lease: Lease, booked: Amounts, what: str) -> tuple[int, ...]:
        """Book an open lease, and say what each of its limits has spent after it."""
        del self._open[lease.id]
        accounts, amount = self._accounts, lease.amount
        after: list[int] = []
        for limit in booked_keys(lease.limits).values():
            account = accounts.get(limit.key) or self._account(limit)
            held, spent = getattr(amount, limit.unit), getattr(booked, limit.unit)
            account.held -= held
            account.spent += spent
            after.append(account.spent)
            if limit.pace:
                account.due += (spent - held) * limit.pace
        now = self._now()
        self._closed[lease.id] = _Closed(lease, booked, what == "settle", now)
        self._trail.append((now, what, lease.id, booked, lease.limits, lease.note))
        if now >= self._forget_at or len(self._closed) > REMEMBERED_LEASES:
            self._forget(now)
        return tuple(after) if len(after) == len(lease.limits) else self._spent(lease)

    def _correct(self, closed: _Closed, actual: Amounts) -> Settlement:
        repeated = closed.settled
        if not repeated:
            self._rebook(closed, actual, "settle")
            closed.settled = True
        spent = self._spent(closed.lease)
        return settlement_of(closed.lease, closed.booked, spent, repeated=repeated)

    def _spent(self, lease: Lease) -> tuple[int, ...]:
        return tuple([self._accounts.get(limit.key, _UNUSED).spent for limit in lease.limits])

    def _rebook(self, closed: _Closed, booked: Amounts, what: str) -> None:
        """Correct what was booked; an account that was let go of has nothing to correct."""
        for limit in booked_keys(closed.lease.limits).values():
            account = self._accounts.get(limit.key)
            if account is not None:
                more = booked.of(limit.unit) - closed.booked.of(limit.unit)
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
                self._close(lease, lease.estimate, "expire")
        return now

    def _forget(self, now: float) -> None:
        """Forget what was closed long ago; they lie in the order in which they were closed."""
        closed = self._closed
        self._forget_at = now + REMEMBERED_SECONDS
        while closed:
            lease_id, oldest = next(iter(closed.items()))
            self._forget_at = oldest.at + REMEMBERED_SECONDS
            if len(closed) <= REMEMBERED_LEASES and self._forget_at > now:
                return
            del closed[lease_id]

    def _note(self, what: str, lease: Lease, amount: Amounts, now: float) -> None:
        self._trail.append((now, what, lease.id, amount, lease.limits, lease.note))

    def _note_switch(self, what: str, mark: str, reason: str) -> None:
        self._trail.append((self._now(), what, mark, NOTHING_USED, (), reason))
