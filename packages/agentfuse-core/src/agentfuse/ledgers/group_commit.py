"""One writer at a time in a process: commands that wait together share one transaction.

A blocking caller writes itself, with all that waits beside it, instead of handing its command to a
thread: two switches of threads would cost it more than the transaction (30 to 50 us each against
40 us). Only what an event loop awaits is written by a thread of its own.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from weakref import finalize

from agentfuse.errors import ConfigurationError, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")
Books = TypeVar("Books")
# What the thread is called for; it gives what to do if nobody calls for a while. None is the end.
_Step = Callable[[], "_Step | None"]

# So many commands take some 5 ms: whoever comes next waits no longer than that.
_MOST_AT_ONCE = 128

# How long a process may be silent before that is a pause.
_PAUSE = 0.02


class Job(Generic[Books, T]):
    """A command that waits for its turn; ``reads`` says that it changes nothing by itself."""

    __slots__ = ("answer", "done", "error", "future", "reads", "work")

    def __init__(self, work: Callable[[Books], T], *, reads: bool = False) -> None:
        self.work = work
        self.reads = reads
        self.done = False
        self.answer: Any = None
        self.error: BaseException | None = None
        self.future: Future[T] | None = None

    def do(self, books: Books) -> None:
        """Do the work, and keep what comes of it until the transaction is committed.

        A ConfigurationError is an answer like another: it is raised before anything is changed.
        """
        self.answer, self.error = None, None
        try:
            self.answer = self.work(books)
        except ConfigurationError as error:
            self.error = error

    def finish(self, error: BaseException | None = None) -> None:
        """Hand over what came of the work, or why it came to nothing."""
        self.error = error or self.error
        self.done = True
        if self.future is None:
            return
        if self.error is None:
            self.future.set_result(self.answer)
        else:
            self.future.set_exception(self.error)

    def outcome(self) -> T:
        """Give the answer, or raise the error."""
        if self.error is not None:
            raise self.error
        answer: T = self.answer
        return answer

    def is_wanted(self) -> bool:
        """Say whether anybody still waits for it; from now on it cannot be cancelled."""
        future = self.future
        return future is None or future.running() or future.set_running_or_notify_cancel()


class GroupCommit(Generic[Books]):
    """Commands in the order they came, each batch written by ``transact``.

    ``transact`` does the jobs and commits, or raises and has changed nothing. ``at_once`` is asked
    first where nothing else waits: it gives the answer in a tuple, or None where it has changed
    nothing and the command needs more. ``afterwards`` is called when a batch was answered. After
    ``watch``, ``pause`` is called again and again until it says True. One of these calls is made at
    a time. Safe for threads; a forked child begins with an empty queue. One that is dropped is kept
    until its thread has written what waits, and ends the thread.
    """

    _watching: bool

    def __init__(
        self,
        transact: Callable[[Sequence[Job[Books, Any]]], None],
        at_once: Callable[[Callable[[Books], Any]], tuple[Any] | None],
        afterwards: Callable[[], None],
        pause: Callable[[], bool],
    ) -> None:
        self._transact = transact
        self._at_once = at_once
        self._afterwards = afterwards
        self._pause = pause
        self._thread: Thread | None = None
        self._begin()

    def do(self, work: Callable[[Books], T], *, reads: bool = False) -> T:
        """Have ``work`` written, and give its answer; holds up the thread."""
        if not reads and not self._waiting and self._door.acquire(blocking=False):
            try:
                answered = self._at_once(work)
            finally:
                self._door.release()
            if answered is not None:
                answer: T = answered[0]
                return answer
        self._notice_fork()
        job: Job[Books, T] = Job(work, reads=reads)
        self._waiting.append(job)
        try:
            # Whoever comes out of this door either leads, or was written by one who did.
            with self._door:
                while not job.done:
                    self._lead()
        except BaseException:
            with suppress(ValueError):
                self._waiting.remove(job)
            raise
        return job.outcome()

    def submit(self, work: Callable[[Books], T], *, reads: bool = False) -> Future[T]:
        """Have ``work`` written by this process's thread, or by whoever leads before it."""
        self._notice_fork()
        job: Job[Books, T] = Job(work, reads=reads)
        job.future = Future()
        self._waiting.append(job)
        self._call()
        return job.future

    def watch(self) -> bool:
        """Have the process's thread look for a pause; False in a program that starts no threads.

        May be said by whoever writes.
        """
        if not self._watching:
            try:
                self._call()
            except RuntimeError:  # the program is about to end
                return False
            self._watching = True
        return True

    def close(self, finish: Callable[[], None]) -> None:
        """Write what waits, end the thread, and ``finish``; the next command starts another."""
        self._notice_fork()
        with self._starting:
            thread, self._thread = self._thread, None
        if thread is not None:
            self._calls.put(None)
            thread.join()
        with self._door:
            self._watching = False
            finish()

    def _begin(self) -> None:
        self._process = os.getpid()
        self._door = Lock()
        self._starting = Lock()
        self._waiting: deque[Job[Books, Any]] = deque()
        self._calls: SimpleQueue[_Step | None] = SimpleQueue()
        self._thread = None
        self._watching = False
        end = finalize(self, self._calls.put, None)
        end.atexit = False  # a daemon thread ends by itself, and others may still be at it

    def _notice_fork(self) -> None:
        if self._process != os.getpid():
            self._begin()

    def _call(self) -> None:
        """Have the thread write what waits, and look for a pause where it is to."""
        if self._thread is None:
            with self._starting:
                if self._thread is None:
                    thread = Thread(
                        target=_serve, args=(self._calls,), name="agentfuse-ledger", daemon=True
                    )
                    thread.start()
                    self._thread = thread
        self._calls.put(self._answer_call)

    def _answer_call(self) -> _Step | None:
        with self._door:
            if self._waiting:
                self._lead()
            return self._look_for_pause if self._watching else None

    def _look_for_pause(self) -> _Step | None:
        with self._door:
            self._watching = not self._pause()
            return self._look_for_pause if self._watching else None

    def _lead(self) -> None:
        """Write the next batch."""
        batch = self._batch()
        if not batch:
            return
        try:
            self._transact(batch)
        except StoreUnavailable as error:
            _finish(batch, error)
        except Exception as error:  # noqa: BLE001 - it is handed to whoever waits
            self._tell_apart(batch, error)
        except BaseException:
            # This thread is interrupted, and others must not lose what they wait for.
            self._waiting.extendleft(job for job in reversed(batch) if not job.done)
            raise
        else:
            _finish(batch)
        finally:
            self._afterwards()

    def _batch(self) -> list[Job[Books, Any]]:
        batch: list[Job[Books, Any]] = []
        while self._waiting and len(batch) < _MOST_AT_ONCE:
            job = self._waiting.popleft()
            if job.is_wanted():
                batch.append(job)
        return batch

    def _tell_apart(self, batch: Sequence[Job[Books, Any]], error: Exception) -> None:
        """Write each job by itself, so that one that cannot be written fails alone."""
        if len(batch) == 1:
            _finish(batch, error)
            return
        for job in batch:
            try:
                self._transact((job,))
            except Exception as own:  # noqa: BLE001 - it is handed to whoever waits
                job.finish(own)
            else:
                job.finish()


def _serve(calls: SimpleQueue[_Step | None]) -> None:
    """Do each step that is called for; while it waits for calls alone, it keeps nothing alive."""
    step: _Step | None
    otherwise: _Step | None = None
    while True:
        try:
            step = calls.get(timeout=_PAUSE if otherwise else None)
        except Empty:
            step = otherwise
        if step is None:
            return
        otherwise = step()
        del step


def _finish(batch: Sequence[Job[Any, Any]], error: Exception | None = None) -> None:
    for job in batch:
        if not job.done:
            job.finish(error)
