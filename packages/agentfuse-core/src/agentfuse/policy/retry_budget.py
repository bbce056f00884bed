"""How many retries all calls together may make: a share of the calls, over a sliding minute.

A provider in trouble gets at most that much more load from us, however many callers there are.
After Google's "Site Reliability Engineering", chapter 22 (retry budgets of 10 %), and Finagle's
RetryBudget (20 %, with a floor so that a quiet process may retry at all).
"""

from __future__ import annotations

from collections import deque

WINDOW = 60
"""Seconds."""

FLOOR = 10
"""Retries in each window that need no calls to stand behind them."""


class RetryBudget:
    """In any window at most ``FLOOR + share x calls`` retries; not safe for threads by itself."""

    def __init__(self, share: float) -> None:
        self.share = share
        self._seconds: deque[list[int]] = deque()  # of each second: when, calls, retries
        self._calls = 0
        self._retries = 0

    def call(self, now: float) -> None:
        """Note a call, whatever becomes of it."""
        self._at(now)[1] += 1
        self._calls += 1

    def take(self, now: float) -> bool:
        """Take one retry, if there is one."""
        second = self._at(now)
        if self._retries >= FLOOR + self.share * self._calls:
            return False
        second[2] += 1
        self._retries += 1
        return True

    def _at(self, now: float) -> list[int]:
        """Give the current second, and forget those that are over."""
        at = int(now)
        while self._seconds and self._seconds[0][0] <= at - WINDOW:
            _, calls, retries = self._seconds.popleft()
            self._calls -= calls
            self._retries -= retries
        if not self._seconds or self._seconds[-1][0] < at:
            self._seconds.append([at, 0, 0])
        return self._seconds[-1]
