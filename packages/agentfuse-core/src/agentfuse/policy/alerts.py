"""Tell once when a share of a limit is spent."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agentfuse.errors import StoreUnavailable
from agentfuse.policy.thrift import THOUSAND
from agentfuse.tickets import Alert, StoreTrouble

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentfuse.policy.given import Ports, Rules
    from agentfuse.tickets import Limit

# Names told in this process: a memory of the ledger's, so that a line once crossed costs nothing.
_MOST_TOLD = 10_000


@dataclass(frozen=True, slots=True)
class Alerts:
    """Watches what settlements say of their limits."""

    ports: Ports
    rules: Rules
    _told: set[str] = field(default_factory=set[str])

    async def watch(self, limits: Sequence[Limit], spent: Sequence[int]) -> None:
        """Tell each threshold that is passed, unless somebody on this ledger has told it.

        A limit that was raised is another one, and warns anew.
        """
        for limit, used in zip(limits, spent, strict=False):
            if limit.pace:
                continue
            for threshold in self.rules.alert_at:
                if used * THOUSAND >= limit.amount * threshold:
                    await self._tell_once(limit, threshold, used)

    async def _tell_once(self, limit: Limit, threshold: int, spent: int) -> None:
        name = f"alert:{limit.key}:{limit.amount}:{threshold}"
        if name in self._told:
            return
        if len(self._told) >= _MOST_TOLD:
            self._told.clear()
        self._told.add(name)
        if await self._is_first(name):
            self.ports.tell(Alert(limit=limit, threshold=threshold, spent=spent))

    async def _is_first(self, name: str) -> bool:
        """Ask the ledger; where it is out of reach, twice told is better than not at all."""
        try:
            return await self.ports.ledger.claim(name)
        except StoreUnavailable as error:
            self.ports.tell(StoreTrouble(store="ledger", error=str(error)))
            return True
