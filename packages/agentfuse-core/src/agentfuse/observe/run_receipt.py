"""What a run has cost, for people and for machines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agentfuse.money import dollars_of, usd

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

_HEADINGS = ("model", "calls", "from cache", "input", "output", "spent", "saved")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpend:
    """One model's share of a run, or one tool's.

    ``calls`` were answered, ``from_cache`` of them without the provider; the tokens are those that
    were billed. ``spent`` and ``saved`` are nanodollars.
    """

    model: str
    calls: int = 0
    from_cache: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    spent: int = 0
    saved: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReceipt:
    """A run at one moment; ``spent``, ``saved`` and ``budget`` are nanodollars.

    ``answers`` came from the provider, a cache (``exact``, ``semantic``) or an identical call in
    the air (``coalesced``). ``refusals`` were not sent; ``failures`` are failed attempts, after
    which ``retries`` asked again and ``fallbacks`` asked another model, while ``hedges`` asked
    twice at once; they cost ``spent_on_failures`` of what was spent, and ``unanswered`` calls were
    given up; ``downgrades`` went to a cheaper model than asked, ``compressions`` out shorter,
    ``tokens_left_out`` tokens in all; ``loops`` went on with a loop, ``anomalies`` cost far more
    than usual, ``alerts`` told that a limit is nearly used up, ``overruns`` were billed above their
    lease, ``unpriced`` have no known price, ``estimated`` no provider's usage.
    ``prompt_cache_saved`` is what the providers' own caches of prompts took off what was spent,
    less what writing to them added. ``breakers_opened`` says how often a model was left alone.
    """

    budget: int | None
    spent: int = 0
    saved: int = 0
    prompt_cache_saved: int = 0
    spent_on_failures: int = 0
    answers: int = 0
    exact: int = 0
    semantic: int = 0
    coalesced: int = 0
    tool_calls: int = 0
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
    unpriced: int = 0
    estimated: int = 0
    store_troubles: int = 0
    models: tuple[ModelSpend, ...] = ()

    @property
    def from_cache(self) -> int:
        """How many answers needed no provider."""
        return self.exact + self.semantic + self.coalesced

    @property
    def spent_usd(self) -> Decimal:
        """What was spent, in dollars."""
        return dollars_of(self.spent)

    @property
    def saved_usd(self) -> Decimal:
        """What answers from the cache would have cost, in dollars."""
        return dollars_of(self.saved)

    @property
    def prompt_cache_saved_usd(self) -> Decimal:
        """What the providers' caches of prompts saved, in dollars; below zero what they added."""
        return dollars_of(self.prompt_cache_saved)

    @property
    def spent_on_failures_usd(self) -> Decimal:
        """What failed attempts have cost, in dollars; it is part of what was spent."""
        return dollars_of(self.spent_on_failures)

    @property
    def budget_usd(self) -> Decimal | None:
        """The budget in dollars, or None."""
        return None if self.budget is None else dollars_of(self.budget)

    @property
    def remaining_usd(self) -> Decimal | None:
        """What is left of the budget in dollars (never below zero), or None without a budget."""
        return None if self.budget is None else dollars_of(max(0, self.budget - self.spent))

    def __str__(self) -> str:
        of = "" if self.budget is None else f" of {usd(self.budget)}"
        said = [
            f"{usd(self.spent)}{of} spent",
            f"{self.from_cache} of {self.answers} answers from cache",
        ]
        if self.saved:
            said.append(f"{usd(self.saved)} saved")
        if self.prompt_cache_saved > 0:
            said.append(f"{usd(self.prompt_cache_saved)} saved by prompt caching")
        if self.unpriced:
            said.append(f"{self.unpriced} without a price")
        return ", ".join(said)

    def table(self) -> str:
        """Print the models in columns, then their sum and what went wrong."""
        rows = [_row(spend) for spend in self.models]
        lines = _aligned([_HEADINGS, *rows, _row(self._total())])
        troubles = {
            "refused": self.refusals,
            "failed attempts": self.failures,
            "spent on failed attempts": self.spent_on_failures and usd(self.spent_on_failures),
            "calls without an answer": self.unanswered,
            "asked again": self.retries,
            "asked of a fallback": self.fallbacks,
            "asked twice at once": self.hedges,
            "left alone for a while": self.breakers_opened,
            "asked of a cheaper model": self.downgrades,
            "asked shorter": self.compressions,
            "input tokens left out": self.tokens_left_out,
            "went on with a loop": self.loops,
            "dearer than usual": self.anomalies,
            "billed above their lease": self.overruns,
            "without a price": self.unpriced,
            "estimated": self.estimated,
        }
        notes = [f"{name}: {count}" for name, count in troubles.items() if count]
        return "\n".join([*lines, str(self), *notes])

    def to_dict(self) -> dict[str, Any]:
        """Give what JSON can carry: dollars as decimal strings, counts as they are."""
        counts = (
            *("answers", "from_cache", "exact", "semantic", "coalesced", "tool_calls", "refusals"),
            *("failures", "unanswered", "retries", "fallbacks", "hedges", "breakers_opened"),
            *("downgrades", "compressions", "tokens_left_out", "loops", "anomalies", "alerts"),
            *("overruns", "unpriced", "estimated", "store_troubles"),
        )
        return {
            "spent_usd": _plain(self.spent_usd),
            "saved_usd": _plain(self.saved_usd),
            "prompt_cache_saved_usd": _plain(self.prompt_cache_saved_usd),
            "spent_on_failures_usd": _plain(self.spent_on_failures_usd),
            "budget_usd": _plain(self.budget_usd),
            "remaining_usd": _plain(self.remaining_usd),
            **{name: getattr(self, name) for name in counts},
            "by_model": {spend.model: _entry(spend) for spend in self.models},
        }

    def _total(self) -> ModelSpend:
        return ModelSpend(
            model="total",
            calls=sum(spend.calls for spend in self.models),
            from_cache=sum(spend.from_cache for spend in self.models),
            input_tokens=sum(spend.input_tokens for spend in self.models),
            output_tokens=sum(spend.output_tokens for spend in self.models),
            spent=self.spent,
            saved=self.saved,
        )


def _row(spend: ModelSpend) -> tuple[str, ...]:
    counts = (spend.calls, spend.from_cache, spend.input_tokens, spend.output_tokens)
    return (spend.model, *(f"{count:,}" for count in counts), usd(spend.spent), usd(spend.saved))


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Pad the cells: the first column to the left, figures to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            [row[0].ljust(widths[0])]
            + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        )
        for row in rows
    ]


def _entry(spend: ModelSpend) -> dict[str, Any]:
    return {
        "calls": spend.calls,
        "from_cache": spend.from_cache,
        "input_tokens": spend.input_tokens,
        "output_tokens": spend.output_tokens,
        "spent_usd": _plain(dollars_of(spend.spent)),
        "saved_usd": _plain(dollars_of(spend.saved)),
    }


def _plain(dollars: Decimal | None) -> str | None:
    """Print a Decimal without an exponent or idle zeros."""
    return None if dollars is None else f"{dollars.normalize():f}"
