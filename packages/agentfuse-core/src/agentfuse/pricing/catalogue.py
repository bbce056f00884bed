"""Compile genai-prices' entries, and the supplement's, into integer price cards."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from agentfuse.pricing.blends import dearest_card, multiple_of
from agentfuse.pricing.cards import PriceCard, Rates
from agentfuse.pricing.ceilings import max_output_of
from agentfuse.pricing.names import spellings_of, supplement_name
from agentfuse.pricing.supplement import supplement
from agentfuse.pricing.terms import DISCOUNTS, marks_of, words_of

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
    "cache_read_audio": ("cache_audio_read_mtok", "cache_read_mtok", "input_mtok"),
    "cache_write_5m": ("cache_write_5m_mtok", "cache_write_mtok", "input_mtok"),
    "cache_write_1h": ("cache_write_1h_mtok", "cache_write_mtok", "input_mtok"),
    "cache_write_12h": ("cache_write_1h_mtok", "cache_write_mtok", "input_mtok"),
    "input_audio": ("input_audio_mtok", "input_mtok"),
    "output_audio": ("output_audio_mtok", "output_mtok"),
    "input_image": ("input_image_mtok", "input_mtok"),
    "input_video": ("input_video_mtok", "input_mtok"),
    "output_image": ("output_image_mtok", "output_mtok"),
    "reasoning": ("output_reasoning_mtok", "output_mtok"),
}
_TOOL_FEES = {
    "web_search": "web_searches_kcount",
    "file_search": "storage_searches_kcount",
    "code_execution": "code_executions_kcount",
    "social_search": "social_searches_kcount",
}

# OpenAI and Anthropic charge a tenth more for keeping the computation in one region, on their
# newer models: those are rows of the supplement, and for the others it is assumed.
_REGIONAL_PROVIDERS = frozenset({"openai", "anthropic"})
_REGIONAL_FACTOR = Decimal("1.1")


def card_of(model: str, provider: str, context: PriceContext, at: float) -> PriceCard | None:
    """Find a model's prices at a time (seconds since the epoch), or None where there are none.

    A name that is known only without its date or under another provider gives an approximate card.
    """
    for who, name, exact in spellings_of(model, provider):
        card = _supplied(name, who, context, at)
        if card is None:
            entry = _entry(name, who)
            card = None if entry is None else _compiled(*entry, context, at)
        if card is not None:
            return card if exact else replace(card, approximate=True)
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
    return dearest_card(f"max-of-{word}@{_list_name()}", cards) if cards else None


def _makers(providers: Iterable[Provider]) -> list[Provider]:
    return [source for source in providers if source.model_match is not None]


def _supplied(name: str, provider: str, context: PriceContext, at: float) -> PriceCard | None:
    entry = supplement().entry_of(supplement_name(name), _provider_id(provider))
    return None if entry is None else entry.card_at(context, at)


@cache
def _provider_id(name: str) -> str:
    """Give genai-prices' own word for a provider: ``x-ai`` for ``xai``."""
    from genai_prices.data_snapshot import get_snapshot

    if not name:
        return ""
    try:
        return get_snapshot().find_provider(None, name, None).id
    except LookupError:
        return name


def _entry(name: str, provider: str) -> tuple[Provider, ModelInfo] | None:
    from genai_prices.data_snapshot import get_snapshot

    try:
        return get_snapshot().find_provider_model(name, None, provider or None, None)
    except LookupError:
        return None


def _compiled(
    source: Provider, info: ModelInfo, context: PriceContext, at: float
) -> PriceCard | None:
    model = info.id.rpartition("/")[2]
    now = datetime.fromtimestamp(at, UTC)
    when = supplement().price_time(now, source.id, model)
    terms, unknown = _terms_of(info, context)
    card = _listed(source, info, terms, when)
    if card is None:
        return None
    card_id = f"{source.id}/{info.id}{marks_of(context)}@{_list_name()}"
    card = replace(card, id=card_id, valid_on=now.date().isoformat())
    for word in unknown:
        card = _on_unlisted_term(card, (source, info), word, context, when)
    return _in_region(card, source.id, model, words_of(context).get("region", ""))


def _listed(
    source: Provider, info: ModelInfo, terms: dict[str, str], when: datetime
) -> PriceCard | None:
    """Compile what the list says of terms it knows, with what the supplement adds."""
    prices = info.get_prices(when, terms).__dict__
    if prices.get("input_mtok") is None:
        return None
    model = info.id.rpartition("/")[2]
    card = PriceCard(
        id=info.id,
        rates=_rates_at(prices, 0),
        tiers=tuple((start, _rates_at(prices, start + 1)) for start in _thresholds_of(prices)),
        tool_fees=_fees_of(prices),
        request_fee=_pico(prices.get("requests_kcount"), _PICO_PER_KCOUNT),
        context_window=info.context_window or 0,
        max_output_tokens=max_output_of(info.id),
        writes_unasked=model.startswith("gpt-"),
    )
    return supplement().completed(card, source.id, model)


def _terms_of(info: ModelInfo, context: PriceContext) -> tuple[dict[str, str], set[str]]:
    """Give genai-prices' words for a context, and those of them it has no price for."""
    words = words_of(context)
    terms: dict[str, str] = {}
    if words.get("tier") == "batch":
        terms["processing"] = "batch"
    elif "tier" in words:
        terms["service_tier"] = words["tier"]
    if "speed" in words:
        terms["speed"] = words["speed"]
    listed = [variant.when.items() for variant in info.price_variants or ()]
    unknown = {term[0] for term in terms.items() if not any(term in when for when in listed)}
    return terms, unknown


def _on_unlisted_term(
    card: PriceCard,
    entry: tuple[Provider, ModelInfo],
    word: str,
    context: PriceContext,
    when: datetime,
) -> PriceCard:
    """Price a term the list does not know: by the supplement, else at the dearest it knows.

    That is the standard price for a discount, and the highest of the same kind for the others.
    """
    source, info = entry
    kind = "speed" if word == "speed" else "tier"
    model = info.id.rpartition("/")[2]
    supplied = supplement().term(card, (source.id, model), kind, words_of(context)[kind])
    if supplied is not None:
        return supplied
    rivals = [variant.when for variant in info.price_variants or () if word in variant.when]
    cards = [_listed(source, info, terms, when) for terms in rivals]
    dearer = [] if context.service_tier in DISCOUNTS else [each for each in cards if each]
    return dearest_card(card.id, [card, *dearer])


def _in_region(card: PriceCard, provider: str, model: str, region: str) -> PriceCard:
    if not region:
        return card
    supplied = supplement().term(card, (provider, model), "region", region)
    if supplied is not None:
        return supplied
    if provider in _REGIONAL_PROVIDERS:
        return replace(multiple_of(card, _REGIONAL_FACTOR), approximate=True)
    return card


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


@cache
def _list_name() -> str:
    return f"genai-prices-{version('genai-prices')}"
