"""Replay a stream: exact repeat first, then the nearest kept texts; what misses is kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matching import Matching, Reading

FLOOR = 0.60  # below it nobody's rule serves
ROWS_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class Hit:
    """A request answered by meaning: where, how near, and whether its class agrees."""

    asked: str
    kept: str
    cosine: float
    right: bool


@dataclass(slots=True)
class Outcome:
    """What a replay came to."""

    requests: int
    exact: int = 0
    wrong_exact: int = 0
    by_meaning: list[Hit] = field(default_factory=list)

    @property
    def hits(self) -> int:
        """Count the requests that were answered."""
        return self.exact + len(self.by_meaning)

    @property
    def wrong(self) -> int:
        """Count those that got an answer of another class."""
        return self.wrong_exact + sum(not hit.right for hit in self.by_meaning)


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream with, for each request, the earlier ones at FLOOR or nearer, nearest first."""

    texts: Sequence[str]
    classes: Sequence[Any]
    near: Sequence[tuple[Any, Any]]


def stream_of(rows: Sequence[tuple[str, Any]], matrix: Any) -> Stream:
    """Find every request's earlier neighbours, once for all rules."""
    near: list[tuple[Any, Any]] = []
    for start in range(0, len(rows), ROWS_AT_ONCE):
        block = matrix[start : start + ROWS_AT_ONCE] @ matrix[: start + ROWS_AT_ONCE].T
        for at, cosines in enumerate(block, start):
            places = np.flatnonzero(cosines[:at] >= FLOOR)
            places = places[np.argsort(-cosines[places], kind="stable")]
            near.append((places.astype(np.int32), cosines[places]))
    return Stream([text for text, _ in rows], [label for _, label in rows], near)


def outcome_of(stream: Stream, matching: Matching, read: Reading) -> Outcome:
    """Replay a stream under one rule."""
    found = Outcome(len(stream.texts))
    kept = np.zeros(len(stream.texts), dtype=bool)
    exact: dict[str, Any] = {}
    for at, (text, label) in enumerate(zip(stream.texts, stream.classes, strict=True)):
        if text in exact:
            found.exact += 1
            # The words are the same: only an answer that was promoted can be another's.
            found.wrong_exact += exact[text] is not _OWN and not _agree(exact[text], label)
            continue
        match = _match(stream, at, kept, matching, read)
        if match is None:
            kept[at] = True
            exact[text] = _OWN
            continue
        place, cosine = match
        served = stream.classes[place]
        found.by_meaning.append(Hit(text, stream.texts[place], cosine, _agree(served, label)))
        if matching.promotes:
            exact[text] = served
    return found


_OWN = object()


def _agree(served: Any, label: Any) -> bool:
    return served is not None and served == label


def _match(
    stream: Stream, at: int, kept: Any, matching: Matching, read: Reading
) -> tuple[int, float] | None:
    """Give the nearest kept text that may answer, and its cosine."""
    places, cosines = stream.near[at]
    text = stream.texts[at]
    there = kept[places] & (cosines >= matching.least(text))
    for index in np.flatnonzero(there)[: matching.candidates]:
        place = int(places[index])
        if (
            matching.level is None
            or matching.objection(read.features(text), read.features(stream.texts[place])) is None
        ):
            return place, float(cosines[index])
    return None
