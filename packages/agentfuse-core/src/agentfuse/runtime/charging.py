"""Tools that are charged before they run."""

from __future__ import annotations

import inspect
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

from agentfuse.money import cost_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentfuse.money import Dollars
    from agentfuse.runtime.fuse import Fuse

Result = TypeVar("Result")


def charged(
    fuse: Fuse, cost: Dollars, name: str
) -> Callable[[Callable[..., Result]], Callable[..., Result]]:
    """Make a decorator that books ``cost`` on ``fuse`` before each call; checks the amount now."""
    cost_of(cost)

    def decorate(tool: Callable[..., Result]) -> Callable[..., Result]:
        title = name or getattr(tool, "__name__", type(tool).__name__)
        if inspect.iscoroutinefunction(tool):

            @wraps(tool)
            async def run_awaited(*args: Any, **kwargs: Any) -> Any:
                await fuse.acharge(title, cost)
                return await cast("Any", tool)(*args, **kwargs)

            return cast("Callable[..., Result]", run_awaited)

        @wraps(tool)
        def run(*args: Any, **kwargs: Any) -> Result:
            fuse.charge(title, cost)
            return tool(*args, **kwargs)

        return run

    return decorate
