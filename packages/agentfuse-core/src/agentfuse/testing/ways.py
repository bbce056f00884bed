"""The two ways a contract steps a port: at once for blocking callers, or in an event loop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from agentfuse.runtime.now import run_now

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")


class Blocking:
    """Steps a coroutine that must not suspend, as the blocking wiring does."""

    def run(self, step: Coroutine[Any, Any, T]) -> T:
        """Give the coroutine's result; raises WouldSuspend if it waits."""
        return run_now(step)


class Awaited(Blocking):
    """Awaits a coroutine in a new event loop: mix it in before a contract."""

    def run(self, step: Coroutine[Any, Any, T]) -> T:
        """Give the coroutine's result."""
        return asyncio.run(step)
