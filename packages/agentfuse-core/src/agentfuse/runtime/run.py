"""A run: its limits, which a top-up may raise while it goes on, and the tally of what it cost."""

from __future__ import annotations

from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING

from agentfuse.errors import ConfigurationError
from agentfuse.observe.tally import Tally
from agentfuse.scopes import NO_SCOPE, SCOPES, current_scope
from agentfuse.tickets import Limit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentfuse.errors import BudgetExceeded
    from agentfuse.observe.run_receipt import RunReceipt
    from agentfuse.policy.limits import LimitRule

EVERYTHING = "*"
"""The kill switch of all runs on a ledger."""


class Run:
    """One run inside its parents; with a budget of its own, or only theirs.

    ``rules`` are limits on the scopes of its calls. A run whose money was ``allotted`` is held to
    its own budget alone: its parents gave it away beforehand.
    """

    __slots__ = ("_limit", "_line", "_lock", "_parent", "_rules", "allotted", "name", "tally")

    def __init__(
        self,
        name: str,
        budget: int | None,
        parent: Run | None = None,
        *,
        rules: Sequence[LimitRule] = (),
        allotted: bool = False,
    ) -> None:
        self.name = name
        self.tally = Tally()
        self.allotted = allotted
        self._rules = tuple(rules)
        self._lock = Lock()
        self._parent = parent
        above = parent._line if parent else (EVERYTHING,)  # noqa: SLF001 - its own kind
        self._line: tuple[str, ...] = (*above, f"run:{name}")
        self._limit = None if budget is None else self._of(budget)

    @property
    def budget(self) -> int | None:
        """The run's own budget in nanodollars."""
        return self._limit.amount if self._limit else None

    @property
    def key(self) -> str:
        """The account of the run's own budget."""
        return self._of(0).key

    def limits(self, model: str, now: float) -> tuple[Limit, ...]:
        """Give all limits of a call made here and now: the parents', those of its scope, its own.

        ``now`` (Unix time) says which hour or day it is.
        """
        above = self._parent.limits(model, now) if self._parent and not self.allotted else ()
        own = (self._limit,) if self._limit else ()
        if not self._rules:
            return (*above, *own)
        scope = current_scope()
        scoped = [limit for rule in self._rules for limit in rule.applied(scope, model, now)]
        return (*above, *scoped, *own)

    def marks(self, model: str) -> tuple[str, ...]:
        """Give the names under which a call can be stopped: everything's, runs', ids', model's."""
        tags = [f"tag:{tag}" for tag in current_scope().tags]
        return (*self.whose(), *tags, f"model:{model}")

    def whose(self) -> tuple[str, ...]:
        """Name whose calls belong together: the runs' and the scope's ids."""
        scope = current_scope()
        if scope is NO_SCOPE:
            return self._line
        ids = [f"{name}:{getattr(scope, name)}" for name in SCOPES if getattr(scope, name)]
        return (*self._line, *ids)

    def allow(self, budget: int) -> None:
        """Set the run's budget (nanodollars); what is spent and held stays."""
        with self._lock:
            self._limit = self._of(budget)

    def top_up(self, amount: int) -> None:
        """Raise the budget by ``amount`` nanodollars; ConfigurationError if there is none."""
        with self._lock:
            if self._limit is None:
                raise ConfigurationError(f"run {self.name!r} has no budget to top up")
            self._limit = replace(self._limit, amount=self._limit.amount + amount)

    def receipt(self) -> RunReceipt:
        """Sum up the run so far."""
        return self.tally.receipt(self.budget)

    def completed(self, stop: BudgetExceeded) -> BudgetExceeded:
        """Give a stop what the run has done so far."""
        stop.results = self.tally.results()
        stop.receipt = self.receipt()
        return stop

    def _of(self, budget: int) -> Limit:
        return Limit("run", self.name, budget)
