"""Answers on their way from the thread that writes to the event loops that await them."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable
    from concurrent.futures import Future

    _Delivery = tuple[asyncio.Future[Any], Future[Any]]

T = TypeVar("T")


class Deliveries:
    """Hands over all answers of a batch at once: one wake-up of a loop, not one for each answer.

    Waking a loop is a system call, at which the writing thread loses its turn to run Python: with
    64 tasks that took longer than the writing. Safe for threads, and for any number of loops.
    """

    def __init__(self) -> None:
        self._waiting: deque[tuple[asyncio.AbstractEventLoop, _Delivery]] = deque()

    async def answer_of(self, future: Future[T]) -> T:
        """Await what another thread answers; who is cancelled no longer wants it."""
        import asyncio  # whoever awaits has it; blocking callers save 30 ms

        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        future.add_done_callback(partial(self._keep, loop, answer))
        if future.done():
            self.hand_over()  # its batch may have been handed over before
        try:
            return await answer
        except asyncio.CancelledError:
            future.cancel()
            raise

    def hand_over(self) -> None:
        """Wake the loops whose answers have come."""
        by_loop: dict[asyncio.AbstractEventLoop, list[_Delivery]] = {}
        while self._waiting:
            with suppress(IndexError):  # another thread may have taken the last one
                loop, delivery = self._waiting.popleft()
                by_loop.setdefault(loop, []).append(delivery)
        for loop, deliveries in by_loop.items():
            with suppress(RuntimeError):  # a loop that was closed awaits nothing
                loop.call_soon_threadsafe(_deliver, deliveries)

    def _keep(
        self, loop: asyncio.AbstractEventLoop, answer: asyncio.Future[Any], future: Future[Any]
    ) -> None:
        self._waiting.append((loop, (answer, future)))


def _deliver(deliveries: Iterable[_Delivery]) -> None:
    for answer, future in deliveries:
        if answer.done():
            continue
        if future.cancelled():
            answer.cancel()
        elif (error := future.exception()) is not None:
            answer.set_exception(error)
        else:
            answer.set_result(future.result())
