"""What goes into an embedder is valid text, and what comes out has length one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from agentfuse.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def unit(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    """Give a vector the length one; one that is nothing, or no number, says so.

    Raises ConfigurationError: what an embedder cannot say must not be near to anything.
    """
    length = float(np.sqrt(vector @ vector))
    if not 0 < length < np.inf:
        raise ConfigurationError(f"an embedder gave a vector of length {length}")
    return (vector / np.float32(length)).astype(np.float32, copy=False)


def mean_of(vectors: Sequence[NDArray[np.float32]], tokens: Sequence[int]) -> NDArray[np.float32]:
    """Give the unit vector of a text from those of its windows, each weighing as many tokens."""
    if len(vectors) == 1:
        return vectors[0]
    weights = np.array(tokens, np.float32)
    return unit(weights @ np.stack(vectors))


def sound(text: str) -> str:
    """Give a text that is valid Unicode: half a surrogate pair becomes a question mark."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
