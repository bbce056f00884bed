"""How well each router orders prompts: APGR and CPT, each half judged by what the other taught."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sets import COSTS, STRONG, WEAK

from agentfuse.routing.evaluation import Ranking, baselines_of, ranking_of
from agentfuse.routing.fitting import fit, promised_by

if TYPE_CHECKING:
    from sets import Pair

    from agentfuse.routing import Knowledge

ROUTERS = {
    "tags and text": {"tags": True, "text": True},
    "tags": {"tags": True, "text": False},
    "text": {"tags": False, "text": True},
}


@dataclass(frozen=True, slots=True)
class Order:
    """One router's figures over both halves."""

    apgr: float
    low: float
    high: float
    cpt50: float
    cpt80: float

    @classmethod
    def of(cls, halves: list[Ranking]) -> Order:
        """Take the mean over both halves; the interval is that of a mean of two."""
        apgr = float(np.mean([half.apgr for half in halves]))
        widths = [(half.interval[1] - half.interval[0]) / 2 for half in halves]
        width = float(np.sqrt(np.sum(np.square(widths)))) / len(halves)
        cpt50 = float(np.mean([half.cpt50 for half in halves]))
        cpt80 = float(np.mean([half.cpt80 for half in halves]))
        return cls(apgr, apgr - width, apgr + width, cpt50, cpt80)


def learned(pair: Pair, rows: Any, *, tags: bool, text: bool) -> Knowledge:
    """Fit the product's router on rows of a pair."""
    outcomes = pair.outcomes(rows, tags=tags, text=text)
    return fit(outcomes, models=(WEAK, STRONG), strong=STRONG, costs=COSTS)


def orders_of(pair: Pair) -> dict[str, Order]:
    """Judge each router, and what needs no learning, on both halves."""
    found: dict[str, list[Ranking]] = {}
    half = pair.half()
    for side in (half, ~half):
        taught, asked = np.flatnonzero(~side), np.flatnonzero(side)
        for name, ranking in _rankings(pair, taught, asked).items():
            found.setdefault(name, []).append(ranking)
    return {name: Order.of(halves) for name, halves in found.items()}


def _rankings(pair: Pair, taught: Any, asked: Any) -> dict[str, Ranking]:
    difference = pair.difference[asked]
    found: dict[str, Ranking] = {}
    tagged = len(set(pair.tags)) > 1
    for name, kind in ROUTERS.items():
        if kind["tags"] and not tagged:
            continue
        knowledge = learned(pair, taught, **kind)
        held = promised_by(knowledge, pair.outcomes(asked, **kind))
        gain = held.promised[:, 1] - held.promised[:, 0]
        found[name] = ranking_of(gain, difference)
    lengths = [len(pair.prompts[row].split()) for row in asked]
    tags = [pair.tags[row] for row in asked]
    found |= baselines_of(lengths, tags, difference, _gains(pair, taught))
    if not tagged:
        del found["category mean"]
    return found


def _gains(pair: Pair, rows: Any) -> dict[str, float]:
    tags = np.array(pair.tags)[rows]
    difference = pair.difference[rows]
    return {tag: float(difference[tags == tag].mean()) for tag in set(tags.tolist())}
