"""Rows of the tables of a ledger in SQLite, and what they stand for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agentfuse.ledgers.lease_texts import limits_of, limits_text_of, names_of, text_of
from agentfuse.tickets import NOTHING_USED, Amounts, Entry, Lease

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentfuse.tickets import Limit


@dataclass(slots=True)
class KnownLease:
    """One row of ``leases``, with the ``keys`` of its limits: making them takes a while."""

    lease: Lease
    keys: tuple[str, ...]
    state: str = "open"
    booked: Amounts = NOTHING_USED

    def accounts(self) -> Iterator[tuple[str, Limit]]:
        """Name each account once, also where two limits share one."""
        return iter(dict(zip(self.keys, self.lease.limits, strict=True)).items())


def lasting(lease: Lease, ttl: float, deadline: float) -> Lease:
    """Give a lease another end (``dataclasses.replace`` takes thrice as long)."""
    return Lease(
        id=lease.id,
        amount=lease.amount,
        estimate=lease.estimate,
        limits=lease.limits,
        ttl=ttl,
        deadline=deadline,
        marks=lease.marks,
        note=lease.note,
    )


def row_of(lease: Lease, opened: int) -> tuple[Any, ...]:
    """Write an open lease as a row of ``leases``, without its state."""
    amount, estimate = lease.amount, lease.estimate
    return (
        *(lease.id, opened, None, lease.deadline, lease.ttl),
        *(amount.nanodollars, amount.tokens, amount.requests),
        *(estimate.nanodollars, estimate.tokens, estimate.requests),
        *(0, 0, 0),
        *(limits_text_of(lease.limits), text_of(lease.marks), lease.note),
    )


def known_of(row: tuple[Any, ...]) -> KnownLease:
    """Read a row of ``leases``."""
    lease_id, state, _opened, _closed, deadline, ttl = row[:6]
    limits, marks, note = row[15:]
    lease = Lease(
        id=lease_id,
        amount=Amounts(*row[6:9]),
        estimate=Amounts(*row[9:12]),
        limits=limits_of(limits),
        ttl=ttl,
        deadline=deadline,
        marks=names_of(marks),
        note=note,
    )
    keys = tuple(limit.key for limit in lease.limits)
    return KnownLease(lease, keys, state, Amounts(*row[12:15]))


def entry_of(row: tuple[Any, ...]) -> Entry:
    """Read a row of ``entries``."""
    _line, at, what, lease, nanodollars, tokens, requests, keys, note = row
    amount = Amounts(nanodollars, tokens, requests)
    return Entry(at=at, what=what, lease=lease, amount=amount, keys=names_of(keys), note=note)
