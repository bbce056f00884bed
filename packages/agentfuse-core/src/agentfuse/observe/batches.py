"""Writes what is put in, in batches, from one daemon thread that lives while there is work."""

from __future__ import annotations

import atexit
import os
from queue import Empty, SimpleQueue
from threading import Event, Lock, Thread, current_thread
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Item = TypeVar("Item")

# How long items are gathered into one write, and how long an idle thread waits for the next one.
GATHER_SECONDS = 0.2
IDLE_SECONDS = 5.0


class Batches(Generic[Item]):
    """A queue in front of ``write(items)``, which must not raise; a flush may write no items.

    ``put`` costs the caller a queue put. The thread starts with the first item, ends after five
    idle seconds, and is flushed at exit; whoever is dropped is kept until then. A forked child
    begins with an empty queue of its own.
    """

    def __init__(self, write: Callable[[list[Item]], None], name: str) -> None:
        self._write = write
        self._name = name
        self._begin()

    def put(self, item: Item) -> None:
        """Hand an item over."""
        if self._process != os.getpid():
            self._begin()
        self._queue.put(item)
        # Read after the put: a thread that is about to end looks at the queue after it has taken
        # itself off, so one of the two sees the other.
        if self._thread is None:
            self._start()

    def flush(self, timeout: float = 5.0, *, again: bool = False) -> bool:
        """Wait until all that was put is written; False if that took longer than ``timeout``.

        ``again`` has ``write`` called even where nothing was put.
        """
        if self._process != os.getpid():
            return True
        if self._thread is None and self._queue.empty() and not again:
            return True
        written = Event()
        self._queue.put(written)
        self._hurry.set()
        if self._thread is None:
            self._start()
        return written.wait(timeout)

    def _begin(self) -> None:
        self._process = os.getpid()
        self._queue: SimpleQueue[Item | Event] = SimpleQueue()
        self._hurry = Event()
        self._lock = Lock()
        self._thread: Thread | None = None

    def _start(self) -> None:
        with self._lock:
            if self._thread is not None:
                return
            self._thread = Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()
            atexit.register(self.flush)

    def _work(self) -> None:
        while True:
            try:
                first = self._queue.get(timeout=IDLE_SECONDS)
            except Empty:
                if self._may_end():
                    return
                continue
            self._write_batch(first)

    def _may_end(self) -> bool:
        with self._lock:
            self._thread = None
            if self._queue.empty():
                atexit.unregister(self.flush)
                return True
            self._thread = current_thread()
            return False

    def _write_batch(self, first: Item | Event) -> None:
        """Gather for a moment, or until somebody waits, and write all at once.

        Whoever puts an item wakes nobody: a thread that is woken for each costs a call more than
        what it writes.
        """
        if not isinstance(first, Event):
            self._hurry.wait(GATHER_SECONDS)
        self._hurry.clear()
        entries = [first, *self._rest()]
        try:
            self._write([entry for entry in entries if not isinstance(entry, Event)])
        finally:
            for entry in entries:
                if isinstance(entry, Event):
                    entry.set()

    def _rest(self) -> Iterator[Item | Event]:
        """Give what has gathered; what comes while it is taken is the next batch's."""
        for _ in range(self._queue.qsize()):
            yield self._queue.get_nowait()
