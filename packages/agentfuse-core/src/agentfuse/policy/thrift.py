"""What a call gives up when a limit is nearly used up: its model, then a part of its request."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agentfuse.policy.substitutes import asked_of, entry_of
from agentfuse.pricing import context_of, quote_of
from agentfuse.tickets import Downgraded, Limit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentfuse.conduct import Loop
    from agentfuse.messages import Request
    from agentfuse.policy.brevity import Brevity
    from agentfuse.policy.given import Ports, Rules, Substitute
    from agentfuse.tickets import Admitted, Balance

THOUSAND = 1_000


@dataclass(frozen=True, slots=True)
class Thrift:
    """The steps between a free hand and a refusal."""

    ports: Ports
    rules: Rules
    brevity: Brevity

    async def fitted(self, ticket: Admitted, limits: Sequence[Limit]) -> Admitted:
        """Give the ticket as it should be asked now: the same one, a cheaper or a shorter one.

        Only what is spent counts, not what calls under way hold: their worst case is seldom true.
        Raises UnknownPrice where either model of a downgrade has no price, and ContextTooLong for
        what no model of that name reads.
        """
        substitute = self._substitute_for(ticket.request)
        if substitute is None and self.rules.compress is None:
            self.brevity.require_room(ticket.request)
            return ticket
        used_up = None
        if limits:
            balances = await self.ports.ledger.balances([limit.key for limit in limits])
            limit = _used(limits, balances, self.rules.downgrade_at)
            if substitute is not None and limit is not None:
                ticket = self._cheaper(ticket, substitute, limit)
            used_up = _used(limits, balances, self.rules.compress_at)
        return await self.brevity.shortened(ticket, used_up)

    def downgraded(self, ticket: Admitted, loop: Loop) -> Admitted:
        """Ask the cheaper model, if there is one, since a loop goes on."""
        substitute = self._substitute_for(ticket.request)
        return ticket if substitute is None else self._cheaper(ticket, substitute, loop)

    def _substitute_for(self, request: Request) -> Substitute | None:
        return entry_of(self.rules.downgrade, request.model)

    def _cheaper(self, ticket: Admitted, substitute: Substitute, reason: Limit | Loop) -> Admitted:
        request = ticket.request
        cheaper = asked_of(request, substitute)
        if self._expected(cheaper) >= self._expected(request):
            return ticket
        limit = reason if isinstance(reason, Limit) else None
        self.ports.tell(
            Downgraded(id=ticket.id, model=request.model, to=cheaper.model, limit=limit)
        )
        return replace(ticket, asked=cheaper, request=cheaper)

    def _expected(self, request: Request) -> int:
        """Price the request's own mix of input and output, in nanodollars; the rules will do."""
        card = self.ports.book.card(request.model, request.provider, context_of(request))
        return quote_of(request, card, self.ports.counter.by_rules(request)).expected


def _used(limits: Sequence[Limit], balances: Sequence[Balance], share: int) -> Limit | None:
    """Name the first limit of which so many thousandths are spent; a rate never is."""
    for limit, balance in zip(limits, balances, strict=True):
        if not limit.pace and balance.spent * THOUSAND >= limit.amount * share:
            return limit
    return None
