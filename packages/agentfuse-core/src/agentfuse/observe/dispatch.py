"""Tells every listener, and lets none of them reach the call."""

from __future__ import annotations

import logging
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentfuse.ports import Listener
    from agentfuse.tickets import Event


class Dispatch:
    """The listeners of a run, told in their order.

    ``dropped`` counts the events that a listener failed to take; each failing listener is logged
    once, to the ``agentfuse`` logger.
    """

    def __init__(self, listeners: Sequence[Listener]) -> None:
        self._hears = tuple((listener, listener.hear) for listener in listeners)
        self._lock = Lock()
        self._named: set[int] = set()
        self._dropped = 0

    @property
    def dropped(self) -> int:
        """How many events a listener failed to take."""
        return self._dropped

    def tell(self, event: Event) -> None:
        """Hand an event to each listener; never raises."""
        for listener, hear in self._hears:
            try:
                hear(event)
            except Exception as error:  # noqa: BLE001 - a listener's fault is never the call's
                self._count(listener, error)

    def _count(self, listener: Listener, error: Exception) -> None:
        with self._lock:
            self._dropped += 1
            first = id(listener) not in self._named
            self._named.add(id(listener))
        if first:
            logging.getLogger("agentfuse").warning(
                "the listener %r failed and is not named again; the calls go on: %r",
                listener,
                error,
                exc_info=error,
            )
