"""Count the tokens of a text, whatever is in it, in linear time."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from agentfuse.tokens.encodings import encoding_of
from agentfuse.tokens.families import family_of

if TYPE_CHECKING:
    from agentfuse.tokens.encodings import Vocabulary

# tiktoken's regular expressions overflow their stack on about 700,000 equal whitespace characters
# and its merge loop is superlinear; chunks of this many characters cut both off. The counts differ
# by less than 0.01 % from those of the whole text.
CHUNK = 32_768

# Texts at least this long are remembered by Python's hash (64 bits, seeded), which is kept with the
# text: resent objects cost nothing, and the memory keeps none of them alive.
_DIGESTED = 512


def count_text(text: str, model: str = "gpt-4o") -> int:
    """Count the tokens of ``text`` in ``model``'s terms, rounded up.

    Exact for OpenAI's models (their vocabularies ship with the package); for other families the
    o200k_base count times the family's measured ratio. Special tokens in the text are counted as
    the text they are; lone surrogates as replacement characters. Never raises on any text.
    """
    family = family_of(model)
    return -(-vocabulary_count(text, family.vocabulary) * family.text // 1000)


def vocabulary_count(text: str, vocabulary: Vocabulary) -> int:
    """Count the tokens of ``text`` in one vocabulary, remembering what was counted before."""
    return MEMORIES[vocabulary].count(text)


class CountMemory:
    """One vocabulary's counts of the texts last seen: agents resend their history with every turn.

    Two generations, so that a look takes no lock: what is found in the older one moves to the
    younger; when that is full, it becomes the older one, and what was not seen since is forgotten.
    """

    def __init__(self, vocabulary: Vocabulary, size: int = 16_384) -> None:
        self._vocabulary: Vocabulary = vocabulary
        self._half = max(size // 2, 1)
        self._young: dict[str | int, int] = {}
        self._old: dict[str | int, int] = {}
        self._lock = Lock()

    def count(self, text: str) -> int:
        """Give the remembered count, or count now; the count itself runs outside the lock."""
        key = text if len(text) < _DIGESTED else hash(text)
        known = self._young.get(key)
        return self._looked_up(key, text) if known is None else known

    def _looked_up(self, key: str | int, text: str) -> int:
        if not text:
            return 0
        known = self._old.get(key)
        count = fresh_count(text, self._vocabulary) if known is None else known
        with self._lock:
            if len(self._young) >= self._half:
                self._old, self._young = self._young, {}
            self._young[key] = count
        return count


MEMORIES: dict[Vocabulary, CountMemory] = {
    "o200k_base": CountMemory("o200k_base"),
    "cl100k_base": CountMemory("cl100k_base"),
}


def fresh_count(text: str, vocabulary: Vocabulary) -> int:
    """Count the tokens of ``text`` in one vocabulary, remembering nothing."""
    encode = encoding_of(vocabulary).encode_ordinary
    if len(text) <= CHUNK:
        return len(encode(text))
    total, start = 0, 0
    while start < len(text):
        end = _cut(text, start)
        total += len(encode(text[start:end]))
        start = end
    return total


def _cut(text: str, start: int) -> int:
    """Find where a chunk may end: before the last space or after the last line break."""
    limit = start + CHUNK
    if limit >= len(text):
        return len(text)
    cut = max(text.rfind(" ", start + 1, limit), text.rfind("\n", start, limit) + 1)
    return cut if cut > start else limit
