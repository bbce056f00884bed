"""The figures of ``agentfuse route eval``: a router on unseen outcomes, and the baselines."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from zlib import crc32

from agentfuse.errors import ConfigurationError
from agentfuse.routing.evaluation import baselines_of, ranking_of
from agentfuse.routing.fitting import FEWEST, fit, promised_by

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentfuse.routing.evaluation import Ranking
    from agentfuse.routing.fitting import Held
    from agentfuse.routing.outcomes import Outcome


@dataclass(frozen=True, slots=True)
class Report:
    """Mean scores by model, and for each cheap model the rankings by router."""

    means: Mapping[str, float]
    rankings: Mapping[str, Mapping[str, Ranking]]

    def to_json(self) -> dict[str, Any]:
        """Give every figure."""
        rankings = {
            weak: {name: ranking.to_json() for name, ranking in found.items()}
            for weak, found in self.rankings.items()
        }
        return {"always": dict(self.means), "routers": rankings}


def report_of(
    outcomes: Sequence[Outcome], models: Sequence[str], strong: str, costs: Mapping[str, float]
) -> Report:
    """Fit on one half of the outcomes and judge on the other; which half is a hash's doing."""
    taught = [each for place, each in enumerate(outcomes) if _side(each, place)]
    asked = [each for place, each in enumerate(outcomes) if not _side(each, place)]
    if min(len(taught), len(asked)) < FEWEST:
        raise ConfigurationError(
            f"{len(outcomes)} outcomes are too few to be halved: {4 * FEWEST} or more are needed"
        )
    held = {
        name: promised_by(
            fit(_only(taught, kind), models=models, strong=strong, costs=costs), _only(asked, kind)
        )
        for name, kind in _kinds(outcomes).items()
    }
    any_of = next(iter(held.values()))
    means = dict(zip(models, any_of.targets.mean(0).tolist(), strict=True))
    rankings = {
        weak: {
            **{name: _ranking(each, weak) for name, each in held.items()},
            **_baselines(asked, any_of, weak, promised_by_tag(taught, weak, strong)),
        }
        for weak in models
        if weak != strong
    }
    return Report(means, rankings)


def promised_by_tag(outcomes: Sequence[Outcome], weak: str, strong: str) -> dict[str, float]:
    """Give each tag's mean gain, where both models were seen."""
    sums: dict[str, list[float]] = {}
    for each in outcomes:
        if weak in each.scores and strong in each.scores:
            sums.setdefault(each.tag, []).append(each.scores[strong] - each.scores[weak])
    return {tag: sum(gains) / len(gains) for tag, gains in sums.items()}


def _kinds(outcomes: Sequence[Outcome]) -> dict[str, tuple[bool, bool]]:
    """Name the routers that these outcomes can teach: (tags, text)."""
    tags = len({each.tag for each in outcomes}) > 1
    text = all(each.sketch is not None for each in outcomes)
    kinds = {"tags and text": (True, True)} if tags and text else {}
    if tags or not text:
        kinds["tags"] = (True, False)
    if text:
        kinds["text"] = (False, True)
    return kinds


def _only(outcomes: Sequence[Outcome], kind: tuple[bool, bool]) -> list[Outcome]:
    tags, text = kind
    return [
        replace(each, tag=each.tag if tags else "", sketch=each.sketch if text else None)
        for each in outcomes
    ]


def _ranking(held: Held, weak: str) -> Ranking:
    top, low = held.models.index(held.strong), held.models.index(weak)
    gain = held.promised[:, top] - held.promised[:, low]
    return ranking_of(gain, held.targets[:, top] - held.targets[:, low])


def _baselines(
    asked: Sequence[Outcome], held: Held, weak: str, known: Mapping[str, float]
) -> dict[str, Ranking]:
    top, low = held.models.index(held.strong), held.models.index(weak)
    lengths = [len(each.sketch.words) if each.sketch else 0 for each in asked]
    tags = [each.tag for each in asked]
    return baselines_of(lengths, tags, held.targets[:, top] - held.targets[:, low], known)


def _side(outcome: Outcome, place: int) -> bool:
    known = place if outcome.sketch is None else outcome.sketch.words
    return crc32(f"half {known}".encode()) % 2 == 0
