"""Calls that cost far more than is usual for their agent and model."""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from statistics import median
from typing import TYPE_CHECKING

from agentfuse.conduct import Anomaly

if TYPE_CHECKING:
    from agentfuse.policy.given import Ports, Rules
    from agentfuse.tickets import Admitted

# Calls before anything is called usual, and the latest that are remembered.
LEAST, _KEPT = 20, 64
# An outlier is 3.5 robust standard deviations from the median, each 1.4826 median absolute
# deviations (Iglewicz and Hoaglin, How to Detect and Handle Outliers, 1993), here of the logarithm:
# costs vary by factors. Costs that hardly vary are taken to vary by a tenth.
_OUTLIER, _SIGMA, _VARIES = 3.5, 1.4826, log(1.1)
# Once told, a dearer habit is told again only if it doubles, until so many calls have been usual.
_QUIET = 10


@dataclass(frozen=True, slots=True)
class History:
    """The latest costs of an agent with a model; ``hushed`` calls more are told only if doubled."""

    costs: tuple[int, ...] = ()
    hushed: int = 0
    told: int = 0


@dataclass(frozen=True, slots=True)
class Anomalies:
    """Watches what calls cost."""

    ports: Ports
    rules: Rules

    def watch(self, ticket: Admitted, cost: int) -> None:
        """Compare a call's cost (nanodollars) with its agent's own history, then remember it."""
        at = self.rules.anomaly_at
        if at is None or cost <= 0:
            return
        scope = ticket.scope
        key = ("costs", ticket.asked.tenant, scope.tags, ticket.request.model)
        before: list[History] = []

        def longer(history: History | None) -> History:
            before.append(history or History())
            return _after(before[0], cost, at)

        if self.ports.memo.change(key, longer).told == cost and before[0].told != cost:
            usual = round(median(before[0].costs))
            self.ports.tell(
                Anomaly(
                    id=ticket.id,
                    model=ticket.request.model,
                    cost=cost,
                    usual=usual,
                    times=cost / usual,
                    scope=scope,
                )
            )


def _after(history: History, cost: int, at: float) -> History:
    """Add a cost; ``told`` becomes this cost where it is to be told."""
    costs = (*history.costs[1 - _KEPT :], cost)
    if not is_outlier(cost, history.costs, at):
        hushed = max(history.hushed - 1, 0)
        return History(costs, hushed, history.told if hushed else 0)
    if history.hushed and cost < 2 * history.told:
        return History(costs, _QUIET, history.told)
    return History(costs, _QUIET, cost)


def is_outlier(cost: int, history: tuple[int, ...], at: float) -> bool:
    """Say whether a cost is ``at`` times the usual one, and further off than they vary."""
    if len(history) < LEAST or cost < at * min(history):
        return False
    distance = log(cost) - _middle_of_logs(history)
    if distance < log(at):  # nearly every call: it is spared sixty logarithms
        return False
    logs = [log(each) for each in history]
    middle = median(logs)
    spread = max(_SIGMA * median(abs(each - middle) for each in logs), _VARIES)
    return distance / spread > _OUTLIER


def _middle_of_logs(costs: tuple[int, ...]) -> float:
    """Give the median of the costs' logarithms: those of the one or two in the middle tell it."""
    ordered, half = sorted(costs), len(costs) // 2
    if len(costs) % 2:
        return log(ordered[half])
    return (log(ordered[half - 1]) + log(ordered[half])) / 2
