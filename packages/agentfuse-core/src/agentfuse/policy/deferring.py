"""Calls that may wait for an answer until tomorrow: reserved, and settled, at the batch price."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agentfuse.policy.admission import Admission
from agentfuse.scopes import current_scope
from agentfuse.tickets import Admitted, Amounts, Failed, Receipt

if TYPE_CHECKING:
    from agentfuse.messages import Reply, Request
    from agentfuse.policy.given import Ports, Rules
    from agentfuse.policy.settling import Settling
    from agentfuse.ports import Run

# A batch is answered within a day (completion_window, expires_at); as much again for the time
# before it is sent and after it is done.
HELD = 48 * 3_600.0

BATCH = {"service_tier": "batch"}
"""What a request says that is quoted at the batch price; it is never sent so."""


@dataclass(frozen=True, slots=True)
class Deferring:
    """Books the calls of one run that go out in batches."""

    ports: Ports
    rules: Rules
    run: Run
    settling: Settling

    async def reserve(self, request: Request, call_id: str) -> Admitted:
        """Set the worst case at the batch price aside, for two days; raises as any call does."""
        asked = replace(request, params={**request.params, **BATCH})
        ticket = Admitted(
            id=call_id,
            asked=asked,
            request=asked,
            started=self.ports.clock.now(),
            scope=current_scope(),
        )
        rules = replace(self.rules, lease_ttl=HELD)
        return await Admission(self.ports, rules, self.run).admit(ticket)

    async def settle(self, request: Request, call_id: str, reply: Reply, added: float) -> None:
        """Book what an answer cost, once, also where the ledger forgot what it held for it."""
        price = self.settling.price_of(request, reply)
        usage = reply.report.usage if reply.report else None
        tokens = usage.input_tokens + usage.output_tokens if usage else 0
        amount = Amounts(price.nanodollars if price else 0, tokens, 1)
        ledger, now = self.ports.ledger, self.ports.clock.now()
        limits = self.run.limits(request.model, now)
        if limits:
            settlement = await ledger.settle(call_id, amount)
            unknown = settlement.repeated and not settlement.spent
            if unknown and await ledger.claim(f"batch:{call_id}"):
                await ledger.spend(limits, amount, request.model)
        self.ports.tell(
            Receipt(
                id=call_id,
                model=request.model,
                provider=request.provider,
                source="provider",
                cost=amount.nanodollars,
                usage=usage,
                finish_reason=reply.finish_reason,
                card_id=price.card_id if price else "",
                priced=price is not None,
                seconds=now - added,
                text=reply.text,
                scope=current_scope(),
            )
        )

    async def give_back(self, request: Request, call_id: str, kind: str) -> None:
        """Release what was held for a request that was not answered, and hence not billed."""
        await self.ports.ledger.release(call_id)
        self.ports.tell(
            Failed(id=call_id, model=request.model, provider=request.provider, kind=kind, attempt=1)
        )
