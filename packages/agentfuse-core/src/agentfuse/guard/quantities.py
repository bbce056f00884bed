"""Numbers, quantities with units, and times of day, in one spelling each.

``2,746`` and ``two thousand seven hundred and forty-six`` are one number; ``90 minutes`` and
``1.5 hours`` one quantity; ``6 pm``, ``18:00`` and ``six p.m.`` one time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING

from agentfuse.guard.tables import lines_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentfuse.guard.reading import Token

SMALL = (
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
)
TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
ORDINALS = (
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
    "eleventh",
    "twelfth",
    "thirteenth",
    "fourteenth",
    "fifteenth",
    "sixteenth",
    "seventeenth",
    "eighteenth",
    "nineteenth",
    "twentieth",
)
UNITS_BELOW_100 = {
    **{word: value for value, word in enumerate(SMALL)},
    **{word: 10 * value for value, word in enumerate(TENS, 2)},
    **{word: value for value, word in enumerate(ORDINALS, 3)},
    "thirtieth": 30,
    "dozen": 12,
}
SCALES = {
    "hundred": 100,
    "thousand": 10**3,
    "lakh": 10**5,
    "lakhs": 10**5,
    "million": 10**6,
    "crore": 10**7,
    "billion": 10**9,
    "trillion": 10**12,
}
SUFFIXES = {"k": 10**3, "m": 10**6, "mn": 10**6, "mio": 10**6, "bn": 10**9, "b": 10**9}
# "I", "V" and "X" are words and letters more often than numbers.
ROMAN = {"II": 2, "III": 3, "IV": 4, "VI": 6, "VII": 7, "VIII": 8, "IX": 9, "XI": 11, "XII": 12}
CLOCK = re.compile(r"(\d{1,2})(?::(\d{2}))?(?::\d{2})?\s?([ap])?")
MIDDAY = {"noon": "12:00", "midday": "12:00", "midnight": "00:00"}
SPELT = UNITS_BELOW_100.keys() | {"hundred", "thousand"} | MIDDAY.keys()
ONE = frozenset({"one", "single", "1st", "first", "once"})


@dataclass(slots=True)
class Quantities:
    """What a text counts and measures; ``places`` says at which token each number begins."""

    numbers: set[str]
    measures: set[tuple[str, str]]
    times: set[str]
    places: dict[int, str]
    units: set[int]


@cache
def units() -> Mapping[str, tuple[str, Decimal]]:
    """Give each unit's dimension and factor, by each of its names."""
    found: dict[str, tuple[str, Decimal]] = {}
    for dimension, line in lines_of("units.txt"):
        factor, *names = line.split()
        found.update(dict.fromkeys(names, (dimension, Decimal(factor))))
    return found


def quantities_of(tokens: Sequence[Token]) -> Quantities:
    """Read all quantities of a text."""
    found = Quantities(set(), set(), set(), {}, set())
    at = 0
    while at < len(tokens):
        at = _read(tokens, at, found)
    return found


def _read(tokens: Sequence[Token], at: int, found: Quantities) -> int:
    """Read the quantity that begins at a token, if one does, and give the place behind it."""
    token = tokens[at]
    if token.kind == "time":
        _keep_time(_clock(token.low), at, found)
    elif token.kind == "number":
        return _measure(tokens, at, at + 1, *_written(token.low), found)
    elif token.kind == "word" and (token.low in SPELT or token.text in ROMAN):
        return _spelt(tokens, at, found)
    return at + 1


def _keep_time(time: str, at: int, found: Quantities) -> None:
    found.times.add(time)
    found.places[at] = f"@{time}"


def _clock(low: str) -> str:
    match = CLOCK.match(low)
    if match is None:
        return low
    hour, minute, half = int(match[1]), match[2] or "00", match[3]
    if half:
        hour = hour % 12 + (12 if half == "p" else 0)
    return f"{hour:02d}:{minute}"


