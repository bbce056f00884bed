"""A run: its limits, which a top-up may raise while it goes on, and the tally of what it cost."""

from __future__ import annotations

from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING

from agentfuse.errors import BudgetExceeded, ConfigurationError
from agentfuse.nothing import NOTHING
from agentfuse.observe.tally import Tally
from agentfuse.scopes import current_scope
from agentfuse.tickets import Limit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from agentfuse.observe.run_receipt import RunReceipt
    from agentfuse.tickets import Refusal


class Run:
    """One run inside its parents; with a budget of its own, or only theirs.

    ``each`` is what each id of a scope may spend (nanodollars): ``{"user": 1_000_000_000}``.
    """

    __slots__ = ("_each", "_limit", "_lock", "_parent", "name", "tally")

    def __init__(
        self,
        name: str,
        budget: int | None,
        parent: Run | None = None,
        *,
        each: Mapping[str, int] = NOTHING,
    ) -> None:
        self.name = name
        self._each = each
        self.tally = Tally()
        self._lock = Lock()
        self._parent = parent
        self._limit = None if budget is None else self._of(budget)

    @property
    def budget(self) -> int | None:
        """The run's own budget in nanodollars."""
        return self._limit.nanodollars if self._limit else None

    @property
    def limits(self) -> tuple[Limit, ...]:
        """All limits of a call made here and now: the parents', those of its scope, its own."""
        above = self._parent.limits if self._parent else ()
        scoped = tuple(self._scoped()) if self._each else ()
        return (*above, *scoped, self._limit) if self._limit else (*above, *scoped)

    def allow(self, budget: int) -> None:
        """Set the run's budget (nanodollars); what is spent and held stays."""
        with self._lock:
            self._limit = self._of(budget)

    def top_up(self, amount: int) -> None:
        """Raise the budget by ``amount`` nanodollars; ConfigurationError if there is none."""
        with self._lock:
            if self._limit is None:
                raise ConfigurationError(f"run {self.name!r} has no budget to top up")
            self._limit = replace(self._limit, nanodollars=self._limit.nanodollars + amount)

    def receipt(self) -> RunReceipt:
        """Sum up the run so far."""
        return self.tally.receipt(self.budget)

    def stopped(self, message: str, refusal: Refusal) -> BudgetExceeded:
        """Make the error of a refused call."""
        return self.completed(BudgetExceeded(message, refusal=refusal))

    def completed(self, stop: BudgetExceeded) -> BudgetExceeded:
        """Give a stop what the run has done so far."""
        stop.results = self.tally.results()
        stop.receipt = self.receipt()
        return stop

    def _scoped(self) -> Iterator[Limit]:
        scope = current_scope()
        for name, allowance in self._each.items():
            holder = getattr(scope, name)
            if holder:
                yield Limit(name, holder, allowance)

    def _of(self, budget: int) -> Limit:
        return Limit("run", self.name, budget)
