"""Requests that are too long: what makes them so, and what is told of the shorter ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from agentfuse.messages import Reply, Request
    from agentfuse.ports import Memo
    from agentfuse.tickets import Limit
    from agentfuse.tokens import TokenCounter

Why = Literal["budget", "window", "tokens", "steps", "held"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressure:
    """What may make a request too long.

    ``limit`` is nearly used up; ``room`` is how many tokens the model's window leaves for input (0
    where it is not known); a cut is wanted ``above`` so many tokens, or ``after`` so many steps.
    """

    limit: Limit | None = None
    room: int = 0
    above: int | None = None
    after: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortened:
    """A request made shorter: its input tokens ``before`` and ``after``, and ``why``.

    ``held`` says that it is cut where an earlier request of the conversation was; ``left_out`` is
    how many messages are left out.
    """

    request: Request
    before: int
    after: int
    why: Why
    left_out: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Compressed:
    """A call that goes out with a shorter request: input tokens ``before`` and ``after``.

    ``why`` is budget (``limit`` is nearly used up), window, tokens, steps, or held (cut where an
    earlier request of the conversation was); ``left_out`` messages are not in it.
    """

    id: str
    model: str
    limit: Limit | None = None
    why: Why = "budget"
    before: int = 0
    after: int = 0
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class Desk:
    """What a shortener works with.

    ``ask`` asks a model on the same budget; its second argument is an API key, or empty for the
    environment's.
    """

    counter: TokenCounter
    memo: Memo
    ask: Callable[[Request, str], Awaitable[Reply]]


class Shortener(Protocol):
    """Makes requests shorter."""

    async def shortened(self, request: Request, pressure: Pressure, desk: Desk) -> Shortened | None:
        """Give a shorter request; None for one that may go out as it is."""
        ...
