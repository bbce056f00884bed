"""Run the rules over two texts, and name the first that holds them apart."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from agentfuse.guard.features import Features, features_of
from agentfuse.guard.pairs import covers, pair_of
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
    """Name what forbids giving ``asked`` the answer kept for ``kept``; None if nothing does.

    ``level`` "strict" also holds apart texts that are alike but for one piece, whatever it is.
    ``coverage`` above 0 is the least share of each text's content that the other must have too, all
    but two words at that: 0.75 where principals share entries, against texts made to land near a
    victim's question by what is added to them (arXiv 2601.23088). A text that is not English is
    judged by the rules that know no language alone: see ``is_english``. ``rules`` leaves some
    out, to measure them.
    """
    if isinstance(asked, str):
        asked = _features_of(asked)
    if isinstance(kept, str):
        kept = _features_of(kept)
    pair = pair_of(asked, kept)
    english = pair.english
    for rule in rules:
        if (
            (rule.everywhere or english)
            and (level == "strict" or not rule.strict)
            and rule.differs(pair)
        ):
            return rule.name
    if coverage and not (covers(asked, kept, coverage) and covers(kept, asked, coverage)):
        return COVERAGE
    return None


_features_of = lru_cache(maxsize=2048)(features_of)
