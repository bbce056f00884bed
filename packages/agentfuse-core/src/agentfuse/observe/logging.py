"""One log line for each event, without a word of what was asked or answered."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from agentfuse.money import usd
from agentfuse.tickets import Downgraded, Failed, Overrun, Receipt, Refused, StoreTrouble

if TYPE_CHECKING:
    from agentfuse.tickets import Event


class LogListener:
    """Logs receipts at INFO and everything else at WARNING, to the logger of that name."""

    def __init__(self, logger: str = "agentfuse") -> None:
        self._logger = logging.getLogger(logger)

    def hear(self, event: Event) -> None:
        """Log an event if its level is wanted."""
        level = logging.INFO if isinstance(event, Receipt) else logging.WARNING
        if self._logger.isEnabledFor(level):
            self._logger.log(level, "%s", line_of(event))


def line_of(event: Event) -> str:
    """Say an event in one line of figures and names."""
    match event:
        case Receipt():
            return _receipt_line(event)
        case Refused(model=model, refusal=refusal):
            limit = refusal.limit
            return (
                f"refused {model}: needs {usd(refusal.needed)}, {usd(refusal.left)} left of"
                f" {usd(limit.nanodollars)} for {limit.key}"
            )
        case Failed():
            return (
                f"failed {event.model} ({event.kind}, attempt {event.attempt}):"
                f" {usd(event.cost)} booked [{event.id}]"
            )
        case Downgraded():
            return (
                f"downgraded {event.model} to {event.to}: {event.limit.key} is nearly used up"
                f" [{event.id}]"
            )
        case Overrun():
            return f"overrun {event.model}: {usd(event.nanodollars)} above its lease [{event.id}]"
        case StoreTrouble():
            return f"trouble with the {event.store}: {event.error}"


def _receipt_line(receipt: Receipt) -> str:
    cost = usd(receipt.cost) if receipt.priced else "no price known"
    said = [f"{receipt.model} from {receipt.source}: {cost}"]
    if receipt.estimated:
        said.append("estimated")
    if receipt.saved:
        said.append(f"{usd(receipt.saved)} saved")
    if receipt.usage is not None:
        said.append(f"{receipt.usage.input_tokens} in, {receipt.usage.output_tokens} out")
    said.append(f"{receipt.seconds:.3f} s [{receipt.id}]")
    return ", ".join(said)
