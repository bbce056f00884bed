"""The plain ways to choose, which promise nothing about quality: rules to read and override."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, Literal, Protocol

from agentfuse.errors import ConfigurationError
from agentfuse.routing.features import asked_text
from agentfuse.routing.options import Pick

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentfuse.messages import Request
    from agentfuse.routing.options import Option

CHEAPEST_FIRST = "cheapest_first"
"""The model that costs least for this request's mix of input and output."""
FASTEST_FIRST = "fastest_first"
"""The model with the shortest usual time to answer; one that was never timed is asked first."""
FALLBACK_CHAIN = "fallback_chain"
"""The first of ``models`` that can take the call; ``Fuse(fallbacks=...)`` goes on from there."""

Preference = Literal["cost", "speed", "quality"]
Tier = Literal["simple", "medium", "complex"]
TIERS: tuple[Tier, ...] = ("simple", "medium", "complex")


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What a plain strategy may look at besides the candidates.

    ``draw`` is a number in [0, 1); ``judged`` what a judge said, empty without one.
    """

    request: Request
    strong: Option
    session: str = ""
    draw: float = 0.0
    judged: str = ""


class Strategy(Protocol):
    """A way to choose one of the options, which come in the order of ``models``."""

    def choose(self, options: Sequence[Option], situation: Situation) -> Pick:
        """Choose."""
        ...


@dataclass(frozen=True, slots=True)
class Cheapest:
    """See ``CHEAPEST_FIRST``."""

    def choose(self, options: Sequence[Option], situation: Situation) -> Pick:  # noqa: ARG002 - the protocol's
        """Choose the least cost; of equals the first."""
        best = min(options, key=lambda option: option.cost)
        return Pick(option=best, reason="cheapest for this request's tokens")


@dataclass(frozen=True, slots=True)
class Fastest:
    """See ``FASTEST_FIRST``."""

    def choose(self, options: Sequence[Option], situation: Situation) -> Pick:  # noqa: ARG002 - the protocol's
        """Choose the least time; of those never timed the first."""
        for option in options:
            if option.seconds is None:
                return Pick(option=option, reason="not timed yet")
        best = min(options, key=lambda option: option.seconds or 0.0)
        return Pick(option=best, reason=f"usually answers in {best.seconds:.2f} s")


@dataclass(frozen=True, slots=True)
class InOrder:
    """See ``FALLBACK_CHAIN``."""

    def choose(self, options: Sequence[Option], situation: Situation) -> Pick:  # noqa: ARG002 - the protocol's
        """Choose the first."""
        return Pick(option=options[0], reason="first of the chain that can take the call")


@dataclass(frozen=True, slots=True)
class Strongest:
    """``preference="quality"``: the strong model, always."""

    def choose(self, options: Sequence[Option], situation: Situation) -> Pick:  # noqa: ARG002 - the protocol's
        """Choose the strong model."""
        return Pick(option=situation.strong, reason="quality is preferred")


PATTERNS: Mapping[str, Tier] = {
    r"\b(prove|derive|theorem|proof|refactor|architect|debug|root cause|trade-?offs?)\b": "complex",
    r"\b(step by step|in detail|comprehensive|design a|implement|optimi[sz]e)\b": "complex",
    r"\b(compare|explain why|analy[sz]e|summari[sz]e|rewrite|write a)\b": "medium",
    r"```": "medium",
}
"""What ``Tiers`` looks for by default; the hardest tier that matches holds."""

# Chosen figures, to be edited: a page, and a paragraph, of English text in characters.
_LONG, _MIDDLING = 4_000, 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Tiers:
    """A model for each of three tiers, by ``patterns`` (regular expressions) and length.

    On labelled traffic such rules rank prompts about as well as their length does (docs/routing.md
    has the figures): a policy to read and override, not a promise. Raises ConfigurationError for
    a pattern that is none, or names no tier.
    """

    simple: str
    complex: str
    medium: str = ""
    patterns: Mapping[str, Tier] = field(default_factory=lambda: PATTERNS)
    middling: int = _MIDDLING
    long: int = _LONG
    _compiled: tuple[tuple[re.Pattern[str], Tier], ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Compile the patterns once."""
        for pattern, tier in self.patterns.items():
            if tier not in TIERS:
                raise ConfigurationError(f"{pattern!r} leads to {tier!r}: tiers are {TIERS}")
        try:
            found = [(re.compile(p, re.IGNORECASE), tier) for p, tier in self.patterns.items()]
        except re.error as error:
            raise ConfigurationError(f"no regular expression: {error}") from error
        object.__setattr__(self, "_compiled", tuple(found))

    def model_of(self, tier: Tier) -> str:
        """Give a tier's model; a tier without one is the next harder."""
        by_tier = {"simple": self.simple, "medium": self.medium, "complex": self.complex}
        return by_tier[tier] or self.complex

    def tier_of(self, text: str) -> tuple[Tier, str]:
        """Give a text's tier, and what says so."""
        length: Tier = "complex" if len(text) > self.long else "simple"
        if length == "simple" and len(text) > self.middling:
            length = "medium"
        found: tuple[Tier, str] = (length, f"{len(text)} characters")
        for pattern, tier in self._compiled:
            if TIERS.index(tier) > TIERS.index(found[0]) and pattern.search(text):
                found = (tier, f"matches {pattern.pattern}")
        return found

    def choose(self, options: Sequence[Option], situation: Situation) -> Pick:
        """Choose the tier's model; where it cannot take the call, the strong one."""
        tier, why = self.tier_of(asked_text(situation.request))
        return _named(options, self.model_of(tier), f"{tier} by rule: {why}", situation)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """Ask a small ``model`` which tier a request is, and give each tier its model.

    The judge's own call runs inside the same budget and has a receipt of its own; ``base_url`` and
    ``api_key`` are its provider's own, or from the environment. An answer that names no tier goes
    to the strong model.
    """

    model: str
    simple: str
    complex: str
    medium: str = ""
    base_url: str = ""
    api_key: str = field(default="", repr=False)
    instructions: str = (
        "How hard is this request for a language model? Answer with one word:"
        " simple, medium or complex.\n\n"
    )

    def question_of(self, request: Request) -> str:
        """Give what the judge is asked: the instructions, and the user's latest words."""
        return self.instructions + asked_text(request)[:8_000]

    def choose(self, options: Sequence[Option], situation: Situation) -> Pick:
        """Choose the model of the tier that was named."""
        said = situation.judged.strip().strip(".").lower()
        tiers = {"simple": self.simple, "medium": self.medium, "complex": self.complex}
        if said not in tiers:
            reason = f"{self.model} named no tier ({said[:40]!r})"
            return Pick(option=situation.strong, reason=reason)
        return _named(options, tiers[said] or self.complex, f"{said}, says {self.model}", situation)


