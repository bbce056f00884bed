"""How good a router is on outcomes it was not fitted on, beside what needs no learning.

APGR and CPT as in RouteLLM (Ong et al. 2024, arXiv 2406.18665, section 3): calls go to the strong
model in order of expected gain, and the share of the quality gap that is recovered is read off
against the share of strong calls. A ranking by chance has an APGR of 0.5.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from agentfuse.routing.text_model import numpy_or_explain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentfuse.routing.text_model import Array

RESAMPLES = 100
_QUANTILES = (0.025, 0.975)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """One router's order over one set: the area under the curve, and calls for shares of the gap.

    ``interval`` is the 95 % bootstrap interval of ``apgr``; ``cpt50`` and ``cpt80`` are shares of
    strong calls (1 where the gap's share is never reached).
    """

    apgr: float
    interval: tuple[float, float]
    cpt50: float
    cpt80: float

    def to_json(self) -> dict[str, Any]:
        """Give its figures."""
        return {
            "apgr": round(self.apgr, 4),
            "apgr_95": [round(end, 4) for end in self.interval],
            "cpt50": round(self.cpt50, 4),
            "cpt80": round(self.cpt80, 4),
        }


def ranking_of(
    gain: Array, difference: Array, *, resamples: int = RESAMPLES, seed: int = 7
) -> Ranking:
    """Judge an order: ``gain`` is what was expected of the strong model, ``difference`` what came.

    Prompts of equal gain are in no order: they share their mean. The interval resamples prompts.
    """
    np = numpy_or_explain()
    curve = _curve(gain, difference)
    draw = np.random.default_rng(seed)
    areas: list[float] = []
    for _ in range(resamples):
        rows = draw.integers(0, len(gain), len(gain))
        areas.append(_area(_curve(gain[rows], difference[rows])))
    low, high = np.quantile(areas, _QUANTILES) if areas else (float("nan"), float("nan"))
    return Ranking(
        apgr=_area(curve),
        interval=(float(low), float(high)),
        cpt50=_calls_for(curve, 0.5),
        cpt80=_calls_for(curve, 0.8),
    )


def baselines_of(
    lengths: Sequence[int],
    tags: Sequence[str],
    difference: Array,
    known: Mapping[str, float],
    *,
    resamples: int = RESAMPLES,
) -> dict[str, Ranking]:
    """Judge what anybody has for nothing: chance, the prompt's length, the tag's mean gain.

    ``known`` are the tags' mean gains on the outcomes that were fitted on.
    """
    np = numpy_or_explain()
    chance = np.random.default_rng(11).random(len(tags))
    overall = float(np.mean(list(known.values()))) if known else 0.0
    by_tag = np.array([known.get(tag, overall) for tag in tags])
    orders = {"random": chance, "length": np.array(lengths, float), "category mean": by_tag}
    return {
        name: ranking_of(order, difference, resamples=resamples) for name, order in orders.items()
    }


def _curve(gain: Array, difference: Array) -> Array:
    """Accumulate the share of the gap that is recovered, from no strong call to all."""
    np = numpy_or_explain()
    order = np.argsort(-gain, kind="stable")
    ranked = gain[order]
    group = np.concatenate([[0], np.cumsum(np.diff(ranked) != 0)])
    sizes = np.bincount(group)
    shared = np.bincount(group, weights=difference[order]) / sizes
    total = float(difference.sum())
    risen = np.cumsum(shared[group]) / total if total else np.zeros(len(gain))
    return cast("Array", np.concatenate([[0.0], risen]))


def _area(curve: Array) -> float:
    """Integrate over the share of calls (trapezoids)."""
    return float((curve[1:] + curve[:-1]).sum() / 2 / (len(curve) - 1))


def _calls_for(curve: Array, share: float) -> float:
    np = numpy_or_explain()
    reached = np.flatnonzero(curve >= share)
    return float(reached[0] / (len(curve) - 1)) if len(reached) else 1.0
