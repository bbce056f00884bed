"""What a question asks for (when, why, how many ...) and of whom ("can I", "can you")."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentfuse.guard.meanings import stems_of
from agentfuse.guard.tables import words_of

if TYPE_CHECKING:
    from collections.abc import Sequence

# What "used to" is read as.
FORMERLY = "formerly"
AMOUNTS = frozenset(
    {"many", "much", "long", "often", "old", "far", "fast", "tall", "big", "larg", "soon", "late"}
)
TIMES = frozenset({"time", "year", "date", "day", "month", "century"})
ASKED_BEHIND = frozenset(
    {"tel", "know", "explain", "wonder", "show", "describ", "in", "at", "on", "of", "me", "for"}
)
PERSONS = {"i": "i", "we": "i", "you": "you", "u": "you", "he": "he", "she": "she", "they": "they"}
VERBS = {
    "can": "may", "could": "may", "may": "may", "might": "may", "must": "must", "should": "must",
    "shall": "must",
}  # fmt: skip
PRESENT = frozenset({"is", "are", "am", "do", "does", "will"})
PAST = frozenset({"was", "were", "did", "had"})
AUXILIARIES = PRESENT | PAST | {"has", "have", "would", "could", "can", "should", "must", "may"}


def asked_for(order: Sequence[str]) -> str | None:
    """Give what the first question of a text asks for; None for "what", and for no question."""
    for at, stem in enumerate(order[:8]):
        if stem not in words_of("question"):
            continue
        if at and order[at - 1] not in ASKED_BEHIND and order[at - 1] not in words_of("polite"):
            return None
        return _kind(stem, order[at + 1] if at + 1 < len(order) else "")
    return None


def _kind(question: str, after: str) -> str | None:
    if question == "how":
        return "why" if after == "com" else f"how {after}" if after in AMOUNTS else "how"
    if question in {"what", "which"}:
        return "when" if after in TIMES else "why" if after == "reason" else None
    return "who" if question == "whom" else question


def polar_of(order: Sequence[str]) -> tuple[str, str] | None:
    """Give verb and person of a question for yes or no, where they matter."""
    if len(order) < 2 or order[0] not in stems_of("modal"):
        return None
    return VERBS.get(order[0], ""), PERSONS.get(order[1], "")


def tense_of(words: Sequence[str], order: Sequence[str]) -> str | None:
    """Give the tense of a text's first verb of those that tell it: past, or present."""
    if FORMERLY in order:
        return "past"
    for word in words[:8]:
        low = word.removesuffix("n't").removesuffix("nt")
        if low in AUXILIARIES:
            return "past" if low in PAST else "present" if low in PRESENT else None
    return None
