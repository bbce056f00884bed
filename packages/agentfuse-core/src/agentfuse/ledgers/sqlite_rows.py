"""Rows of the tables of a ledger in SQLite, and what they stand for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agentfuse.ledgers.lease_texts import limit_text_of, limits_of, names_of, text_of
from agentfuse.ledgers.rules import lasting
from agentfuse.tickets import NOTHING_USED, Amounts, Entry, Lease

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentfuse.tickets import Limit

# What is booked on an account: spent, held, due (see sqlite.sql), and when its window resets.
State = tuple[int, int, int, float]

# The columns of ``entries`` from ``ttl`` on, in a line that reserves nothing.
NO_LEASE = (None,) * 7

# A line of ``entries`` as a lease is read from it; ``sqlite.sql`` names the columns.
LEASE_LINE = """line, what, lease, nanodollars, tokens, requests, estimated_nanodollars,
    estimated_tokens, estimated_requests, limits, ttl, deadline, marks, note"""
FOLDED_LEASE = """id, state, nanodollars, tokens, requests, estimated_nanodollars, estimated_tokens,
    estimated_requests, limits, ttl, deadline, marks, note,
    booked_nanodollars, booked_tokens, booked_requests"""

STATES = {"settle": "settled", "release": "released", "expire": "expired"}

# Limits of which the text is kept, since the same ones are written again and again: some 4 MB.
_MOST_WRITTEN = 4_096


@dataclass(slots=True)
class Written:
    """A limit as it is written: as ``text``, and as the ``head`` and ``tail`` of its state."""

    limit: Limit
    key: str
    unit: str
    pace: int
    text: str
    head: str
    tail: str


@dataclass(slots=True)
class KnownLease:
    """A lease with the ``limits`` it is booked on, each account once, and what became of it."""

    lease: Lease
    limits: tuple[Written, ...]
    keys: tuple[str, ...]
    state: str = "open"
    booked: Amounts = NOTHING_USED


_WRITTEN: dict[str, Written] = {}


def written_of(limit: Limit) -> Written:
    """Write a limit, or find it written: that takes a tenth of the time."""
    key = limit.key
    written = _WRITTEN.get(key)
    if written is not None and (written.limit is limit or written.limit == limit):
        return written
    if len(_WRITTEN) >= _MOST_WRITTEN:
        _WRITTEN.clear()
    written = _WRITTEN[key] = Written(
        limit=limit,
        key=key,
        unit=limit.unit,
        pace=limit.pace,
        text=limit_text_of(limit),
        head=f"{text_of((key,))[1:-1]}:[",
        tail=f",{float(limit.resets)!r}]",
    )
    return written


def known_of(lease: Lease) -> KnownLease:
    """Write an open lease's limits."""
    limits = tuple([written_of(limit) for limit in lease.limits])
    keys = tuple([each.key for each in limits])
    return KnownLease(lease, each_once(limits) if len(limits) > 1 else limits, keys)


def each_once(limits: Iterable[Written]) -> tuple[Written, ...]:
    """Name each account once, also where two limits share one."""
    return tuple({each.key: each for each in limits}.values())


def state_text_of(written: Written, state: State) -> str:
    """Write an account's state as a member of a JSON object."""
    return f"{written.head}{state[0]},{state[1]},{state[2]}{written.tail}"


def line_of(
    line: int, now: float, known: KnownLease, what: str, amount: Amounts, accounts: str
) -> tuple[Any, ...]:
    """Write a step of a lease as a line of ``entries``; one that reserves carries all of it."""
    lease = known.lease
    step = (
        *(line, now, what, lease.id, amount.nanodollars, amount.tokens, amount.requests),
        *(text_of(known.keys), lease.note, accounts),
    )
    if what != "reserve":
        return step + NO_LEASE
    estimate = lease.estimate
    limits = f"[{','.join([written_of(limit).text for limit in lease.limits])}]"
    return (
        *step,
        *(lease.ttl, lease.deadline),
        *(estimate.nanodollars, estimate.tokens, estimate.requests),
        *(limits, text_of(lease.marks)),
    )


def folded_of(row: tuple[Any, ...]) -> KnownLease:
    """Read a row of ``folded_leases``: the columns FOLDED_LEASE."""
    known = known_of(_lease_of(row[0], row[2:13]))
    known.state, known.booked = row[1], Amounts(*row[13:])
    return known


def stepped(known: KnownLease | None, row: tuple[Any, ...]) -> KnownLease | None:
    """Say what became of a lease in a line of ``entries``: the columns LEASE_LINE."""
    what, lease_id = row[1:3]
    if what == "reserve":
        return known_of(_lease_of(lease_id, row[3:]))
    if known is None:
        return None
    if what == "renew":
        return renewed(known, ttl=row[10], deadline=row[11])
    return closed(known, STATES[what], Amounts(*row[3:6]))


def closed(known: KnownLease, state: str, booked: Amounts) -> KnownLease:
    """Give a lease another state."""
    return KnownLease(known.lease, known.limits, known.keys, state, booked)


def renewed(known: KnownLease, *, ttl: float, deadline: float) -> KnownLease:
    """Give a lease another end."""
    return KnownLease(lasting(known.lease, ttl, deadline), known.limits, known.keys)


def entry_of(row: tuple[Any, ...]) -> Entry:
    """Read the first nine columns of a line of ``entries``."""
    _line, at, what, lease, nanodollars, tokens, requests, keys, note = row
    amount = Amounts(nanodollars, tokens, requests)
    return Entry(at=at, what=what, lease=lease, amount=amount, keys=names_of(keys), note=note)


def _lease_of(lease_id: str, row: tuple[Any, ...]) -> Lease:
    limits, ttl, deadline, marks, note = row[6:]
    return Lease(
        id=lease_id,
        amount=Amounts(*row[:3]),
        estimate=Amounts(*row[3:6]),
        limits=limits_of(limits),
        ttl=ttl,
        deadline=deadline,
        marks=names_of(marks),
        note=note,
    )
