"""What a text model sees of a request: hashed words in order, and a few measures of its shape.

Words are kept as CRC-32 numbers, so that a file of weights or outcomes holds no readable prompt. A
list of candidate words can still be tried against them: treat such files as the prompts themselves.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from math import log1p
from typing import TYPE_CHECKING
from zlib import crc32

if TYPE_CHECKING:
    from agentfuse.messages import Request

# 2^18 places: 60,000 distinct words and pairs of words, as in 6,000 prompts, seldom meet.
PLACES = 1 << 18
_MASK = PLACES - 1
_WORD = re.compile(r"\w+|[^\w\s]")

# Longer texts are read at both ends: what is asked stands at one of them.
MOST_CHARS = 8_000

_DIGITS = b"0123456789"
_SIGNS = b"+-*/=^<>\\{}()[]"
_CAPITALS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True, slots=True)
class Sketch:
    """A text as ``words`` (hashed, in order) and ``shape`` (lengths and shares of characters)."""

    words: tuple[int, ...]
    shape: tuple[float, ...]


def sketch_of(text: str) -> Sketch:
    """Hash a text's words (lower case; each sign is a word) and measure its shape."""
    if len(text) > MOST_CHARS:
        half = MOST_CHARS // 2
        text = text[:half] + "\n" + text[-half:]
    words = tuple(map(_place_of, _WORD.findall(text.lower())))
    return Sketch(words, _shape_of(text))


def asked_text(request: Request) -> str:
    """Give the text of the latest turn of the user; tool results and system prompts are left out.

    The answer to a tool is not what a user asked, and a system prompt says the same every time.
    """
    for message in reversed(request.messages):
        if message.role == "user":
            text = message.text
            if text:
                return text
    return ""


@lru_cache(maxsize=65_536)
def _place_of(word: str) -> int:
    return crc32(word.encode("utf-8", "surrogatepass")) & _MASK


def _shape_of(text: str) -> tuple[float, ...]:
    """Measure lengths, and the shares of digits, signs and capitals."""
    size = len(text) + 1
    blanks = text.count(" ") + text.count("\n") + 1
    raw = text.encode("utf-8", "surrogatepass")
    # Deleting bytes and comparing lengths counts ASCII in a tenth of the time of ``str.count``.
    digits, signs, capitals = (
        len(raw) - len(raw.translate(None, kind)) for kind in (_DIGITS, _SIGNS, _CAPITALS)
    )
    return (
        log1p(len(text)),
        log1p(blanks),
        digits / size,
        signs / size,
        capitals / size,
        log1p(text.count("\n")),
        size / blanks,
        float("?" in text),
        text.count(":") / size,
    )
