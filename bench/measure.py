"""How a figure is taken: CPU time of this thread, several rounds, the median and the spread."""

from __future__ import annotations

import gc
import statistics
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

ROUNDS = 7


@dataclass(frozen=True)
class Figure:
    """CPU microseconds of one operation: the median of the rounds, the fastest and the slowest."""

    median: float
    fastest: float
    slowest: float
    operations: int

    def as_dict(self) -> dict[str, float]:
        """Give the figure as plain data."""
        return asdict(self)


def figure_of(work: Callable[[], object], operations: int, rounds: int = ROUNDS) -> Figure:
    """Time ``work``, called ``operations`` times a round."""
    work()
    return _summed([_round(work, operations) for _ in range(rounds)], operations)


async def afigure_of(
    work: Callable[[], Awaitable[object]], operations: int, rounds: int = ROUNDS
) -> Figure:
    """Time awaited ``work``, called ``operations`` times a round, one after the other."""
    await work()
    taken = []
    for _ in range(rounds):
        gc.collect()
        start = time.thread_time_ns()
        for _ in range(operations):
            await work()
        taken.append((time.thread_time_ns() - start) / operations / 1000)
    return _summed(taken, operations)


def _round(work: Callable[[], object], operations: int) -> float:
    gc.collect()
    start = time.thread_time_ns()
    for _ in range(operations):
        work()
    return (time.thread_time_ns() - start) / operations / 1000


def _summed(taken: list[float], operations: int) -> Figure:
    return Figure(statistics.median(taken), min(taken), max(taken), operations)
