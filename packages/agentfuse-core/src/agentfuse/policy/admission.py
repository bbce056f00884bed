"""Leave to spend: quote a request, fit it into what is left, and set the money aside."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agentfuse.money import usd
from agentfuse.pricing import affordable_output, choices_of, context_of, quote_of
from agentfuse.tickets import Lease, Progress, Refusal, Refused

if TYPE_CHECKING:
    from agentfuse.messages import Request
    from agentfuse.policy.given import Ports, Rules
    from agentfuse.ports import Run
    from agentfuse.pricing import PriceCard
    from agentfuse.tickets import Admitted, Limit, Quote
    from agentfuse.tokens import TokenEstimate

# Between a refusal and the next try others may take what was left: a few tries, then no.
TRIES = 4

# Room for a long answer, in tokens (twice the 4,096 that early models could give at most). A call
# that is clamped takes no more than half of what is left as long as that is so much: one call with
# a default maximum of 128,000 would otherwise hold the whole budget, and starve its neighbours.
ROOMY = 8_192


@dataclass(frozen=True, slots=True)
class Admission:
    """The gate of a run."""

    ports: Ports
    rules: Rules
    run: Run

    async def admit(self, ticket: Admitted) -> Admitted:
        """Reserve the worst case on every limit; without limits nothing is counted or held.

        Raises BudgetExceeded before anything is sent, and UnknownPrice for a model no budget can
        hold.
        """
        limits = self.run.limits
        if not limits:
            return ticket
        asked = ticket.asked
        card = self.ports.book.card(asked.model, asked.provider, context_of(asked))
        estimate = await self.ports.count(asked)
        return await self._reserve(ticket, limits, card, estimate)

    async def _reserve(
        self, ticket: Admitted, limits: tuple[Limit, ...], card: PriceCard, estimate: TokenEstimate
    ) -> Admitted:
        """Try the request as it is, then with less output as long as the rules allow."""
        request, tries = ticket.asked, 0
        while True:
            quote = quote_of(request, card, estimate)
            outcome = await self.ports.ledger.reserve(self._lease(ticket, quote, limits))
            if isinstance(outcome, Lease):
                return replace(
                    ticket,
                    request=request,
                    quote=quote,
                    lease=outcome,
                    progress=Progress(allowed=affordable_output(quote, outcome.amount)),
                )
            tries += 1
            smaller = self._clamped(ticket.asked, quote, outcome) if tries < TRIES else None
            if smaller is None:
                self.ports.tell(Refused(model=request.model, refusal=outcome))
                raise self.run.stopped(self._reason(ticket.asked, outcome), outcome)
            request = smaller

    def _lease(self, ticket: Admitted, quote: Quote, limits: tuple[Limit, ...]) -> Lease:
        return Lease(
            id=ticket.id,
            amount=quote.worst,
            estimate=min(quote.expected, quote.worst),
            limits=limits,
            deadline=self.ports.clock.now() + self.rules.lease_ttl,
        )

    def _clamped(self, asked: Request, quote: Quote, refusal: Refusal) -> Request | None:
        """Lower the output maximum to what is left, if the caller set none and enough remains."""
        if not self._clamps(asked):
            return None
        tokens = affordable_output(quote, refusal.left) // choices_of(asked)
        if tokens < self.rules.min_output_tokens:
            return None
        return replace(asked, max_output_tokens=max(tokens // 2, min(tokens, ROOMY)))

    def _clamps(self, asked: Request) -> bool:
        return self.rules.clamp and asked.max_output_tokens is None

    def _reason(self, asked: Request, refusal: Refusal) -> str:
        """Say in the user's words which limit stood in the way, and by how much."""
        limit = refusal.limit
        shortened = (
            f", and even {self.rules.min_output_tokens} tokens of answer more than what is left"
            if self._clamps(asked)
            else ""
        )
        return (
            f"{limit.scope} {limit.id!r} has {usd(refusal.left)} left of"
            f" {usd(limit.nanodollars)}; this call of {asked.model} could cost"
            f" {usd(refusal.needed)}{shortened}: nothing was sent"
        )
