"""Sends an admitted call until it works or no further attempt is worth it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from agentfuse.courses import handed_on
from agentfuse.errors import ConfigurationError
from agentfuse.runtime.asking import Asking

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from agentfuse.messages import Reply, Request
    from agentfuse.runtime.fuse import Fuse
    from agentfuse.tickets import Admitted, Answered

Result = TypeVar("Result")


def sent(
    fuse: Fuse, ticket: Admitted, send: Callable[[Request], Result]
) -> tuple[Admitted, Result]:
    """Give what came back, with the ticket of the attempt that got it."""
    told: BaseException | None = None
    while True:
        try:
            with Asking(ticket.request.model):
                race = _race_of(send, ticket)
                return race(ticket) if race else (ticket, send(ticket.request))
        except BaseException as error:
            told = _worth_telling(error, told)
            again = fuse.fail(ticket, error)
            if again is None:
                if told is error:
                    raise
                handed_on(told, error)
                raise told from told.__cause__
            ticket = again


async def asent(
    fuse: Fuse, ticket: Admitted, send: Callable[[Request], Awaitable[Result]]
) -> tuple[Admitted, Result]:
    """Do as ``sent``, awaited."""
    told: BaseException | None = None
    while True:
        try:
            with Asking(ticket.request.model):
                race = _race_of(send, ticket)
                return await race(ticket) if race else (ticket, await send(ticket.request))
        except BaseException as error:
            told = _worth_telling(error, told)
            again = await fuse.afail(ticket, error)
            if again is None:
                if told is error:
                    raise
                handed_on(told, error)
                raise told from told.__cause__
            ticket = again


def _race_of(send: object, ticket: Admitted) -> Any:
    """Give the way to ask twice at once, for a first attempt whose way of asking has one."""
    return getattr(send, "race", None) if ticket.attempt == 1 else None


def _worth_telling(error: BaseException, told: BaseException | None) -> BaseException:
    """Choose what the caller hears in the end: a fallback that cannot be asked explains nothing."""
    return told if isinstance(error, ConfigurationError) and told is not None else error


def told(codec: object, outcome: Answered) -> Reply:
    """Give a remembered reply; a codec with a method ``answered`` hears where it came from."""
    answered = getattr(codec, "answered", None)
    if answered is not None:
        answered(outcome)
    return outcome.reply
