"""A quote covers whatever the answer may cost."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentfuse.messages import Media, Message, Request, Text
from agentfuse.money import nano_of_pico
from agentfuse.pricing import PriceBook, PriceCard, Rates, affordable_output, context_of, quote_of
from agentfuse.pricing.cards import FREE
from agentfuse.tokens import TokenCounter, TokenEstimate
from agentfuse.usage import Usage

BOOK = PriceBook()


def asking(model: str = "gpt-4o", **more: Any) -> Request:
    messages = (Message("user", (Text("hello world"),)),)
    return Request(provider="", model=model, **{"messages": messages, **more})


def estimate(tokens: int, high: int | None = None) -> TokenEstimate:
    return TokenEstimate(
        tokens=tokens, low=tokens, high=high or tokens, method="exact" if not high else "rules"
    )


def test_the_worst_case_is_the_high_count_and_the_longest_answer():
    request = asking(max_output_tokens=1_000)
    quote = quote_of(request, BOOK.card("gpt-4o"), estimate(10_000, 12_000))
    assert quote.worst == 12_000 * 2_500 + 1_000 * 10_000
    assert quote.floor == 12_000 * 2_500
    assert quote.per_output_token == 10_000_000
    assert quote.max_output_tokens == 1_000
    assert quote.input_tokens == 10_000
    assert quote.expected == 10_000 * 2_500 + 500 * 10_000


def test_without_a_limit_the_models_own_longest_answer_counts():
    quote = quote_of(asking(), BOOK.card("gpt-4o"), estimate(10))
    assert quote.max_output_tokens == 16_384


def test_every_choice_is_paid_for():
    one = quote_of(asking(max_output_tokens=100), BOOK.card("gpt-4o"), estimate(10))
    three = quote_of(
        asking(max_output_tokens=100, params={"n": 3}), BOOK.card("gpt-4o"), estimate(10)
    )
    assert three.max_output_tokens == 300
    assert three.worst - three.floor == 3 * (one.worst - one.floor)


@pytest.mark.parametrize(
    ("control", "rate"),
    [(None, 3_000), ({"type": "ephemeral"}, 3_750), ({"type": "ephemeral", "ttl": "1h"}, 6_000)],
)
def test_asking_for_caching_costs_its_writes(control, rate):
    extra = {"cache_control": control} if control else {}
    messages = (Message("user", (Text("hi", extra),)),)
    request = asking("claude-sonnet-4-6", messages=messages, max_output_tokens=1)
    quote = quote_of(request, BOOK.card("claude-sonnet-4-6"), estimate(1_000))
    assert quote.floor == 1_000 * rate


def test_openai_writes_its_cache_unasked():
    card = BOOK.card("gpt-5.6-sol")
    quote = quote_of(asking("gpt-5.6-sol"), card, estimate(1_000))
    assert quote.floor == 1_000 * card.rates.cache_write_5m // 1_000


def test_the_high_count_chooses_the_tier():
    card = BOOK.card("claude-haiku-5-5")
    quote = quote_of(asking("claude-haiku-5-5"), card, estimate(90_000, 110_000))
    assert quote.floor == 110_000 * 500
    assert quote.per_output_token == card.rates_at(110_000).output


def test_no_more_than_the_context_window_is_reserved():
    quote = quote_of(asking(), BOOK.card("gpt-4o"), estimate(1_000, 10_000_000))
    assert quote.floor == 128_000 * 2_500


def test_the_providers_own_tools_are_set_aside_for():
    tool = {"type": "web_search_20250305", "name": "web_search", "max_uses": 3}
    request = asking("claude-sonnet-4-6", tools=(tool,), max_output_tokens=1)
    bare = quote_of(
        asking("claude-sonnet-4-6", max_output_tokens=1),
        BOOK.card("claude-sonnet-4-6"),
        estimate(10),
    )
    quote = quote_of(request, BOOK.card("claude-sonnet-4-6"), estimate(10))
    assert quote.floor - bare.floor == 30_000_000


def test_sound_is_quoted_at_the_price_of_sound():
    media = Media(kind="audio", data="AAAA")
    request = asking("gpt-audio", messages=(Message("user", (media,)),))
    rates = replace(FREE, input=1, output=2, input_audio=50_000, output_audio=70_000)
    quote = quote_of(request, PriceCard(id="x", rates=rates, max_output_tokens=1), estimate(10))
    assert quote.floor == 500
    assert quote.per_output_token == 70_000


def test_terms_asked_for_are_read_from_the_request():
    request = asking(params={"service_tier": "priority", "inference_geo": "us"})
    context = context_of(request)
    assert (context.service_tier, context.region) == ("priority", "us")


rates_of_any_card = st.builds(
    Rates, **dict.fromkeys(Rates.__dataclass_fields__, st.integers(0, 10**8))
)


@given(rates_of_any_card, st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**12))
def test_affordable_output_fits_and_one_token_more_does_not(rates, tokens, most, left):
    card = PriceCard(id="x", rates=rates, max_output_tokens=most)
    quote = quote_of(asking(), card, estimate(tokens))
    bought = affordable_output(quote, left)
    assert 0 <= bought <= most
    if bought:
        assert nano_of_pico(card.worst(tokens, bought)) <= left
    if bought < most and quote.floor <= left:
        assert quote.floor * 1_000 + (bought + 1) * quote.per_output_token > left * 1_000
    if quote.worst <= left and rates.output:
        assert bought >= most - 1


@given(rates_of_any_card, st.integers(0, 10**6), st.integers(0, 5_000), st.integers(0, 5_000))
def test_no_answer_within_the_limits_costs_more_than_the_quote(rates, tokens, most, cached):
    card = PriceCard(id="x", rates=rates, max_output_tokens=most)
    quote = quote_of(asking(), card, estimate(tokens))
    usage = Usage(input_tokens=tokens, cache_read_tokens=min(cached, tokens), output_tokens=most)
    assert nano_of_pico(card.cost(usage)) <= quote.worst


def test_a_counted_request_and_its_quote_fit_together():
    request = asking(max_output_tokens=10)
    quote = quote_of(request, BOOK.card("gpt-4o"), TokenCounter().count(request))
    assert quote.worst == 9 * 2_500 + 10 * 10_000
