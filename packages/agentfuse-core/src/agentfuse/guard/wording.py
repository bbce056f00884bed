"""Rules on single words: numbers, units, dates, names, quotes, code, negations and opposites."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentfuse.guard.meanings import NAMES, meanings, stems_of
from agentfuse.guard.pairs import is_misspelt
from agentfuse.guard.quantities import ONE
from agentfuse.guard.quantities import units as known_units

if TYPE_CHECKING:
    from agentfuse.guard.features import Features
    from agentfuse.guard.pairs import Pair

TURNING = frozenset({"polar", "degree"})
# "How do I find it" and "where do I find it" want the same answer; so do "who can I ask" and "how".
NEAR_QUESTIONS = frozenset(
    {
        frozenset({"how", "where"}),
        frozenset({"when", "how long"}),
        frozenset({"when", "how soon"}),
        frozenset({"how long", "how soon"}),
        frozenset({"how much", "how many"}),
    }
)
# "Would he reject her", "would she reject him".
GENDERS = {"he": "m", "him": "m", "his": "m", "she": "f", "her": "f", "hers": "f"}
LIMITS = frozenset({"only", "solely", "exclusively"})
MORE_OR_LESS = frozenset({"mor", "les"})


def numbers(pair: Pair) -> bool:
    """Differ in a number, or in what it counts: "2 adults and 3 children", "3 adults and 2"."""
    asked, kept = pair.asked, pair.kept
    odd = asked.numbers ^ kept.numbers
    if odd - {"1"}:
        return True
    if odd and not (asked.stems | kept.stems) & ONE:
        return True
    if len(asked.counted) < 2 or asked.counted == kept.counted:
        return False
    counts = dict(asked.counted)
    return any(word in counts and counts[word] != count for word, count in kept.counted)


def units(pair: Pair) -> bool:
    """Differ in a quantity or its unit: kilometres and miles, dollars and euros."""
    asked, kept = pair.asked, pair.kept
    if asked.measures != kept.measures:
        return True
    mine, yours = (
        {known_units()[unit][0] for unit in side.loose_units - other.loose_units}
        for side, other in ((asked, kept), (kept, asked))
    )
    return bool(mine and yours and mine.isdisjoint(yours))


def times(pair: Pair) -> bool:
    """Differ in a time of day."""
    return pair.asked.times != pair.kept.times


def quoted(pair: Pair) -> bool:
    """Differ in what is quoted; a quote that the other text says without marks is the same."""
    return _one_sided(pair, "quoted")


def code(pair: Pair) -> bool:
    """Differ in a piece of code, a path, an address or an identifier."""
    return _one_sided(pair, "code")


def _one_sided(pair: Pair, part: str) -> bool:
    for side, other in ((pair.asked, pair.kept), (pair.kept, pair.asked)):
        for piece in getattr(side, part) - getattr(other, part):
            if not (piece in other.stems or (len(piece) > 2 and f" {piece}" in f" {other.low}")):
                return True
    return False


def dates(pair: Pair) -> bool:
    """Differ in a day, a month, or when: tomorrow and yesterday, monthly and yearly."""
    return any(sense.kind in {"when", "date"} for _, _, sense in pair.clashes) or (
        any(
            sense.kind == "date"
            for stem in pair.only_asked | pair.only_kept
            for sense in meanings().senses.get(stem, ())
        )
        and _unmatched_names(pair, "date")
    )


def names(pair: Pair) -> bool:
    """Differ in a name: one that a text writes large, or that the tables know."""
    named = any(sense.kind == "named" for _, _, sense in pair.clashes)
    return named or _unmatched_names(pair, "named")


def _unmatched_names(pair: Pair, kind: str) -> bool:
    for side, other, rest in (
        (pair.asked, pair.kept, pair.only_asked),
        (pair.kept, pair.asked, pair.only_kept),
    ):
        for name in side.names & rest:
            kinds = {sense.kind for sense in meanings().senses.get(name, ())} & NAMES
            if (kind in kinds or (not kinds and kind == "named")) and not _is_met(name, other):
                return True
    return False


def _is_met(name: str, other: Features) -> bool:
    """Say whether a text has a name in other words: another name of it, or its initials."""
    if any(meanings().same(name, stem) or is_misspelt(name, stem) for stem in other.stems):
        return True
    initials = "".join(stem[0] for stem in other.content)
    return 1 < len(name) < 6 and name in initials


def negation(pair: Pair) -> bool:
    """Differ in an odd number of denials; or in what is denied.

    A word and its opposite count as a denial ("not safe", "dangerous"), and so do a prefix
    ("impossible") and a turn of degree beside another one ("less hopeless").
    """
    if len(LIMITS & pair.asked.stems) != len(LIMITS & pair.kept.stems):
        return True  # "only" denies the rest
    turns = _turns(pair)
    odd = (pair.asked.negations + pair.kept.negations) % 2
    if odd and not turns:
        return True
    asked, kept = pair.asked.negated, pair.kept.negated
    return bool(
        (asked - kept) & pair.kept.stems
        and (kept - asked) & pair.asked.stems
        and pair.asked.negations == pair.kept.negations
    )


def _turns(pair: Pair) -> int:
    """Count the words that turn a meaning over between the two texts."""
    return len(_turned(pair, TURNING))


def _turned(pair: Pair, kinds: frozenset[str]) -> set[frozenset[str]]:
    turned = {frozenset({one, other}) for one, other, sense in pair.clashes if sense.kind in kinds}
    return turned | {frozenset(words) for words in pair.prefixed}


def antonyms(pair: Pair) -> bool:
    """Hold opposites: buy and sell, first and last, landlord and tenant, safe and dangerous."""
    if any(sense.kind == "opposite" for _, _, sense in pair.clashes):
        return True
    turned = _turned(pair, TURNING)
    if not turned:
        return _joins_otherwise(pair)
    odd = (pair.asked.negations + pair.kept.negations) % 2
    if len(turned) == 1:
        return not odd
    return bool(odd) or len(turned) > 2 or MORE_OR_LESS not in turned


def _joins_otherwise(pair: Pair) -> bool:
    """Say "and" for "or", in texts that are alike."""
    function = stems_of("function")
    if len(pair.only_asked - function) + len(pair.only_kept - function) > 1:
        return False
    return {"and", "or"} in ({one, other} for one in pair.only_asked for other in pair.only_kept)


def siblings(pair: Pair) -> bool:
    """Hold two kinds of one thing: dog and hamster, JSON and haiku, credit and debit card."""
    return any(sense.kind == "sibling" for _, _, sense in pair.clashes)


def question(pair: Pair) -> bool:
    """Ask for another thing: when and why, how and how much."""
    asked, kept = pair.asked.asks, pair.kept.asks
    if asked is None or kept is None or asked == kept:
        return False
    return frozenset({asked, kept}) not in NEAR_QUESTIONS


def person(pair: Pair) -> bool:
    """Ask of another person, verb or time: can I, can you, should I, did I."""
    mine, yours = _genders(pair.asked), _genders(pair.kept)
    if mine and yours and mine != yours:
        return True
    if not pair.alike():
        return False
    asked, kept = pair.asked.polar, pair.kept.polar
    if (
        asked
        and kept
        and any(mine != yours for mine, yours in zip(asked, kept, strict=True) if mine and yours)
    ):
        return True
    tenses = {pair.asked.tense, pair.kept.tense} - {None}
    return len(tenses) > 1


def _genders(text: Features) -> list[str]:
    return [GENDERS[stem] for stem in text.order if stem in GENDERS]
