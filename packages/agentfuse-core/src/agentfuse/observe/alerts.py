"""Alerts for people: a callback of the user's, or a webhook."""

from __future__ import annotations

import json
import logging
from queue import Full, Queue
from threading import Thread
from typing import TYPE_CHECKING, Any

from agentfuse.conduct import Anomaly, Looping
from agentfuse.observe.logging import line_of
from agentfuse.policy.saying import shown
from agentfuse.tickets import Alert

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentfuse.tickets import Event

TRIES = 3
_TIMEOUT = 10.0
_MOST_WAITING = 1_000


Warned = Alert | Looping | Anomaly
"""What people are told: a limit nearly used up, a loop, a call far dearer than usual."""


class AlertCallback:
    """A listener that hands each warning to ``callback``, in the thread that it came up in."""

    def __init__(self, callback: Callable[[Warned], object]) -> None:
        self._callback = callback

    def hear(self, event: Event) -> None:
        """Hand an alert on."""
        if isinstance(event, Warned):
            self._callback(event)


class AlertWebhook:
    """A listener that posts each warning as JSON to a URL, from a thread of its own.

    The body has ``text`` (a sentence, as chat services take it), and of a limit ``limit``,
    ``threshold`` (a share), ``spent``, ``amount`` and ``unit``; of a loop ``loop``, ``model``,
    ``times``, ``cost`` and ``action``; of a dear call ``model``, ``cost``, ``usual`` and ``times``.
    A post that fails is tried three times, then logged.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._waiting: Queue[Warned] = Queue(_MOST_WAITING)
        self._thread: Thread | None = None

    def hear(self, event: Event) -> None:
        """Queue an alert; one too many is logged and dropped."""
        if not isinstance(event, Warned):
            return
        try:
            self._waiting.put_nowait(event)
        except Full:
            _log().warning("too many alerts wait for %s: %s", self._url, text_of(event))
        if self._thread is None or not self._thread.is_alive():
            self._thread = Thread(target=self._post_all, name="agentfuse-alerts", daemon=True)
            self._thread.start()

    def _post_all(self) -> None:
        while True:
            self._post(self._waiting.get())

    def _post(self, alert: Warned) -> None:
        from urllib.request import Request, urlopen  # 27 ms, for those who post

        body = json.dumps(body_of(alert)).encode()
        request = Request(self._url, body, {"Content-Type": "application/json"})  # noqa: S310 - the user's own address
        for attempt in range(1, TRIES + 1):
            try:
                with urlopen(request, timeout=_TIMEOUT):  # noqa: S310 - the same
                    return
            except OSError as error:
                if attempt == TRIES:
                    _log().warning("no alert could be posted to %s: %s", self._url, error)


def body_of(alert: Warned) -> dict[str, Any]:
    """Write a warning as JSON; money is in nanodollars."""
    if isinstance(alert, Looping):
        loop = alert.loop
        return {
            "text": text_of(alert),
            "loop": loop.what,
            "model": alert.model,
            "times": loop.times,
            "cost": loop.cost,
            "action": alert.action,
        }
    if isinstance(alert, Anomaly):
        return {
            "text": text_of(alert),
            "model": alert.model,
            "cost": alert.cost,
            "usual": alert.usual,
            "times": round(alert.times, 1),
        }
    return {
        "text": text_of(alert),
        "limit": alert.limit.key,
        "threshold": alert.threshold / 1000,
        "spent": alert.spent,
        "amount": alert.limit.amount,
        "unit": alert.limit.unit,
    }


def text_of(alert: Warned) -> str:
    """Say a warning in a sentence, without a word of what was asked or answered."""
    if not isinstance(alert, Alert):
        return line_of(alert)
    limit = alert.limit
    return (
        f"{limit.scope} {limit.id!r} has spent {shown(limit, alert.spent)} of"
        f" {shown(limit, limit.amount)}: past {alert.threshold / 10:g} %"
    )


def _log() -> logging.Logger:
    return logging.getLogger("agentfuse")
