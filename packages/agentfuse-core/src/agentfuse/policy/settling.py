"""The bill of a call: its true price, or an honest estimate where the provider gave no usage."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agentfuse.errors import UnknownPrice
from agentfuse.tickets import Amounts, Overrun, Receipt
from agentfuse.usage import BilledUsage, Usage, UsageReport

if TYPE_CHECKING:
    from agentfuse.messages import Reply, Request
    from agentfuse.policy.alerts import Alerts
    from agentfuse.policy.given import Ports
    from agentfuse.pricing import Cost
    from agentfuse.tickets import Admitted


@dataclass(frozen=True, slots=True)
class Settling:
    """Books what calls cost."""

    ports: Ports
    alerts: Alerts

    async def settle(self, ticket: Admitted, reply: Reply) -> int:
        """Book a reply's cost on its lease, tell the receipt, and give the cost."""
        report, estimated = self._report_of(ticket, reply)
        usage = report.usage
        if not estimated:
            self.ports.counter.settle(ticket.asked, usage.input_tokens)
            if reply.id:
                self.ports.counter.remember(reply.id, usage.input_tokens + usage.output_tokens)
        price = self._price_of(ticket.request, report)
        cost = price.nanodollars if price else 0
        await self._book(ticket, _amounts(cost, usage))
        self.ports.tell(
            Receipt(
                id=ticket.id,
                model=ticket.request.model,
                provider=ticket.request.provider,
                source="provider",
                cost=cost,
                usage=usage,
                finish_reason=reply.finish_reason,
                card_id=price.card_id if price else "",
                attempt=ticket.attempt,
                estimated=estimated or report.approximate,
                priced=price is not None,
                seconds=self.ports.clock.now() - ticket.started,
                text=reply.text,
                scope=ticket.scope,
                decision=ticket.decision,
                key=ticket.key or "",
                left_out=ticket.left_out,
                failed=ticket.failed,
                prompt_cache_saved=self._prompt_cache_saved(ticket.request, report, cost),
            )
        )
        return cost

    async def abandon(self, ticket: Admitted, *, billed: bool) -> int:
        """Release a failed attempt, or book its estimate where the provider likely billed it."""
        if not billed:
            if ticket.lease is not None:
                await self.ports.ledger.release(ticket.lease.id)
            return 0
        report = self._estimate_of(ticket, Usage(), "")
        price = self._price_of(ticket.request, report)
        cost = price.nanodollars if price else 0
        await self._book(ticket, _amounts(cost, report.usage))
        return cost

    async def outrun(self, ticket: Admitted, reply: Reply) -> int:
        """Book an answer that nobody is given; gives what it cost."""
        report, _ = self._report_of(ticket, reply)
        price = self._price_of(ticket.request, report)
        cost = price.nanodollars if price else 0
        await self._book(ticket, _amounts(cost, report.usage))
        return cost

    def price_of(self, request: Request, reply: Reply) -> Cost | None:
        """Price a remembered reply as if it were asked today; None where no price is known."""
        return self._price_of(request, reply.report) if reply.report else None

    def _prompt_cache_saved(self, request: Request, report: UsageReport, cost: int) -> int:
        """Say what the provider's own cache took off the price: below zero, what it added."""
        if not any(_cached(item.usage) for item in report.items):
            return 0
        plain = replace(
            report,
            items=tuple(replace(item, usage=_uncached(item.usage)) for item in report.items),
        )
        price = self._price_of(request, plain)
        return price.nanodollars - cost if price else 0

    async def _book(self, ticket: Admitted, amount: Amounts) -> None:
        if ticket.owed:
            await self.ports.ledger.spend(ticket.owed, amount, ticket.note)
        if ticket.lease is None:
            return
        settlement = await self.ports.ledger.settle(ticket.lease.id, amount)
        if settlement.overrun:
            self.ports.tell(
                Overrun(id=ticket.id, model=ticket.request.model, nanodollars=settlement.overrun)
            )
        await self.alerts.watch(ticket.lease.limits, settlement.spent)

    def _price_of(self, request: Request, report: UsageReport) -> Cost | None:
        try:
            return self.ports.book.cost(report, request.provider, asked=request.model)
        except UnknownPrice:
            # Only possible without a limit: a budgeted call is refused before it is sent.
            return None

    def _report_of(self, ticket: Admitted, reply: Reply) -> tuple[UsageReport, bool]:
        """Give the provider's own usage, or an estimate; a cut stream's usage is no final one."""
        if reply.report is not None and reply.finish_reason:
            return reply.report, False
        so_far = reply.report.usage if reply.report else Usage()
        return self._estimate_of(ticket, so_far, reply.text), True

    def _estimate_of(self, ticket: Admitted, so_far: Usage, text: str) -> UsageReport:
        """Estimate from what was asked and what was seen, never below what was reported."""
        request = ticket.request
        said = ticket.progress.said
        seen = (said.text if said else "") or text
        output = max(so_far.output_tokens, self.ports.counter.count_text(seen, request.model))
        tokens = so_far.input_tokens
        if not tokens:
            quote = ticket.quote
            tokens = quote.input_tokens if quote else self.ports.counter.by_rules(request).tokens
        usage = replace(so_far, input_tokens=tokens, output_tokens=output)
        return UsageReport(items=(BilledUsage(model=request.model, usage=usage),))


def _amounts(cost: int, usage: Usage) -> Amounts:
    return Amounts(cost, usage.input_tokens + usage.output_tokens, 1)


def _cached(usage: Usage) -> int:
    """Count the tokens read from the provider's cache of prompts, or written to it."""
    written = usage.cache_write_5m_tokens + usage.cache_write_1h_tokens
    return usage.cache_read_tokens + written + usage.cache_write_12h_tokens


def _uncached(usage: Usage) -> Usage:
    """Give the same usage as it would be billed without that cache: all of it as plain input."""
    return replace(
        usage,
        cache_read_tokens=0,
        cache_write_5m_tokens=0,
        cache_write_1h_tokens=0,
        cache_write_12h_tokens=0,
    )
