"""Adds up what a run's calls cost and saved."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from threading import Lock

from agentfuse.conduct import Anomaly, Looping
from agentfuse.courses import BreakerOpened, FailureReceipt, FellBack, Hedged, Retried
from agentfuse.lengths import Compressed
from agentfuse.observe.run_receipt import ModelSpend, RunReceipt
from agentfuse.tickets import (
    Alert,
    Downgraded,
    Event,
    Failed,
    Overrun,
    Receipt,
    Refused,
    StoreTrouble,
)

_COUNTED: dict[type, str] = {
    Alert: "alerts",
    Anomaly: "anomalies",
    Compressed: "compressions",
    Downgraded: "downgrades",
    Failed: "failures",
    FailureReceipt: "unanswered",
    Looping: "loops",
    Overrun: "overruns",
    Refused: "refusals",
    Retried: "retries",
    FellBack: "fallbacks",
    Hedged: "hedges",
    BreakerOpened: "breakers_opened",
    StoreTrouble: "store_troubles",
}

# How many answers a stopped run hands over (``BudgetExceeded.results``), the latest ones.
KEPT_ANSWERS = 100


@dataclass(slots=True)
class _Sums:
    """The running sums of a run; money in nanodollars."""

    answers: int = 0
    exact: int = 0
    semantic: int = 0
    coalesced: int = 0
    tool_calls: int = 0
    unpriced: int = 0
    estimated: int = 0
    refusals: int = 0
    failures: int = 0
    unanswered: int = 0
    retries: int = 0
    fallbacks: int = 0
    hedges: int = 0
    breakers_opened: int = 0
    downgrades: int = 0
    compressions: int = 0
    tokens_left_out: int = 0
    loops: int = 0
    anomalies: int = 0
    alerts: int = 0
    overruns: int = 0
    store_troubles: int = 0
    spent: int = 0
    saved: int = 0
    prompt_cache_saved: int = 0
    spent_on_failures: int = 0


@dataclass(slots=True)
class _ModelSums:
    """The running sums of one model, or one tool."""

    calls: int = 0
    from_cache: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    spent: int = 0
    saved: int = 0


@dataclass(slots=True)
class Tally:
    """A listener that adds up a run, safe for threads; it keeps the latest ``kept`` answers."""

    kept: int = KEPT_ANSWERS
    _sums: _Sums = field(default_factory=_Sums, init=False, repr=False)
    _models: dict[str, _ModelSums] = field(
        default_factory=dict[str, _ModelSums], init=False, repr=False
    )
    _texts: deque[str] = field(init=False, repr=False)
    _lock: Lock = field(default_factory=Lock, init=False, repr=False)

    def __post_init__(self) -> None:
        """Make room for the answers."""
        self._texts = deque(maxlen=self.kept)

    def hear(self, event: Event) -> None:
        """Add an event to the sums."""
        with self._lock:
            if isinstance(event, Receipt):
                self._add(event)
                return
            counted = _COUNTED.get(type(event))
            if counted is not None:
                setattr(self._sums, counted, getattr(self._sums, counted) + 1)
            if isinstance(event, Looping):
                self._sums.refusals += event.action == "stop"
            elif isinstance(event, Failed):
                self._sums.spent_on_failures += event.cost
                self._spend(event.model, event.cost)

    def results(self) -> tuple[str, ...]:
        """Give the texts of the latest answers, oldest first."""
        with self._lock:
            return tuple(self._texts)

    def receipt(self, budget: int | None = None) -> RunReceipt:
        """Sum up the run so far, against a ``budget`` in nanodollars or None."""
        with self._lock:
            models = tuple(
                ModelSpend(
                    model=model,
                    calls=sums.calls,
                    from_cache=sums.from_cache,
                    input_tokens=sums.input_tokens,
                    output_tokens=sums.output_tokens,
                    spent=sums.spent,
                    saved=sums.saved,
                )
                for model, sums in self._models.items()
            )
            sums = {name: getattr(self._sums, name) for name in _Sums.__slots__}
        return RunReceipt(budget=budget, models=models, **sums)

    def _add(self, receipt: Receipt) -> None:
        model = self._spend(receipt.model, receipt.cost)
        self._count(receipt)
        model.calls += 1
        model.saved += receipt.saved
        if receipt.source in {"exact", "semantic", "coalesced"}:
            model.from_cache += 1
        elif receipt.usage is not None:
            model.input_tokens += receipt.usage.input_tokens
            model.output_tokens += receipt.usage.output_tokens

    def _count(self, receipt: Receipt) -> None:
        sums = self._sums
        sums.saved += receipt.saved
        sums.tokens_left_out += receipt.left_out
        sums.prompt_cache_saved += receipt.prompt_cache_saved
        sums.unpriced += not receipt.priced
        sums.estimated += receipt.estimated
        if receipt.source == "tool":
            sums.tool_calls += 1
            return
        sums.answers += 1
        sums.exact += receipt.source == "exact"
        sums.semantic += receipt.source == "semantic"
        sums.coalesced += receipt.source == "coalesced"
        if receipt.text:
            self._texts.append(receipt.text)

    def _spend(self, model: str, cost: int) -> _ModelSums:
        self._sums.spent += cost
        sums = self._models.get(model)
        if sums is None:
            sums = self._models[model] = _ModelSums()
        sums.spent += cost
        return sums