def _written(low: str) -> tuple[str, str]:
    """Split a number in digits into its value and what is stuck to it: a currency, a unit, a k."""
    match = re.match(r"([-−]?)([$€£¥₹₩]?)\s?([-−]?)([\d.,:/]*\d)\s?(.*)", low)  # noqa: RUF001 - a minus
    if match is None:
        return low, ""
    sign, currency, _, digits, rest = match.groups()
    digits = digits.replace(",", "")
    if rest in {"st", "nd", "rd", "th"}:
        rest = ""
    if rest in SUFFIXES and (currency or rest not in units()):
        digits, rest = _scaled(digits, SUFFIXES[rest]), ""
    elif rest and rest not in units():
        digits, rest = digits + rest, ""
    return ("-" if sign else "") + digits, currency or rest


def _scaled(digits: str, factor: int) -> str:
    try:
        return f"{(Decimal(digits) * factor).normalize():f}"
    except ArithmeticError:
        return f"{digits}*{factor}"


def _spelt(tokens: Sequence[Token], at: int, found: Quantities) -> int:
    """Read a number in words, a clock's noon, or a Roman number, if one stands here."""
    token = tokens[at]
    if token.text in ROMAN:
        return _measure(tokens, at, at + 1, str(ROMAN[token.text]), "", found)
    if token.low in MIDDAY:
        _keep_time(MIDDAY[token.low], at, found)
        return at + 1
    end, value = _words_value(tokens, at)
    if value == 1 and not (end < len(tokens) and tokens[end].low in units()):
        return at + 1  # "one" is a pronoun more often than a count
    return _measure(tokens, at, end, str(value), "", found)


def _words_value(tokens: Sequence[Token], at: int) -> tuple[int, int]:
    total = current = 0
    end = at
    for token in tokens[at:]:
        low = token.low
        if low in UNITS_BELOW_100:
            current += UNITS_BELOW_100[low]
        elif low == "hundred":
            current = max(current, 1) * 100
        elif (low in SCALES and end > at) or low == "thousand":
            total, current = total + max(current, 1) * SCALES[low], 0
        elif not (low == "and" and current >= 100 and _counts(tokens, end + 1)):
            break
        end += 1
    return end, total + current


def _counts(tokens: Sequence[Token], at: int) -> bool:
    return at < len(tokens) and tokens[at].low in UNITS_BELOW_100


def _measure(
    tokens: Sequence[Token], at: int, end: int, value: str, unit: str, found: Quantities
) -> int:
    """Book a number with the scale and the unit that follow it."""
    word = tokens[end].low if end < len(tokens) else ""
    if word in SCALES and not unit.isalpha():
        value, end = _scaled(value, SCALES[word]), end + 1
        word = tokens[end].low if end < len(tokens) else ""
    if word.rstrip(".") in {"am", "pm", "o'clock"}:
        _keep_time(_clock(value + (word[:1] if word != "o'clock" else "")), at, found)
        found.units.add(end)
        return end + 1
    if word == "per" and end + 1 < len(tokens) and tokens[end + 1].low == "cent":
        unit, end = "%", end + 2
    elif not unit and word in units():
        unit = word
        found.units.add(end)
        end += 1
    elif unit == "$" and word in units() and units()[word][0] == "dollar":
        end += 1
    _book(value, unit, at, found)
    return end


def _book(value: str, unit: str, at: int, found: Quantities) -> None:
    if unit in units():
        dimension, factor = units()[unit]
        size = _scaled_by(value, factor)
        found.measures.add((size, dimension))
        found.places[at] = f"#{size}{dimension}"
    else:
        found.numbers.add(value)
        found.places[at] = f"#{value}"


def _scaled_by(value: str, factor: Decimal) -> str:
    try:
        return f"{(Decimal(value) * factor).normalize():f}"
    except ArithmeticError:
        return f"{value}*{factor}"
