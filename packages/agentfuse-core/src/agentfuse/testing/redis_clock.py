"""Time for tests of what a Redis keeps: it stands still, and is moved for the store as well."""

from __future__ import annotations

import time
from typing import Any

from agentfuse.testing.clock import FrozenClock


class RedisClock(FrozenClock):
    """A frozen clock that takes its steps off the lives of all keys of a store.

    ``client`` is redis-py's, of a store that the test has for itself.
    """

    def __init__(self, client: Any) -> None:
        super().__init__()
        self._client = client

    def advance(self, seconds: float) -> None:
        """Let time pass, here and for every key."""
        super().advance(seconds)
        for key in list(self._client.scan_iter()):
            left = self._client.pttl(key)
            if left > 0:
                self._client.pexpire(key, max(1, round(left - 1000 * seconds)))
        time.sleep(0.002)  # what had a millisecond left is gone then
