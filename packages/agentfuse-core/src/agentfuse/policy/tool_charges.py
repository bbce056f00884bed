"""What a tool costs, booked before it runs or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentfuse.money import usd
from agentfuse.scopes import current_scope
from agentfuse.tickets import Lease, Receipt, Refusal, Refused

if TYPE_CHECKING:
    from agentfuse.policy.given import Ports, Rules
    from agentfuse.ports import Run


async def charge(ports: Ports, rules: Rules, run: Run, name: str, cost: int) -> None:
    """Book ``cost`` nanodollars for a tool that is about to run; raises BudgetExceeded.

    It is checked and booked in one step of the ledger, so that tools that run side by side cannot
    pass a limit together.
    """
    lease = Lease(
        id=ports.new_id(),
        amount=cost,
        estimate=cost,
        limits=run.limits,
        deadline=ports.clock.now() + rules.lease_ttl,
    )
    if lease.limits:
        outcome = await ports.ledger.reserve(lease)
        if isinstance(outcome, Refusal):
            ports.tell(Refused(model=name, refusal=outcome))
            raise run.stopped(_reason(name, outcome), outcome)
        await ports.ledger.settle(lease.id, cost)
    ports.tell(
        Receipt(
            id=lease.id,
            model=name,
            provider="tool",
            source="tool",
            cost=cost,
            scope=current_scope(),
        )
    )


def _reason(name: str, refusal: Refusal) -> str:
    limit = refusal.limit
    return (
        f"{limit.scope} {limit.id!r} has {usd(refusal.left)} left of {usd(limit.nanodollars)};"
        f" the tool {name} costs {usd(refusal.needed)}: it was not run"
    )
