"""What a question asks for (when, why, how many ...) and of whom ("can I", "can you")."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentfuse.guard.meanings import stems_of
from agentfuse.guard.tables import words_of

if TYPE_CHECKING:
    from collections.abc import Sequence

AMOUNTS = frozenset(
    {"many", "much", "long", "often", "old", "far", "fast", "tall", "big", "larg", "soon", "late"}
)
TIMES = frozenset({"time", "year", "date", "day", "month", "century"})
ASKED_BEHIND = frozenset(
    {"tel", "know", "explain", "wonder", "show", "describ", "in", "at", "on", "of", "me", "for"}
)
PERSONS = {
    "i": "i", "we": "i", "me": "i", "you": "you", "u": "you", "he": "other", "she": "other", "they": "other",
}  # fmt: skip


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
        return "why" if after == "come" else f"how {after}" if after in AMOUNTS else "how"
    if question in {"what", "which"}:
        return "when" if after in TIMES else "why" if after == "reason" else None
    return "who" if question == "whom" else question


def polar_of(order: Sequence[str]) -> tuple[str, str] | None:
    """Give the verb and the person of a question that is answered by yes or no."""
    if len(order) < 2 or order[0] not in stems_of("modal"):
        return None
    return order[0], PERSONS.get(order[1], order[1])
