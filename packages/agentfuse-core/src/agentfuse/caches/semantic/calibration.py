"""A threshold from labelled traffic: the lowest at which wrong answers stay within a budget."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, cast

from agentfuse.caches.semantic.labelled import LabelledPair, LabelledQuestion
from agentfuse.caches.semantic.report import wilson
from agentfuse.caches.semantic.tier import BELOW, CANDIDATES
from agentfuse.caches.vectors import NumpyIndex
from agentfuse.guard import is_english, veto

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agentfuse.guard.vetoes import Level
    from agentfuse.ports import Embedder
    from agentfuse.semantics import Vector

    Progress = Callable[[str, int, int], object]

THRESHOLDS = (
    *(0.80, 0.82, 0.84, 0.85, 0.86, 0.87, 0.88, 0.89, 0.90, 0.91, 0.92, 0.93),
    *(0.94, 0.95, 0.96, 0.97, 0.98, 0.99),
)

# As in the tier's terms: what the guard cannot read has to be nearer.
FOREIGN = 0.95
_OFTEN = 100  # progress is told every so many texts


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What one threshold would have done: ``hits`` of ``requests``, ``wrong`` of those."""

    threshold: float
    requests: int
    hits: int
    wrong: int

    @property
    def wrong_between(self) -> tuple[float, float]:
        """The interval of 95 % for the share of wrong hits (Wilson's)."""
        return wilson(self.wrong, self.hits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What was tried, and the ``threshold`` chosen; None where none keeps within ``target``.

    ``needed`` hits without a wrong one are the fewest that could prove the target.
    """

    embedder: str
    guard: str
    target: float
    requests: int
    rows: tuple[Tried, ...]
    threshold: float | None
    needed: int

    def to_dict(self) -> dict[str, Any]:
        """Give what the calibration file holds."""
        rows = [{**asdict(row), "wrong_between": row.wrong_between} for row in self.rows]
        return {**asdict(self), "rows": rows}


def calibrate(
    rows: Sequence[LabelledPair] | Sequence[LabelledQuestion],
    embedder: Embedder,
    *,
    target: float = 0.01,
    level: Level = "balanced",
    progress: Progress | None = None,
) -> Calibration:
    """Try each threshold on labelled traffic, and choose one from a budget of wrong answers.

    Chosen is the lowest whose interval ends within ``target``, a share of hits: what was not seen
    often enough is not assumed to go well.
    """
    if isinstance(rows[0], LabelledPair):
        pairs = cast("Sequence[LabelledPair]", rows)
        tried = _tried_pairs(pairs, embedder, level, progress)
    else:
        stream = cast("Sequence[LabelledQuestion]", rows)
        tried = _tried_stream(stream, embedder, level, progress)
    return Calibration(
        embedder=embedder.fingerprint,
        guard=level,
        target=target,
        requests=len(rows),
        rows=tried,
        threshold=_chosen(tried, target),
        needed=_needed(target),
    )


def _chosen(tried: Sequence[Tried], target: float) -> float | None:
    fitting = [row.threshold for row in tried if row.wrong_between[1] <= target]
    return min(fitting, default=None)


def _needed(target: float) -> int:
    """Count the hits, none of them wrong, whose interval ends at the target."""
    low, high = 1, math.ceil(10 / target)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if wilson(0, middle)[1] <= target else (middle + 1, high)
    return low


def _tried_pairs(
    pairs: Sequence[LabelledPair], embedder: Embedder, level: Level, progress: Progress | None
) -> tuple[Tried, ...]:
    served: list[tuple[float, bool]] = []
    for done, pair in enumerate(pairs, 1):
        if pair.veto in {"", BELOW} and not veto(pair.asked, pair.kept, level):
            served.append((_effective(pair.asked, _score_of(pair, embedder)), pair.right))
        if progress is not None and (done % _OFTEN == 0 or done == len(pairs)):
            progress("pairs", done, len(pairs))
    return tuple(
        Tried(
            threshold=threshold,
            requests=len(pairs),
            hits=sum(score >= threshold for score, _ in served),
            wrong=sum(score >= threshold and not right for score, right in served),
        )
        for threshold in THRESHOLDS
    )


def _score_of(pair: LabelledPair, embedder: Embedder) -> float:
    if pair.score is not None and pair.embedder == embedder.fingerprint:
        return pair.score
    return float(embedder.embed(pair.asked) @ embedder.embed(pair.kept))


def _effective(asked: str, score: float) -> float:
    """Give the score that counts: a foreign text's is none below its own threshold."""
    return score if score >= FOREIGN or is_english(asked) else 0.0


def _tried_stream(
    stream: Sequence[LabelledQuestion],
    embedder: Embedder,
    level: Level,
    progress: Progress | None,
) -> tuple[Tried, ...]:
    vectors: list[Vector] = []
    for done, question in enumerate(stream, 1):
        vectors.append(embedder.embed(question.text))
        if progress is not None and (done % _OFTEN == 0 or done == len(stream)):
            progress("embedded", done, len(stream))
    tried: list[Tried] = []
    for number, threshold in enumerate(THRESHOLDS, 1):
        tried.append(_replayed(stream, vectors, threshold, level))
        if progress is not None:
            progress("thresholds", number, len(THRESHOLDS))
    return tuple(tried)


def _replayed(
    stream: Sequence[LabelledQuestion], vectors: Sequence[Vector], threshold: float, level: Level
) -> Tried:
    """Ask a stream in order: a miss is kept, a hit is not, as in the cache."""
    index = NumpyIndex(len(vectors[0]))
    hits = wrong = 0
    for number, question in enumerate(stream):
        found = index.nearest(vectors[number], CANDIDATES, threshold)
        near = next(
            (each for each, score in found if _serves(stream, question, each, score, level)), None
        )
        if near is None:
            index.add(str(number), vectors[number])
        else:
            hits += 1
            wrong += question.label is None or stream[int(near)].label != question.label
    return Tried(threshold=threshold, requests=len(stream), hits=hits, wrong=wrong)


def _serves(
    stream: Sequence[LabelledQuestion],
    question: LabelledQuestion,
    near: str,
    score: float,
    level: Level,
) -> bool:
    kept = stream[int(near)].text
    if question.text == kept:
        return True
    return _effective(question.text, score) > 0 and not veto(question.text, kept, level)
