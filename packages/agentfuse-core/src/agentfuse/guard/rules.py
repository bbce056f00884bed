"""The rules, as data: a name, the texts for which it holds, and what it finds to differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agentfuse.guard import frames, orders, wording

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentfuse.guard.pairs import Pair


@dataclass(frozen=True, slots=True)
class Rule:
    """One reason why a kept answer must not be given.

    ``everywhere`` rules know no language; the others hold for English alone. ``strict`` rules are
    left out at the level "balanced". ``differs`` says whether the two texts differ in it.
    """

    name: str
    differs: Callable[[Pair], bool]
    everywhere: bool = False
    strict: bool = False


RULES = (
    Rule("numbers", wording.numbers, everywhere=True),
    Rule("units", wording.units, everywhere=True),
    Rule("times", wording.times, everywhere=True),
    Rule("quoted", wording.quoted, everywhere=True),
    Rule("code", wording.code, everywhere=True),
    Rule("dates", wording.dates),
    Rule("names", wording.names, everywhere=True),
    Rule("negation", wording.negation),
    Rule("antonyms", wording.antonyms),
    Rule("siblings", wording.siblings),
    Rule("question", wording.question),
    Rule("person", wording.person),
    Rule("direction", orders.direction),
    Rule("word_order", orders.word_order),
    Rule("filler", frames.filler),
    Rule("frame", frames.frame, strict=True),
    Rule("insertion", frames.insertion, strict=True),
)
