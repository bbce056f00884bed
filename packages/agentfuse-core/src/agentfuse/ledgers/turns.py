"""Turns between processes that write to one file, since SQLite's own lock is not fair.

SQLite lets a process that is refused the lock sleep for longer and longer, while the one that has
it may take it again and again: measured with two processes, one waited for two seconds. Here a
process may go on for ten milliseconds; then it has to pass a seat that a waiting process holds
until it has had its turn. When the turn ends is written down beside the file, and whoever sits
there leaves it whole: processes that take turns of one line each read more than they write.
"""

from __future__ import annotations

import os
import struct
import time
from contextlib import suppress
from typing import TYPE_CHECKING
from weakref import finalize

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# How long a process goes on without asking whether another waits: some 300 reserves and settles.
# Measured with 2 and 4 processes on two cores, of bare transactions that take no turns: with 10 ms
# 58 and 45 %, with 20 ms 62 and 56 %, with 40 ms 63 and 56 %.
_QUANTUM = 0.02

# How often a waiting process looks: for the lock, and for the seat. SQLite's own waits go up to
# 100 ms; looking every 0.2 ms took the time of those who write. While another goes on in its turn
# there is little to look for, and reading what it writes costs less in large pieces.
_LOOK_EVERY = 0.001
_SIT_EVERY = 0.002
_LOOK_IN_TURN = 0.004

# When a turn ends, as ``time.monotonic`` of the machine: all its processes share that clock.
_END = struct.Struct("<d")

# A process that was stopped in the seat must not stop the others: the seat is a courtesy.
_SEAT_PATIENCE = 0.1


class Turns:
    """The turns of this process at the file ``path``; ``<path>-turn`` says when the last one ends.

    Where that file cannot be locked (Windows, a read-only folder), turns are taken by looking
    often, which is fair by chance alone. One thread at a time may use it. ``until`` is when this
    process's turn ends (``time.monotonic``). Whoever is dropped without ``close()`` leaves no open
    file behind.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.with_name(f"{path.name}-turn")
        self._process = os.getpid()
        self._seat: int | None = None
        self._leave: Callable[[], object] | None = None
        self.until = 0.0

    def take(self, begin: Callable[[], bool], goes_on: Callable[[], bool], patience: float) -> bool:
        """Call ``begin`` until it says True; False where ``patience`` seconds were not enough.

        While another has its turn, that is left to it as long as it ``goes_on``: whether it has
        written since this was asked last.
        """
        if self._is_mine() and begin():
            return True
        start = time.monotonic()
        seated = self._sit(start, min(patience, _SEAT_PATIENCE))
        try:
            if seated:
                self._let_finish(goes_on)
            while not begin():
                if time.monotonic() - start > patience:
                    return False
                time.sleep(_LOOK_EVERY)
            self._note()
        finally:
            if seated:
                self._rise()
        return True

    def goes_on(self) -> bool:
        """Say whether it is this process's turn: also another one, where nobody waits for it."""
        if time.monotonic() < self.until:
            return True
        seat = self._opened()
        if seat is None or not self.until or self._end() != self.until:
            return False
        try:
            _lock(seat)
        except OSError:
            return False
        try:
            self._note()
        finally:
            self._rise()
        return True

    def close(self) -> None:
        """Close the file."""
        self._drop()

    def _is_mine(self) -> bool:
        return time.monotonic() < self.until and self._end() in {self.until, 0.0}

    def _end(self) -> float:
        """Read when the last turn ends; 0.0 where nobody says."""
        seat = self._opened()
        if seat is None:
            return 0.0
        try:
            written = _read(seat)
        except OSError:
            return 0.0
        if len(written) != _END.size:
            return 0.0
        end: float = _END.unpack(written)[0]
        return end

    def _note(self) -> None:
        """Begin a turn; where that cannot be written down, others look often instead."""
        self.until = time.monotonic() + _QUANTUM
        if self._seat is not None:
            with suppress(OSError):
                _write(self._seat, _END.pack(self.until))

    def _let_finish(self, goes_on: Callable[[], bool]) -> None:
        """Wait for the end of another's turn, or until it has not written for a moment."""
        goes_on()
        pause = _LOOK_EVERY
        while left := self._left():
            time.sleep(min(left, pause))
            if not goes_on():
                return
            # The last look is to find little, since whatever it finds is read in nobody's turn.
            pause = min(max(left / 2, _LOOK_EVERY), _LOOK_IN_TURN)

    def _left(self) -> float:
        """Say for how many seconds the last turn that began goes on; 0.0 where it is over."""
        left = self._end() - time.monotonic()
        # What was written before the machine started anew may lie far ahead.
        return left if 0 < left <= _QUANTUM else 0.0

    def _sit(self, start: float, patience: float) -> bool:
        """Wait for the seat; False where it cannot be had.

        It is left when a turn ends; then, whoever has waited longer looks more often.
        """
        seat = self._opened()
        while seat is not None:
            try:
                _lock(seat)
            except BlockingIOError:
                waited = time.monotonic() - start
                if waited > patience:
                    return False
                often = _SIT_EVERY / (1 + waited / _QUANTUM)
                time.sleep(max(min(self._left(), _LOOK_IN_TURN), often))
            except OSError:
                return False  # this file system knows no locks
            else:
                return True
        return False

    def _rise(self) -> None:
        if self._seat is not None:
            _unlock(self._seat)

    def _drop(self) -> None:
        self._seat = None
        if self._leave is not None:
            self._leave()

    def _opened(self) -> int | None:
        if self._process != os.getpid():
            # A forked child has none of its parent's locks, and closing gives none of them back.
            self._process, self.until = os.getpid(), 0.0
            self._drop()
        if self._seat is None:
            try:
                self._seat = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
            except OSError:
                return None
            leave = self._leave = finalize(self, os.close, self._seat)
            leave.atexit = False  # the system does that, and a thread may still be at it
        return self._seat


try:
    import fcntl
except ImportError:  # Windows

    def _lock(seat: int) -> None:
        raise OSError(f"no POSIX locks for {seat}")

    def _unlock(seat: int) -> None:
        raise OSError(f"no POSIX locks for {seat}")

    def _read(seat: int) -> bytes:
        raise OSError(f"no turns are written down in {seat}")

    def _write(seat: int, end: bytes) -> None:
        raise OSError(f"no turns are written down in {seat}, as {end!r}")

else:

    def _lock(seat: int) -> None:
        fcntl.lockf(seat, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _unlock(seat: int) -> None:
        fcntl.lockf(seat, fcntl.LOCK_UN)

    def _read(seat: int) -> bytes:
        return os.pread(seat, _END.size, 0)

    def _write(seat: int, end: bytes) -> None:
        os.pwrite(seat, end, 0)
