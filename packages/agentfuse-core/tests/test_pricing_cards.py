"""A bill is exact, adds up, and is the same as the price list's own arithmetic."""

from __future__ import annotations

import gzip
import json
import os
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from agentfuse.pricing import PriceBook, PriceCard, Rates, report_of
from agentfuse.usage import BilledUsage, PriceContext, Usage, UsageReport
from agentfuse.usages.consistency import is_consistent

DATA = Path(os.environ.get("AGENTFUSE_DATA") or Path(__file__).parents[4] / "shared" / "data")
PAIRS = DATA / "usage_pairs" / "dev"
MTOK = 10**6
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()

BOOK = PriceBook(now=lambda: NOW)

counts = st.integers(0, 300_000)
rates = st.builds(Rates, **dict.fromkeys(Rates.__dataclass_fields__, st.integers(0, 10**8)))
cards = st.builds(
    PriceCard,
    id=st.just("card"),
    rates=rates,
    tool_fees=st.just({"web_search": 10**10}),
)

# Each kind of token with the total that holds it.
PARTS = [
    (name, "output_tokens" if name.startswith(("output", "reasoning")) else "input_tokens")
    for name in Usage.__dataclass_fields__
    if name not in {"tool_requests", "input_tokens", "output_tokens", "cache_read_audio_tokens"}
]


@st.composite
def consistent_usages(draw: st.DrawFn) -> Usage:
    parts = {
        name: draw(counts)
        for name in (
            "cache_read_tokens",
            "cache_write_5m_tokens",
            "cache_write_1h_tokens",
            "cache_write_12h_tokens",
            "input_audio_tokens",
            "input_image_tokens",
            "input_video_tokens",
        )
    }
    said = {
        name: draw(counts)
        for name in ("reasoning_tokens", "output_audio_tokens", "output_image_tokens")
    }
    return Usage(
        **parts,
        **said,
        cache_read_audio_tokens=draw(st.integers(0, parts["cache_read_tokens"])),
        input_tokens=sum(parts.values()) + draw(counts),
        output_tokens=sum(said.values()) + draw(counts),
    )


@given(cards, consistent_usages(), consistent_usages())
def test_the_cost_of_a_sum_is_the_sum_of_the_costs(card, one, other):
    assert card.cost(one + other) == card.cost(one) + card.cost(other)


@given(
    cards,
    st.builds(
        Usage,
        **dict.fromkeys(
            Usage.__dataclass_fields__.keys() - {"tool_requests"}, st.integers(-5, 10**9)
        ),
    ),
)
def test_no_usage_has_a_negative_cost(card, usage):
    assert card.cost(usage) >= 0


@given(cards, consistent_usages(), counts, counts)
def test_more_tokens_never_cost_less(card, usage, more_in, more_out):
    more = usage + Usage(input_tokens=more_in, output_tokens=more_out)
    assert card.cost(more) >= card.cost(usage)


@given(cards, consistent_usages(), st.sampled_from(PARTS), counts)
def test_more_of_one_kind_never_costs_less(card, usage, part, more):
    kind, total = part
    assert card.cost(usage + Usage(**{kind: more, total: more})) >= card.cost(usage)


@given(cards, consistent_usages())
def test_the_worst_case_is_no_less_than_any_reading(card, usage):
    worst = card.worst(
        usage.input_tokens,
        usage.output_tokens,
        caching="12h",
        media=frozenset({"audio", "image", "video"}),
    )
    assert card.cost(usage) <= worst


@given(cards, counts, counts, counts)
def test_counts_that_contradict_each_other_are_read_at_their_dearest(card, read, over, output):
    odd = Usage(input_tokens=read, cache_read_tokens=read + over + 1, output_tokens=output)
    fair = Usage(input_tokens=read, cache_read_tokens=read, output_tokens=output)
    assert not is_consistent(odd)
    assert card.cost(odd) >= card.cost(fair)


def test_above_a_threshold_every_token_is_billed_at_its_rates():
    card = BOOK.card("claude-haiku-5-5", "anthropic")
    below = card.cost(Usage(input_tokens=100_000))
    above = card.cost(Usage(input_tokens=100_001))
    assert below == 100_000 * 100_000
    assert above == 100_001 * 500_000


