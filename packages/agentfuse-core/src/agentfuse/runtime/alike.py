"""Whether two texts mean the same, as the fuse's own embedder and guard see it."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from agentfuse.errors import ConfigurationError
from agentfuse.guard import RULES, veto

if TYPE_CHECKING:
    from agentfuse.ports import Embedder
    from agentfuse.runtime.settings import Settings

# The latest texts of some agents: each is compared with the one before it, and its round's.
_KEPT = 512


# What an agent would change to get on. The guard's other rules hold apart what needs another
# answer, and many true rewordings with it: an agent that gets the same answer to both goes round.
_FACTS = frozenset({"numbers", "units", "times", "quoted", "code", "dates", "names"})
_RULES = tuple(rule for rule in RULES if rule.name in _FACTS)


class ByMeaning:
    """Two texts are alike whose vectors are near, and which speak of the same facts.

    Names of things (``a.py``, ``A-1043``) are one word each, and mean what they say.
    """

    def __init__(self, embedder: Embedder, least: float) -> None:
        self._least = least
        self._vector = lru_cache(_KEPT)(embedder.embed)

    def __call__(self, one: str, other: str) -> bool:
        """Compare; an embedder cannot say what a blank text means."""
        if one.strip().casefold() == other.strip().casefold():
            return True
        words = (len(one.split()), len(other.split()))
        if min(words) == 0 or max(words) == 1 or veto(one, other, rules=_RULES):
            return False
        return float(self._vector(one) @ self._vector(other)) >= self._least


def by_meaning(settings: Settings, similar: bool | float) -> ByMeaning:  # noqa: FBT001 - the user's own word
    """Make the comparison that ``LoopRules(similar=True)`` asks for.

    The semantic cache's embedder is used where there is one, or else the default one. Raises
    ConfigurationError where that is not installed, or was never measured and no cosine is given.
    """
    from agentfuse.embedders import embedder_named, threshold_of
    from agentfuse.runtime.semantic import SemanticCache

    semantic = settings.semantic
    try:
        if isinstance(semantic, SemanticCache):
            embedder = semantic.settings.made_embedder()
        else:
            embedder = embedder_named("minilm")
        least = threshold_of(embedder.fingerprint, "loops") if similar is True else float(similar)
    except ConfigurationError as error:
        raise ConfigurationError(f"LoopRules(similar={similar!r}): {error}") from error
    return ByMeaning(embedder, least)
