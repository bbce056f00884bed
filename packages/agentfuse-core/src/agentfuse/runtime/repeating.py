"""Calls for a framework that repeats what fails by itself: what is remembered needs none of that.

Tenacity costs a framework as much CPU as a fifth of an answer from memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentfuse.runtime.sending import told
from agentfuse.tickets import Answered

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from agentfuse.messages import Request
    from agentfuse.ports import Codec
    from agentfuse.runtime.fuse import Fuse

    Repeat = Callable[[Callable[[], Any]], Any]


def repeated(
    fuse: Fuse,
    request: Request,
    send: Callable[[Request], Any],
    codec: Codec[Any, Any, Any, Any],
    repeat: Repeat | None,
) -> Any:
    """Do as ``Fuse.call``, within ``repeat`` where somebody must be asked.

    ``repeat`` runs what it is given at once, and again where that fails: each time is a call. None
    repeats nothing.
    """
    own: Any = fuse
    if repeat is None:
        return fuse.call(request, send, codec)
    if own._routes() is not None:  # noqa: SLF001 - a cascade may answer, and begins by itself
        return repeat(lambda: fuse.call(request, send, codec))
    ticket = fuse.begin(request)
    if isinstance(ticket, Answered):
        return codec.result_of(told(codec, ticket))
    begun = [ticket]

    def attempt() -> Any:
        if begun:
            return own._answer(begun.pop(), send, codec)  # noqa: SLF001 - the fuse's own second half
        return fuse.call(request, send, codec)

    return repeat(attempt)


async def arepeated(
    fuse: Fuse,
    request: Request,
    send: Callable[[Request], Awaitable[Any]],
    codec: Codec[Any, Any, Any, Any],
    repeat: Repeat | None,
) -> Any:
    """Do as ``repeated``, awaited."""
    own: Any = fuse
    if repeat is None:
        return await fuse.acall(request, send, codec)
    if own._routes() is not None:  # noqa: SLF001 - a cascade may answer, and begins by itself
        return await repeat(lambda: fuse.acall(request, send, codec))
    ticket = await fuse.abegin(request)
    if isinstance(ticket, Answered):
        return codec.result_of(told(codec, ticket))
    begun = [ticket]

    async def attempt() -> Any:
        if begun:
            return await own._aanswer(begun.pop(), send, codec)  # noqa: SLF001 - as above
        return await fuse.acall(request, send, codec)

    return await repeat(attempt)
