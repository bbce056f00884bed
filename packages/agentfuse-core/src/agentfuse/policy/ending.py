"""How a call ends without an answer: the receipt of what was tried, on its error and told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agentfuse.courses import Attempt, FailureReceipt, keep_in
from agentfuse.errors import BudgetExceeded

if TYPE_CHECKING:
    from agentfuse.policy.given import Ports
    from agentfuse.tickets import Admitted

REFUSED = "refused"
"""The kind of a call that was never sent."""


@dataclass(frozen=True, slots=True)
class Ending:
    """Writes the receipts of calls that failed for good."""

    ports: Ports

    def given_up(
        self, ticket: Admitted, error: BaseException, failed: tuple[Attempt, ...] = ()
    ) -> None:
        """Tell that a call is over, and leave its receipt with the error.

        What a limit stopped before anything was sent has been told as that.
        """
        receipt = self._receipt(ticket, error, failed)
        keep_in(error, receipt)
        if failed or not isinstance(error, BudgetExceeded):
            self.ports.tell(receipt)

    def broken(self, ticket: Admitted, error: BaseException, cost: int) -> None:
        """Leave a receipt with an error and tell nobody: the call's own was told, or is to come."""
        kind = self.ports.failure_of(error).kind
        failed = (*ticket.failed, attempt_of(ticket, kind, cost))
        keep_in(error, self._receipt(ticket, error, failed))

    def _receipt(
        self, ticket: Admitted, error: BaseException, failed: tuple[Attempt, ...]
    ) -> FailureReceipt:
        course = ticket.course
        first = course.first if course else ticket.asked
        return FailureReceipt(
            id=course.id if course else ticket.id,
            model=first.model,
            provider=first.provider,
            kind=failed[-1].kind if failed else REFUSED,
            error=type(error).__name__,
            failed=failed,
            seconds=self.ports.clock.now() - ticket.started,
            scope=ticket.scope,
            decision=ticket.decision,
        )


def attempt_of(ticket: Admitted, kind: str, cost: int) -> Attempt:
    """Say what became of an attempt."""
    request = ticket.request
    return Attempt(model=request.model, provider=request.provider, kind=kind, cost=cost)
