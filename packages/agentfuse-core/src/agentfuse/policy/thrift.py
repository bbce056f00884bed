"""What a call gives up when a limit is nearly used up: its model, for a cheaper one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agentfuse.pricing import context_of, quote_of
from agentfuse.tickets import Downgraded
from agentfuse.tokens.families import bare

if TYPE_CHECKING:
    from agentfuse.messages import Request
    from agentfuse.policy.given import Ports, Rules, Substitute
    from agentfuse.ports import Run
    from agentfuse.tickets import Limit


@dataclass(frozen=True, slots=True)
class Thrift:
    """The steps between a free hand and a refusal."""

    ports: Ports
    rules: Rules
    run: Run

    async def fitted(self, request: Request, ticket_id: str) -> Request:
        """Give the request as it should be asked now: the same one, or to the cheaper model.

        Only what is spent counts, not what calls under way hold: their worst case is seldom true.
        Raises UnknownPrice where either model has no price.
        """
        substitute = self._substitute_for(request)
        if substitute is None:
            return request
        limit = await self._nearly_used()
        if limit is None:
            return request
        cheaper = _asked_of(request, substitute)
        if self._expected(cheaper) >= self._expected(request):
            return request
        self.ports.tell(
            Downgraded(id=ticket_id, model=request.model, to=cheaper.model, limit=limit)
        )
        return cheaper

    def _substitute_for(self, request: Request) -> Substitute | None:
        table = self.rules.downgrade
        if not table:
            return None
        return table.get(request.model) or table.get(bare(request.model))

    async def _nearly_used(self) -> Limit | None:
        """Name the first limit of which so much is spent that thrift begins."""
        for limit in self.run.limits:
            balance = await self.ports.ledger.balance(limit.key)
            if balance.spent * 1000 >= limit.nanodollars * self.rules.downgrade_at:
                return limit
        return None

    def _expected(self, request: Request) -> int:
        """Price the request's own mix of input and output, in nanodollars."""
        card = self.ports.book.card(request.model, request.provider, context_of(request))
        return quote_of(request, card, self.ports.counter.count(request)).expected


def _asked_of(request: Request, substitute: Substitute) -> Request:
    """Ask another model the same; another provider is reached at its own address."""
    if substitute.provider in {"", request.provider}:
        return replace(request, model=substitute.model)
    return replace(request, model=substitute.model, provider=substitute.provider, base_url="")
