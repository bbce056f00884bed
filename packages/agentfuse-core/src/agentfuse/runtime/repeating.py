"""Calls for a framework that repeats what fails by itself: what is remembered needs none of that.

Tenacity costs a framework as much CPU as a fifth of an answer from memory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from agentfuse.runtime.sending import aanswer_for, answer_for
from agentfuse.tickets import Answered

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from agentfuse.messages import Request
    from agentfuse.ports import Codec
    from agentfuse.runtime.fuse import Fuse

Result = TypeVar("Result")
Chunk = TypeVar("Chunk")
Answer = TypeVar("Answer")
Shown = TypeVar("Shown")

# Runs what it is given at once, and again where that fails.
Repeat = Callable[[Callable[[], Answer]], Answer]


def repeated(
    fuse: Fuse,
    request: Request,
    send: Callable[[Request], Result],
    codec: Codec[Result, Chunk, Answer, Shown],
    repeat: Repeat[Answer],
) -> Answer:
    """Do as ``Fuse.call``, within ``repeat`` where somebody must be asked."""
    if fuse.may_route:  # a cascade may answer, and begins by itself
        return repeat(lambda: fuse.call(request, send, codec))
    ticket = fuse.begin(request)
    if isinstance(ticket, Answered):
        return answer_for(fuse, ticket, send, codec)
    begun = [ticket]

    def attempt() -> Answer:
        if begun:
            return answer_for(fuse, begun.pop(), send, codec)
        return fuse.call(request, send, codec)

    return repeat(attempt)


async def arepeated(
    fuse: Fuse,
    request: Request,
    send: Callable[[Request], Awaitable[Result]],
    codec: Codec[Result, Chunk, Answer, Shown],
    repeat: Repeat[Awaitable[Answer]],
) -> Answer:
    """Do as ``repeated``, awaited."""
    if fuse.may_route:  # a cascade may answer, and begins by itself
        return await repeat(lambda: fuse.acall(request, send, codec))
    ticket = await fuse.abegin(request)
    if isinstance(ticket, Answered):
        return await aanswer_for(fuse, ticket, send, codec)
    begun = [ticket]

    async def attempt() -> Answer:
        if begun:
            return await aanswer_for(fuse, begun.pop(), send, codec)
        return await fuse.acall(request, send, codec)

    return await repeat(attempt)
