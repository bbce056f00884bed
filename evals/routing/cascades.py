"""Two cheap models that agree, and a strong one where they do not, on answers that were recorded.

Prices are list prices of autumn 2024 in dollars per million tokens, as these models were then; an
answer of n characters is taken for n / 4 tokens, and so is a prompt.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sets import columns_of
from shares import interval_of, share_of

from agentfuse.messages import Choice, Reply, Text
from agentfuse.routing import Cascade

if TYPE_CHECKING:
    from pathlib import Path

PRICES = {
    "gpt-4o-mini-2024-07-18": (0.15, 0.60),
    "gemini-1.5-flash": (0.075, 0.30),
    "gpt-4o-2024-08-06": (2.50, 10.00),
    "claude-3-haiku-20240307": (0.25, 1.25),
    "claude-3-5-sonnet-20241022": (3.00, 15.00),
}
TRIOS = (
    ("ze_4o", "gpt-4o-mini-2024-07-18", "gemini-1.5-flash", "gpt-4o-2024-08-06"),
    ("ze_4o (Haiku)", "gpt-4o-mini-2024-07-18", "claude-3-haiku-20240307", "gpt-4o-2024-08-06"),
    (
        "ze_claude",
        "claude-3-haiku-20240307",
        "gpt-4o-mini-2024-07-18",
        "claude-3-5-sonnet-20241022",
    ),
)


@dataclass(frozen=True, slots=True)
class Run:
    """What a cascade came to.

    ``cost`` is its share of always asking the strong model; ``mixed`` the share of the gap that
    random calls to the strong model recover for the same money.
    """

    name: str
    agree: float
    weak: float
    strong: float
    quality: float
    gap: float
    low: float
    high: float
    cost: float
    mixed: float


def cascades_in(folder: Path) -> list[Run]:
    """Run the trios on every file that has their answers."""
    found = []
    for path in sorted(folder.glob("*.parquet")):
        columns = columns_of(path)
        for name, *models in TRIOS:
            if all(f"{model}|ans" in columns for model in models):
                found.append(_run(name, columns, models))
    return found


def _run(name: str, columns: dict[str, list[Any]], models: list[str]) -> Run:
    cheap, second, strong = models
    cascade = Cascade(first=(cheap, second), strong=strong, canonical=_as_recorded)
    pairs = zip(columns[f"{cheap}|ans"], columns[f"{second}|ans"], strict=True)
    agree = np.array([bool(cascade.agreed([_reply(a), _reply(b)])) for a, b in pairs])
    weak, best = np.array(columns[cheap], float), np.array(columns[strong], float)
    costs = {model: _costs(columns, model) for model in models}
    score = np.where(agree, weak, best)
    spent = costs[cheap] + costs[second] + np.where(agree, 0.0, costs[strong])
    low, high = interval_of(score - weak, best - weak)
    cost = float(spent.sum() / costs[strong].sum())
    cheapest = float(costs[cheap].sum() / costs[strong].sum())
    return Run(
        name=name,
        agree=float(agree.mean()),
        weak=float(weak.mean()),
        strong=float(best.mean()),
        quality=float(score.mean()),
        gap=share_of(score - weak, best - weak),
        low=low,
        high=high,
        cost=cost,
        mixed=(cost - cheapest) / (1.0 - cheapest),
    )


def _as_recorded(reply: Reply) -> str | None:
    """Answers are recorded in one spelling already."""
    return reply.text or None


def _reply(answer: object) -> Reply:
    text = "" if answer is None else str(answer).strip()
    return Reply(choices=(Choice(parts=(Text(text),), finish_reason="stop"),))


def _costs(columns: dict[str, list[Any]], model: str) -> Any:
    price_in, price_out = PRICES[model]
    asked = np.array([len(prompt) for prompt in columns["prompt"]], float)
    said = np.nan_to_num(np.array(columns[f"{model}|chars"], float))
    return (asked * price_in + said * price_out) / 4
