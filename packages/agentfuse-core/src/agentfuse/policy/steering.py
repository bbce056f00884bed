"""The step at which a router may send a call to another model, before any thrift."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agentfuse.decisions import Routed
from agentfuse.policy.given import Substitute
from agentfuse.policy.substitutes import asked_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentfuse.messages import Reply
    from agentfuse.policy.given import Ports
    from agentfuse.tickets import Admitted, Limit


@dataclass(frozen=True, slots=True)
class Steering:
    """Asks the guide, where there is one, and tells what it chose."""

    ports: Ports

    def applies(self, ticket: Admitted) -> bool:
        """Say whether there is a choice to make."""
        guide = self.ports.guide
        return guide is not None and guide.applies(ticket.asked)

    async def steered(self, ticket: Admitted, limits: Sequence[Limit]) -> Admitted:
        """Give the ticket with the chosen model and the decision, or the same one."""
        guide = self.ports.guide
        request = ticket.asked
        if guide is None:
            return ticket
        decision = await guide.decide(request, ticket.scope, await self._used(limits))
        self.ports.tell(Routed(id=ticket.id, decision=decision))
        if (decision.model, decision.provider) == (request.model, ""):
            return replace(ticket, decision=decision)
        chosen = asked_of(request, Substitute(decision.model, decision.provider))
        return replace(ticket, asked=chosen, request=chosen, decision=decision)

    def answered(self, ticket: Admitted, reply: Reply) -> None:
        """Let the guide learn from a provider's answer."""
        if ticket.decision is None or self.ports.guide is None:
            return
        seconds = self.ports.clock.now() - ticket.started
        self.ports.guide.answered(ticket, reply, seconds)

    async def _used(self, limits: Sequence[Limit]) -> float:
        """Give the share spent of the limit nearest its end; rates have none."""
        kept = [limit for limit in limits if not limit.pace]
        if not kept:
            return 0.0
        balances = await self.ports.ledger.balances([limit.key for limit in kept])
        return max(
            balance.spent / limit.amount if limit.amount else 1.0
            for limit, balance in zip(kept, balances, strict=True)
        )
