"""Each of the port's methods as a call of a function in the database, there and back."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any

from psycopg.types.json import Jsonb

from agentfuse.ledgers.lease_texts import fields_of, limit_of
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
    from collections.abc import Callable, Iterable, Sequence

    from agentfuse.tickets import Limit

_UNKNOWN = Settlement(booked=NOTHING_USED, repeated=True)


@dataclass(frozen=True, slots=True)
class Command:
    """A function's call, how its arguments are written, and how its answer is read.

    ``repeatable`` says that a second call changes nothing that the first has not changed.
    """

    call: str
    _: KW_ONLY
    arguments: Callable[..., Sequence[Any]] = lambda *arguments: arguments
    answer: Callable[..., Any] = lambda told, *_arguments: told
    repeatable: bool = True


def _asked(lease: Lease) -> Jsonb:
    return Jsonb(
        {
            "id": lease.id,
            "amount": _three(lease.amount),
            "estimate": _three(lease.estimate),
            "ttl": lease.ttl,
            "limits": _fields_with_keys(lease.limits),
            "marks": lease.marks,
            "note": lease.note,
        }
    )


def _answer_of(told: dict[str, Any], lease: Lease) -> Lease | Refusal | Stop:
    if "deadline" in told:
        return _lease_of({**_asked(lease).obj, "deadline": told["deadline"]}, lease.limits)
    if "lease" in told:
        return _lease_of(told["lease"])
    if "stop" in told:
        return Stop(mark=told["stop"], reason=told["reason"])
    return Refusal(
        limit=lease.limits[told["refused"]],
        needed=told["needed"],
        left=told["left"],
        wait=told["wait"],
    )


def _settlement_of(told: dict[str, Any] | None, *_arguments: Any) -> Settlement:
    if told is None:
        return _UNKNOWN
    booked = Amounts(*told["booked"])
    return Settlement(
        booked=booked,
        overrun=max(0, booked.nanodollars - told["held"]),
        repeated=told["repeated"],
        spent=tuple(told["spent"]),
    )


def _lease_of(told: dict[str, Any], limits: tuple[Limit, ...] | None = None) -> Lease:
    return Lease(
        id=told["id"],
        amount=Amounts(*told["amount"]),
        estimate=Amounts(*told["estimate"]),
        limits=tuple(map(limit_of, told["limits"])) if limits is None else limits,
        ttl=told["ttl"],
        deadline=told["deadline"],
        marks=tuple(told["marks"]),
        note=told["note"],
    )


def _entry_of(row: list[Any]) -> Entry:
    at, what, lease, amount, keys, note = row
    return Entry(
        at=at, what=what, lease=lease, amount=Amounts(*amount), keys=tuple(keys), note=note
    )


def _fields_with_keys(limits: Iterable[Limit]) -> list[dict[str, Any]]:
    return [{"key": limit.key, **fields_of(limit)} for limit in limits]


def _three(amount: Amounts) -> list[int]:
    return [amount.nanodollars, amount.tokens, amount.requests]


COMMANDS = {
    "reserve": Command(
        "reserve(%s::jsonb)", arguments=lambda lease: (_asked(lease),), answer=_answer_of
    ),
    "settle": Command(
        "settle(%s, %s::bigint[])",
        arguments=lambda lease_id, actual: (lease_id, _three(actual)),
        answer=_settlement_of,
    ),
    "release": Command("release(%s)"),
    "renew": Command("renew(%s, %s::double precision)"),
    "balances": Command(
        "balances(%s::text[])",
        arguments=lambda keys: (list(keys),),
        answer=lambda told, _keys: tuple(Balance(spent=s, held=h) for s, h in told),
    ),
    "spend": Command(
        "spend(%s::jsonb, %s::bigint[], %s)",
        arguments=lambda limits, amount, note: (
            Jsonb(_fields_with_keys(limits)),
            _three(amount),
            note,
        ),
        repeatable=False,
    ),
    "open_leases": Command("open_leases()", answer=lambda told: tuple(map(_lease_of, told))),
    "stop": Command("stop(%s, %s)"),
    "resume": Command("resume(%s)"),
    "stops": Command(
        "pulled()", answer=lambda told: tuple(Stop(mark=m, reason=r) for m, r in told)
    ),
    "claim": Command("claim(%s)", repeatable=False),
    "trail": Command(
        "trail(%s::bigint)", answer=lambda told, _last: tuple(map(_entry_of, told))
    ),
}