# From the providers' price pages: what list prices without cached rates, tiers and writes that
# last an hour get wrong by up to five times.
@pytest.mark.parametrize(
    ("model", "usage", "dollars"),
    [
        (
            "gpt-4o",
            Usage(input_tokens=100_000, cache_read_tokens=90_000, output_tokens=1_000),
            "0.1475",
        ),
        (
            "gpt-5",
            Usage(input_tokens=100_000, cache_read_tokens=90_000, output_tokens=1_000),
            "0.03375",
        ),
        ("claude-opus-4-6", Usage(input_tokens=300_000, output_tokens=1_000), "1.525"),
        ("claude-sonnet-4-6", Usage(input_tokens=10_000, cache_write_1h_tokens=10_000), "0.06"),
        ("claude-sonnet-4-6", Usage(input_tokens=10_000, cache_write_5m_tokens=10_000), "0.0375"),
        ("claude-haiku-4-5", Usage(input_tokens=1_000, output_tokens=1_000), "0.006"),
        ("gemini-2.5-pro", Usage(input_tokens=300_000, output_tokens=1_000), "0.765"),
        ("gpt-5.4", Usage(input_tokens=300_000, output_tokens=1_000), "1.5225"),
        ("gpt-4.1", Usage(input_tokens=1_000_000, cache_read_tokens=1_000_000), "0.5"),
        ("claude-sonnet-4-6", Usage(tool_requests={"web_search": 3}), "0.03"),
    ],
)
def test_bills_are_those_of_the_price_pages(model, usage, dollars):
    assert Decimal(BOOK.card(model).cost(usage)).scaleb(-12) == Decimal(dollars)


def listed_cost(usage: Usage, model: str, provider: str, context: dict[str, str]) -> Decimal:
    import genai_prices

    given_counts = {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cache_read_tokens": usage.cache_read_tokens,
        "cache_write_tokens": usage.cache_write_5m_tokens + usage.cache_write_1h_tokens,
        "cache_write_1h_tokens": usage.cache_write_1h_tokens,
        "web_searches": usage.tool_requests.get("web_search", 0),
    }
    return genai_prices.calc_price(
        genai_prices.Usage(**given_counts),
        model,
        provider_id=provider,
        genai_request_timestamp=datetime.fromtimestamp(NOW, UTC),
        price_context=context,
    ).total_price


@given(
    st.sampled_from(
        [
            ("gpt-4o", "openai"),
            ("gpt-5.4", "openai"),
            ("gpt-6-sol", "openai"),
            ("claude-sonnet-4-5", "anthropic"),
            ("claude-haiku-5-5", "anthropic"),
            ("gemini-2.5-pro", "google"),
            ("deepseek-v4-pro", "deepseek"),
            ("llama-3.3-70b-versatile", "groq"),
        ]
    ),
    consistent_usages(),
    st.sampled_from([({}, PriceContext()), ({"processing": "batch"}, PriceContext(batch=True))]),
)
def test_cards_agree_with_the_price_lists_own_arithmetic(model, usage, context):
    name, provider = model
    assume(not usage.input_audio_tokens or name != "gemini-2.5-pro")
    usage = replace(usage, cache_write_12h_tokens=0, cache_read_audio_tokens=0)  # not theirs
    card = BOOK.card(name, provider, context[1])
    theirs = listed_cost(usage, name, provider, context[0])
    assert Decimal(card.cost(usage)).scaleb(-12) == theirs


def recorded() -> list[tuple[str, str, UsageReport]]:
    apis = {
        "openai": "openai",
        "anthropic": "anthropic",
        "deepseek": "deepseek",
        "groq": "groq",
        "cerebras": "cerebras",
    }
    found: list[tuple[str, str, UsageReport]] = []
    for path in sorted(PAIRS.glob("*.jsonl.gz")):
        provider = apis.get(path.name.split(".")[0])
        with gzip.open(path, "rt") as lines:
            for line in lines if provider else ():
                row: dict[str, Any] = json.loads(line)
                model = row.get("response_model") or row["model"]
                body = {"usage": row["usage"], "model": model}
                report = report_of(body, provider=row["provider"])
                if report is not None and not report.approximate and len(report.items) == 1:
                    found.append((model, row["provider"], report))
    return found


@pytest.mark.skipif(
    not PAIRS.is_dir(), reason="recorded usages are not beside the repository (AGENTFUSE_DATA)"
)
def test_recorded_usages_cost_what_the_price_list_says():
    compared = 0
    for model, provider, report in recorded():
        item = report.items[0]
        audio = item.usage.input_audio_tokens or item.usage.output_audio_tokens
        if audio or item.context.service_tier not in {"", "default", "standard"}:
            continue
        try:
            theirs = listed_cost(item.usage, model, provider, {})
            card = BOOK.card(model, provider)
        except LookupError:
            continue
        if provider not in card.id or card.rates.input == 0:
            continue
        assert Decimal(card.cost(item.usage)).scaleb(-12) == theirs, (model, item.usage)
        compared += 1
    assert compared > 900


def test_a_report_is_rounded_up_once():
    book = PriceBook({"tiny": {"input": "0.000001", "output": 0}})
    item = BilledUsage(model="tiny", usage=Usage(input_tokens=1))
    assert book.cost(UsageReport(items=(item,) * 1_000)).nanodollars == 1
