"""The kill switches, as this process knows them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agentfuse.errors import StoreUnavailable
from agentfuse.nothing import NOTHING
from agentfuse.tickets import Stop, StoreTrouble

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentfuse.policy.given import Ports
    from agentfuse.ports import Run

# A switch pulled elsewhere is seen after so many seconds at the latest: by answers from the cache
# too, for which nothing is asked of the ledger. What reserves money sees it at once.
LOOK = 1.0


@dataclass(slots=True)
class Switches:
    """The switches last seen, shared by a fuse's sessions."""

    pulled: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    look_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Gate:
    """Asks the ledger for pulled switches, now and then."""

    ports: Ports
    switches: Switches

    async def stop_for(self, run: Run, model: str) -> Stop | None:
        """Give the first pulled switch among the marks of a call of ``model``.

        A ledger out of reach leaves the switches as they were.
        """
        now = self.ports.clock.now()
        if now >= self.switches.look_at:
            await self._look(now)
        pulled = self.switches.pulled
        if not pulled:
            return None
        mark = next((mark for mark in run.marks(model) if mark in pulled), None)
        return None if mark is None else Stop(mark=mark, reason=pulled[mark])

    async def _look(self, now: float) -> None:
        self.switches.look_at = now + LOOK
        try:
            stops = await self.ports.ledger.stops()
        except StoreUnavailable as error:
            self.ports.tell(StoreTrouble(store="ledger", error=str(error)))
            return
        self.switches.pulled = {stop.mark: stop.reason for stop in stops}
