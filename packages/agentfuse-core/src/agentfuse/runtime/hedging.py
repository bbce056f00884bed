"""A second, identical request where the first takes long: whoever answers first wins.

Both are reserved. The one that loses is settled: at its usage where it answers after all, and at
its estimate where it was called off. A blocking SDK call cannot be called off, so it is waited for
in its own thread, and booked when it ends.
"""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextvars import copy_context
from dataclasses import replace
from functools import partial
from threading import Thread
from typing import TYPE_CHECKING, Any

from agentfuse.runtime.now import run_now

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable

    from agentfuse.messages import Request
    from agentfuse.runtime.calling import Tongue
    from agentfuse.runtime.fuse import Fuse
    from agentfuse.tickets import Admitted


class Hedge:
    """A way to ask; ``race`` may ask twice, ``after`` seconds apart."""

    def __init__(
        self, fuse: Fuse, ask: Callable[[Request], Any], codec: Tongue, after: float
    ) -> None:
        self._fuse = fuse
        self._ask = ask
        self._codec = codec
        self._after = after

    def __call__(self, request: Request) -> Any:
        """Ask once."""
        return self._ask(request)

    def race(self, ticket: Admitted) -> tuple[Admitted, Any]:
        """Give the first answer, with the ticket to settle it on."""
        first = self._started(ticket.request)
        done, _ = wait([first], self._after)
        twin = None if done else run_now(self._fuse.policy.hedge(ticket))
        if twin is None:
            return ticket, first.result()
        second = self._started(twin.request)
        try:
            wait([first, second], return_when=FIRST_COMPLETED)
            if not _worked(first) and not _worked(second):
                wait([first, second])  # one failed early, and the other decides
        except BaseException:
            second.add_done_callback(partial(self._lost, twin))
            raise
        if _worked(first) or not _worked(second):
            second.add_done_callback(partial(self._lost, twin))
            return ticket, first.result()
        first.add_done_callback(partial(self._lost, _stripped(ticket)))
        return _crowned(twin, ticket), second.result()

    def _started(self, request: Request) -> Future[Any]:
        """Ask in a thread of its own, in the caller's context."""
        future: Future[Any] = Future()
        here = copy_context()

        def work() -> None:
            try:
                future.set_result(here.run(self._ask, request))
            except BaseException as error:  # noqa: BLE001 - the future carries it
                future.set_exception(error)

        Thread(target=work, name="agentfuse-hedge", daemon=True).start()
        return future

    def _lost(self, ticket: Admitted, future: Future[Any]) -> None:
        error = future.exception()
        if error is None:
            reply = self._codec.reply_of(future.result())
            run_now(self._fuse.policy.outrun(ticket, reply))
        else:
            self._fuse.lose(ticket, error)


class AsyncHedge:
    """Do as ``Hedge``, awaited: the one that loses is called off."""

    def __init__(
        self, fuse: Fuse, ask: Callable[[Request], Awaitable[Any]], codec: Tongue, after: float
    ) -> None:
        self._fuse = fuse
        self._ask = ask
        self._codec = codec
        self._after = after

    async def __call__(self, request: Request) -> Any:
        """Ask once."""
        return await self._ask(request)

    async def race(self, ticket: Admitted) -> tuple[Admitted, Any]:
        """Give the first answer, with the ticket to settle it on."""
        import asyncio

        first = asyncio.ensure_future(self._ask(ticket.request))
        second: asyncio.Future[Any] | None = None
        twin: Admitted | None = None
        try:
            done, _ = await asyncio.wait({first}, timeout=self._after)
            twin = None if done else await self._fuse.apolicy.hedge(ticket)
            if twin is None:
                return ticket, await first
            second = asyncio.ensure_future(self._ask(twin.request))
            await asyncio.wait({first, second}, return_when=asyncio.FIRST_COMPLETED)
            if not _worked(first) and not _worked(second):
                await asyncio.wait({first, second})
        except BaseException:
            first.cancel()
            if twin is not None:
                await self._lost(twin, second)
            raise
        if _worked(first) or not _worked(second):
            await self._lost(twin, second)
            return ticket, await first
        await self._lost(_stripped(ticket), first)
        return _crowned(twin, ticket), await second

    async def _lost(self, ticket: Admitted, task: asyncio.Future[Any] | None) -> None:
        import asyncio

        said: Any = asyncio.CancelledError()
        if task is not None:
            task.cancel()
            (said,) = await asyncio.gather(task, return_exceptions=True)
        if isinstance(said, BaseException):
            await self._fuse.alose(ticket, said)
        else:
            await self._fuse.apolicy.outrun(ticket, self._codec.reply_of(said))


def _worked(future: Any) -> bool:
    return bool(future.done() and not future.cancelled() and future.exception() is None)


def _stripped(ticket: Admitted) -> Admitted:
    """Give the loser's ticket: who waits for the call does not wait for it."""
    return replace(ticket, key=None, leading=False, flight=None)


def _crowned(twin: Admitted, ticket: Admitted) -> Admitted:
    """Give the winner's ticket: its answer is kept, and handed to who waits for the call."""
    return replace(twin, key=ticket.key, leading=ticket.leading, flight=ticket.flight)
