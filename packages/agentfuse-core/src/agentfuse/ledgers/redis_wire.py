"""A ledger's words as a script's arguments, and its replies as the ledger's words."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from agentfuse.connections.redis_words import bytes_of, str_of
from agentfuse.ledgers.rules import MICRO, refusal_of
from agentfuse.tickets import (
    NOTHING_USED,
    Amounts,
    Balance,
    Entry,
    Lease,
    Limit,
    Refusal,
    Settlement,
    Stop,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Word = bytes | int
Reply = list[bytes]

# The keys that every script is given, in this order, and what each of them is; then the others.
KEYS = {
    "meta": "hash",
    "accounts": "hash",
    "leases": "hash",
    "deadlines": "zset",
    "ends": "zset",
    "stops": "hash",
    "trail": "stream",
}
_OTHERS = {"claims": "hash", "members": "zset", "closed": "string", "spend": "string"}

UNITS = {"nanodollars": 1, "tokens": 2, "requests": 3}

# A century: longer lives would leave the whole numbers that Lua keeps.
_LONGEST = 100 * 365 * 86_400
_UNKNOWN = Settlement(booked=NOTHING_USED, repeated=True)
_WORDS_OF_LEASE = 11
_WORDS_OF_ENTRY = 7


def kind_of(key: bytes) -> str:
    """Say what type a key of ours has: ``{namespace}:accounts``, ``{namespace}:closed:<id>``."""
    name = key.partition(b"}:")[2].partition(b":")[0].decode()
    return KEYS.get(name) or _OTHERS[name]


def micros_of(seconds: float) -> int:
    """Give a span of time in microseconds."""
    return round(min(seconds, _LONGEST) * MICRO)


def amount_words(amount: Amounts) -> tuple[int, int, int]:
    """Write an amount in every unit."""
    return amount.nanodollars, amount.tokens, amount.requests


def text_of(limits: Sequence[Limit], marks: Sequence[str] = (), note: str = "") -> bytes:
    """Write what the scripts keep without reading it: limits, marks and note."""
    written = ",".join([_written(limit)[1] for limit in limits])
    return f"[[{written}],{json.dumps(marks)},{json.dumps(note)}]".encode()


def limit_words(limits: Sequence[Limit]) -> list[Word]:
    """Write limits as the scripts read them."""
    words: list[Word] = [len(limits)]
    for limit in limits:
        words += _written(limit)[0]
    return words


@lru_cache(maxsize=4096)
def _written(limit: Limit) -> tuple[tuple[Word, ...], str]:
    counted = [bytes_of(key) for key in limit.counted]
    unit, ends = UNITS[limit.unit], max(round(limit.resets), 0)
    numbers: tuple[Word, ...] = (unit, limit.amount, limit.pace, ends, len(counted))
    words = (bytes_of(limit.key), *numbers, *counted)
    fields = (limit.scope, limit.id, limit.amount, limit.unit, limit.window, limit.resets)
    return words, json.dumps([*fields, limit.counted, limit.pace])


def lease_words(lease: Lease) -> list[Word]:
    """Write a lease that is to be held."""
    return [
        bytes_of(lease.id),
        micros_of(lease.ttl),
        *amount_words(lease.amount),
        *amount_words(lease.estimate),
        text_of(lease.limits, lease.marks, lease.note),
        len(lease.marks),
        *map(bytes_of, lease.marks),
        *limit_words(lease.limits),
    ]


def lease_of(lease_id: str, words: Sequence[bytes]) -> Lease:
    """Read a lease: deadline, life, amount, estimate (three numbers each) and text."""
    deadline, life, *numbers = map(int, words[:8])
    limits, marks, note = _read(words[8])
    return Lease(
        id=lease_id,
        amount=Amounts(*numbers[:3]),
        estimate=Amounts(*numbers[3:]),
        limits=limits,
        ttl=life / MICRO,
        deadline=deadline / MICRO,
        marks=marks,
        note=note,
    )


def leases_of(words: Reply) -> tuple[Lease, ...]:
    """Read open leases, oldest first: by their place in the trail, which is ``<ms>-<n>``."""
    chunks = [words[at : at + _WORDS_OF_LEASE] for at in range(0, len(words), _WORDS_OF_LEASE)]
    chunks.sort(key=lambda chunk: tuple(map(int, chunk[1].split(b"-"))))
    return tuple(lease_of(str_of(chunk[0]), chunk[2:]) for chunk in chunks)


def refused(lease: Lease, words: Reply) -> Refusal:
    """Read a refusal: which limit said no, what was left of it, when its rate is whole, and now."""
    number, left, due, now = map(int, words)
    limit = lease.limits[number - 1]
    used = limit.amount - left
    refusal = refusal_of(limit, lease.amount, used=used, due=due, now=now / MICRO)
    return refusal or Refusal(limit=limit, needed=lease.amount.of(limit.unit), left=0)


def settlement_of(words: Reply) -> Settlement:
    """Read what a settlement changed."""
    if words[1] == b"unknown":
        return _UNKNOWN
    repeated, *booked, held = map(int, words[2:7])
    return Settlement(
        booked=Amounts(*booked),
        overrun=max(0, booked[0] - held),
        repeated=bool(repeated),
        spent=tuple(map(int, words[7:])),
    )


def balances_of(words: Reply) -> tuple[Balance, ...]:
    """Read accounts."""
    return tuple(Balance(spent=int(spent), held=int(held)) for spent, held in _pairs(words))


def stops_of(words: Reply) -> tuple[Stop, ...]:
    """Read kill switches, by name."""
    pulled = sorted((str_of(mark), str_of(reason)) for mark, reason in _pairs(words))
    return tuple(Stop(mark=mark, reason=reason) for mark, reason in pulled)


def entries_of(words: Reply) -> tuple[Entry, ...]:
    """Read lines of the trail, which come newest first."""
    starts = range(0, len(words), _WORDS_OF_ENTRY)
    return tuple(_entry_of(words[at : at + _WORDS_OF_ENTRY]) for at in reversed(starts))


def _entry_of(words: Reply) -> Entry:
    at, what, lease, *numbers, text = words
    limits, _, note = _read(text)
    return Entry(
        at=int(at) / MICRO,
        what=str_of(what),
        lease=str_of(lease),
        amount=Amounts(*map(int, numbers)),
        keys=tuple(limit.key for limit in limits),
        note=note,
    )


def _read(text: bytes) -> tuple[tuple[Limit, ...], tuple[str, ...], str]:
    limits, marks, note = json.loads(text)
    return tuple(map(_limit_of, limits)), tuple(marks), note


def _limit_of(fields: list[Any]) -> Limit:
    scope, name, amount, unit, window, resets, counted, pace = fields
    return Limit(
        scope,
        name,
        amount,
        unit=unit,
        window=window,
        resets=resets,
        counted=tuple(counted),
        pace=pace,
    )


def _pairs(words: Reply) -> Iterator[tuple[bytes, bytes]]:
    return zip(words[::2], words[1::2], strict=True)
