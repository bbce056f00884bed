"""What the rules compare: a text read once, into numbers, names, negations, content and order."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

from agentfuse.guard.languages import is_english
from agentfuse.guard.meanings import meanings, stems_of
from agentfuse.guard.quantities import Quantities, quantities_of, units
from agentfuse.guard.questions import FORMERLY, asked_for, polar_of, tense_of
from agentfuse.guard.reading import QUOTED, Token, plain, tokens_of
from agentfuse.guard.stems import stem_of
from agentfuse.guard.tables import lines_of, words_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# "don't", "dont" and "do not" read alike.
CONTRACTED = re.compile(
    r"^(can|don|doesn|didn|isn|aren|wasn|weren|won|wouldn|shouldn"
    r"|couldn|haven|hasn|hadn|mustn|needn|ain|shan)'?t$"
)
ENDED = re.compile(r"^(.+)('s|'re|'ve|'ll|'d|'m|s')$")
WHOLE = {"cannot": ("can", "not"), "won't": ("will", "not"), "wont": ("will", "not")}
# "I don't know how to" asks how to.
UNSURE = frozenset({"know", "sur", "certain", "understand", "clear", "awar"})
# Acronyms that are words by now: their capitals name nobody.
WORDS_IN_CAPITALS = frozenset(
    {"i", "ok", "id", "pin", "tv", "pc", "faq", "diy", "asap", "fyi", "am", "pm", "a", "atm"}
)


@dataclass(frozen=True, slots=True)
class Features:
    """A text as the guard reads it; made by :func:`features_of`, compared by ``veto``.

    ``order`` holds the stems in their order, numbers and times in one spelling among them, and
    without politeness; ``content`` is ``order`` without function words.
    """

    low: str
    order: tuple[str, ...]
    content: tuple[str, ...]
    stems: frozenset[str]
    words: frozenset[str]
    english: bool
    numbers: frozenset[str]
    measures: frozenset[tuple[str, str]]
    times: frozenset[str]
    counted: tuple[tuple[str, str], ...]
    loose_units: frozenset[str]
    quoted: frozenset[str]
    code: frozenset[str]
    names: frozenset[str]
    negations: int
    negated: frozenset[str]
    asks: str | None
    tense: str | None
    polar: tuple[str, str] | None


@dataclass(slots=True)
class _Words:
    """The words of a text while it is read."""

    order: list[str]
    written: set[str]
    names: set[str]
    code: set[str]


def features_of(text: str) -> Features:
    """Read a text; what a kept text gives can be kept with it."""
    text = plain(text)
    tokens = tokens_of(text)
    found = quantities_of(tokens)
    words = _words_of(tokens, found)
    asked = _asked(words.order)
    order = tuple(_phrased(asked))
    spoken = [token.low for token in tokens if token.kind == "word"]
    function = stems_of("function")
    content = tuple([stem for stem in order if stem not in function])
    stems = frozenset(order)
    dates = {token.low for token in tokens if token.kind == "iso"}
    negations, negated = _negations(order)
    return Features(
        low=text.casefold(),
        order=order,
        content=content,
        stems=stems,
        words=frozenset(words.written),
        english=is_english(text),
        numbers=frozenset(found.numbers | dates),
        measures=frozenset(found.measures),
        times=frozenset(found.times),
        counted=_counted(order),
        loose_units=_loose_units(words.written),
        quoted=_quoted(text),
        code=frozenset(words.code),
        names=frozenset(words.names | (stems & meanings().names)),
        negations=negations,
        negated=negated,
        asks=asked_for(order),
        tense=tense_of(spoken[len(words.order) - len(asked) :], order),
        polar=polar_of(order),
    )


def _words_of(tokens: Sequence[Token], quantities: Quantities) -> _Words:
    """Bring the tokens into one order of stems, and note the names and the code among them."""
    found = _Words([], set(), set(), set())
    places, found_units = quantities.places, quantities.units
    shouted = _capitals_say_nothing(tokens)
    for at, token in enumerate(tokens):
        if at in places:
            found.order.append(places[at])
        elif token.kind == "code":
            inner = token.low.strip("`").rstrip("(")
            found.code.add(inner)
            found.order.append(inner)
        elif token.kind == "word" and at not in found_units:
            stems = _stems(token.low)
            found.order += stems
            found.written.add(token.low)
            if not (shouted or _is_small(token)) and _is_name(token):
                found.names.update(stems[:1])
    return found


@lru_cache(maxsize=16_384)
def _stems(low: str) -> tuple[str, ...]:
    """Give the stems of a word: contractions in two, a possessive without its ending."""
    if low in WHOLE:
        return WHOLE[low]
    if low in words_of("polite"):
        return ()
    contracted = CONTRACTED.match(low)
    if contracted:
        return (stem_of(contracted[1]), "not")
    ended = ENDED.match(low)
    return (respelt(ended[1] if ended else low),)


@cache
def wrappings() -> Mapping[str, Sequence[tuple[str, ...]]]:
    """Give the phrases that questions are wrapped in by their first word, longest first."""
    phrases = (tuple(map(stem_of, line.split())) for _, line in lines_of("wrappings.txt"))
    found: defaultdict[str, list[tuple[str, ...]]] = defaultdict(list)
    for phrase in sorted(phrases, key=len, reverse=True):
        found[phrase[0]].append(phrase)
    return dict(found)


def respelt(low: str) -> str:
    """Give a word's stem; of an unknown word, the known one it is with two letters swapped.

    Otherwise a misspelt "loewr" would be no opposite of "raise".
    """
    stem = stem_of(low)
    senses = meanings().senses
    if len(low) < 5 or stem in senses or stem in stems_of("function") or low[0] in "#@":
        return stem
    for at in range(1, len(low) - 1):
        swapped = stem_of(low[:at] + low[at + 1] + low[at] + low[at + 2 :])
        if swapped in senses:
            return swapped
    return stem


def _phrase_at(
    order: Sequence[str], at: int, phrases: Mapping[str, Sequence[tuple[str, ...]]]
) -> int:
    """Give the length of the phrase that begins at a place, or 0."""
    for phrase in phrases.get(order[at], ()):
        if tuple(order[at : at + len(phrase)]) == phrase:
            return len(phrase)
    return 0


def _asked(order: list[str]) -> list[str]:
    """Leave out the politeness around a question, and mark "used to" as past."""
    at = 0
    while at < len(order):
        length = _phrase_at(order, at, wrappings())
        if not length:
            break
        at += length
    rest = order[at:] or order
    for place in range(len(rest) - 1):
        if (
            rest[place] == "use"
            and rest[place + 1] == "to"
            and (not place or rest[place - 1] != "be")
        ):
            rest[place] = FORMERLY
    return rest


def _is_small(token: Token) -> bool:
    """Say whether a word has no capital at all."""
    return token.text == token.low and token.text.islower()


def _is_name(token: Token) -> bool:
    """Say whether a word's capitals name something: none is owed to the beginning of a sentence."""
    text = token.text
    function = words_of("function")
    if (
        token.low in WORDS_IN_CAPITALS
        or (token.low in function and token.text != "US")
        or token.low.startswith("i'")
    ):
        return False
    if not text[1:].islower() and len(text) > 1 and text != token.low:
        return True  # ISO, iPhone, PostgreSQL
    return text[0].isupper() and not token.opens and token.low not in function


