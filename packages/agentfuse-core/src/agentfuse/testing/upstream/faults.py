"""What goes wrong on purpose: the next requests' faults, and how slow everything is."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from threading import Lock


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What happens to one request; the first that is set wins.

    ``status`` is answered instead of a model's answer, in the vendor's usual words or with a
    ``code`` and a ``message`` of its own. A ``model`` lets all other models' requests pass.
    ``cut_after`` closes the connection after so
    many chunks, -1 before the headers. ``hang`` waits so many seconds before the headers and then
    answers. ``garble`` answers with broken JSON.
    """

    status: int = 0
    retry_after: str = ""
    code: str = ""
    message: str = ""
    model: str = ""
    cut_after: int | None = None
    hang: float = 0.0
    garble: bool = False


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds before the headers, and before each chunk of a stream."""

    latency: float = 0.0
    per_chunk: float = 0.0


SOUND = Fault()


class Faults:
    """The faults still to come, one for each request, oldest first."""

    def __init__(self, pace: Pace) -> None:
        self._coming: deque[Fault] = deque()
        self._lock = Lock()
        self._first_pace = pace
        self.pace = pace

    def add(self, fault: Fault, times: int) -> None:
        """Put a fault before each of the next requests."""
        with self._lock:
            self._coming.extend([fault] * times)

    def take(self, model: str = "") -> Fault:
        """Give the next request's fault."""
        with self._lock:
            for place, fault in enumerate(self._coming):
                if fault.model in {"", model}:
                    del self._coming[place]
                    return fault
            return SOUND

    def forget(self) -> None:
        """Drop the coming faults and go back to the first pace."""
        with self._lock:
            self._coming.clear()
            self.pace = self._first_pace


def retry_after_of(advice: float | datetime | str | None) -> str:
    """Write a Retry-After header: seconds, or an HTTP date (RFC 9110, section 10.2.3)."""
    if advice is None:
        return ""
    if isinstance(advice, datetime):
        return format_datetime(advice, usegmt=True)
    return advice if isinstance(advice, str) else f"{advice:g}"
