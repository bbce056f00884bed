"""One log line for each event, without a word of what was asked or answered."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from agentfuse.courses import BreakerOpened, FellBack, Retried
from agentfuse.money import usd
from agentfuse.policy.saying import shown
from agentfuse.tickets import (
    Alert,
    Compressed,
    Downgraded,
    Failed,
    Overrun,
    Receipt,
    Refused,
    Routed,
    Stop,
    StoreTrouble,
)

if TYPE_CHECKING:
    from agentfuse.tickets import Event, Refusal


class LogListener:
    """Logs receipts and routes at INFO, all else at WARNING, to the logger of that name."""

    def __init__(self, logger: str = "agentfuse") -> None:
        self._logger = logging.getLogger(logger)

    def hear(self, event: Event) -> None:
        """Log an event if its level is wanted."""
        level = logging.INFO if isinstance(event, Receipt | Routed) else logging.WARNING
        if self._logger.isEnabledFor(level):
            self._logger.log(level, "%s", line_of(event))


def line_of(event: Event) -> str:
    """Say an event in one line of figures and names."""
    match event:
        case Receipt():
            return _receipt_line(event)
        case Refused(model=model, refusal=refusal):
            return _refusal_line(model, refusal)
        case Failed():
            return (
                f"failed {event.model} ({event.kind}, attempt {event.attempt}):"
                f" {usd(event.cost)} booked [{event.id}]"
            )
        case Retried() | FellBack() | BreakerOpened():
            return _course_line(event)
        case Routed() | Downgraded() | Compressed() | Alert():
            return _thrift_line(event)
        case Overrun() | StoreTrouble():
            return _trouble_line(event)


def _trouble_line(event: Overrun | StoreTrouble) -> str:
    if isinstance(event, StoreTrouble):
        return f"trouble with the {event.store}: {event.error}"
    return f"overrun {event.model}: {usd(event.nanodollars)} above its lease [{event.id}]"


def _course_line(event: Retried | FellBack | BreakerOpened) -> str:
    if isinstance(event, BreakerOpened):
        return f"breaker open: {event.model} of {event.provider} rests for {event.seconds:.0f} s"
    if isinstance(event, Retried):
        when = f"in {event.delay:.2f} s"
        return f"trying {event.model} again {when} after {event.kind} [{event.id}]"
    to = event.to if event.to_provider == event.provider else f"{event.to_provider}/{event.to}"
    return f"falling back from {event.model} to {to} after {event.kind} [{event.id}]"


def _thrift_line(event: Routed | Downgraded | Compressed | Alert) -> str:
    if isinstance(event, Routed):
        chosen = event.decision
        return f"routed {chosen.asked} to {chosen.model}: {chosen.reason} [{event.id}]"
    limit = event.limit
    if isinstance(event, Alert):
        used = f"{shown(limit, event.spent)} of {shown(limit, limit.amount)}"
        return f"alert {limit.key}: {used} spent, past {event.threshold / 10:g} %"
    what = f"downgraded {event.model} to {event.to}" if isinstance(event, Downgraded) else ""
    what = what or f"shortened {event.model}"
    return f"{what}: {limit.key} is nearly used up [{event.id}]"


def _refusal_line(model: str, refusal: Refusal | Stop) -> str:
    if isinstance(refusal, Stop):
        why = f" ({refusal.reason})" if refusal.reason else ""
        return f"refused {model}: the kill switch {refusal.mark} is pulled{why}"
    limit = refusal.limit
    return (
        f"refused {model}: needs {shown(limit, refusal.needed)}, {shown(limit, refusal.left)} left"
        f" of {shown(limit, limit.amount)} for {limit.key}"
    )


def _receipt_line(receipt: Receipt) -> str:
    cost = usd(receipt.cost) if receipt.priced else "no price known"
    said = [f"{receipt.model} from {receipt.source}: {cost}"]
    if receipt.estimated:
        said.append("estimated")
    if receipt.saved:
        said.append(f"{usd(receipt.saved)} saved")
    if receipt.failed:
        said.append(f"attempt {receipt.attempts} after {', '.join(a.kind for a in receipt.failed)}")
    if receipt.usage is not None:
        said.append(f"{receipt.usage.input_tokens} in, {receipt.usage.output_tokens} out")
    said.append(f"{receipt.seconds:.3f} s [{receipt.id}]")
    return ", ".join(said)
