"""One log line for each event, without a word of what was asked or answered."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from agentfuse.conduct import Anomaly, Looping
from agentfuse.courses import BreakerOpened, FailureReceipt, FellBack, Hedged, Retried
from agentfuse.decisions import Routed
from agentfuse.lengths import Compressed
from agentfuse.money import usd
from agentfuse.policy.saying import shown
from agentfuse.tickets import (
    Alert,
    Downgraded,
    Failed,
    Overrun,
    Receipt,
    Refused,
    Shadowed,
    Stop,
    StoreTrouble,
)

if TYPE_CHECKING:
    from agentfuse.tickets import Event, Refusal


class LogListener:
    """Logs receipts, routes and trials at INFO, all else at WARNING, to the logger of that name."""

    def __init__(self, logger: str = "agentfuse") -> None:
        self._logger = logging.getLogger(logger)

    def hear(self, event: Event) -> None:
        """Log an event if its level is wanted."""
        quiet = isinstance(event, Receipt | Routed | Shadowed)
        level = logging.INFO if quiet else logging.WARNING
        if self._logger.isEnabledFor(level):
            self._logger.log(level, "%s", line_of(event))


def line_of(event: Event) -> str:
    """Say an event in one line of figures and names."""
    match event:
        case Receipt():
            return _receipt_line(event)
        case Refused(model=model, refusal=refusal):
            return _refusal_line(model, refusal)
        case Failed() | FailureReceipt():
            return _failure_line(event)
        case Retried() | FellBack() | Hedged() | BreakerOpened():
            return _course_line(event)
        case Routed() | Downgraded() | Compressed() | Alert() | Looping() | Anomaly():
            return _told_line(event)
        case Overrun() | Shadowed() | StoreTrouble():
            return _trouble_line(event)


def _failure_line(event: Failed | FailureReceipt) -> str:
    if isinstance(event, Failed):
        why = f"{event.kind}, attempt {event.attempt}"
        return f"failed {event.model} ({why}): {usd(event.cost)} booked [{event.id}]"
    tried = f"{event.attempts} attempts, {usd(event.spent)}" if event.failed else "nothing sent"
    return f"gave up {event.model} ({event.kind}, {event.error}): {tried} [{event.id}]"


def _trouble_line(event: Overrun | Shadowed | StoreTrouble) -> str:
    if isinstance(event, Shadowed):
        return _shadow_line(event)
    if isinstance(event, StoreTrouble):
        return f"trouble with the {event.store}: {event.error}"
    return f"overrun {event.model}: {usd(event.nanodollars)} above its lease [{event.id}]"


def _course_line(event: Retried | FellBack | Hedged | BreakerOpened) -> str:
    if isinstance(event, BreakerOpened):
        return f"breaker open: {event.model} of {event.provider} rests for {event.seconds:.0f} s"
    if isinstance(event, Hedged):
        return f"asking {event.model} a second time, since it takes long [{event.id}]"
    if isinstance(event, Retried):
        when = f"in {event.delay:.2f} s"
        return f"trying {event.model} again {when} after {event.kind} [{event.id}]"
    to = event.to if event.to_provider == event.provider else f"{event.to_provider}/{event.to}"
    return f"falling back from {event.model} to {to} after {event.kind} [{event.id}]"


def _told_line(event: Routed | Downgraded | Compressed | Alert | Looping | Anomaly) -> str:
    if isinstance(event, Routed):
        chosen = event.decision
        return f"routed {chosen.asked} to {chosen.model}: {chosen.reason} [{event.id}]"
    return _warning_line(event) if isinstance(event, Looping | Anomaly) else _thrift_line(event)


def _thrift_line(event: Downgraded | Compressed | Alert) -> str:
    limit = event.limit
    near = "" if limit is None else f"{limit.key} is nearly used up"
    match event:
        case Alert(limit=limit):
            used = f"{shown(limit, event.spent)} of {shown(limit, limit.amount)}"
            return f"alert {limit.key}: {used} spent, past {event.threshold / 10:g} %"
        case Downgraded():
            why = near or "a loop goes on"
            return f"downgraded {event.model} to {event.to}: {why} [{event.id}]"
        case Compressed():
            tokens = f"from {event.before:,} to {event.after:,} tokens"
            return f"shortened {event.model} {tokens}: {near or event.why} [{event.id}]"


def _warning_line(event: Looping | Anomaly) -> str:
    if isinstance(event, Anomaly):
        usual = f"{event.times:.1f} times the usual {usd(event.usual)}"
        return f"anomaly {event.model}: {usd(event.cost)} is {usual} [{event.id}]"
    loop = event.loop
    cost = f", {usd(loop.cost)} spent on it" if loop.cost else ""
    return (
        f"loop of {event.model} ({event.action}): the same {loop.what} {loop.times} times{cost}"
        f" [{event.id}]"
    )


def _shadow_line(event: Shadowed) -> str:
    said = "right" if event.right else "wrong"
    held = f", held back ({event.veto})" if event.veto else ""
    hit = event.hit
    return f"shadow {event.model}: {hit.entry_id} is {said} at {hit.score:.3f}{held} [{event.id}]"


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
