"""A clock that moves when told to."""

from __future__ import annotations


class FrozenClock:
    """Stands at ``start`` (seconds since the epoch); sleeping moves it and waits for nothing."""

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self._now = start

    def now(self) -> float:
        """Give the time."""
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Be ``seconds`` later at once."""
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Move by ``seconds``; a negative number is a clock that was set back."""
        self._now += seconds
