"""Identical calls in the air, joined across threads, tasks and event loops."""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from agentfuse.messages import Reply

# How long a call waits for another's answer before it asks for itself, in seconds. A leader that
# lands late still keeps its answer; whoever gave up has only paid twice.
PATIENCE = 60.0


class _Waiting(Future["Reply | None"]):
    """What the others wait for; running, since one who leaves must not cancel it for the rest."""

    def __init__(self, flight: _Flight) -> None:
        super().__init__()
        self.set_running_or_notify_cancel()
        self.flight = flight


class _Flight:
    """One call in the air, and who makes it.

    What others wait for is made when the first of them comes, which is seldom.
    """

    __slots__ = ("_landed", "_waiting", "key", "process", "task", "thread")

    def __init__(self, key: str) -> None:
        self.key = key
        self.process = os.getpid()
        self.thread = threading.get_ident()
        self.task = _current_task()
        self._waiting: dict[str, _Waiting] = {}
        self._landed: tuple[Reply | None] | None = None

    def waiting(self) -> _Waiting:
        """Give what waits for the answer.

        Whether it has landed is read after that can be seen: who comes second sees the other.
        """
        waiting = self._waiting.get("all") or self._waiting.setdefault("all", _Waiting(self))
        if self._landed is not None:
            _answer(waiting, self._landed[0])
        return waiting

    def land(self, reply: Reply | None) -> None:
        """Give all who wait an answer."""
        self._landed = (reply,)
        waiting = self._waiting.get("all")
        if waiting is not None:
            _answer(waiting, reply)

    @property
    def is_mine(self) -> bool:
        """Whether the caller is its leader, who would wait for itself."""
        return self.is_in_my_thread and self.task is _current_task()

    @property
    def is_in_my_thread(self) -> bool:
        """Whether the leader runs in the caller's thread and stands still if that blocks."""
        return self.thread == threading.get_ident()


class FlightTable:
    """The calls in the air of one process; both faces below may share one table.

    Each step is one dictionary operation, so there is no lock that a fork could leave behind.
    """

    def __init__(self) -> None:
        self._flights: dict[str, _Flight] = {}

    def join(self, key: str) -> Future[Reply | None] | None:
        """Give None if the caller now leads, or what to wait for.

        A leader who asks again while its own call is open (a stream's consumer) gets a flight that
        has already landed with nothing: it asks for itself, and its first call goes on leading.
        """
        flight = self._flights.get(key)
        if flight is not None and flight.process != os.getpid():
            self._leave(flight)
            flight = None
        if flight is None:
            mine = _Flight(key)
            flight = self._flights.setdefault(key, mine)
            if flight is mine:
                return None
        return _landed_with_nothing() if flight.is_mine else flight.waiting()

    def land(self, key: str, reply: Reply | None) -> None:
        """End a flight and hand its answer (or None) to all who wait; for its leader alone."""
        flight = self._flights.pop(key, None)
        if flight is not None:
            flight.land(reply)

    def leave(self, flight: Future[Reply | None]) -> None:
        """Wait no longer: the next to ask leads, as if this flight had never been."""
        if isinstance(flight, _Waiting):
            self._leave(flight.flight)

    def _leave(self, flight: _Flight) -> None:
        if self._flights.get(flight.key) is flight:
            self._flights.pop(flight.key, None)


class _Alone:
    """What flights of one process say of others: there are none."""

    async def lead(self, key: str) -> Reply | None:  # noqa: ARG002 - the port's word
        """Let the caller ask: no other process is known."""
        return None


class BlockingFlights(_Alone):
    """Flights for callers who block: waiting holds the thread, for ``patience`` seconds at most."""

    def __init__(self, table: FlightTable | None = None, patience: float = PATIENCE) -> None:
        self._table = table if table is not None else FlightTable()
        self._patience = patience
        self.join = self._table.join
        self.land = self._table.land

    async def wait(self, flight: Future[Reply | None]) -> Reply | None:
        """Wait for the leader's answer; None says it has none, so ask for yourself.

        A leader in the caller's own thread (another task of a running loop) could not go on while
        that waits, so it is not waited for.
        """
        if isinstance(flight, _Waiting) and not flight.done() and flight.flight.is_in_my_thread:
            return None
        try:
            return flight.result(timeout=self._patience)
        except TimeoutError:
            self._table.leave(flight)
            return None


class AwaitedFlights(_Alone):
    """Flights for callers who await: waiting lets the event loop go on."""

    def __init__(self, table: FlightTable | None = None, patience: float = PATIENCE) -> None:
        self._table = table if table is not None else FlightTable()
        self._patience = patience
        self.join = self._table.join
        self.land = self._table.land

    async def wait(self, flight: Future[Reply | None]) -> Reply | None:
        """Wait for the leader's answer; None says it has none, so ask for yourself."""
        import asyncio  # whoever awaits has it; blocking callers save 30 ms

        loop = asyncio.get_running_loop()
        landed = asyncio.Event()
        flight.add_done_callback(lambda _: _call_in(loop, landed.set))
        try:
            async with asyncio.timeout(self._patience):
                await landed.wait()
        except TimeoutError:
            self._table.leave(flight)
            return None
        return flight.result()


def _current_task() -> Any:
    asyncio = sys.modules.get("asyncio")  # where nobody imported it, there is no task
    if asyncio is None:
        return None
    # Where no loop runs, current_task() would raise, and that takes as long as the rest of this.
    loop = asyncio._get_running_loop()  # noqa: SLF001 - it stands in asyncio.__all__
    return None if loop is None else asyncio.current_task(loop)


def _answer(waiting: _Waiting, reply: Reply | None) -> None:
    """Give the answer, unless the other of the two who see both has done so."""
    with suppress(InvalidStateError):
        waiting.set_result(reply)


def _landed_with_nothing() -> Future[Reply | None]:
    nothing: Future[Reply | None] = Future()
    nothing.set_result(None)
    return nothing


def _call_in(loop: asyncio.AbstractEventLoop, step: Callable[[], None]) -> None:
    """Run a step in the waiter's loop, if that has not closed in the meantime."""
    if not loop.is_closed():
        loop.call_soon_threadsafe(step)
