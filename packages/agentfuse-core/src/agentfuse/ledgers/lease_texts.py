"""Leases as text: what of them no query needs is kept as JSON."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from agentfuse.errors import ConfigurationError
from agentfuse.tickets import Limit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentfuse.tickets import Lease

_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


@lru_cache(maxsize=1_024)
def text_of(names: tuple[str, ...]) -> str:
    """Write names as a JSON array; the accounts of a run are written again and again."""
    return _encode(names)


def names_of(text: str) -> tuple[str, ...]:
    """Read what ``text_of`` wrote."""
    return tuple(json.loads(text))


def limits_text_of(limits: Iterable[Limit]) -> str:
    """Write limits as a JSON array of objects; a field at its default is left out."""
    return _encode([fields_of(limit) for limit in limits])


def limits_of(text: str) -> tuple[Limit, ...]:
    """Read what ``limits_text_of`` wrote."""
    return tuple(limit_of(fields) for fields in json.loads(text))


def check_names(*names: str) -> None:
    """Raise ConfigurationError for names that no database keeps as text."""
    joined = "".join(names)
    if "\0" in joined:
        raise ConfigurationError(f"a ledger keeps no name with a NUL in it: {joined!r}")
    if joined.isascii():
        return
    try:
        joined.encode()
    except UnicodeEncodeError as error:
        raise ConfigurationError(f"a ledger keeps names as Unicode text: {error}") from error


def check_lease(lease: Lease) -> None:
    """Check every name in a lease, and that it ends at some time, or never."""
    if lease.ttl != lease.ttl:
        raise ConfigurationError("a lease lasts for a number of seconds, not NaN")
    check_names(lease.id, lease.note, *lease.marks, *[limit.key for limit in lease.limits])
    for limit in lease.limits:
        if limit.counted:
            check_names(*limit.counted)


def fields_of(limit: Limit) -> dict[str, Any]:
    """Write a limit as plain data; a field at its default is left out."""
    fields: dict[str, Any] = {"scope": limit.scope, "id": limit.id, "amount": limit.amount}
    if limit.unit != "nanodollars":
        fields["unit"] = limit.unit
    if limit.window:
        fields["window"] = limit.window
    if limit.resets:
        fields["resets"] = limit.resets
    if limit.counted:
        fields["counted"] = limit.counted
    if limit.pace:
        fields["pace"] = limit.pace
    return fields


def limit_of(fields: dict[str, Any]) -> Limit:
    """Read what ``fields_of`` wrote; a ``key`` beside it is nobody's field."""
    return Limit(
        fields["scope"],
        fields["id"],
        fields["amount"],
        unit=fields.get("unit", "nanodollars"),
        window=fields.get("window", ""),
        resets=fields.get("resets", 0.0),
        counted=tuple(fields.get("counted", ())),
        pace=fields.get("pace", 0),
    )
