"""Cards made of cards: a multiple of one, the dearest of several."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from agentfuse.pricing.cards import KINDS, PriceCard, Rates

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal
    from fractions import Fraction

_ONLY_ONCE: Mapping[str, Fraction | Decimal] = {}


def multiple_of(
    card: PriceCard,
    times: Fraction | Decimal,
    differing: Mapping[str, Fraction | Decimal] = _ONLY_ONCE,
) -> PriceCard:
    """Multiply a card's token rates, rounded up to picodollars; fees stay as they are.

    ``differing`` gives kinds of token a factor of their own.
    """
    factors = {kind: differing.get(kind, times).as_integer_ratio() for kind in KINDS}

    def multiplied(rates: Rates) -> Rates:
        return Rates(
            **{kind: -(-getattr(rates, kind) * by // per) for kind, (by, per) in factors.items()}
        )

    tiers = tuple((start, multiplied(rates)) for start, rates in card.tiers)
    return replace(card, rates=multiplied(card.rates), tiers=tiers)


def dearest_card(name: str, cards: list[PriceCard]) -> PriceCard:
    """Make a card of the highest rates, fees and ceilings of several: approximate by nature."""
    starts = sorted({start for card in cards for start, _ in card.tiers}, reverse=True)
    fees = {tool for card in cards for tool in card.tool_fees}
    return replace(
        cards[0],
        id=name,
        rates=_dearest_rates([card.rates for card in cards]),
        tiers=tuple(
            (start, _dearest_rates([card.rates_at(start + 1) for card in cards]))
            for start in starts
        ),
        tool_fees={tool: max(card.tool_fees.get(tool, 0) for card in cards) for tool in fees},
        request_fee=max(card.request_fee for card in cards),
        max_output_tokens=max(card.max_output_tokens for card in cards),
        writes_unasked=any(card.writes_unasked for card in cards),
        approximate=True,
    )


def _dearest_rates(several: list[Rates]) -> Rates:
    return Rates(**{kind: max(getattr(rates, kind) for rates in several) for kind in KINDS})
