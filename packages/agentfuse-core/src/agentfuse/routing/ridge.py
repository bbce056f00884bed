"""Ridge regression on sparse rows by conjugate gradients: all that fitting the text model takes.

Written out since the product takes numpy and no SciPy: twenty lines against forty megabytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from numpy import ndarray

    Array = ndarray[Any, Any]

# The residual falls by two digits, below what noisy scores can tell apart, in about seven steps.
_STEPS = 40
_ENOUGH = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Sparse rows (``row``, ``column``, ``value`` of each entry) beside ``dense`` columns."""

    row: Array
    column: Array
    value: Array
    columns: int
    dense: Array

    def times(self, weights: Array) -> Array:
        """Multiply by a weight for each column, the dense ones last."""
        import numpy as np

        count = len(self.dense)
        held = self.value * weights[: self.columns][self.column]
        sums = np.bincount(self.row, weights=held, minlength=count)
        return cast("Array", sums + self.dense @ weights[self.columns :])

    def back(self, residual: Array) -> Array:
        """Multiply the transpose by a number for each row."""
        import numpy as np

        held = self.value * residual[self.row]
        sparse = np.bincount(self.column, weights=held, minlength=self.columns)
        return np.concatenate([sparse, self.dense.T @ residual])


def ridge(rows: Rows, target: Array, penalty: float) -> Array:
    """Give the weights that minimise squared error plus ``penalty`` times their squares."""
    import numpy as np

    # Sums, not ``@``: on a busy machine BLAS' threads wait for each other longer than these take.
    weights = np.zeros(rows.columns + rows.dense.shape[1])
    residual = rows.back(target)
    direction = residual.copy()
    size = first = float((residual * residual).sum())
    for _ in range(_STEPS):
        if size <= _ENOUGH * first:
            break
        image = rows.back(rows.times(direction)) + penalty * direction
        step = size / float((direction * image).sum())
        weights += step * direction
        residual -= step * image
        before, size = size, float((residual * residual).sum())
        direction = residual + size / before * direction
    return weights
