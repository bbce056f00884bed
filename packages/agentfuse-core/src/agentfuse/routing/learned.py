"""The choice by expected quality and cost: held to a target, and safe when unsure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from agentfuse.routing.domain import Drift
from agentfuse.routing.frontier import AIMED, SURE
from agentfuse.routing.knowledge import posterior
from agentfuse.routing.options import Pick

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentfuse.routing.features import Sketch
    from agentfuse.routing.knowledge import Count, Knowledge
    from agentfuse.routing.options import Option

# How much of what is spent above the cheapest model is still spent, from which share of a budget
# on: chosen figures, the steps being those of the alerts (60, 80, 90, 100 %).
TIERS: tuple[tuple[float, float], ...] = ((1.0, 0.0), (0.9, 0.25), (0.8, 0.5), (0.6, 0.75))

# Where nothing is known of a model, it may as well fail as not.
_UNKNOWN = 0.5

# The strong model's mean cost a call follows the last couple of hundred calls.
_NEWEST = 0.01

# Tags are the caller's words, so what is remembered by them is kept bounded.
_MOST_TAGS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One call as the learned choice sees it.

    ``used`` is the share spent of the limit nearest its end, ``draw`` a number in [0, 1),
    ``left_out`` says why other candidates cannot take it, ``stranger`` why the text model is not
    to be asked.
    """

    tag: str = ""
    used: float = 0.0
    draw: float = 1.0
    left_out: Sequence[str] = ()
    stranger: str = ""


