"""What is known of answers already given: which model, on what, and how good it was."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agentfuse.errors import ConfigurationError
from agentfuse.nothing import NOTHING
from agentfuse.routing.features import PLACES, Sketch, sketch_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from agentfuse.messages import Json

_FORM = (
    '{"prompt": "...", "tag": "...", "scores": {"gpt-4o": 1, "gpt-4o-mini": 0}}, or what'
    ' Fuse(route=Router(outcomes="...")) writes: "model", "score", "propensity", "words", "shape"'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How well one or several models did on one request.

    ``scores`` are 0 to 1 by model's name. ``propensity`` is the chance with which the model that
    was asked had been chosen, where only one was; 1 where all were asked or it was certain.
    """

    scores: Mapping[str, float]
    tag: str = ""
    sketch: Sketch | None = None
    propensity: float = 1.0
    id: str = ""
    source: str = "reported"

    def to_json(self) -> dict[str, Json]:
        """Give one line of a log; the prompt is in it as hashed words."""
        row: dict[str, Json] = {"id": self.id, "tag": self.tag, "scores": dict(self.scores)}
        row |= {"propensity": self.propensity, "source": self.source}
        if self.sketch is not None:
            row |= {"words": list(self.sketch.words), "shape": list(self.sketch.shape)}
        return row


def outcomes_of(lines: Iterable[str]) -> Iterator[Outcome]:
    """Read JSON lines; raises ConfigurationError that names the first line that is none."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            yield _outcome_of(json.loads(line))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ConfigurationError(
                f"line {number} is no outcome ({error}): write {_FORM}"
            ) from error


def score_of(value: float | bool) -> float:  # noqa: FBT001 - a score may be said as yes or no
    """Read a score; raises ConfigurationError where it is not between 0 and 1."""
    score = float(value)
    if not 0.0 <= score <= 1.0:
        raise ConfigurationError(f"a score is between 0 (useless) and 1 (right), not {value!r}")
    return score


def _outcome_of(row: Mapping[str, Json]) -> Outcome:
    scores = row["scores"] if "scores" in row else {row["model"]: row["score"]}
    propensity = float(row.get("propensity", 1.0))
    if not 0.0 < propensity <= 1.0:
        raise ValueError(f"a propensity is above 0 and at most 1, not {propensity!r}")
    return Outcome(
        scores={str(model): score_of(score) for model, score in scores.items()} or NOTHING,
        tag=str(row.get("tag") or ""),
        sketch=_sketch_in(row),
        propensity=propensity,
        id=str(row.get("id") or ""),
        source=str(row.get("source") or "reported"),
    )


def _sketch_in(row: Mapping[str, Json]) -> Sketch | None:
    if row.get("prompt") is not None:
        return sketch_of(str(row["prompt"]))
    if row.get("words") is None:
        return None
    words = tuple(int(word) % PLACES for word in row["words"])
    return Sketch(words, tuple(float(measure) for measure in row["shape"]))
