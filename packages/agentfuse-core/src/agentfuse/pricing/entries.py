"""One model's entry in a price list of our own: what it costs when, and on which terms."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING

from agentfuse.pricing.blends import multiple_of
from agentfuse.pricing.terms import marks_of, words_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from agentfuse.pricing.cards import PriceCard
    from agentfuse.usage import PriceContext


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """What a term changes: everything by a factor, or a card in the place of the standard one."""

    times: Decimal | None = None
    card: PriceCard | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A standard card, the terms that change it, and what holds ``later`` (epoch seconds)."""

    card: PriceCard
    terms: Mapping[str, Term]
    later: tuple[tuple[float, Entry], ...] = ()

    def card_at(self, context: PriceContext, at: float) -> PriceCard:
        """Give the card of a time and a context.

        A tier or speed that the entry does not name is priced at its standard rates, and the card
        is approximate; a region it does not name changes nothing.
        """
        for start, entry in reversed(self.later):
            if at >= start:
                return entry.card_at(context, at)
        card = replace(self.card, valid_on=datetime.fromtimestamp(at, UTC).date().isoformat())
        words = words_of(context)
        if not words:
            return card
        found = {kind: self.terms.get(word) for kind, word in words.items()}
        for term in found.values():
            if term is not None:
                card = _changed(card, term)
        unnamed = any(term is None for kind, term in found.items() if kind != "region")
        name, at_sign, rest = card.id.rpartition("@")
        card_id = f"{name}{marks_of(context)}{at_sign}{rest}"
        return replace(card, id=card_id, approximate=unnamed or card.approximate)


def _changed(card: PriceCard, term: Term) -> PriceCard:
    if term.card is not None:
        return replace(term.card, valid_on=card.valid_on)
    return card if term.times is None else multiple_of(card, term.times)


NO_ENTRIES: Mapping[str, Entry] = MappingProxyType({})
