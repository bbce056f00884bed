"""Compile genai-prices' entries into integer price cards."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from agentfuse.pricing.cards import PriceCard, Rates
from agentfuse.pricing.ceilings import max_output_of
from agentfuse.pricing.names import spellings_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from genai_prices.types import ModelInfo, Provider

    from agentfuse.usage import PriceContext

# Dollars per million tokens to picodollars per token; dollars per thousand to picodollars each.
_PICO_PER_MTOK = Decimal(10**6)
_PICO_PER_KCOUNT = Decimal(10**9)

# Where a kind has no price of its own it is billed as the next kind named here (genai-prices does
# the same): a cache write as input, an hour's write as a write.
_FALLBACKS: dict[str, tuple[str, ...]] = {
    "input": ("input_mtok",),
    "output": ("output_mtok",),
    "cache_read": ("cache_read_mtok", "input_mtok"),
    "cache_write_5m": ("cache_write_5m_mtok", "cache_write_mtok", "input_mtok"),
    "cache_write_1h": ("cache_write_1h_mtok", "cache_write_mtok", "input_mtok"),
    "input_audio": ("input_audio_mtok", "input_mtok"),
    "output_audio": ("output_audio_mtok", "output_mtok"),
    "reasoning": ("output_reasoning_mtok", "output_mtok"),
}
_TOOL_FEES = {
    "web_search": "web_searches_kcount",
    "file_search": "storage_searches_kcount",
    "code_execution": "code_executions_kcount",
    "social_search": "social_searches_kcount",
}

# Words for a provider's standard terms, as recorded in responses of OpenAI, Anthropic, Google,
# Groq and Bedrock. Bought-ahead capacity is billed by the hour: its tokens count at list price.
STANDARD_TIERS = frozenset(
    {"", "default", "standard", "standard_only", "auto", "on_demand", "provisioned", "scale"}
)

# Never dearer than standard terms, whatever they are.
_DISCOUNTS = frozenset({"flex", "batch"})

# OpenAI and Anthropic charge a tenth more for keeping the computation in one region.
_REGIONAL_PROVIDERS = frozenset({"openai", "anthropic"})
_REGIONS = frozenset({"us", "eu"})


def card_of(model: str, provider: str, context: PriceContext, at: float) -> PriceCard | None:
    """Find a model's prices at a time (seconds since the epoch), or None where there are none.

    A name that is known only without its date or under another provider gives an approximate card.
    """
    for who, name, exact in spellings_of(model, provider):
        entry = _entry(name, who)
        if entry is not None:
            card = _compiled(*entry, context, at)
            if card is not None:
                return card if exact else _approximate(card)
    return None


def dearest_of(model: str, provider: str, context: PriceContext, at: float) -> PriceCard | None:
    """Make a card of the highest rates among the models that share the first word of a name."""
    from genai_prices.data_snapshot import get_snapshot

    word = model.strip().lower().rpartition("/")[2].split("-", 1)[0].rstrip("0123456789.")
    known = [source for source in get_snapshot().providers if source.id == provider.lower()]
    cards = [
        card
        for source in known or _makers(get_snapshot().providers)
        for info in source.models
        if word and info.id.rpartition("/")[2].startswith(word)
        if (card := _compiled(source, info, context, at)) is not None
    ]
    return _highest(f"max-of-{word}@{_list_name()}", cards) if cards else None


def _makers(providers: Iterable[Provider]) -> list[Provider]:
    return [source for source in providers if source.model_match is not None]


def _entry(name: str, provider: str) -> tuple[Provider, ModelInfo] | None:
    from genai_prices.data_snapshot import get_snapshot

    try:
        return get_snapshot().find_provider_model(name, None, provider or None, None)
    except LookupError:
        return None


def _compiled(
    source: Provider, info: ModelInfo, context: PriceContext, at: float
) -> PriceCard | None:
    when = datetime.fromtimestamp(at, UTC)
    terms, unknown = _terms_of(info, context)
    prices = info.get_prices(when, terms).__dict__
    if prices.get("input_mtok") is None:
        return None
    card = PriceCard(
        id=f"{source.id}/{info.id}{_marks_of(context)}@{_list_name()}",
        rates=_rates_at(prices, 0),
        tiers=tuple((start, _rates_at(prices, start + 1)) for start in _thresholds_of(prices)),
        tool_fees=_fees_of(prices),
        request_fee=_pico(prices.get("requests_kcount"), _PICO_PER_KCOUNT),
        context_window=info.context_window or 0,
        max_output_tokens=max_output_of(info.id),
        valid_on=when.date().isoformat(),
        writes_unasked=info.id.rpartition("/")[2].startswith("gpt-"),
    )
    if unknown:
        rivals = _rivals_of(info, unknown) if context.service_tier not in _DISCOUNTS else []
        card = _dearest_terms(card, info, rivals, when)
    if context.region in _REGIONS and source.id in _REGIONAL_PROVIDERS:
        card = _scaled(card, 11, 10)
    return card


def _terms_of(info: ModelInfo, context: PriceContext) -> tuple[dict[str, str], set[str]]:
    """Give genai-prices' words for a context, and those of them it has no price for."""
    terms: dict[str, str] = {}
    if context.batch or context.service_tier == "batch":
        terms["processing"] = "batch"
    elif context.service_tier not in STANDARD_TIERS:
        terms["service_tier"] = context.service_tier
    if context.speed not in STANDARD_TIERS:
        terms["speed"] = context.speed
    listed = [variant.when.items() for variant in info.price_variants or ()]
    unknown = {term[0] for term in terms.items() if not any(term in when for when in listed)}
    return terms, unknown


