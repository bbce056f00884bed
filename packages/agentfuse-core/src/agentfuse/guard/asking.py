"""Whether a text can stand alone: it says enough by itself, and does not hang on the time."""

from __future__ import annotations

import re
import unicodedata

from agentfuse.guard.languages import is_english
from agentfuse.guard.meanings import stems_of
from agentfuse.guard.reading import plain, tokens_of
from agentfuse.guard.stems import stem_of
from agentfuse.guard.tables import words_of

FEWEST = 3
# "it" and "that" point to something said before; "it is raining" does not, and is not told apart.
POINTING = re.compile(
    r"^(and|but|so|or|then|also|ok|okay|yes|no|why|how|what|when|where|who)?\s*"
    r"(what|how) about\b|^(and|but|then|also)\b"
    r"|\b(it|that|this|those|these|them|him|her|he|she|they)\b",
    re.IGNORECASE,
)
TIME_PHRASE = re.compile(
    r"\b(this|next|last|past|coming|previous) (second|minute|hour|morning|afternoon|evening|night"
    r"|week|weekend|month|quarter|year|monday|tuesday|wednesday|thursday|friday|saturday|sunday)\b"
    r"|\b(right|just) now\b|\bso far\b|\bup to date\b|\bat the moment\b|\bthese days\b"
    r"|\bas of\b|\bago\b",
    re.IGNORECASE,
)
# Scripts that put no space between words; each character carries about half a word.
UNSPACED = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR", "HANGUL")


def is_follow_up(text: str) -> bool:
    """Say whether a text leans on what was said before: "yes", "cancel it", "and for two?".

    Fewer than three words of content do, unless they name a thing and ask about it alone ("What is
    Redis?" has one word of content and is whole): a short text is whole if it asks a question or
    bears an instruction, and points at nothing.
    """
    tokens = tokens_of(plain(text))
    content = [
        token
        for token in tokens
        if token.kind not in {"end", "comma"}
        and not (token.kind == "word" and stem_of(token.low) in stems_of("function"))
        and token.low not in words_of("reply")
    ]
    if _unspaced(text):
        return sum(char.isalpha() for char in text) < 2 * FEWEST
    if len(content) >= FEWEST:
        return False
    if not content or POINTING.search(text) or not is_english(text):
        return True
    return not _asks(text)


def _asks(text: str) -> bool:
    """Say whether a short text puts a question that is whole: one that begins as questions do."""
    first = text.split(maxsplit=1)[0].casefold().strip(",.!?") if text.split() else ""
    return first in words_of("question") | words_of("modal") and len(text.split()) > 2


def _unspaced(text: str) -> bool:
    """Say whether a text is written in a script that puts no space between words."""
    if text.isascii():
        return False
    letters = [char for char in text if char.isalpha()]
    return bool(letters) and unicodedata.name(letters[0], "").startswith(UNSPACED)


def is_about_now(text: str) -> bool:
    """Say whether the answer hangs on when it is asked: "today", "the latest", "next week"."""
    words = {token.low for token in tokens_of(plain(text)) if token.kind == "word"}
    return not words_of("now").isdisjoint(words) or TIME_PHRASE.search(text) is not None
