"""Watch a stream grow against its lease, without tokenising what cannot matter yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentfuse.errors import BudgetExceeded
from agentfuse.money import usd

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentfuse.messages import Delta
    from agentfuse.tickets import Admitted


def meter(ticket: Admitted, delta: Delta, count_text: Callable[[str, str], int]) -> None:
    """Add what a chunk said; raises BudgetExceeded when the lease cannot pay for more.

    A byte-level vocabulary never makes more tokens than bytes, so the text is counted for real only
    when its bytes could pass the lease: once or twice in a long stream, not once a chunk.
    """
    progress = ticket.progress
    progress.texts.append(delta.text)
    progress.unread += len(delta.text.encode("utf-8", "surrogatepass"))
    if progress.allowed is None or progress.counted + progress.unread <= progress.allowed:
        return
    progress.counted = count_text("".join(progress.texts), ticket.request.model)
    progress.unread = 0
    if progress.counted > progress.allowed:
        raise _spent_out(ticket)


def _spent_out(ticket: Admitted) -> BudgetExceeded:
    held = usd(ticket.lease.amount.nanodollars) if ticket.lease else "nothing"
    return BudgetExceeded(
        f"the stream of {ticket.request.model} was stopped after {ticket.progress.counted} output"
        f" tokens: the {held} set aside for it would not pay for more",
        partial_text="".join(ticket.progress.texts),
    )
