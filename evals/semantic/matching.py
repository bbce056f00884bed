"""When a kept answer is given: ours under its presets, a cosine alone, and what others ship.

Each of the others' rules was read in the version named, and runs here on our vectors: the rules are
compared, not the encoders.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agentfuse.guard import RULES, features_of, is_english, veto

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentfuse.guard import Features, Level, Rule

FOREIGN = 0.95  # what a text that is not English needs
CANDIDATES = 5


@dataclass(frozen=True, slots=True)
class Matching:
    """One way to decide: the least cosine, how many of the nearest are tried, the guard's level.

    ``level`` None is no guard. With ``promotes`` an answer by meaning is kept for the asked words
    too, so that the next such request is answered without a look.
    """

    name: str
    threshold: float
    level: Level | None = None
    candidates: int = 1
    promotes: bool = False
    rules: Sequence[Rule] = RULES

    def least(self, text: str) -> float:
        """Give the least cosine for a text."""
        if self.level is None or is_english(text):
            return self.threshold
        return max(self.threshold, FOREIGN)

    def objection(self, asked: Features, kept: Features) -> str | None:
        """Say what forbids a match that is near enough."""
        return None if self.level is None else veto(asked, kept, self.level, rules=self.rules)

    def serves(self, asked: str, kept: str, cosine: float, read: Reading) -> bool:
        """Say whether one text gets the other's answer."""
        near = cosine >= self.least(asked)
        return near and self.objection(read.features(asked), read.features(kept)) is None


class Reading:
    """The features of texts, each read once."""

    def __init__(self) -> None:
        self._features: dict[str, Features] = {}

    def features(self, text: str) -> Features:
        """Give a text's features."""
        found = self._features.get(text)
        if found is None:
            found = self._features[text] = features_of(text)
        return found


PRESETS = (
    Matching("strict", 0.95, "strict", CANDIDATES),
    Matching("balanced", 0.90, "balanced", CANDIDATES),
    Matching("wide", 0.85, "balanced", CANDIDATES),
)
ALONE = (
    Matching("cosine 0.95", 0.95),
    Matching("cosine 0.90", 0.90),
    Matching("cosine 0.85", 0.85),
)
OTHERS = (
    # gptcache 0.1.44: SearchDistanceEvaluation scores 4 - d^2 and takes 0.8 of it: cosine >= 0.60.
    Matching("GPTCache", 0.60),
    # The same package's NumpyNormEvaluation, with its own threshold.
    Matching("GPTCache NumpyNorm", 0.92),
    # redisvl 0.28: SemanticCache(distance_threshold=0.1).
    Matching("redisvl", 0.90),
    # agentfuse-runtime 0.2.2: 0.90 to read, and a semantic hit is copied into the exact tier. An
    # answer is written only where nothing of 0.95 is kept, which a miss at 0.90 implies.
    Matching("agentfuse-runtime", 0.90, promotes=True),
    # llm-cache-router 0.3.2.
    Matching("llm-cache-router", 0.92),
)
ALL = (*PRESETS, *ALONE, *OTHERS)
