"""Count the output of a stream while it runs: bytes first, tokens when they matter."""

from __future__ import annotations

from agentfuse.tokens.families import family_of
from agentfuse.tokens.text import fresh_count, vocabulary_count

# Words are never merged across the space before them, so that what stands before the last such
# space is counted once and for good. Text without one is cut after so many characters.
_LONGEST_TAIL = 256


class StreamCounter:
    """Output tokens of one stream, in its model's terms.

    Each text is tokenised once, however the stream is cut into deltas: the time is linear. The
    count is that of the whole text, at most one token above it for every 256 characters without a
    space (and in rare words one below). Reasoning that is not shown is not in it.
    """

    __slots__ = ("_counted", "_family", "_read", "_settled", "_tail", "_texts", "_unread")

    def __init__(self, model: str) -> None:
        self._family = family_of(model)
        self._texts: list[str] = []
        self._read = 0  # how many of the texts are counted; the others are ``unread`` bytes
        self._unread = 0
        self._settled = 0  # tokens of what stands before the tail
        self._tail = ""
        self._counted = 0  # tokens of all that is read, the tail included

    @property
    def text(self) -> str:
        """All that the stream has said."""
        return "".join(self._texts)

    def add(self, text: str) -> int:
        """Take one delta and give the output tokens so far, rounded up."""
        self.take(text)
        self._read_on()
        return self._billed(self._counted)

    def take(self, text: str) -> None:
        """Take one delta without counting it: well under a microsecond."""
        self._texts.append(text)
        self._unread += len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))

    def passes(self, allowed: int) -> bool:
        """Say whether the stream has come to more than ``allowed`` tokens.

        A byte-level vocabulary never makes more tokens than bytes, so nothing is tokenised before
        the bytes could pass, and then the new words alone. Only a yes is confirmed on the whole.
        """
        if self._billed(self._counted + self._unread) <= allowed:
            return False
        self._read_on()
        return self._billed(self._counted) > allowed and self.recount() > allowed

    def recount(self) -> int:
        """Count the whole text so far at once."""
        self._read_on()
        whole = vocabulary_count(self.text, self._family.vocabulary)
        self._settled += whole - self._counted
        self._counted = whole
        return self._billed(whole)

    def _read_on(self) -> None:
        """Count what has come since the last time."""
        if self._read == len(self._texts):
            return
        tail = self._tail + "".join(self._texts[self._read :])
        cut = _border(tail)
        self._settled += fresh_count(tail[:cut], self._family.vocabulary)
        self._tail = tail[cut:]
        self._counted = self._settled + fresh_count(self._tail, self._family.vocabulary)
        self._read, self._unread = len(self._texts), 0

    def _billed(self, count: int) -> int:
        return -(-count * self._family.text // 1000)


def _border(text: str) -> int:
    """Find the last space that ends a word; a longer tail than allowed is given up to its end."""
    start = max(len(text) - _LONGEST_TAIL, 1)
    at = text.rfind(" ", start)
    while at > 0 and text[at - 1].isspace():
        at = text.rfind(" ", start, at)
    if at > 0:
        return at
    return len(text) if len(text) > _LONGEST_TAIL else 0
