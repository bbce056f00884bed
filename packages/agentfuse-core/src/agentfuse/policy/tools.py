"""What tools cost, on the same limits as the models' calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agentfuse.errors import BudgetExceeded, Killed
from agentfuse.policy.saying import killed_text, refused_text
from agentfuse.scopes import current_scope
from agentfuse.tickets import Amounts, Lease, Receipt, Refusal, Refused, Stop

if TYPE_CHECKING:
    from agentfuse.policy.alerts import Alerts
    from agentfuse.policy.given import Ports, Rules
    from agentfuse.ports import Run

_FOREVER = 10 * 365 * 86_400.0  # seconds


@dataclass(frozen=True, slots=True)
class ToolBooks:
    """Books tools: after they ran, or before."""

    ports: Ports
    rules: Rules
    run: Run
    alerts: Alerts

    async def record(self, name: str, cost: int) -> None:
        """Book what a tool has cost (nanodollars); it has happened, so it is never refused."""
        limits = self.run.limits(name, self.ports.clock.now())
        await self.ports.ledger.spend(limits, Amounts(cost), name)
        if limits and self.rules.alert_at:
            balances = await self.ports.ledger.balances([limit.key for limit in limits])
            await self.alerts.watch(limits, [balance.spent for balance in balances])
        self._tell(name, cost)

    async def charge(self, name: str, cost: int) -> None:
        """Book what a tool is about to cost; raises BudgetExceeded where it does not fit."""
        limits = self.run.limits(name, self.ports.clock.now())
        amount = Amounts(cost)
        outcome = await self.ports.ledger.reserve(
            Lease(
                id=self.ports.new_id(),
                amount=amount,
                estimate=amount,
                limits=limits,
                ttl=self.rules.lease_ttl,
                marks=self.run.marks(name),
                note=name,
            )
        )
        if isinstance(outcome, Lease):
            settlement = await self.ports.ledger.settle(outcome.id, amount)
            await self.alerts.watch(limits, settlement.spent)
            self._tell(name, cost)
            return
        raise self.run.completed(self._refused(name, outcome))

    async def allot(self, name: str, amount: int) -> str:
        """Set aside a budget for a run inside this one, and give its lease's id.

        It has no deadline: it lasts until it is given back, or the ledger is looked after.
        """
        given = Amounts(amount)
        outcome = await self.ports.ledger.reserve(
            Lease(
                id=self.ports.new_id(),
                amount=given,
                estimate=given,
                limits=self.run.limits("", self.ports.clock.now()),
                ttl=_FOREVER,
                marks=self.run.marks(""),
                note=f"allotted to run {name}",
            )
        )
        if isinstance(outcome, Lease):
            return outcome.id
        raise self.run.completed(self._refused(f"run {name}", outcome))

    def _refused(self, name: str, outcome: Refusal | Stop) -> BudgetExceeded:
        self.ports.tell(Refused(model=name, refusal=outcome))
        if isinstance(outcome, Stop):
            return Killed(killed_text(outcome, name))
        return BudgetExceeded(refused_text(outcome, name, 0), refusal=outcome)

    def _tell(self, name: str, cost: int) -> None:
        self.ports.tell(
            Receipt(
                id=self.ports.new_id(),
                model=name,
                provider="tool",
                source="tool",
                cost=cost,
                scope=current_scope(),
            )
        )
