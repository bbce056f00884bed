"""Answers a call that was begun: sent until it works or no further attempt is worth it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from agentfuse.courses import handed_on
from agentfuse.errors import ConfigurationError
from agentfuse.messages import Reply
from agentfuse.runtime.asking import Asking
from agentfuse.tickets import Answered

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from agentfuse.messages import Request
    from agentfuse.ports import Codec
    from agentfuse.runtime.fuse import Fuse
    from agentfuse.tickets import Admitted, Ticket

Result = TypeVar("Result")
Chunk = TypeVar("Chunk")
Answer = TypeVar("Answer")
Shown = TypeVar("Shown")

# What is settled for an answer that was paid but cannot be read: no usage, no text.
UNREADABLE = Reply(choices=())


def answer_for(
    fuse: Fuse,
    ticket: Ticket,
    send: Callable[[Request], Result],
    codec: Codec[Result, Chunk, Answer, Shown],
) -> Answer:
    """Ask for what a ticket stands for, unless that is known."""
    if isinstance(ticket, Answered):
        return codec.result_of(told(codec, ticket))
    ticket, result = sent(fuse, ticket, send)
    try:
        reply = codec.reply_of(result)
    except BaseException as error:
        fuse.finish(ticket, UNREADABLE, error)
        raise
    fuse.finish(ticket, reply)
    return codec.answer_of(result)


async def aanswer_for(
    fuse: Fuse,
    ticket: Ticket,
    send: Callable[[Request], Awaitable[Result]],
    codec: Codec[Result, Chunk, Answer, Shown],
) -> Answer:
    """Do as ``answer_for``, awaited."""
    if isinstance(ticket, Answered):
        return codec.result_of(told(codec, ticket))
    ticket, result = await asent(fuse, ticket, send)
    try:
        reply = codec.reply_of(result)
    except BaseException as error:
        await fuse.afinish(ticket, UNREADABLE, error)
        raise
    await fuse.afinish(ticket, reply)
    return codec.answer_of(result)


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
