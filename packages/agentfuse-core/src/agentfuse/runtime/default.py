"""The process's own fuse, behind ``completion()``: one ledger, one cache, a run for each budget."""

from __future__ import annotations

from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING

from agentfuse.runtime.fuse import Fuse

if TYPE_CHECKING:
    from agentfuse.money import Dollars

# What the vendors' own SDKs try again by default (openai-python and anthropic-sdk-python,
# _constants.py: DEFAULT_MAX_RETRIES); theirs are off, so that each attempt is accounted for.
RETRIES = 2


class DefaultFuse:
    """Runs by budget id, inside one fuse without a budget of its own."""

    def __init__(self) -> None:
        self._root = Fuse(name="default", max_retries=RETRIES)
        self._runs: dict[str, Fuse] = {}
        self._lock = Lock()

    def run(self, budget_id: str | None, budget: Dollars | None) -> Fuse:
        """Give the run of a budget id; a budget given again replaces the one before it."""
        if budget_id is None and budget is None:
            return self._root
        name = budget_id or "default"
        with self._lock:
            run = self._runs.get(name)
            if run is None:
                run = self._runs[name] = self._root.session(name, budget)
            elif budget is not None:
                run.allow(budget)
        return run


@lru_cache(maxsize=1)
def default_fuse() -> DefaultFuse:
    """Give the process's own fuse, made when it is first asked for."""
    return DefaultFuse()


def reset_default_fuse() -> None:
    """Forget the process's own fuse with its runs and answers: for tests."""
    default_fuse.cache_clear()
