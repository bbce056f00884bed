"""Answers that were seen in the store a moment ago."""

from __future__ import annotations

import time
from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING

from agentfuse.caches.weights import bytes_of

if TYPE_CHECKING:
    from agentfuse.messages import Reply

MOST_BYTES = 32 * 2**20


class RecentAnswers:
    """About 32 MB of answers, the latest seen, each good for ``seconds`` after it was."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lock = Lock()
        self._answers: OrderedDict[str, tuple[Reply, float, int]] = OrderedDict()
        self._bytes = 0

    def note(self, entry_id: str, reply: Reply) -> None:
        """Take note of an answer that the store has just given or taken."""
        weight = bytes_of(reply)
        with self._lock:
            self._remove(entry_id)
            self._answers[entry_id] = (reply, time.monotonic() + self._seconds, weight)
            self._bytes += weight
            while self._bytes > MOST_BYTES:
                self._remove(next(iter(self._answers)))

    def of(self, entry_id: str) -> Reply | None:
        """Give an answer that was seen lately."""
        found = self._answers.get(entry_id)
        return found[0] if found is not None and time.monotonic() < found[1] else None

    def drop(self, entry_id: str) -> None:
        """Forget an answer."""
        with self._lock:
            self._remove(entry_id)

    def clear(self) -> None:
        """Forget all answers."""
        with self._lock:
            self._answers.clear()
            self._bytes = 0

    def _remove(self, entry_id: str) -> None:
        found = self._answers.pop(entry_id, None)
        if found is not None:
            self._bytes -= found[2]
