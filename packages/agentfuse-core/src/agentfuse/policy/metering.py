"""Watch a stream grow against its lease, without tokenising what cannot matter yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentfuse.errors import BudgetExceeded
from agentfuse.money import usd
from agentfuse.tokens import StreamCounter

if TYPE_CHECKING:
    from agentfuse.messages import Delta
    from agentfuse.tickets import Admitted


def meter(ticket: Admitted, delta: Delta) -> None:
    """Add what a chunk said; raises BudgetExceeded when the lease cannot pay for more."""
    progress = ticket.progress
    said = progress.said
    if said is None:
        said = progress.said = StreamCounter(ticket.request.model)
    said.take(delta.text)
    if progress.allowed is not None and said.passes(progress.allowed):
        raise _spent_out(ticket, said)


def _spent_out(ticket: Admitted, said: StreamCounter) -> BudgetExceeded:
    held = usd(ticket.lease.amount.nanodollars) if ticket.lease else "nothing"
    return BudgetExceeded(
        f"the stream of {ticket.request.model} was stopped after {said.recount()} output"
        f" tokens: the {held} set aside for it would not pay for more",
        partial_text=said.text,
    )
