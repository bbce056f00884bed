"""What is asked for and what is got: targets on fresh quarters, and prompts of another kind.

Every choice here is the product's own ``Router.decide``, one call after another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from ranking import learned
from sets import STRONG, WEAK, request_of
from shares import interval_of, share_of

from agentfuse.routing import Router
from agentfuse.routing.fitting import promised_by

if TYPE_CHECKING:
    from sets import Pair

    from agentfuse.routing import Knowledge

ASKED = 0.8


@dataclass(frozen=True, slots=True)
class Got:
    """What a router's choices came to on some rows.

    ``recovered`` is the share of the gap (random calls would recover the share of ``strong``), and
    ``least`` to ``most`` what other rows of the same kind might have shown for the same choices;
    ``quality`` the mean score, with the interval of its difference from always asking the strong
    model; ``stranger`` the share of calls that it called out of domain.
    """

    strong: float
    recovered: float
    least: float
    most: float
    quality: float
    always: float
    low: float
    high: float
    stranger: float


def got(pair: Pair, rows: Any, knowledge: Knowledge, *, tags: bool, quality: float) -> Got:
    """Route rows, in random order, for a target."""
    router = Router([WEAK, STRONG], weights=knowledge, target_quality=quality)
    rows = np.random.default_rng(5).permutation(rows)
    decisions = [
        router.decide(request_of(pair.prompts[row]), pair.tags[row] if tags else "") for row in rows
    ]
    strong = np.array([decision.model == STRONG for decision in decisions])
    score = np.where(strong, pair.strong[rows], pair.weak[rows])
    change = score - pair.strong[rows]
    draw = np.random.default_rng(9)
    means = [float(change[draw.integers(0, len(rows), len(rows))].mean()) for _ in range(500)]
    low, high = np.quantile(means, (0.025, 0.975))
    risen, gap = score - pair.weak[rows], pair.difference[rows]
    least, most = interval_of(risen, gap)
    return Got(
        strong=float(strong.mean()),
        recovered=share_of(risen, gap),
        least=least,
        most=most,
        quality=float(score.mean()),
        always=float(pair.strong[rows].mean()),
        low=float(low),
        high=float(high),
        stranger=float(np.mean(["out of domain" in d.reason for d in decisions])),
    )


@dataclass(frozen=True, slots=True)
class Quarters:
    """What each quarter got, and what the best threshold would have got there.

    ``hindsight`` is the one threshold that recovers what was asked for over all four quarters
    together, chosen with their outcomes known: how far single quarters are from it is noise.
    """

    got: list[Got]
    hindsight: list[float]


def quarters_of(pair: Pair, *, tags: bool, text: bool) -> Quarters:
    """Fit on three quarters, and ask for 80 % of the gap on the fourth; each is the fourth once."""
    quarter = pair.quarter()
    found, gain = [], np.zeros(len(quarter))
    for which in range(4):
        taught, asked = np.flatnonzero(quarter != which), np.flatnonzero(quarter == which)
        knowledge = learned(pair, taught, tags=tags, text=text)
        found.append(got(pair, asked, knowledge, tags=tags, quality=ASKED))
        promised = promised_by(knowledge, pair.outcomes(asked, tags=tags, text=text)).promised
        gain[asked] = promised[:, 1] - promised[:, 0]
    chosen = gain >= _threshold(gain, pair.difference)
    risen = np.where(chosen, pair.difference, 0.0)
    parts = [quarter == which for which in range(4)]
    return Quarters(found, [share_of(risen[part], pair.difference[part]) for part in parts])


def _threshold(gain: Any, difference: Any) -> float:
    order = np.argsort(-gain, kind="stable")
    risen = np.cumsum(difference[order])
    return float(gain[order[np.argmax(risen >= ASKED * risen[-1])]])


def abroad(source: Knowledge, pair: Pair) -> Got:
    """Route the prompts of a set with what another set taught."""
    rows = np.arange(len(pair.prompts))
    return got(pair, rows, source, tags=False, quality=ASKED)
