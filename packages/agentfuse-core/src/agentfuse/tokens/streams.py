"""Count the output of a stream while it runs."""

from __future__ import annotations

from agentfuse.tokens.families import family_of
from agentfuse.tokens.text import count_text, vocabulary_count


class StreamCounter:
    """Output tokens of one stream, in its model's terms.

    A running total adds up the deltas, which providers cut at token borders: it is at most a little
    above the count of the whole text. Reasoning that is not shown is not in it.
    """

    def __init__(self, model: str) -> None:
        self._model = model
        self._family = family_of(model)
        self._texts: list[str] = []
        self._count = 0

    def add(self, text: str) -> int:
        """Take one delta and give the output tokens so far, rounded up."""
        if text:
            self._texts.append(text)
            self._count += vocabulary_count(text, self._family.vocabulary)
        return -(-self._count * self._family.text // 1000)

    def recount(self) -> int:
        """Count the whole text so far at once."""
        return count_text("".join(self._texts), self._model)
