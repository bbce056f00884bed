"""A ledger by its address: which store, and where."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from agentfuse.errors import ConfigurationError
from agentfuse.ledgers.memory import MemoryLedger
from agentfuse.ledgers.steady import SteadyLedger

if TYPE_CHECKING:
    from agentfuse.ports import Clock, Ledger

KNOWN = "'memory', a path or sqlite:///..., redis://..., rediss://..., postgresql://..."


def ledger_at(address: str | Path, clock: Clock | None = None) -> Ledger:
    """Open the ledger at an address; its client library is imported here, and not before.

    ``memory``; a path, or ``sqlite:///relative.db`` and ``sqlite:////absolute.db``;
    ``redis://host:6379/0?namespace=acme`` (``&slices=1`` for local slices, ``rediss``, ``unix``,
    ``redis+cluster``); ``postgresql://user@host/name``. Raises ConfigurationError for any other.
    """
    if isinstance(address, Path):
        return SteadyLedger(_sqlite_at(address, clock))
    scheme, colon, _ = address.partition("://")
    if address == "memory":
        return MemoryLedger(clock)
    if not colon:
        return SteadyLedger(_sqlite_at(Path(address).expanduser(), clock))
    match scheme.lower():
        case "sqlite":
            from agentfuse.ledgers.sqlite import SqliteLedger

            return SteadyLedger(SqliteLedger.from_url(address))
        case "redis" | "rediss" | "unix" | "redis+cluster" | "valkey" | "valkeys":
            from agentfuse.ledgers.redis import redis_ledger_at

            return SteadyLedger(redis_ledger_at(address))
        case "postgresql" | "postgres":
            from agentfuse.ledgers.postgres import PostgresLedger

            return SteadyLedger(PostgresLedger.from_url(address))
        case _:
            raise ConfigurationError(f"no ledger is known at {scheme}://: give {KNOWN}")


def _sqlite_at(path: Path, clock: Clock | None) -> Ledger:
    from agentfuse.ledgers.sqlite import SqliteLedger

    return SqliteLedger(path, clock=clock)
