"""Run policy code for a blocking caller: step a coroutine that never suspends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from agentfuse.errors import WouldSuspend

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")


def run_now(step: Coroutine[Any, Any, T]) -> T:
    """Give the coroutine's result at once; raises WouldSuspend if it tried to wait for anything."""
    try:
        step.send(None)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]  # StopIteration.value is Any
    step.close()
    raise WouldSuspend("a blocking call met a port that waits: give it a blocking client")
