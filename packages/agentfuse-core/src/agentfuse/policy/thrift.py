"""What a call gives up when a limit is nearly used up: its model, then a part of its request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agentfuse.policy.substitutes import asked_of, entry_of
from agentfuse.pricing import context_of, quote_of
from agentfuse.tickets import Compressed, Downgraded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentfuse.messages import Request
    from agentfuse.policy.given import Ports, Rules, Substitute
    from agentfuse.tickets import Balance, Limit

THOUSAND = 1_000


@dataclass(frozen=True, slots=True)
class Thrift:
    """The steps between a free hand and a refusal."""

    ports: Ports
    rules: Rules

    async def fitted(self, request: Request, limits: Sequence[Limit], ticket_id: str) -> Request:
        """Give the request as it should be asked now: the same one, a cheaper or a shorter one.

        Only what is spent counts, not what calls under way hold: their worst case is seldom true.
        Raises UnknownPrice where either model of a downgrade has no price.
        """
        substitute = self._substitute_for(request)
        if (substitute is None and self.rules.compress is None) or not limits:
            return request
        balances = await self.ports.ledger.balances([limit.key for limit in limits])
        fitted = request
        limit = _used(limits, balances, self.rules.downgrade_at)
        if substitute is not None and limit is not None:
            fitted = self._cheaper(fitted, substitute, limit, ticket_id)
        limit = _used(limits, balances, self.rules.compress_at)
        if self.rules.compress is not None and limit is not None:
            fitted = self._shorter(fitted, limit, ticket_id)
        return fitted

    def _substitute_for(self, request: Request) -> Substitute | None:
        return entry_of(self.rules.downgrade, request.model)

    def _cheaper(
        self, request: Request, substitute: Substitute, limit: Limit, ticket_id: str
    ) -> Request:
        cheaper = asked_of(request, substitute)
        if self._expected(cheaper) >= self._expected(request):
            return request
        self.ports.tell(
            Downgraded(id=ticket_id, model=request.model, to=cheaper.model, limit=limit)
        )
        return cheaper

    def _shorter(self, request: Request, limit: Limit, ticket_id: str) -> Request:
        shorter = self.rules.compress(request) if self.rules.compress is not None else request
        if shorter == request:
            return request
        self.ports.tell(Compressed(id=ticket_id, model=request.model, limit=limit))
        return shorter

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
