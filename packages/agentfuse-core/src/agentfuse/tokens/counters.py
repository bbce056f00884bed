"""Counters of others, asked before the rules: a family's own vocabulary, a provider's count API."""

from __future__ import annotations

import time
from threading import Lock
from typing import TYPE_CHECKING, Protocol

from agentfuse.tickets import StoreTrouble

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agentfuse.messages import Request
    from agentfuse.tokens.estimates import TokenEstimate

    Tell = Callable[[StoreTrouble], None]

# How long one that failed is left alone: a provider that is down would cost each call its time.
REST = 60.0


class RequestCounter(Protocol):
    """Counts the requests of some models better than the rules do.

    It may block for as long as its own time limit says; an event loop never waits for it, since the
    awaited wiring asks it on a thread. What it raises is told, and the rules count instead.
    """

    def count(self, request: Request) -> TokenEstimate | None:
        """Estimate all input tokens; None for a request that is not its business."""
        ...


class Counters:
    """Asks several counters in turn; one that fails rests for a minute, and is told about once.

    It is told again when it fails anew after having worked.
    """

    def __init__(
        self, counters: Sequence[RequestCounter], now: Callable[[], float] = time.monotonic
    ) -> None:
        self._counters = tuple(counters)
        self._now = now
        self._resting: dict[int, float] = {}
        self._lock = Lock()

    def __bool__(self) -> bool:
        """Say whether there is anybody to ask."""
        return bool(self._counters)

    def count(self, request: Request, tell: Tell | None = None) -> TokenEstimate | None:
        """Give the first answer, or None where nobody has one; never raises."""
        for place, counter in enumerate(self._counters):
            if self._rests(place):
                continue
            try:
                estimate = counter.count(request)
            except Exception as error:  # noqa: BLE001 - a client may raise whatever it likes
                self._rest(place, error, tell or _log)
                continue
            if estimate is not None:
                with self._lock:
                    self._resting.pop(place, None)
                return estimate
        return None

    def _rests(self, place: int) -> bool:
        with self._lock:
            return self._now() < self._resting.get(place, 0.0)

    def _rest(self, place: int, error: Exception, tell: Tell) -> None:
        with self._lock:
            known = place in self._resting
            self._resting[place] = self._now() + REST
        if not known:
            name = type(self._counters[place]).__name__
            reason = f"{type(error).__name__}: {error}; the rules count instead"
            tell(StoreTrouble(store=f"counter {name}", error=reason))


def _log(trouble: StoreTrouble) -> None:
    """Tell a trouble where no fuse listens."""
    import logging

    log = logging.getLogger("agentfuse")
    log.warning("trouble with the %s: %s", trouble.store, trouble.error)
