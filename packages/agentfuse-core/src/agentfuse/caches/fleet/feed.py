"""What other processes keep, as it happens: a thread that reads a stream from its start on."""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any

from agentfuse.caches.fleet.lines import START, id_of, lines_in, place_of, script_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentfuse.caches.fleet.lines import Line, Place
    from agentfuse.connections.brisk_links import Rest
    from agentfuse.connections.redis_links import BlockingLink, Word

# How many lines are read at once: some 800 KB of them at 384 dimensions.
_LINES = 1_000

# At least so often, in seconds, it is asked whether the stream is still the one that was read.
LOOK = 2.0

# Between two tries while the store is away, in seconds.
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 2.0

# A replay that takes longer than this says how far it is, in seconds.
_PROGRESS = 1.0

_log = logging.getLogger("agentfuse")


class Feed:
    """Follows ``stream`` from its first line on, and hands each line to ``take``.

    ``keys`` are the stream and the key that names it: another name there, or an end before what was
    read, says that the store was emptied or set back. ``begin`` is called before the first line is
    read, and whenever all is read anew. One daemon thread in each process; a forked child starts
    its own. ``link`` must be one whose commands may wait ``wait`` seconds for an answer.
    """

    at: Place  # the last line that was taken in
    is_read: bool  # whether the end was reached that the stream had when it was first seen

    _thread: threading.Thread | None
    _closing: bool
    _is_begun: bool
    _born: bytes
    _read: int

    def __init__(
        self,
        link: BlockingLink,
        rest: Rest,
        keys: tuple[bytes, bytes],
        *,
        wait: float,
        take: Callable[[Place, Line], None],
        begin: Callable[[], None],
    ) -> None:
        self.link = link
        self.rest = rest
        self.keys = keys
        self.wait = wait
        self._take = take
        self._begin_anew = begin
        self._begin_process()

    def start(self) -> None:
        """Follow the stream, if that is not done already."""
        if self._process != os.getpid():
            self._begin_process()
        thread = self._thread
        if thread is not None and thread.is_alive() and not self._closing:
            return
        with self._lock:
            self._closing = False
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(
                    target=_follow,
                    args=(weakref.ref(self), self.link),
                    name="agentfuse-feed",
                    daemon=True,
                )
                self._due = 0.0
                self._thread.start()

    def know(self, born: bytes) -> None:
        """Take note of the stream's name where that was not known: this process has begun it."""
        self._born = self._born or born

    def wait_until_read(self, seconds: float, place: Place | None = None) -> bool:
        """Wait until the stream was read to a line, or to the end it had when it was first seen.

        False where that took too long, or the store is away.
        """
        end = time.monotonic() + seconds
        with self._moved:
            while not (self.is_read if place is None else self.at >= place):
                left = end - time.monotonic()
                if left <= 0 or (place is None and self._is_away):
                    return False
                self._moved.wait(left)
            return True

    def close(self) -> None:
        """Let the thread end, within ``wait`` seconds; ``start`` goes on where it was."""
        self._closing = True

    @property
    def is_closing(self) -> bool:
        """Whether the thread is to end."""
        return self._closing or self._process != os.getpid()

    @property
    def reading(self) -> tuple[Word, ...]:
        """What is to follow XREAD: up to 1,000 lines, or some time to wait for one."""
        bounds = (b"COUNT", _LINES, b"BLOCK", round(1000 * self.wait))
        return (*bounds, b"STREAMS", self.keys[0], id_of(self.at))

    def look(self) -> None:
        """Ask what the stream is, and begin anew where it is not what was read."""
        if time.monotonic() < self._due:
            return
        born, first, last, length = self.link.run_now(script_of("look"), self.keys, ())
        self.rest.end()
        if (self._born and born != self._born) or place_of(last) < self.at:
            self._start_over()
        elif START < self.at < place_of(first):
            _log.warning(
                "%s dropped its oldest lines before this process had read them: what they kept is"
                " missing here",
                self.rest.what,
            )
        if not self._is_begun:
            self._begin_anew()
            self._is_begun = True
        self._born = born
        self._due = time.monotonic() + LOOK
        self._set_goal(place_of(last), length)

    def take_in(self, reply: Any) -> None:
        """Hand on the lines of a reply."""
        for place, line, born in lines_in(reply):
            if born and born != self._born:
                if self._born:
                    self._start_over()
                    return
                self._born = born
            if line is not None:
                self._take(place, line)
            self.at = place
            self._read += 1
        if not self.is_read:
            self._say_progress()
        with self._moved:
            self.is_read = self.is_read or self.at >= self._goal
            self._is_away = False
            self._moved.notify_all()

    def notice(self, error: Exception) -> None:
        """Take note that the store is away; whoever waits for the start waits no longer."""
        self.rest.begin(error)
        self._due = 0.0
        with self._moved:
            self._is_away = True
            self._moved.notify_all()

    def _start_over(self) -> None:
        _log.warning("%s was emptied or set back: it is read anew", self.rest.what)
        self.at = START
        self._born = b""
        self._is_begun = False
        self._due = 0.0

    def _begin_process(self) -> None:
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._moved = threading.Condition()
        self._thread = None
        self._closing = False
        self.at = START
        self._born = b""
        self._due = 0.0
        self._goal: Place = START
        self.is_read = self._is_away = self._is_begun = False
        self._read = self._length = 0
        self._said = time.monotonic()

    def _set_goal(self, last: Place, length: int) -> None:
        with self._moved:
            if not self.is_read:
                self._goal, self._length = last, length
                self.is_read = self.at >= last
                self._moved.notify_all()

    def _say_progress(self) -> None:
        now = time.monotonic()
        if now - self._said >= _PROGRESS:
            self._said = now
            _log.info("%s: read %d of %d lines", self.rest.what, self._read, self._length)


def _follow(me: weakref.ref[Feed], link: BlockingLink) -> None:
    """Read until the feed is closed or nobody holds it any more."""
    pause = _FIRST_PAUSE
    while True:
        feed = me()
        if feed is None or feed.is_closing:
            break
        try:
            feed.look()
            words = feed.reading
            del feed  # nothing of it is held while the thread waits
            reply = link.send_now("XREAD", *words)
        # A client that was handed in, and is closed by its owner while we read, raises ValueError.
        except (*link.trouble, ValueError) as error:
            feed = me()
            if feed is None or feed.is_closing:
                break
            feed.notice(error)
            del feed
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
            continue
        feed = me()
        if feed is None:
            break
        pause = _FIRST_PAUSE
        feed.take_in(reply)
        del feed
    link.close()
