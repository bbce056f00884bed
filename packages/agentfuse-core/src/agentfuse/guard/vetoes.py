"""Run the rules over two texts, and name the first that holds them apart."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from agentfuse.guard.features import Features, features_of
from agentfuse.guard.pairs import covered, pair_of
from agentfuse.guard.rules import RULES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentfuse.guard.rules import Rule

Level = Literal["balanced", "strict"]
COVERAGE = "coverage"


def veto(
    asked: str | Features,
    kept: str | Features,
    level: Level = "balanced",
    coverage: float = 0.0,
    *,
    rules: Sequence[Rule] = RULES,
) -> str | None:
    """Name what forbids answering ``asked`` with the answer kept for ``kept``; None if nothing does."""
    if isinstance(asked, str):
        asked = _features_of(asked)
    if isinstance(kept, str):
        kept = _features_of(kept)
    pair = pair_of(asked, kept)
    english = pair.english
    for rule in rules:
        if (rule.everywhere or english) and (level == "strict" or not rule.strict) and rule.differs(pair):
            return rule.name
    if coverage and min(covered(asked, kept), covered(kept, asked)) < coverage:
        return COVERAGE
    return None


_features_of = lru_cache(maxsize=256)(features_of)
