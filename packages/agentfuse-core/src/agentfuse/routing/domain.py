"""Whether today's requests are like those the text model was fitted on; where not, it is not asked.

Weights fitted on one kind of prompt rank another kind no better than a coin, and sometimes worse.
Two checks: each request alone, by its share of words never seen and its shape, and the last
requests together, by how far their means have moved.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from math import sqrt
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentfuse.messages import Json

# Means are compared over so many requests, and from so many on.
WINDOW = 200
_FEWEST = 20

# How far a mean may move, in standard deviations of one request: a third, which is a small effect
# (Cohen 1988: 0.2 small, 0.5 medium), and three standard errors on top, so that chance seldom does.
_MOVED = 0.33
_ERRORS = 3.0

# A spell of easy work, or of hard, moves the expected gain by a deviation and is within the domain.
_SWINGS = 3.0

# Ten deviations are as strange as any: a measure that hardly varied would drown the others.
_FAR = 100.0

NAMES = (
    "words never seen",
    "length",
    "word count",
    "digits",
    "signs",
    "capitals",
    "lines",
    "word length",
    "questions",
    "colons",
    "expected gain",
)


@dataclass(frozen=True, slots=True)
class Domain:
    """What the fitted prompts were like.

    ``centre`` and ``scale`` are the mean and deviation of each of ``NAMES``; ``unseen`` and
    ``odd`` are the shares of new words and the squared distances that 1 in 200 of them passed.
    """

    centre: tuple[float, ...]
    scale: tuple[float, ...]
    unseen: float
    odd: float

    def deviations(self, measures: Sequence[float]) -> list[float]:
        """Give measures in units of what was fitted on: deviations from the mean."""
        each = zip(measures, self.centre, self.scale, strict=True)
        return [(m - c) / s for m, c, s in each]

    def stranger(self, unseen: float, deviations: Sequence[float]) -> str:
        """Say why one request is outside; empty where it is not."""
        if unseen > self.unseen:
            return f"{unseen:.0%} of its words were never seen"
        distance = distance_of(deviations)
        if distance > self.odd:
            return f"its shape is unlike those fitted on ({distance:.1f} where {self.odd:.1f} was)"
        return ""

    def to_json(self) -> dict[str, Json]:
        """Give what a file holds."""
        held: dict[str, Json] = {"centre": list(self.centre), "scale": list(self.scale)}
        return held | {"unseen": self.unseen, "odd": self.odd}

    @classmethod
    def from_json(cls, given: Mapping[str, Json]) -> Self:
        """Read what ``to_json`` gave."""
        centre, scale = tuple(given["centre"]), tuple(given["scale"])
        return cls(centre, scale, float(given["unseen"]), float(given["odd"]))


@dataclass(slots=True)
class Drift:
    """The latest requests, and how far their means have moved from a domain's."""

    domain: Domain
    _latest: deque[list[float]] = field(
        default_factory=lambda: deque[list[float]](maxlen=WINDOW), init=False, repr=False
    )
    _sums: list[float] = field(default_factory=list[float], init=False, repr=False)

    def moved(self, deviations: Sequence[float]) -> str:
        """Take a request in; say what has moved, or nothing."""
        # One outlier may not move a mean by itself.
        row = [-3.0 if d < -3.0 else min(d, 3.0) for d in deviations]  # noqa: PLR2004 - three
        row[-1] /= _SWINGS
        latest, sums = self._latest, self._sums or [0.0] * len(row)
        if len(latest) == WINDOW:
            sums = [s - old for s, old in zip(sums, latest[0], strict=True)]
        self._sums = sums = [s + new for s, new in zip(sums, row, strict=True)]
        latest.append(row)
        count = len(latest)
        high, low = max(sums), min(sums)
        if count < _FEWEST or max(high, -low) <= (_MOVED + _ERRORS / sqrt(count)) * count:
            return ""
        most = high if high >= -low else low
        return (
            f"{NAMES[sums.index(most)]} moved by {most / count:+.2f} deviations over the last"
            f" {count} requests"
        )


def distance_of(deviations: Sequence[float]) -> float:
    """Give the mean squared deviation of the shape: all but the new words and the gain."""
    shape = deviations[1:-1]
    return sum([min(d * d, _FAR) for d in shape]) / len(shape)
