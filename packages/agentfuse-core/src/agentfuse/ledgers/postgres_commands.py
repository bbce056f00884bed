"""Each of the port's methods as a call of a function in the database, there and back."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, replace
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


def _as_they_are(*arguments: Any) -> Sequence[Any]:
    return arguments


def _as_told(told: Any, *_arguments: Any) -> Any:
    return told


@dataclass(frozen=True, slots=True)
class Command:
    """A function's call, how its arguments are written, and how its answer is read.

    ``repeatable`` says that a second call changes nothing that the first has not changed.
    """

    call: str
    _: KW_ONLY
    arguments: Callable[..., Sequence[Any]] = _as_they_are
    answer: Callable[..., Any] = _as_told
    repeatable: bool = True


def _asked(lease: Lease) -> Sequence[Any]:
    fields = {
        "id": lease.id,
        "amount": _three(lease.amount),
        "estimate": _three(lease.estimate),
        "ttl": lease.ttl,
        "limits": _fields_with_keys(lease.limits),
        "marks": lease.marks,
        "note": lease.note,
    }
    return (Jsonb(fields),)


def _answer_of(told: dict[str, Any], lease: Lease) -> Lease | Refusal | Stop:
    if "deadline" in told:
        return replace(lease, deadline=told["deadline"])
    if "lease" in told:
        return _lease_of(told["lease"])
    if "stop" in told:
        return Stop(mark=told["stop"], reason=told["reason"])
    number: int = told["refused"]
    return Refusal(
        limit=lease.limits[number],
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


def _lease_of(told: dict[str, Any]) -> Lease:
    return Lease(
        id=told["id"],
        amount=Amounts(*told["amount"]),
        estimate=Amounts(*told["estimate"]),
        limits=tuple(map(limit_of, told["limits"])),
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


def _settled(lease_id: str, actual: Amounts) -> Sequence[Any]:
    return lease_id, _three(actual)


def _spent(limits: Sequence[Limit], amount: Amounts, note: str) -> Sequence[Any]:
    return Jsonb(_fields_with_keys(limits)), _three(amount), note


def _listed(keys: tuple[str, ...]) -> Sequence[Any]:
    return (list(keys),)


def _balances_of(told: list[tuple[int, int]], *_arguments: Any) -> tuple[Balance, ...]:
    return tuple(Balance(spent=spent, held=held) for spent, held in told)


def _leases_of(told: list[dict[str, Any]]) -> tuple[Lease, ...]:
    return tuple(map(_lease_of, told))


def _stops_of(told: list[tuple[str, str]]) -> tuple[Stop, ...]:
    return tuple(Stop(mark=mark, reason=reason) for mark, reason in told)


def _entries_of(told: list[list[Any]], *_arguments: Any) -> tuple[Entry, ...]:
    return tuple(map(_entry_of, told))


COMMANDS = {
    "reserve": Command("reserve(%s::jsonb)", arguments=_asked, answer=_answer_of),
    "settle": Command("settle(%s, %s::bigint[])", arguments=_settled, answer=_settlement_of),
    "release": Command("release(%s)"),
    "renew": Command("renew(%s, %s::double precision)"),
    "balances": Command("balances(%s::text[])", arguments=_listed, answer=_balances_of),
    "spend": Command("spend(%s::jsonb, %s::bigint[], %s)", arguments=_spent, repeatable=False),
    "open_leases": Command("open_leases()", answer=_leases_of),
    "stop": Command("stop(%s, %s)"),
    "resume": Command("resume(%s)"),
    "stops": Command("pulled()", answer=_stops_of),
    "claim": Command("claim(%s)", repeatable=False),
    "trail": Command("trail(%s::bigint)", answer=_entries_of),
}
