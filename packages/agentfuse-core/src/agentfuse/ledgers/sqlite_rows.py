"""Rows of the tables of a ledger in SQLite, and what they stand for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agentfuse.ledgers.lease_texts import limits_of, limits_text_of, names_of, text_of
from agentfuse.ledgers.rules import lasting
from agentfuse.tickets import NOTHING_USED, Amounts, Entry, Lease

if TYPE_CHECKING:
    from agentfuse.tickets import Limit

# What is booked on an account: spent, held, due (see sqlite.sql), and when its window resets.
State = tuple[int, int, int, float]

# The columns of ``entries``; those after ``accounts`` are of lines that reserve or renew.
COLUMNS = (
    *("line", "at", "what", "lease", "nanodollars", "tokens", "requests", "keys", "note"),
    *("accounts", "ttl", "deadline", "estimated_nanodollars", "estimated_tokens"),
    *("estimated_requests", "limits", "marks"),
)

# A line of ``entries`` as a lease is read from it; ``sqlite.sql`` names the columns.
LEASE_LINE = """line, what, lease, nanodollars, tokens, requests, estimated_nanodollars,
    estimated_tokens, estimated_requests, limits, ttl, deadline, marks, note"""
STATES = {"settle": "settled", "release": "released", "expire": "expired"}

# Sets of limits whose wording is kept, since the same ones are written again and again: some 8 MB.
_MOST_WORDED = 4_096


@dataclass(slots=True)
class WordedAccount:
    """An account; its state is written as ``head``, three numbers and ``tail``."""

    key: str
    unit: str
    pace: int
    resets: float
    head: str
    tail: str


@dataclass(slots=True)
class Wording:
    """Limits as they are written; ``accounts`` names each once, also where two limits share it."""

    limits: tuple[Limit, ...]
    keys: tuple[str, ...]
    accounts: tuple[WordedAccount, ...]
    text: str
    keys_text: str


@dataclass(slots=True)
class KnownLease:
    """A lease, how its limits are written, and what became of it."""

    lease: Lease
    wording: Wording
    state: str = "open"
    booked: Amounts = NOTHING_USED


_WORDINGS: dict[tuple[str, ...], Wording] = {}


def wording_of(limits: tuple[Limit, ...]) -> Wording:
    """Write limits, or find them written: that takes a tenth of the time."""
    keys = tuple([limit.key for limit in limits])
    wording = _WORDINGS.get(keys)
    if wording is not None and wording.limits == limits:
        return wording
    if len(_WORDINGS) >= _MOST_WORDED:
        _WORDINGS.clear()
    wording = _WORDINGS[keys] = Wording(
        limits=limits,
        keys=keys,
        accounts=tuple({limit.key: _account_of(limit) for limit in limits}.values()),
        text=limits_text_of(limits),
        keys_text=text_of(keys),
    )
    return wording


def _account_of(limit: Limit) -> WordedAccount:
    resets = float(limit.resets)
    return WordedAccount(
        key=limit.key,
        unit=limit.unit,
        pace=limit.pace,
        resets=resets,
        head=f"{text_of((limit.key,))[1:-1]}:[",
        tail=f",{resets!r}]",
    )


def line_of(
    step: tuple[int, float, str], known: KnownLease, amount: Amounts, accounts: list[str]
) -> tuple[Any, ...]:
    """Write a step of a lease (line, time, what) as a line; one that reserves carries all of it."""
    lease, wording, (number, now, what) = known.lease, known.wording, step
    money, tokens, requests = amount.nanodollars, amount.tokens, amount.requests
    keys, note, told = wording.keys_text, lease.note, f"{{{','.join(accounts)}}}"
    if what != "reserve":
        return (number, now, what, lease.id, money, tokens, requests, keys, note, told)
    estimate = lease.estimate
    # fmt: off
    return (
        number, now, what, lease.id, money, tokens, requests, keys, note, told,
        lease.ttl, lease.deadline, estimate.nanodollars, estimate.tokens, estimate.requests,
        wording.text, text_of(lease.marks),
    )
    # fmt: on


def stepped(known: KnownLease | None, row: tuple[Any, ...]) -> KnownLease | None:
    """Say what became of a lease in a line of ``entries``: the columns LEASE_LINE."""
    what, lease_id = row[1:3]
    if what == "reserve":
        lease = _lease_of(lease_id, row[3:])
        return KnownLease(lease, wording_of(lease.limits))
    if known is None:
        return None
    if what == "renew":
        return renewed(known, ttl=row[10], deadline=row[11])
    return KnownLease(known.lease, known.wording, STATES[what], Amounts(*row[3:6]))


def renewed(known: KnownLease, *, ttl: float, deadline: float) -> KnownLease:
    """Give a lease another end."""
    return KnownLease(lasting(known.lease, ttl, deadline), known.wording)


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
