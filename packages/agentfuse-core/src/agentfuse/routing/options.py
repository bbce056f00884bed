"""The candidates for one call: who can take it, at what price, and what is expected of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agentfuse.errors import UnknownPrice
from agentfuse.pricing.quotes import context_of
from agentfuse.routing.capabilities import lacking, needs_of
from agentfuse.routing.costs import mix_of, price_of
from agentfuse.tokens.families import bare

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from agentfuse.messages import Request
    from agentfuse.pricing import PriceBook
    from agentfuse.routing.costs import Mix

# A context is full when the answer has no room left: a twentieth of it is kept free.
_ROOM = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A model as the user ``name``d it; an empty ``provider`` is the one that was asked."""

    name: str
    model: str
    provider: str = ""

    def is_asked(self, request: Request) -> bool:
        """Say whether a request asks for this model, dated or not."""
        if self.provider not in {"", request.provider}:
            return False
        return request.model == self.model or bare(request.model) == bare(self.model)


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """A candidate that can take a call, at ``cost`` nanodollars.

    ``p_ok`` is its expected score, on ``seen`` outcomes of the call's own tag, where the text
    alone ``promised`` another; ``seconds`` its usual time to answer, None before it was timed.
    """

    candidate: Candidate
    cost: int
    p_ok: float = 0.0
    promised: float = 0.0
    seen: float = 0.0
    seconds: float | None = None

    @property
    def name(self) -> str:
        """The candidate's name."""
        return self.candidate.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Pick:
    """A choice, why, and the chance it had."""

    option: Option
    reason: str
    propensity: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """Which candidates are looked at, and by whose prices and capabilities."""

    candidates: Sequence[Candidate]
    strong: Candidate
    book: PriceBook
    capabilities: Mapping[str, Collection[str]]
    outputs: dict[tuple[str, str], float] = field(default_factory=dict[tuple[str, str], float])

    def options(
        self, request: Request, *, tag: str = "", warm: str = ""
    ) -> tuple[list[Option], list[str]]:
        """Give who can take a request, and why the others cannot.

        The strong model is never left out for what it lacks: it is what the caller asked for.
        ``warm`` is the name of the model that has read the conversation's beginning.
        """
        needs, found, reasons = needs_of(request), list[Option](), list[str]()
        for candidate in self.candidates:
            reason = self._unfit(candidate, request, needs)
            if reason and candidate is not self.strong:
                reasons.append(f"{candidate.name} {reason}")
                continue
            # A model that has not answered yet is thought to say as much as the others.
            usual = self.outputs.get((tag, candidate.name)) or self.outputs.get((tag, ""), 0.0)
            cached = _prefix(request) if warm else 0
            mix = mix_of(request, usual, cached=cached)
            cost = self._price(candidate, request, mix, warm=warm == candidate.name)
            if cost is not None:
                found.append(Option(candidate=candidate, cost=cost))
            elif candidate is self.strong:
                found.append(Option(candidate=candidate, cost=0))
            else:
                reasons.append(f"{candidate.name} does not fit or has no known price")
        return found, reasons

    def _unfit(self, candidate: Candidate, request: Request, needs: Sequence[str]) -> str:
        if candidate.provider not in {"", request.provider} and request.reach != "any":
            return f"is {candidate.provider}'s, which this call cannot reach"
        lacks = lacking(candidate.name, needs, self.capabilities)
        if lacks and candidate.name != candidate.model:
            lacks = lacking(candidate.model, needs, self.capabilities)
        return f"is not known to have {', '.join(lacks)}" if lacks else ""

    def _price(self, candidate: Candidate, request: Request, mix: Mix, *, warm: bool) -> int | None:
        """Price a mix with a candidate; None without a price, or where its window is too small."""
        provider = candidate.provider or request.provider
        model = request.model if candidate is self.strong else candidate.model
        try:
            card = self.book.card(model, provider, context_of(request))
        except UnknownPrice:
            return None
        window = card.context_window
        if window and mix.input > window * _ROOM and candidate is not self.strong:
            return None
        return price_of(card, mix, warm=warm)


def _prefix(request: Request) -> int:
    """Guess how many tokens an earlier turn has sent already: all but the last message."""
    last = len(request.messages[-1].text) if request.messages else 0
    everything = sum(len(message.text) for message in request.messages)
    return max(everything - last, 0) // 4
