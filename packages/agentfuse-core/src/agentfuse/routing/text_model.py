"""How well each model does on a text: hashed TF-IDF of words and pairs, and ridge regression.

One linear model for each candidate on the same rows is the same as one for each *difference*
between them, which is what a choice turns on: to predict only where the cheap model fails is worse
than a coin where hard prompts are hard for all.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, cast

from agentfuse.errors import ConfigurationError
from agentfuse.routing.features import PLACES
from agentfuse.routing.ridge import Rows, ridge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy import ndarray

    from agentfuse.messages import Json
    from agentfuse.routing.features import Sketch

    Array = ndarray[Any, Any]

# Rows have length one, so a penalty of 10 weighs as ten rows that say nothing; on four public sets
# APGR is flat between 10 and 20 and falls below 3 (docs/routing.md says how it is measured).
PENALTY = 10.0
# Measures of shape enter at a tenth of their deviation: beside words, not above them.
_SHAPE = 0.1
# A term seen once tells nothing about another prompt.
_LEAST_ROWS = 2


def numpy_or_explain() -> Any:
    """Import numpy; raises ConfigurationError that says what to install."""
    try:
        import numpy as np
    except ImportError as error:
        raise ConfigurationError(
            "the router's text model needs numpy: pip install 'agentfuse-core[routing]'"
        ) from error
    return np


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Corpus:
    """Sketches as arrays: ``place`` is in ``row`` so many ``times``, ``words`` in ``word_row``."""

    row: Array
    place: Array
    times: Array
    words: Array
    word_row: Array
    shapes: Array

    @classmethod
    def of(cls, sketches: Sequence[Sketch]) -> Self:
        """Count the terms of each sketch once, for all that is fitted on parts of them."""
        np = numpy_or_explain()
        rows, sizes = np.arange(len(sketches)), [len(sketch.words) for sketch in sketches]
        words = np.fromiter((word for sketch in sketches for word in sketch.words), np.int64)
        word_row = np.repeat(rows, sizes)
        joined = np.flatnonzero(word_row[1:] == word_row[:-1])
        places = np.concatenate([words, pairs_of(words)[joined]])
        within = np.concatenate([word_row, word_row[joined]])
        keys, times = np.unique(within * PLACES + places, return_counts=True)
        return cls(
            row=keys // PLACES,
            place=keys % PLACES,
            times=times.astype(np.float64),
            words=words,
            word_row=word_row,
            shapes=np.array([sketch.shape for sketch in sketches], np.float64),
        )

    def part(self, rows: Array) -> Corpus:
        """Give some of the rows, numbered anew."""
        np = numpy_or_explain()
        number = np.full(len(self.shapes), -1)
        number[rows] = np.arange(len(rows))
        held, said = number[self.row] >= 0, number[self.word_row] >= 0
        return Corpus(
            row=number[self.row[held]],
            place=self.place[held],
            times=self.times[held],
            words=self.words[said],
            word_row=number[self.word_row[said]],
            shapes=self.shapes[rows],
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TextModel:
    """Fitted weights: ``terms`` are the known places, ``weights`` a row for each, by model."""

    models: tuple[str, ...]
    terms: Array
    idf: Array
    weights: Array
    mean: Array
    centre: Array
    scale: Array
    shape: Array
    column: Array

    def scores(self, sketch: Sketch) -> tuple[list[float], float]:
        """Give the expected score of each model, and the share of words never seen in training."""
        np = numpy_or_explain()
        words = np.array(sketch.words, np.int64)
        columns = self.column[np.concatenate([words, pairs_of(words)])]
        unseen = float((columns[: len(words)] < 0).mean()) if len(words) else 1.0
        columns, times = np.unique(columns[columns >= 0], return_counts=True)
        values = (1.0 + np.log(times)) * self.idf[columns]
        size = float(np.sqrt(values @ values)) or 1.0
        shape = (np.array(sketch.shape) - self.centre) / self.scale * _SHAPE
        found = self.mean + values @ self.weights[columns] / size + shape @ self.shape
        return found.tolist(), unseen

    def scores_of(self, corpus: Corpus) -> tuple[Array, Array]:
        """Do as ``scores`` for every row of a corpus at once."""
        np = numpy_or_explain()
        rows = _rows_of(corpus, self.column, self.idf, self.centre, self.scale)
        weights = np.concatenate([self.weights, self.shape])
        found = np.stack([rows.times(column) for column in weights.T], axis=1) + self.mean
        words = np.bincount(corpus.word_row, minlength=len(corpus.shapes))
        new = self.column[corpus.words] < 0
        unseen = np.bincount(corpus.word_row, weights=new, minlength=len(corpus.shapes))
        return found, np.where(words > 0, unseen / np.maximum(words, 1), 1.0)

    @classmethod
    def fitted(cls, models: Sequence[str], corpus: Corpus, targets: Array) -> Self:
        """Fit on prompts; ``targets`` has a row for each and a column for each model."""
        np = numpy_or_explain()
        seen = np.bincount(corpus.place, minlength=PLACES)
        terms = np.flatnonzero(seen >= _LEAST_ROWS)
        idf = np.log((1 + len(targets)) / (1 + seen[terms])) + 1.0
        centre, scale = corpus.shapes.mean(0), corpus.shapes.std(0) + 1e-9
        column = _columns_of(terms)
        rows = _rows_of(corpus, column, idf, centre, scale)
        mean = targets.mean(0)
        solved = np.stack([ridge(rows, y, PENALTY) for y in (targets - mean).T], axis=1)
        return cls(
            models=tuple(models),
            terms=terms,
            idf=idf,
            weights=solved[: len(terms)],
            mean=mean,
            centre=centre,
            scale=scale,
            shape=solved[len(terms) :],
            column=column,
        )

    def to_json(self) -> dict[str, Json]:
        """Give what a file holds: names, and arrays as base64 of little-endian numbers."""
        arrays = {name: _packed(getattr(self, name)) for name in _ARRAYS}
        return {"models": list(self.models), "terms": _packed(self.terms, "<i4"), **arrays}

    @classmethod
    def from_json(cls, given: Json) -> Self:
        """Read what ``to_json`` gave."""
        terms = _unpacked(given["terms"]).astype("int64")
        arrays = {name: _unpacked(given[name]).astype("float64") for name in _ARRAYS}
        models = tuple(given["models"])
        return cls(models=models, terms=terms, column=_columns_of(terms), **cast("Any", arrays))


def pairs_of(words: Array) -> Array:
    """Hash each pair of neighbours into the same places as words (2^32 over the golden ratio)."""
    return cast("Array", (words[:-1] * 0x9E3779B1 ^ words[1:]) & (PLACES - 1))


_ARRAYS = ("idf", "weights", "mean", "centre", "scale", "shape")


def _columns_of(terms: Array) -> Array:
    """Say for each place which column it is, or -1."""
    np = numpy_or_explain()
    column = np.full(PLACES, -1, np.int32)
    column[terms] = np.arange(len(terms), dtype=np.int32)
    return cast("Array", column)


def _rows_of(corpus: Corpus, column: Array, idf: Array, centre: Array, scale: Array) -> Rows:
    """Weigh terms by rarity, dampen repeats (1 + log), and give each row length one."""
    np = numpy_or_explain()
    where = column[corpus.place]
    held = where >= 0
    row, where = corpus.row[held], where[held]
    value = (1.0 + np.log(corpus.times[held])) * idf[where]
    norms = np.sqrt(np.bincount(row, weights=value**2, minlength=len(corpus.shapes)))
    value /= np.maximum(norms, 1e-12)[row]
    dense = (corpus.shapes - centre) / scale * _SHAPE
    return Rows(row=row, column=where, value=value, columns=len(idf), dense=dense)


def _packed(array: Array, kind: str = "<f4") -> Json:
    data = base64.b64encode(array.astype(kind).tobytes()).decode()
    return {"shape": list(array.shape), "kind": kind, "data": data}


def _unpacked(given: Json) -> Array:
    np = numpy_or_explain()
    data = base64.b64decode(given["data"])
    return cast("Array", np.frombuffer(data, given["kind"]).reshape(given["shape"]))
