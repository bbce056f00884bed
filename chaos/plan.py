"""What a chaos run does, handed to each of its processes as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from agentfuse.ports import Ledger

NANO = 1_000_000_000


@dataclass(frozen=True)
class Plan:
    """One run: ``rounds`` of ``round_seconds`` each, every one on a limit of its own.

    Costs are nanodollars; ``start`` is a Unix time; ``life`` is a lease's.
    """

    ledger: str
    provider_port: int
    start: float
    rounds: int
    round_seconds: float
    limit: int
    life: float
    threads: int
    seed: int
    log: str = ""
    worker: int = 0

    def text(self) -> str:
        """Write the plan."""
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, text: str) -> Plan:
        """Read a plan."""
        return cls(**json.loads(text))

    def round_at(self, now: float) -> int:
        """Say which round a Unix time lies in."""
        return int((now - self.start) // self.round_seconds)

    @property
    def sliced(self) -> bool:
        """Whether each process takes slices."""
        return "slices=1" in self.ledger


def ledger_at(url: str) -> Ledger:
    """Open the ledger that a URL names; a file for ``sqlite:///``."""
    scheme = urlsplit(url).scheme
    made: Any
    if scheme == "sqlite":
        from agentfuse.ledgers.sqlite import SqliteLedger

        made = SqliteLedger(url.removeprefix("sqlite:///"))
    elif scheme == "memory":
        made = _memory()
    elif "slices=1" in url:
        from agentfuse.ledgers.slices import SlicedLedger

        made = SlicedLedger.from_url(url)
    else:
        from agentfuse.ledgers.redis import RedisLedger

        made = RedisLedger.from_url(url)
    return made


@cache
def _memory() -> Ledger:
    from agentfuse.ledgers.memory import MemoryLedger

    return MemoryLedger()
