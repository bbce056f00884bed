"""How long an answer stays fresh."""

from __future__ import annotations

import random as randomness
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agentfuse.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Lifetime:
    """``ttl`` seconds, less a random share of up to ``jitter`` of them (0 to 1): never more.

    Raises ConfigurationError for a ``ttl`` that is not above zero or a ``jitter`` outside 0 to 1.
    """

    ttl: float
    jitter: float
    random: Callable[[], float] = field(default=randomness.random, kw_only=True)

    def __post_init__(self) -> None:
        """Turn away a lifetime that no answer could have."""
        if not self.ttl > 0:
            raise ConfigurationError(f"a cache's ttl must be above zero seconds, not {self.ttl}")
        if not 0 <= self.jitter <= 1:
            raise ConfigurationError(f"a cache's jitter must be from 0 to 1, not {self.jitter}")

    def end(self, now: float) -> float:
        """Give the time at which an answer kept ``now`` goes stale."""
        return now + self.ttl * (1 - self.jitter * self.random())
