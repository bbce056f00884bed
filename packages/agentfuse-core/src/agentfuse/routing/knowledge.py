"""All that was learned from outcomes, as one value: it is fitted, saved as JSON, and asked."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Self

from agentfuse.errors import ConfigurationError
from agentfuse.routing.domain import Domain
from agentfuse.routing.frontier import Frontier
from agentfuse.routing.text_model import TextModel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentfuse.messages import Json
    from agentfuse.routing.features import Sketch

FORM = 1

# How many outcomes a statistic needs to weigh as much as what is less specific than it.
PRIOR_MASS = 15.0

Count = tuple[float, float]
"""Outcomes seen, and the sum of what they scored beyond what the text alone had promised."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Knowledge:
    """Fitted on ``rows`` outcomes of ``models``, one of them ``strong``.

    ``means`` are mean scores; ``tags`` counts for each tag and model; ``costs`` each model's price
    as a share of the strong one's; ``text`` and ``domain`` are None where no prompts were known.
    """

    models: tuple[str, ...]
    strong: str
    costs: Mapping[str, float]
    means: Mapping[str, float]
    tags: Mapping[str, Mapping[str, Count]]
    frontier: Frontier
    rows: int
    text: TextModel | None = None
    domain: Domain | None = None

    @property
    def policy_id(self) -> str:
        """A digest of everything learned, for receipts and logs."""
        return sha256(self.dumps().encode()).hexdigest()[:12]

    def scores(self, sketch: Sketch | None) -> tuple[dict[str, float], float]:
        """Give what each model is expected to score on a text, and the share of unseen words."""
        if self.text is None or sketch is None:
            return dict(self.means), 1.0
        found, unseen = self.text.scores(sketch)
        return dict(zip(self.text.models, found, strict=True)), unseen

    def calibrated(self, frontier: Frontier) -> Self:
        """Give the same estimates with another frontier."""
        return replace(self, frontier=frontier)

    def dumps(self) -> str:
        """Write it as JSON text."""
        held: dict[str, Json] = {
            "agentfuse_route": FORM,
            "models": list(self.models),
            "strong": self.strong,
            "costs": dict(self.costs),
            "means": dict(self.means),
            "tags": {tag: dict(counts) for tag, counts in self.tags.items()},
            "frontier": self.frontier.to_json(),
            "rows": self.rows,
            "text": self.text and self.text.to_json(),
            "domain": self.domain and self.domain.to_json(),
        }
        return json.dumps(held)

    @classmethod
    def loads(cls, text: str) -> Self:
        """Read JSON text; raises ConfigurationError where it is no router's."""
        try:
            return cls._read(json.loads(text))
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise ConfigurationError(
                f"these are no weights of a router ({error!r}): `agentfuse route fit` writes them"
            ) from error

    @classmethod
    def _read(cls, given: Mapping[str, Json]) -> Self:
        if given["agentfuse_route"] != FORM:
            raise ValueError(f"form {given['agentfuse_route']!r}; this version reads {FORM}")
        tags = {
            tag: {model: (float(n), float(total)) for model, (n, total) in counts.items()}
            for tag, counts in given["tags"].items()
        }
        return cls(
            models=tuple(given["models"]),
            strong=given["strong"],
            costs=given["costs"],
            means=given["means"],
            tags=tags,
            frontier=Frontier.from_json(given["frontier"]),
            rows=int(given["rows"]),
            text=TextModel.from_json(given["text"]) if given["text"] else None,
            domain=Domain.from_json(given["domain"]) if given["domain"] else None,
        )


def posterior(promised: float, count: Count) -> float:
    """Shrink a tag's own record to what the text promised: ``PRIOR_MASS`` outcomes weigh as much.

    With no text this is the mean of a Beta posterior around the model's mean score.
    """
    seen, beyond = count
    return min(max(promised + beyond / (seen + PRIOR_MASS), 0.0), 1.0)