@dataclass(frozen=True, slots=True)
class Split:
    """Divide calls among models by weight: ``Split({"gpt-4o": 9, "gpt-4o-mini": 1})``.

    A session keeps its side. The share of each model is its propensity in the outcomes.
    """

    weights: Mapping[str, float]

    def __post_init__(self) -> None:
        """Check the weights; raises ConfigurationError."""
        if not self.weights or any(weight <= 0 for weight in self.weights.values()):
            raise ConfigurationError(f"weights are above zero, not {dict(self.weights)!r}")

    def choose(self, options: Sequence[Option], situation: Situation) -> Pick:
        """Draw among those who can take the call."""
        held = [(o, self.weights[o.name]) for o in options if o.name in self.weights]
        if not held:
            return Pick(option=situation.strong, reason="no model of the split can take the call")
        total = sum(weight for _, weight in held)
        point = (_drawn(situation.session) if situation.session else situation.draw) * total
        drawn, share = held[-1]
        for option, weight in held:
            point -= weight
            if point < 0:
                drawn, share = option, weight
                break
        share /= total
        return Pick(option=drawn, reason=f"drawn: {share:.0%} of calls", propensity=share)


NAMED: Mapping[str, Strategy] = {
    CHEAPEST_FIRST: Cheapest(),
    FASTEST_FIRST: Fastest(),
    FALLBACK_CHAIN: InOrder(),
}
PREFERRED: Mapping[str, Strategy] = {
    "cost": Cheapest(),
    "speed": Fastest(),
    "quality": Strongest(),
}


def _named(options: Sequence[Option], name: str, reason: str, situation: Situation) -> Pick:
    for option in options:
        if option.name == name:
            return Pick(option=option, reason=reason)
    return Pick(option=situation.strong, reason=f"{reason}; {name} cannot take the call")


def _drawn(session: str) -> float:
    """Give the same number in [0, 1) for the same session."""
    digest = blake2b(session.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