@dataclass(slots=True)
class Learned:
    """What is known, what was added since, and the target.

    A quality that is named is aimed at. Where none is, nothing was said to be given up: all of the
    lead is kept, by a lower bound. ``confidence`` says otherwise for either.
    """

    strong: str
    knowledge: Knowledge | None
    min_outcomes: int = 50
    explore: float = 0.0
    quality: float | None = None
    confidence: float | None = None
    share: float | None = None
    cost: int | None = None
    tags: dict[str, dict[str, Count]] = field(init=False, repr=False)
    policy_id: str = field(init=False)
    _drift: Drift | None = field(init=False, repr=False)
    _price: float | None = field(init=False, repr=False)
    _strong_cost: float = field(default=0.0, init=False, repr=False)

    def __post_init__(self) -> None:
        """Solve what does not change from call to call."""
        known = self.knowledge
        self.tags = {tag: dict(counts) for tag, counts in known.tags.items()} if known else {}
        self._drift = Drift(known.domain) if known and known.domain else None
        self.policy_id = known.policy_id if known else "cold"
        self._price = self._solved(known) if known else None

    @property
    def reads_text(self) -> bool:
        """Whether a text model has to be asked."""
        return self.knowledge is not None and self.knowledge.text is not None

    def expecting(
        self, options: Sequence[Option], sketch: Sketch | None, view: View
    ) -> tuple[list[Option], View]:
        """Say what is expected of each option, and whether the text is one to judge by."""
        known = self.knowledge
        scores: Mapping[str, float] = {}
        if known is not None:
            scores, unseen = known.scores(sketch)
            if sketch is not None and known.text is not None:
                view = replace(view, stranger=self._stranger(sketch, scores, unseen))
        counts = self.tags.get(view.tag, {}) if view.tag else {}
        return [_expected(option, scores, counts) for option in options], view

    def choose(self, options: Sequence[Option], strong: Option, view: View) -> Pick:
        """Choose the highest of expected quality minus the price of its cost; strong when unsure.

        Once in a while (``explore``) any that can take the call is drawn, so that what is known
        of each stays unbiased; its chance is kept with the outcome.
        """
        if self.explore and view.draw < self.explore:
            drawn = options[int(view.draw / self.explore * len(options))]
            pick = Pick(option=drawn, reason="explored")
        else:
            pick = self._best(options, strong, view)
        return self._with_chance(pick, options, strong, view)

    def learn(self, tag: str, model: str, beyond: float, rows: int = 1) -> None:
        """Add to a tag's record what an answer scored ``beyond`` what its text had promised."""
        if not tag or (tag not in self.tags and len(self.tags) >= _MOST_TAGS):
            return
        counts = self.tags.setdefault(tag, {})
        seen, total = counts.get(model, (0.0, 0.0))
        counts[model] = (seen + rows, total + beyond)

    def _best(self, options: Sequence[Option], strong: Option, view: View) -> Pick:
        known = self.knowledge
        if known is None:
            return Pick(option=strong, reason="cold start: no outcomes, so the strong model")
        if view.stranger:
            reason = f"out of domain: {view.stranger}; so the strong model"
            return Pick(option=strong, reason=reason)
        rivals = [o for o in options if o is not strong and self._is_known(o, view, known)]
        if not rivals:
            return Pick(option=strong, reason=self._why_alone(options, strong, view))
        usual = self._strong_cost or float(strong.cost)
        self._strong_cost = usual + _NEWEST * (strong.cost - usual)
        price = self._price_now(view.used)
        if price is None:
            reason = "no price keeps the target with confidence, so the strong model"
            return Pick(option=strong, reason=reason)
        return self._highest([strong, *rivals], strong, price)

    def _highest(self, options: Sequence[Option], strong: Option, price: float) -> Pick:
        unit = strong.cost or 1
        best = max(options, key=lambda o: (o.p_ok - price * o.cost / unit, -o.cost))
        lead = strong.p_ok - best.p_ok
        if best is strong:
            reason = f"worth its cost: {strong.p_ok:.2f} expected"
        else:
            reason = f"{lead:+.3f} expected of {strong.name} is not worth its cost"
        return Pick(option=best, reason=f"{reason} at price {price:.3f}")

    def _with_chance(
        self, pick: Pick, options: Sequence[Option], strong: Option, view: View
    ) -> Pick:
        if not self.explore:
            return pick
        best = self._best(options, strong, view) if pick.reason == "explored" else pick
        chance = self.explore / len(options)
        if best.option is pick.option:
            chance += 1.0 - self.explore
        return replace(pick, propensity=chance)

    def _is_known(self, option: Option, view: View, known: Knowledge) -> bool:
        if option.name not in known.models:
            return False
        seen = option.seen if view.tag else known.rows
        return seen >= self.min_outcomes

    def _why_alone(self, options: Sequence[Option], strong: Option, view: View) -> str:
        others = [o for o in options if o is not strong]
        if not others:
            return f"alone can take the call: {'; '.join(view.left_out) or 'no other is named'}"
        if not view.tag:
            return f"fewer than {self.min_outcomes} outcomes, so the strong model"
        most = max(others, key=lambda option: option.seen)
        return (
            f"tag {view.tag!r} has {most.seen:.0f} of {self.min_outcomes} outcomes with"
            f" {most.name}, so the strong model"
        )

    def _solved(self, known: Knowledge) -> float | None:
        """Turn the target into a price; a cost target follows the calls' own costs instead."""
        if self.share is not None:
            return known.frontier.price_for_share(self.share)
        if self.cost is not None:
            return None
        share, usual = (1.0, SURE) if self.quality is None else (self.quality, AIMED)
        confidence = usual if self.confidence is None else self.confidence
        return known.frontier.price_for_quality(share, confidence)

    def _price_now(self, used: float) -> float | None:
        """Give the price of a call made now: higher, the more of the budget is spent."""
        frontier = self.knowledge.frontier if self.knowledge else None
        if frontier is None:
            return None
        price = self._price
        if self.cost is not None:
            price = frontier.price_for_cost(self.cost / max(self._strong_cost, 1.0))
        kept = next((kept for share, kept in TIERS if used >= share), 1.0)
        if kept >= 1.0:
            return price
        return frontier.dearer(frontier.points[0].price if price is None else price, kept)

    def _stranger(self, sketch: Sketch, scores: Mapping[str, float], unseen: float) -> str:
        known = self.knowledge
        if known is None or known.domain is None or self._drift is None:
            return ""
        low = min(known.models, key=lambda model: known.costs[model])
        measures = (unseen, *sketch.shape, scores[known.strong] - scores[low])
        deviations = known.domain.deviations(measures)
        moved = self._drift.moved(deviations)
        return known.domain.stranger(unseen, deviations) or moved


def _expected(option: Option, scores: Mapping[str, float], counts: Mapping[str, Count]) -> Option:
    promised = scores.get(option.name, _UNKNOWN)
    count = counts.get(option.name, (0.0, 0.0))
    p_ok = posterior(promised, count)
    return replace(option, promised=promised, p_ok=p_ok, seen=count[0])
