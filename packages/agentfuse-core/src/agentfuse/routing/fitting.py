"""Fit a router to outcomes: estimates from all of them, targets from those not seen."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast
from zlib import crc32

from agentfuse.errors import ConfigurationError
from agentfuse.routing.domain import Domain, distance_of
from agentfuse.routing.frontier import Frontier, Point
from agentfuse.routing.knowledge import PRIOR_MASS, Knowledge, posterior
from agentfuse.routing.text_model import Corpus, TextModel, numpy_or_explain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentfuse.routing.knowledge import Count
    from agentfuse.routing.outcomes import Outcome
    from agentfuse.routing.text_model import Array

# A model fitted on fewer rows than all promises less of what it tells apart, so a price solved on
# its promises keeps more than was asked for: 5 points more with 8 folds on 1,200 made-up rows, half
# of that with twice the folds, at the price of fitting twice as long.
FOLDS = 16
FEWEST = 20
"""Below so many outcomes there is nothing to fit, and no fold to hold out."""
_PRICES = 201
# What an unlikely choice may weigh at most: 1 / 0.05 rows.
_LEAST_CHANCE = 0.05
_STRANGE = 0.995


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Held:
    """Outcomes with what was promised for each by a model that had not seen it.

    ``targets`` and ``promised`` have a row for each outcome and a column for each model.
    """

    models: tuple[str, ...]
    strong: str
    costs: Mapping[str, float]
    targets: Array
    promised: Array


def fit(
    outcomes: Sequence[Outcome],
    *,
    models: Sequence[str],
    strong: str,
    costs: Mapping[str, float],
) -> Knowledge:
    """Learn from outcomes; ``costs`` are each model's price as a share of the strong one's.

    Needs numpy. Raises ConfigurationError for fewer than ``FEWEST`` outcomes, or a model without
    any.
    """
    np = numpy_or_explain()
    rows = [each for each in outcomes if any(model in each.scores for model in models)]
    _check(rows, models, strong, costs)
    targets, seen = _targets_of(rows, models)
    sketches = [each.sketch for each in rows if each.sketch is not None]
    corpus = Corpus.of(sketches) if len(sketches) == len(rows) else None
    fold = np.array([_fold_of(each, place) for place, each in enumerate(rows)])
    promised, unseen = _promised(models, corpus, targets, fold)
    beyond = np.where(seen, targets - promised, 0.0)
    held = Held(
        models=tuple(models),
        strong=strong,
        costs=costs,
        targets=targets,
        promised=_with_tags(rows, promised, beyond, seen, fold),
    )
    return Knowledge(
        models=held.models,
        strong=strong,
        costs=dict(costs),
        means=dict(zip(models, targets.mean(0).tolist(), strict=True)),
        tags=_counts(rows, models, beyond, seen),
        frontier=frontier_of(held),
        rows=len(rows),
        text=None if corpus is None else TextModel.fitted(models, corpus, targets),
        domain=None if corpus is None else _domain_of(corpus.shapes, unseen, _gain(held)),
    )


def frontier_of(held: Held) -> Frontier:
    """Say for each of some 200 prices what it would have cost and lost."""
    np = numpy_or_explain()
    cost = np.array([held.costs[model] for model in held.models])
    top = held.models.index(held.strong)
    low = int(np.argmin(cost))
    truth = held.targets[:, top]
    gap = truth - held.targets[:, low]
    rows = np.arange(len(truth))
    points: list[Point] = []
    for price in _prices(held.promised, cost, top):
        chosen = np.argmax(held.promised - price * cost, axis=1)
        lost = truth - held.targets[rows, chosen]
        points.append(
            Point(
                price=float(price),
                cost=float(cost[chosen].mean()),
                strong=float((chosen == top).mean()),
                lost=float(lost.mean()),
                spread=float(lost.var()),
                shared=float(((lost - lost.mean()) * (gap - gap.mean())).mean()),
            )
        )
    return Frontier(tuple(points), len(rows), float(gap.mean()), float(gap.var()))


def promised_by(knowledge: Knowledge, outcomes: Sequence[Outcome]) -> Held:
    """Give what a fitted router promises for outcomes it was not fitted on."""
    np = numpy_or_explain()
    models = knowledge.models
    rows = [each for each in outcomes if any(model in each.scores for model in models)]
    if len(rows) < FEWEST:
        raise ConfigurationError(f"{len(rows)} outcomes are too few: {FEWEST} or more are needed")
    sketches = [each.sketch for each in rows if each.sketch is not None]
    means = [knowledge.means[model] for model in models]
    promised = np.tile(np.array(means), (len(rows), 1))
    if knowledge.text is not None and len(sketches) == len(rows):
        promised, _ = knowledge.text.scores_of(Corpus.of(sketches))
    for each, found in zip(rows, promised, strict=True):
        counts = knowledge.tags.get(each.tag, {})
        found[:] = [
            posterior(score, counts.get(model, (0.0, 0.0)))
            for model, score in zip(models, found.tolist(), strict=True)
        ]
    targets, _ = _targets_of(rows, models)
    return Held(
        models=models,
        strong=knowledge.strong,
        costs=knowledge.costs,
        targets=targets,
        promised=promised,
    )


def _check(
    rows: Sequence[Outcome], models: Sequence[str], strong: str, costs: Mapping[str, float]
) -> None:
    if len(rows) < FEWEST:
        raise ConfigurationError(f"{len(rows)} outcomes are too few: {FEWEST} or more are needed")
    if strong not in models:
        raise ConfigurationError(f"the strong model {strong!r} is not among {list(models)}")
    for model in models:
        if model not in costs:
            raise ConfigurationError(f"no price of {model!r} is known beside {strong!r}")
        if not any(model in each.scores for each in rows):
            raise ConfigurationError(f"no outcome of {model!r} is known: it cannot be judged")


def _targets_of(rows: Sequence[Outcome], models: Sequence[str]) -> tuple[Array, Array]:
    """Give a score for each row and model, and which of them were observed.

    Where one model was asked, the others' scores are their tag's mean, and the one observed is
    weighed by the chance it had of being asked: unbiased where the chances are right (augmented
    inverse propensity weighting, Robins, Rotnitzky and Zhao 1994).
    """
    np = numpy_or_explain()
    nan = float("nan")
    scores = np.array([[each.scores.get(model, nan) for model in models] for each in rows], float)
    seen = ~np.isnan(scores)
    several = seen.sum(1) > 1
    chance = np.array([max(each.propensity, _LEAST_CHANCE) for each in rows])
    chance = np.where(several, 1.0, chance)
    overall = np.nanmean(scores, axis=0)
    if seen.all():
        return scores, seen
    means = np.empty_like(scores)
    for places in _places_of(rows).values():
        part = scores[places]
        held = (~np.isnan(part)).sum(0)
        means[places] = (np.nansum(part, axis=0) + PRIOR_MASS * overall) / (held + PRIOR_MASS)
    return np.where(seen, means + (scores - means) / chance[:, None], means), seen


def _promised(
    models: Sequence[str], corpus: Corpus | None, targets: Array, fold: Array
) -> tuple[Array, Array]:
    """Predict each row from the other folds, and say how many of its words they had not."""
    np = numpy_or_explain()
    promised, unseen = np.empty_like(targets), np.ones(len(targets))
    for which in range(FOLDS):
        rest, out = np.flatnonzero(fold != which), np.flatnonzero(fold == which)
        if not len(rest) or not len(out):
            promised[out] = targets.mean(0)
            continue
        promised[out] = targets[rest].mean(0)
        if corpus is not None:
            text = TextModel.fitted(models, corpus.part(rest), targets[rest])
            promised[out], unseen[out] = text.scores_of(corpus.part(out))
    return promised, unseen


def _with_tags(
    rows: Sequence[Outcome], promised: Array, beyond: Array, seen: Array, fold: Array
) -> Array:
    """Add what each tag's rows in other folds scored beyond what was promised."""
    np = numpy_or_explain()
    found = promised.copy()
    for tag, places in _places_of(rows).items():
        if not tag:
            continue
        for which in range(FOLDS):
            inside, others = places[fold[places] == which], places[fold[places] != which]
            mass = seen[others].sum(0) + PRIOR_MASS
            found[inside] += beyond[others].sum(0) / mass
    return cast("Array", np.clip(found, 0.0, 1.0))


