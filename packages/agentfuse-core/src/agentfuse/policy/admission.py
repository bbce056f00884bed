"""Leave to spend: quote a request, fit it into what is left, and set the money aside."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NoReturn

from agentfuse.copies import changed
from agentfuse.errors import BudgetExceeded, Killed, RateLimited, StoreUnavailable, UnknownPrice
from agentfuse.policy.saying import killed_text, refused_text
from agentfuse.pricing import affordable_output, choices_of, context_of, free_card_of, quote_of
from agentfuse.tickets import Amounts, Lease, Progress, Refused, Stop, StoreTrouble

if TYPE_CHECKING:
    from agentfuse.messages import Request
    from agentfuse.policy.given import Ports, Rules
    from agentfuse.ports import Run
    from agentfuse.pricing import PriceCard
    from agentfuse.tickets import Admitted, Limit, Quote, Refusal
    from agentfuse.tokens import TokenEstimate

# Between a refusal and the next try others may take what was left: a few tries, then no.
TRIES = 4

# Room for a long answer, in tokens (twice the 4,096 that early models could give at most). A call
# that is clamped takes no more than half of what is left as long as that is so much: one call with
# a default maximum of 128,000 would otherwise hold the whole budget, and starve its neighbours.
ROOMY = 8_192


@dataclass(frozen=True, slots=True)
class Worst:
    """What a request may come to: its quote, and the most tokens of its input."""

    quote: Quote
    input_tokens: int

    @property
    def amount(self) -> Amounts:
        """What to set aside."""
        tokens = self.input_tokens + self.quote.max_output_tokens
        return Amounts(self.quote.worst, tokens, 1)

    @property
    def estimate(self) -> Amounts:
        """What to book if it is never heard of again."""
        expected = min(self.quote.expected, self.quote.worst)
        return Amounts(expected, self.quote.input_tokens, 1)

    def affordable(self, refusal: Refusal) -> int:
        """Say how many output tokens fit into what the limit that said no has left."""
        if refusal.limit.unit == "nanodollars":
            return affordable_output(self.quote, refusal.left)
        if refusal.limit.unit == "tokens":
            return max(refusal.left - self.input_tokens, 0)
        return 0


@dataclass(frozen=True, slots=True)
class Admission:
    """The gate of a run."""

    ports: Ports
    rules: Rules
    run: Run

    async def admit(self, ticket: Admitted) -> Admitted:
        """Reserve the worst case on every limit; without limits nothing is counted or held.

        Raises BudgetExceeded before anything is sent, UnknownPrice for a model no budget can hold,
        and StoreUnavailable where the ledger is down and calls may not go on without it.
        """
        limits = self.run.limits(ticket.asked.model, self.ports.clock.now())
        if not limits:
            return ticket
        asked = ticket.asked
        card = self._card_of(asked, limits)
        estimate = await self.ports.count(asked)
        try:
            return await self._reserve(ticket, limits, card, estimate)
        except StoreUnavailable as error:
            if self.rules.store_down == "closed":
                raise
            self.ports.tell(StoreTrouble(store="ledger", error=str(error)))
            return replace(ticket, owed=limits)

    def refuse(self, ticket: Admitted, stop: Stop) -> NoReturn:
        """Raise Killed, and tell it."""
        model = ticket.asked.model
        self.ports.tell(Refused(model=model, refusal=stop))
        raise self.run.completed(Killed(killed_text(stop, model), refusal=None))

    def _card_of(self, asked: Request, limits: tuple[Limit, ...]) -> PriceCard:
        """Give the price; a model without one can still be held to tokens and requests."""
        try:
            return self.ports.book.card(asked.model, asked.provider, context_of(asked))
        except UnknownPrice:
            if any(limit.unit == "nanodollars" for limit in limits):
                raise
            return free_card_of(asked.model)

    async def _reserve(
        self, ticket: Admitted, limits: tuple[Limit, ...], card: PriceCard, estimate: TokenEstimate
    ) -> Admitted:
        """Try the request as it is, then with less output as long as the rules allow."""
        request, tries = ticket.asked, 0
        while True:
            worst = Worst(quote_of(request, card, estimate), estimate.high)
            outcome = await self.ports.ledger.reserve(self._lease(ticket, worst, limits))
            if isinstance(outcome, Lease):
                return _admitted(ticket, request, worst.quote, outcome)
            if isinstance(outcome, Stop):
                self.refuse(ticket, outcome)
            tries += 1
            smaller = self._clamped(ticket.asked, worst, outcome) if tries < TRIES else None
            if smaller is None:
                self._turn_away(ticket.asked, outcome)
            request = smaller

    def _lease(self, ticket: Admitted, worst: Worst, limits: tuple[Limit, ...]) -> Lease:
        return Lease(
            id=ticket.id,
            amount=worst.amount,
            estimate=worst.estimate,
            limits=limits,
            ttl=self.rules.lease_ttl,
            marks=self.run.marks(ticket.asked.model),
            note=ticket.note,
        )

    def _clamped(self, asked: Request, worst: Worst, refusal: Refusal) -> Request | None:
        """Lower the output maximum to what is left, if the caller set none and enough remains."""
        if not self._clamps(asked):
            return None
        tokens = worst.affordable(refusal) // choices_of(asked)
        if tokens < self.rules.min_output_tokens:
            return None
        return replace(asked, max_output_tokens=max(tokens // 2, min(tokens, ROOMY)))

    def _clamps(self, asked: Request) -> bool:
        return self.rules.clamp and asked.max_output_tokens is None

    def _turn_away(self, asked: Request, refusal: Refusal) -> NoReturn:
        shortest = self.rules.min_output_tokens if self._clamps(asked) else 0
        self.ports.tell(Refused(model=asked.model, refusal=refusal))
        kind = RateLimited if refusal.limit.pace and refusal.wait else BudgetExceeded
        text = refused_text(refusal, asked.model, shortest)
        raise self.run.completed(kind(text, refusal=refusal))


def _admitted(ticket: Admitted, request: Request, quote: Quote, lease: Lease) -> Admitted:
    """Give leave, with what a stream may say for the money that is set aside."""
    allowed = affordable_output(quote, lease.amount.nanodollars)
    progress = Progress(allowed=allowed)
    return changed(ticket, request=request, quote=quote, lease=lease, progress=progress)
