"""Whether a text is English, by its script and its smallest words."""

from __future__ import annotations

import re
from functools import lru_cache

from agentfuse.guard.tables import words_of

LATIN_END = 0x24F  # the end of Latin Extended-B
WORD = re.compile(r"[^\W\d_]+")


@lru_cache(maxsize=256)
def is_english(text: str) -> bool:
    """Say whether the rules for English words may be trusted with a text.

    Another script than the Latin one is not English; nor is a text with more small words of another
    language than of English. Without small words ("cancel subscription") plain ASCII passes. Where
    this says no, only the rules that know no language apply, and the caller raises its threshold.
    """
    if not text.isascii():
        letters = [char for char in text if char.isalpha()]
        if sum(ord(char) > LATIN_END for char in letters) * 4 > len(letters):
            return False
    words = WORD.findall(text.casefold())
    own = sum(map(words_of("english").__contains__, words))
    others = sum(map(words_of("foreign").__contains__, words))
    if others > own:
        return False
    return own > 0 or 3 * (len(words) - sum(map(str.isascii, words))) <= len(words)
