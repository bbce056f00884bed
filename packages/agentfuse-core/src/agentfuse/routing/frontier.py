"""From a target to a price of money: what each price would have cost and lost on known outcomes.

The router picks the model with the highest score: expected quality minus ``price`` times expected
cost, where the strong model's cost is 1. For each price the frontier holds what that would have
cost, and what it would have lost against asking the strong model every time.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from agentfuse.messages import Json

AIMED = 0.5
"""The confidence of a target that is aimed at: kept on the average, missed as often as passed."""
SURE = 0.8
"""The confidence of a lower bound: four calibrations in five keep the target or more.

More would be paid for in strong calls, as few outcomes say little about a small gap.
"""


@dataclass(frozen=True, slots=True)
class Point:
    """One price: mean ``cost`` a call, share of ``strong`` calls, and quality ``lost``.

    ``spread`` is the variance of what is lost, ``shared`` its covariance with the gap.
    """

    price: float
    cost: float
    strong: float
    lost: float
    spread: float
    shared: float


@dataclass(frozen=True, slots=True)
class Frontier:
    """Prices from low (all strong) to high (all cheap), over ``rows`` outcomes.

    ``gap`` is how much better the strong model is than the cheapest, ``gap_spread`` its variance.
    """

    points: tuple[Point, ...]
    rows: int
    gap: float
    gap_spread: float

    def price_for_quality(self, share: float, confidence: float) -> float | None:
        """Give the price of the cheapest choices that keep ``share`` of the gap.

        What is lost may be (1 - share) of the gap. Their difference is a mean over the same
        rows, so its error counts that they vary together (Fieller's way with a ratio), and
        ``confidence`` (one-sided, 0.5 to 1) says how much of that error to allow for. None where
        no price will do: then the strong model is asked.
        """
        rest = 1.0 - share
        errors = NormalDist().inv_cdf(confidence)

        def keeps(point: Point) -> bool:
            variance = point.spread - 2 * rest * point.shared + rest * rest * self.gap_spread
            error = sqrt(max(variance, 0.0) / max(self.rows, 1))
            return point.lost - rest * self.gap + errors * error <= 0.0

        best = max((p for p in self.points if keeps(p)), key=lambda p: p.price, default=None)
        # Of prices that chose alike the lowest: what lies between was never seen, so it is strong.
        return None if best is None else self.price_for_cost(best.cost)

    def price_for_cost(self, cost: float) -> float:
        """Give the lowest price whose mean cost a call is at most ``cost`` of the strong one's."""
        return self._lowest(lambda point: point.cost <= cost)

    def price_for_share(self, share: float) -> float:
        """Give the lowest price at which at most ``share`` of the calls are strong."""
        return self._lowest(lambda point: point.strong <= share)

    def dearer(self, price: float, kept: float) -> float:
        """Move a price so that only ``kept`` of what it spends above the cheapest is spent."""
        if kept >= 1.0 or not self.points:
            return price
        least = self.points[-1].cost
        spent = next((p.cost for p in self.points if p.price >= price), least)
        return max(price, self.price_for_cost(least + kept * (spent - least)))

    def _lowest(self, holds: Callable[[Point], bool]) -> float:
        fitting = (point.price for point in self.points if holds(point))
        return min(fitting, default=self.points[-1].price)

    def to_json(self) -> dict[str, Json]:
        """Give what a file holds."""
        points = [[p.price, p.cost, p.strong, p.lost, p.spread, p.shared] for p in self.points]
        gap = {"gap": self.gap, "gap_spread": self.gap_spread}
        return {"points": points, "rows": self.rows, **gap}

    @classmethod
    def from_json(cls, given: Mapping[str, Json]) -> Self:
        """Read what ``to_json`` gave."""
        points: Iterable[list[float]] = given["points"]
        held = tuple(Point(*map(float, point)) for point in points)
        return cls(held, int(given["rows"]), float(given["gap"]), float(given["gap_spread"]))
