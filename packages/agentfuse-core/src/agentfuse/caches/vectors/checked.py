"""What an index takes in: vectors of its dimensions, and of length one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Half precision moves a length by some 1e-4; one that is off by more is no rounding.
_OFF = 1e-3


def checked(vector: NDArray[np.float32], dim: int) -> NDArray[np.float32]:
    """Give the vector as float32; raises ValueError where a product with it is no cosine.

    A vector of length two would be near to everything, and its answer served to everybody.
    """
    vector = np.asarray(vector, np.float32)
    if vector.shape != (dim,):
        raise ValueError(f"a vector of shape {vector.shape} in an index of {dim} dimensions")
    square = float(vector @ vector)
    if not abs(square - 1) < 2 * _OFF:
        raise ValueError(f"a vector's length must be one, and its square is {square}")
    return vector