def _rivals_of(info: ModelInfo, unknown: set[str]) -> list[dict[str, str]]:
    """List the terms of the same kinds that do have a price: other tiers for an unknown tier."""
    return [variant.when for variant in info.price_variants or () if unknown & variant.when.keys()]


def _dearest_terms(
    card: PriceCard, info: ModelInfo, rivals: list[dict[str, str]], when: datetime
) -> PriceCard:
    """Price unknown terms at the dearest of standard terms and ``rivals``."""
    cards = [card]
    for terms in rivals:
        prices = info.get_prices(when, terms).__dict__
        tiers = tuple((start, _rates_at(prices, start + 1)) for start in _thresholds_of(prices))
        cards.append(replace(card, rates=_rates_at(prices, 0), tiers=tiers))
    return _highest(card.id, cards)


def _highest(name: str, cards: list[PriceCard]) -> PriceCard:
    starts = sorted({start for card in cards for start, _ in card.tiers}, reverse=True)
    fees = {tool for card in cards for tool in card.tool_fees}
    return replace(
        cards[0],
        id=name,
        rates=_max_rates([card.rates for card in cards]),
        tiers=tuple(
            (start, _max_rates([card.rates_at(start + 1) for card in cards])) for start in starts
        ),
        tool_fees={tool: max(card.tool_fees.get(tool, 0) for card in cards) for tool in fees},
        request_fee=max(card.request_fee for card in cards),
        max_output_tokens=max(card.max_output_tokens for card in cards),
        writes_unasked=any(card.writes_unasked for card in cards),
        approximate=True,
    )


def _max_rates(several: list[Rates]) -> Rates:
    return Rates(**{kind: max(getattr(rates, kind) for rates in several) for kind in _FALLBACKS})


def _approximate(card: PriceCard) -> PriceCard:
    return replace(card, approximate=True)


def _scaled(card: PriceCard, numerator: int, denominator: int) -> PriceCard:
    def scaled(rates: Rates) -> Rates:
        return Rates(
            **{kind: -(-getattr(rates, kind) * numerator // denominator) for kind in _FALLBACKS}
        )

    tiers = tuple((start, scaled(rates)) for start, rates in card.tiers)
    return replace(card, rates=scaled(card.rates), tiers=tiers, approximate=True)


def _thresholds_of(prices: Mapping[str, Any]) -> list[int]:
    starts = {tier.start for price in prices.values() for tier in getattr(price, "tiers", ())}
    return sorted(starts, reverse=True)


def _rates_at(prices: Mapping[str, Any], input_tokens: int) -> Rates:
    return Rates(
        **{
            kind: _pico(_at(_first(prices, keys), input_tokens), _PICO_PER_MTOK)
            for kind, keys in _FALLBACKS.items()
        }
    )


def _first(prices: Mapping[str, Any], keys: tuple[str, ...]) -> Any:
    return next((prices[key] for key in keys if prices.get(key) is not None), None)


def _at(price: Any, input_tokens: int) -> Decimal | None:
    tiers = [tier for tier in getattr(price, "tiers", ()) if input_tokens > tier.start]
    if tiers:
        return Decimal(max(tiers, key=lambda tier: tier.start).price)
    base = getattr(price, "base", price)
    return None if base is None else Decimal(base)


def _pico(price: Decimal | None, scale: Decimal) -> int:
    """Read a list price in picodollars; digits beyond the twelfth are noise of binary floats."""
    return 0 if price is None else int((price * scale).to_integral_value())


def _fees_of(prices: Mapping[str, Any]) -> dict[str, int]:
    return {
        tool: _pico(_at(prices[key], 0), _PICO_PER_KCOUNT)
        for tool, key in _TOOL_FEES.items()
        if prices.get(key) is not None
    }


def _marks_of(context: PriceContext) -> str:
    tier = "" if context.service_tier in STANDARD_TIERS else context.service_tier
    speed = "" if context.speed in STANDARD_TIERS else context.speed
    region = context.region if context.region in _REGIONS else ""
    marks = dict.fromkeys(("batch" if context.batch else "", tier, speed, region))
    return "".join(f"+{mark}" for mark in marks if mark)


def _list_name() -> str:
    return f"genai-prices-{version('genai-prices')}"