def _counts(
    rows: Sequence[Outcome], models: Sequence[str], beyond: Array, seen: Array
) -> dict[str, dict[str, Count]]:
    """Sum each tag's outcomes, and what they scored beyond what was promised, by model."""
    counts: dict[str, dict[str, Count]] = {}
    for tag, at in _places_of(rows).items():
        if tag:
            sums = zip(seen[at].sum(0).tolist(), beyond[at].sum(0).tolist(), strict=True)
            found = [(float(number), float(total)) for number, total in sums]
            counts[tag] = dict(zip(models, found, strict=True))
    return counts


def _places_of(rows: Sequence[Outcome]) -> dict[str, Array]:
    np = numpy_or_explain()
    places: dict[str, list[int]] = defaultdict(list)
    for place, each in enumerate(rows):
        places[each.tag].append(place)
    return {tag: np.array(at) for tag, at in places.items()}


def _fold_of(outcome: Outcome, place: int) -> int:
    known = place if outcome.sketch is None else outcome.sketch.words
    return crc32(str(known).encode()) % FOLDS


def _prices(promised: Array, cost: Array, top: int) -> Any:
    """Give the prices at which choices change, thinned to quantiles, and one beyond each end."""
    np = numpy_or_explain()
    others = [m for m in range(len(cost)) if m != top and cost[m] != cost[top]]
    if not others:
        return np.array([0.0])
    turns = np.concatenate(
        [(promised[:, top] - promised[:, m]) / (cost[top] - cost[m]) for m in others]
    )
    middle = np.quantile(turns, np.linspace(0.0, 1.0, _PRICES))
    return np.unique(np.concatenate([[middle[0] - 1e-6], middle, [middle[-1] + 1e-6]]))


def _gain(held: Held) -> Array:
    """Give how much better the strong model is expected to be than the cheapest."""
    low = min(held.models, key=lambda model: held.costs[model])
    promised = held.promised
    top, bottom = held.models.index(held.strong), held.models.index(low)
    return cast("Array", promised[:, top] - promised[:, bottom])


def _domain_of(shapes: Array, unseen: Array, gain: Array) -> Domain:
    """Sum up what the fitted prompts were like."""
    np = numpy_or_explain()
    measures = np.concatenate([unseen[:, None], shapes, gain[:, None]], axis=1)
    centre = tuple(measures.mean(0).tolist())
    # A measure that never changed has no scale of its own: a thousandth stands for it.
    scale = tuple(np.maximum(measures.std(0), 1e-3).tolist())
    plain = Domain(centre, scale, 1.0, 0.0)
    far = [distance_of(plain.deviations(row)) for row in measures.tolist()]
    odd = np.quantile(far, _STRANGE)
    return Domain(centre, scale, float(np.quantile(unseen, _STRANGE)), float(odd))
