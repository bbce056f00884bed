"""When a conversation is cut, and how deep."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentfuse.compression.plans import Cutting
from agentfuse.compression.spans import INSTRUCTING, Spans
from agentfuse.messages import Text

if TYPE_CHECKING:
    from agentfuse.compression.compressor import Compressor
    from agentfuse.compression.plans import Plan, Talk
    from agentfuse.lengths import Pressure, Why
    from agentfuse.messages import Message, Request

# Requests that only add to what the provider keeps: results stand there without their calls.
# https://platform.openai.com/docs/api-reference/responses/create
_CONTINUING = frozenset({"conversation", "previous_response_id"})

# A conversation that cannot be cut below its trigger is cut again once it has grown by a tenth.
_GROWN = 1.1
_NO_END = 1 << 60


def may_be_shortened(request: Request) -> bool:
    """Say whether all that the model will read is in the request."""
    return len(request.messages) > 1 and _CONTINUING.isdisjoint(request.params)


def fits_surely(request: Request, pressure: Pressure, after: int | None) -> bool:
    """Say whether nothing can set a cut off, without counting: no token is shorter than a byte."""
    if pressure.limit is not None or (after is not None and len(request.messages) > after):
        return False
    bounds = [bound for bound in (pressure.above, pressure.room) if bound]
    return not bounds or most_tokens(request) <= min(bounds)


def most_tokens(request: Request) -> int:
    """Give a number that a request's tokens cannot pass, at the price of its strings' lengths.

    Media have no such bound, nor has what is kept whole: with either, the number has no end.
    """
    frame = sum(len(str(tool)) for tool in request.tools) + len(str(request.params))
    return frame + sum(map(_most_of, request.messages))


def _most_of(message: Message) -> int:
    if not all(isinstance(part, Text) for part in message.parts):
        return _NO_END
    # Sixteen more for the role, the name and the marks between messages.
    texts = (message.text, *(f"{call.name}{call.arguments}" for call in message.tool_calls))
    return 16 + sum(len(text) if text.isascii() else 4 * len(text) for text in texts)


def due(
    compressor: Compressor, talk: Talk, plan: Plan | None, pressure: Pressure, *, after: int | None
) -> tuple[Why | None, Cutting | None]:
    """Say why a cut is due now, and how it is made; none if nothing sets one off."""
    size = talk.size if plan is None else plan.size_in(talk)
    if pressure.room and size > pressure.room:
        return "window", _cutting(compressor, int(pressure.room * compressor.to))
    if after is not None and _steps_in(talk, plan) > after:
        units = compressor.turns if compressor.strategy == "sliding_window" else None
        units = units or max(int(after * compressor.to), 1)
        return "steps", _cutting(compressor, _NO_END, units)
    if plan is not None and size <= _GROWN * plan.floor:
        return None, None
    if pressure.above is not None and size > pressure.above:
        return "tokens", _sized(compressor, pressure.above)
    if pressure.limit is not None and (plan is None or size > plan.above):
        return "budget", _sized(compressor, size)
    return None, None


def trigger_of(size: int, steps: int, pressure: Pressure) -> Why | None:
    """Say what would set off a cut that nothing is known of from before."""
    if pressure.room and size > pressure.room:
        return "window"
    if pressure.after is not None and steps > pressure.after:
        return "steps"
    if pressure.above is not None and size > pressure.above:
        return "tokens"
    return "budget" if pressure.limit is not None else None


def _sized(compressor: Compressor, trigger: int) -> Cutting:
    if compressor.strategy == "sliding_window":
        return _cutting(compressor, _NO_END, compressor.turns)
    return _cutting(compressor, int(trigger * compressor.to))


def _cutting(compressor: Compressor, target: int, units: int | None = None) -> Cutting:
    note = compressor.summary_tokens if compressor.strategy == "summarise" else 0
    return Cutting(
        target=target,
        units=units,
        tool_tokens=compressor.tool_tokens,
        keep=compressor.keep,
        room_for_note=note,
    )


def _steps_in(talk: Talk, plan: Plan | None) -> int:
    """Count the turns, and the steps of the last one, that are still there."""
    left = set(plan.left) if plan is not None else set[int]()
    units = Spans.of(talk.messages).units
    roles = [message.role for message in talk.messages]
    there = (any(i not in left and roles[i] not in INSTRUCTING for i in unit) for unit in units)
    return 1 + sum(there)
