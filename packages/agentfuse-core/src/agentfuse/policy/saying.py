"""A refusal in the user's words: which limit stood in the way, by how much, and until when."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentfuse.money import usd

if TYPE_CHECKING:
    from agentfuse.conduct import Loop
    from agentfuse.tickets import Limit, Refusal, Stop

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400


def refused_text(refusal: Refusal, model: str, shortest: int) -> str:
    """Say why a call does not fit; ``shortest`` is the least answer that was tried, or 0."""
    limit = refusal.limit
    shortened = (
        f", and even {shortest} tokens of answer more than what is left"
        if shortest and limit.unit != "requests"
        else ""
    )
    span = f" for {limit.window}" if limit.window else ""
    later = f"; it may fit in {_span_of(refusal.wait)}" if refusal.wait else ""
    return (
        f"{limit.scope} {limit.id!r} has {shown(limit, refusal.left)} left of"
        f" {shown(limit, limit.amount)}{span}; this call of {model} could cost"
        f" {shown(limit, refusal.needed)}{shortened}: nothing was sent{later}"
    )


def tool_refused_text(refusal: Refusal, name: str) -> str:
    """Say why a tool was not run."""
    limit = refusal.limit
    return (
        f"{limit.scope} {limit.id!r} has {shown(limit, refusal.left)} left of"
        f" {shown(limit, limit.amount)}; the tool {name} costs {shown(limit, refusal.needed)}:"
        " it was not run"
    )


def killed_text(stop: Stop, model: str) -> str:
    """Say who pulled the plug."""
    why = f" ({stop.reason})" if stop.reason else ""
    return f"the kill switch {stop.mark!r} is pulled{why}: this call of {model} was not sent"


def loop_text(loop: Loop, model: str) -> str:
    """Say what goes round in circles."""
    kinds = {
        "tools": "the same tools were called with the same results",
        "requests": "the very same was asked",
        "answers": "the same was answered to the same",
    }
    cost = f", the repeats for {usd(loop.cost)}" if loop.cost else ""
    return (
        f"loop detected: {kinds[loop.what]} {loop.times} times{cost}"
        f" ({'; '.join(loop.actions)}): this call of {model} was not sent"
    )


def shown(limit: Limit, amount: int) -> str:
    """Print an amount in a limit's unit."""
    return usd(amount) if limit.unit == "nanodollars" else f"{amount:,} {limit.unit}"


def _span_of(seconds: float) -> str:
    if seconds < _MINUTE:
        return f"{seconds:.1f} seconds"
    for size, name in ((_DAY, "days"), (_HOUR, "hours"), (_MINUTE, "minutes")):
        if seconds >= size:
            return f"{seconds / size:.1f} {name}"
    return f"{seconds:.1f} seconds"
