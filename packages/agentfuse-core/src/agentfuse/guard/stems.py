"""Bring the forms of an English word together: plurals, -ing, -ed, doubled consonants."""

from __future__ import annotations

from functools import lru_cache

from agentfuse.guard.tables import irregular_forms

VOWELS = frozenset("aeiouy")


@lru_cache(maxsize=16_384)
def stem_of(word: str) -> str:
    """Give what a word in lower case has in common with its other forms; no word of its own.

    Lighter than Porter's: -er, -ly, -tion and -ness stay, since they make words of other meaning.
    """
    known = irregular_forms().get(word)
    if known is not None:
        word = known
    if len(word) <= 3 or not word.isascii():
        return word
    return _closed(_without_ending(word))


def _without_ending(word: str) -> str:
    if word.endswith(("ies", "ied")) and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("xes", "ches", "shes", "sses", "zes")):
        return word[:-2]
    if word.endswith("s") and not word.endswith(("ss", "us", "is", "'s")):
        return word[:-1]
    for ending in ("ing", "ed"):
        rest = word[: -len(ending)]
        if word.endswith(ending) and len(rest) >= 3 and not VOWELS.isdisjoint(rest):
            return word if word.endswith("eed") else rest
    return word


def _closed(word: str) -> str:
    """Undo a doubled consonant and a mute e: cancell(ed), mak(e)."""
    if len(word) > 3 and word[-1] == "e":
        return word[:-1]
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in VOWELS:
        return word[:-1]
    return word
