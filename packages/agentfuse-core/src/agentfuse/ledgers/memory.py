"""A ledger in the memory of one process: every budget ends with it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from threading import Lock
from typing import TYPE_CHECKING

from agentfuse.errors import ConfigurationError
from agentfuse.tickets import Balance, Refusal, Settlement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentfuse.ports import Clock
    from agentfuse.tickets import Lease, Limit

# How long, and how many, closed leases are remembered. A provider's longest answer (a background or
# batch call) is over within 24 hours; 100,000 of them take some 30 MB. A settle that comes after
# that finds no lease: it books nothing, and the expired lease's estimate stands.
REMEMBERED_SECONDS = 86_400.0
REMEMBERED_LEASES = 100_000

# Deadlines of settled leases stay in the heap until they pass; above this it is rebuilt.
_SPARE_DEADLINES = 1_024

_UNKNOWN = Settlement(booked=0, repeated=True)


@dataclass(slots=True)
class _Account:
    spent: int = 0
    held: int = 0


@dataclass(slots=True, kw_only=True)
class _Closed:
    """A lease that holds nothing any more; ``settled`` says that ``booked`` is final."""

    lease: Lease
    booked: int
    settled: bool
    at: float


class MemoryLedger:
    """Limits and leases in memory, for the threads and tasks of one process.

    One lock makes each method atomic; it is never held across an ``await``. An expired lease is
    booked at its estimate by the next ``reserve``, ``balance`` or ``open_leases``. Closed leases
    are remembered for 24 hours, and at most 100,000 of them, so that repeats change nothing.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self._now = time.time if clock is None else clock.now
        self._lock = Lock()
        self._accounts: dict[str, _Account] = {}
        self._open: dict[str, Lease] = {}
        self._closed: dict[str, _Closed] = {}
        self._deadlines: list[tuple[float, str]] = []

    async def reserve(self, lease: Lease) -> Lease | Refusal:
        """Hold ``lease.amount`` on each account, or name the first limit that said no.

        Raises ConfigurationError for a negative amount or estimate.
        """
        _check(lease.amount)
        _check(lease.estimate)
        with self._lock:
            self._reap()
            known = self._lease_of(lease.id)
            if known is not None:
                return known
            return self._refusal_of(lease) or self._hold(lease)

    async def settle(self, lease_id: str, actual: int) -> Settlement:
        """Book ``actual`` nanodollars as the lease's whole cost.

        A repeat is answered with what was booked first. A lease that had expired or been released
        is corrected to ``actual``: that money was billed. An id this ledger does not know (never
        reserved, or forgotten) has no accounts to book on: ``booked`` is 0 and ``repeated`` True.
        Raises ConfigurationError for a negative cost.
        """
        _check(actual)
        with self._lock:
            lease = self._open.get(lease_id)
            if lease is not None:
                self._close(lease, actual, settled=True)
                return Settlement(booked=actual, overrun=max(0, actual - lease.amount))
            closed = self._closed.get(lease_id)
            return _UNKNOWN if closed is None else self._correct(closed, actual)

    async def release(self, lease_id: str) -> None:
        """Drop the hold and book nothing; an expired lease gets its estimate back."""
        with self._lock:
            lease = self._open.get(lease_id)
            if lease is not None:
                self._close(lease, 0, settled=False)
                return
            closed = self._closed.get(lease_id)
            if closed is not None and not closed.settled:
                self._rebook(closed, 0)

    async def balance(self, key: str) -> Balance:
        """Read one account; one that nobody used holds nothing."""
        with self._lock:
            self._reap()
            account = self._accounts.get(key)
            if account is None:
                return Balance()
            return Balance(spent=account.spent, held=account.held)

    async def spend(self, limits: Sequence[Limit], amount: int) -> None:
        """Book ``amount`` nanodollars on each limit's account, even past the limit.

        Raises ConfigurationError for a negative amount.
        """
        _check(amount)
        with self._lock:
            for key in {limit.key for limit in limits}:
                self._account(key).spent += amount

    async def open_leases(self) -> tuple[Lease, ...]:
        """List what is held now, oldest first."""
        with self._lock:
            self._reap()
            return tuple(self._open.values())

    def _account(self, key: str) -> _Account:
        account = self._accounts.get(key)
        if account is None:
            account = self._accounts[key] = _Account()
        return account

    def _lease_of(self, lease_id: str) -> Lease | None:
        lease = self._open.get(lease_id)
        if lease is not None:
            return lease
        closed = self._closed.get(lease_id)
        return None if closed is None else closed.lease

    def _refusal_of(self, lease: Lease) -> Refusal | None:
        for limit in lease.limits:
            account = self._accounts.get(limit.key)
            used = 0 if account is None else account.spent + account.held
            if used + lease.amount > limit.nanodollars:
                left = max(0, limit.nanodollars - used)
                return Refusal(limit=limit, needed=lease.amount, left=left)
        return None

    def _hold(self, lease: Lease) -> Lease:
        for key in _keys(lease):
            self._account(key).held += lease.amount
        self._open[lease.id] = lease
        heappush(self._deadlines, (lease.deadline, lease.id))
        if len(self._deadlines) > _SPARE_DEADLINES + 2 * len(self._open):
            self._deadlines = [(held.deadline, held.id) for held in self._open.values()]
            heapify(self._deadlines)
        return lease

    def _close(self, lease: Lease, booked: int, *, settled: bool) -> None:
        del self._open[lease.id]
        for key in _keys(lease):
            account = self._accounts[key]
            account.held -= lease.amount
            account.spent += booked
        now = self._now()
        self._closed[lease.id] = _Closed(lease=lease, booked=booked, settled=settled, at=now)
        self._forget(now)

    def _correct(self, closed: _Closed, actual: int) -> Settlement:
        repeated = closed.settled
        if not repeated:
            self._rebook(closed, actual)
            closed.settled = True
        overrun = max(0, closed.booked - closed.lease.amount)
        return Settlement(booked=closed.booked, overrun=overrun, repeated=repeated)

    def _rebook(self, closed: _Closed, booked: int) -> None:
        for key in _keys(closed.lease):
            self._accounts[key].spent += booked - closed.booked
        closed.booked = booked

    def _reap(self) -> None:
        deadlines = self._deadlines
        if not deadlines:
            return
        now = self._now()
        while deadlines and deadlines[0][0] <= now:
            deadline, lease_id = heappop(deadlines)
            lease = self._open.get(lease_id)
            if lease is not None and lease.deadline == deadline:
                self._close(lease, lease.estimate, settled=False)

    def _forget(self, now: float) -> None:
        while self._closed:
            lease_id, oldest = next(iter(self._closed.items()))
            if len(self._closed) <= REMEMBERED_LEASES and oldest.at + REMEMBERED_SECONDS > now:
                return
            del self._closed[lease_id]


def _keys(lease: Lease) -> set[str]:
    """Name each account once, also where two limits share one."""
    return {limit.key for limit in lease.limits}


def _check(amount: int) -> None:
    if amount < 0:
        raise ConfigurationError(f"money in a ledger is zero or more nanodollars, not {amount}")