def _capitals_say_nothing(tokens: Sequence[Token]) -> bool:
    """Say whether a text shouts, or is written like a headline."""
    words = [token for token in tokens if token.kind == "word"]
    if words and all(token.text.isupper() for token in words) and len(words) > 1:
        return True
    rest = [token for token in words if not token.opens and len(token.low) > 3]
    return len(rest) > 3 and sum([each.text[0].isupper() for each in rest]) > 0.7 * len(rest)


def _phrased(order: Sequence[str]) -> list[str]:
    """Join the phrases that the tables know: "new york" is one word of the order."""
    phrases = meanings().phrases
    found: list[str] = []
    at = 0
    while at < len(order):
        length = _phrase_at(order, at, phrases) or 1
        found.append(" ".join(order[at : at + length]) if length > 1 else order[at])
        at += length
    return found


def _negations(order: Sequence[str]) -> tuple[int, frozenset[str]]:
    """Count the negations of a text, and give the content word behind each."""
    negators, function = stems_of("negator"), stems_of("function")
    if negators.isdisjoint(order):
        return 0, frozenset()
    places = [at for at, stem in enumerate(order) if stem in negators and _negates(order, at)]
    heads = (_denied(order, at) for at in places)
    return len(places), frozenset(head for head in heads if head not in function)


def _denied(order: Sequence[str], at: int) -> str:
    """Give the word that a negator stands before: "without a visa"; "don't" stands before none."""
    rest = order[at + 1 :]
    if order[at] != "not":
        return next((stem for stem in rest if stem not in stems_of("determiner")), "")
    return rest[0] if rest else ""


def _negates(order: Sequence[str], at: int) -> bool:
    """Say whether a negator denies something; "why not", "not only" and "or not" do not."""
    after = order[at + 1] if at + 1 < len(order) else ""
    before = order[at - 1] if at else ""
    if order[at] == "not":
        unsure = after in UNSURE and not words_of("question").isdisjoint(order[at + 2 : at + 5])
        return after != "only" and before != "or" and not unsure
    if order[at] == "no":
        return after not in {"1", "matter", "problem", "worry"} and not after.startswith("#")
    return True


def _counted(order: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Give each number with the word behind it."""
    return tuple(
        (after, stem) for stem, after in pairwise(order) if stem[0] == "#" and after[0] not in "#@"
    )


def _loose_units(words: set[str]) -> frozenset[str]:
    """Give the units that are named without a number, where the word can be nothing else."""
    return _telling_units() & words


@cache
def _telling_units() -> frozenset[str]:
    return frozenset(unit for unit in units() if len(unit) > 3 and unit not in AMBIGUOUS)


# Units that are words of other meaning when no number stands before them.
AMBIGUOUS = frozenset(
    {"second", "feet", "foot", "yard", "yards", "degree", "degrees", "people", "cups"}
)


def _quoted(text: str) -> frozenset[str]:
    return frozenset(
        " ".join(inner.casefold().split()).strip(".,?!")
        for groups in QUOTED.findall(text)
        for inner in groups
        if inner
    )
