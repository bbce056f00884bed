"""Whether two answers say the same, as far as that can be told without a judge."""

from __future__ import annotations

import json
import re
from typing import Any

_SPACE = re.compile(r"\s+")


def says_the_same(one: str, other: str) -> bool:
    """Compare two answers: as JSON where both are, else in any case and spacing, marks left out.

    Two sentences that say the same in other words come out as different, so that a trial's share
    of wrong answers is an upper bound; give ``same=`` a judge of your own for a closer one.
    """
    return bool(_plain(one) == _plain(other))


def _plain(text: str) -> Any:
    stripped = text.strip()
    if stripped[:1] in {"{", "["}:
        try:
            return json.loads(stripped)
        except ValueError:
            return _words(stripped)
    return _words(stripped)


def _words(text: str) -> str:
    """Spell a text in one case and spacing; a mark at a word's end (a full stop) says nothing."""
    return " ".join(word.strip(".,;:!?\"'`*_") for word in _SPACE.split(text.casefold()) if word)
