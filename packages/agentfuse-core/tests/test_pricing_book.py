"""Models are found as the world writes them, and nonsense is named."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from agentfuse.errors import ConfigurationError, UnknownPrice
from agentfuse.pricing import PriceBook
from agentfuse.pricing.ceilings import UNKNOWN_CEILING, max_output_of
from agentfuse.usage import BilledUsage, PriceContext, Usage, UsageReport


def at(*when: int):
    return lambda: datetime(*when, tzinfo=UTC).timestamp()


BOOK = PriceBook(now=at(2026, 11, 20))


@pytest.mark.parametrize(
    ("model", "provider", "entry", "approximate"),
    [
        ("gpt-4o", "", "openai/gpt-4o", False),
        (" GPT-4o ", "openai", "openai/gpt-4o", False),
        ("openai/gpt-4o", "", "openai/gpt-4o", False),
        ("gpt-4o-2024-05-13", "openai", "openai/gpt-4o-2024-05-13", False),
        ("gpt-5-2025-08-07", "openai", "openai/gpt-5", False),
        ("gpt-5.4-2026-12-20", "openai", "openai/gpt-5.4", True),
        ("models/gemini-2.5-flash", "", "google/gemini-2.5-flash", False),
        ("models/gemini-2.5-flash", "google", "google/gemini-2.5-flash", False),
        ("claude-sonnet-4-5-latest", "anthropic", "anthropic/claude-sonnet-4-5", False),
        ("anthropic/claude-sonnet-4.5", "", "anthropic/claude-sonnet-4-5", False),
        (
            "anthropic/claude-sonnet-4.5",
            "openrouter",
            "openrouter/anthropic/claude-sonnet-4.5",
            False,
        ),
        ("openai/gpt-oss-20b", "groq", "groq/openai/gpt-oss-20b", False),
        ("gpt-4o", "azure", "azure/gpt-4o", False),
        ("gpt-4o", "my-gateway", "openai/gpt-4o", True),
        ("claude-sonnet-5", "openai", "anthropic/claude-sonnet-5", True),
    ],
)
def test_a_model_is_found_however_it_is_written(model, provider, entry, approximate):
    card = BOOK.card(model, provider)
    assert card.id.rpartition("@")[0] == entry
    assert card.approximate is approximate


def test_a_bedrock_profile_is_found_by_its_resource_name():
    arn = "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-opus-4-8"
    card = BOOK.card(arn, "bedrock")
    assert card.rates.input == 5_500_000
    assert card.max_output_tokens == 128_000


@pytest.mark.parametrize("provider", ["", "openai"])
@pytest.mark.parametrize(
    ("model", "base", "times"),
    [
        ("ft:gpt-4o-2024-08-06:org::id", "gpt-4o", Decimal("1.5")),
        ("ft:gpt-4o-mini-2024-07-18:org::id", "gpt-4o-mini", 2),
        ("ft:gpt-4.1-2025-04-14:org:suffix:id", "gpt-4.1", Decimal("1.5")),
        ("ft:gpt-4.1-mini-2025-04-14:org::id", "gpt-4.1-mini", 2),
        ("ft:gpt-4.1-nano-2025-04-14:org::id", "gpt-4.1-nano", 2),
        ("ft:o4-mini-2025-04-16:org::id", "o4-mini", 4 / Decimal("1.1")),
        ("ft:gpt-3.5-turbo-0125:org::id", "gpt-3.5-turbo-0125", 6),
    ],
)
def test_a_fine_tuned_model_is_not_priced_as_its_base(model, base, times, provider):
    assert BOOK.card(model, provider).rates.input == BOOK.card(base).rates.input * times


def test_a_fine_tuned_model_nobody_lists_has_no_price():
    with pytest.raises(UnknownPrice):
        BOOK.card("ft:gpt-99:org::id", "openai")


def test_the_card_names_its_list_and_day():
    card = BOOK.card("gpt-4o")
    assert card.id.startswith("openai/gpt-4o@genai-prices-")
    assert card.valid_on == "2026-11-20"


def test_an_unknown_model_has_no_price():
    with pytest.raises(UnknownPrice, match="gpt-99-super"):
        BOOK.card("gpt-99-super", "openai")


def test_a_subscription_without_rates_is_not_free():
    card = BOOK.card("gpt-4o", "github-copilot")
    assert card.rates.input > 0
    assert card.approximate


def test_an_unknown_model_may_be_priced_as_the_dearest_of_its_family():
    card = PriceBook(on_unknown_model="max_of_family").card("claude-99-opus", "anthropic")
    dearest = max(
        BOOK.card(name).rates.output for name in ("claude-3-opus-latest", "claude-opus-5")
    )
    assert card.rates.output >= dearest
    assert card.approximate


def test_an_unknown_family_has_no_dearest():
    with pytest.raises(UnknownPrice):
        PriceBook(on_unknown_model="max_of_family").card("zzz-1")


def test_an_unknown_model_may_be_declared_free():
    card = PriceBook(on_unknown_model="free").card("my-own-llama")
    assert card.cost(Usage(input_tokens=10**6, output_tokens=10**6)) == 0


def test_known_models_are_never_free_by_that():
    assert PriceBook(on_unknown_model="free").card("gpt-4o").rates.input == 2_500_000


@pytest.mark.parametrize(
    ("context", "rate", "approximate"),
    [
        (PriceContext(), 2_500_000, False),
        (PriceContext(service_tier="default"), 2_500_000, False),
        (PriceContext(service_tier="priority"), 4_250_000, False),
        (PriceContext(batch=True), 1_250_000, False),
        (PriceContext(service_tier="flex"), 2_500_000, True),
        (PriceContext(service_tier="unheard-of"), 4_250_000, True),
        (PriceContext(region="us"), 2_750_000, True),
    ],
)
def test_terms_decide_the_rate(context, rate, approximate):
    card = BOOK.card("gpt-4o", "openai", context)
    assert (card.rates.input, card.approximate) == (rate, approximate)


def test_prices_that_change_by_the_hour_follow_the_clock():
    peak = PriceBook(now=at(2026, 11, 18, 2)).card("deepseek-v4-flash", "deepseek")
    quiet = PriceBook(now=at(2026, 11, 18, 13)).card("deepseek-v4-flash", "deepseek")
    assert peak.rates.input == 2 * quiet.rates.input


def test_a_running_book_notices_a_new_window():
    now = [at(2026, 11, 18, 2)()]
    book = PriceBook(now=lambda: now[0])
    peak = book.card("deepseek-v4-flash", "deepseek")
    now[0] = at(2026, 11, 18, 13)()
    assert book.card("deepseek-v4-flash", "deepseek").rates != peak.rates


def test_own_prices_win_in_any_number_type():
    for price in (2, 2.0, "2", "$2.00", Decimal(2)):
        card = PriceBook({"GPT-4o": {"input": price, "output": 8}}).card("gpt-4o", "openai")
        assert card.rates.input == 2_000_000
        assert card.rates.cache_read == 2_000_000


def test_own_prices_may_be_for_one_provider():
    book = PriceBook({"azure/gpt-4o": {"input": 1, "output": 1}})
    assert book.card("gpt-4o", "azure").rates.input == 1_000_000
    assert book.card("gpt-4o", "openai").rates.input == 2_500_000


def test_own_prices_may_say_every_kind():
    prices = {
        "input": 1,
        "output": 2,
        "cache_read": 3,
        "cache_write": 4,
        "cache_write_1h": 5,
        "cache_write_12h": 11,
        "cache_read_audio": 12,
        "input_image": 13,
        "output_image": 14,
        "input_video": 15,
        "input_audio": 6,
        "output_audio": 7,
        "reasoning": 8,
        "context_window": 9,
        "max_output_tokens": 10,
    }
    card = PriceBook({"m": prices}).card("m")
    rates = card.rates
    assert [rates.input, rates.output, rates.cache_read, rates.cache_write_5m] == [
        10**6,
        2 * 10**6,
        3 * 10**6,
        4 * 10**6,
    ]
    assert [rates.cache_write_1h, rates.input_audio, rates.output_audio, rates.reasoning] == [
        5 * 10**6,
        6 * 10**6,
        7 * 10**6,
        8 * 10**6,
    ]
    assert (card.context_window, card.max_output_tokens) == (9, 10)


def test_own_prices_are_read_from_toml_and_json(tmp_path):
    toml = tmp_path / "prices.toml"
    toml.write_text('["my-model"]\ninput = 0.1\noutput = "0.3"\n')
    book = tmp_path / "prices.json"
    book.write_text(json.dumps({"my-model": {"input": 0.1, "output": "0.3"}}))
    for path in (toml, book, str(toml)):
        card = PriceBook(path).card("my-model")
        assert (card.rates.input, card.rates.output) == (100_000, 300_000)


@pytest.mark.parametrize(
    ("prices", "words"),
    [
        ({"m": {"input": -1, "output": 1}}, ["m", "input", "-1"]),
        ({"m": {"input": "cheap", "output": 1}}, ["m", "input", "cheap"]),
        ({"m": {"input": float("nan"), "output": 1}}, ["m", "input"]),
        ({"m": {"input": True, "output": 1}}, ["m", "input"]),
        ({"m": {"input": 1}}, ["m", "output", "missing"]),
        ({"m": {"output": 1}}, ["m", "input", "missing"]),
        ({"m": {"input": 1, "output": 1, "per_moon": 2}}, ["m", "per_moon"]),
        ({"m": {"input": 1, "output": 1, "max_output_tokens": "many"}}, ["m", "max_output_tokens"]),
        ({"m": 3}, ["m"]),
        ({"": {"input": 1, "output": 1}}, ["prices"]),
    ],
)
def test_prices_that_make_no_sense_are_named(prices, words):
    with pytest.raises(ConfigurationError) as caught:
        PriceBook(prices)
    assert all(word in str(caught.value) for word in words)


@pytest.mark.parametrize(
    ("name", "text"),
    [("p.toml", "no = = toml"), ("p.json", "{"), ("p.json", "[1]"), ("p.toml", '[m]\ninput = "x"')],
)
def test_files_that_make_no_sense_are_named(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=name):
        PriceBook(path)


def test_a_missing_price_file_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match=r"none\.toml"):
        PriceBook(tmp_path / "none.toml")


def test_a_word_for_unknown_models_must_be_known():
    with pytest.raises(ConfigurationError, match="shrug"):
        PriceBook(on_unknown_model="shrug")


def test_each_item_is_priced_by_its_own_model():
    usage = Usage(input_tokens=1_000_000)
    items = tuple(BilledUsage(model=name, usage=usage) for name in ("gpt-4o", "gpt-4o-mini"))
    cost = BOOK.cost(UsageReport(items=items), "openai")
    assert cost.usd == Decimal("2.65")
    assert "openai/gpt-4o@" in cost.card_id
    assert "openai/gpt-4o-mini@" in cost.card_id


def test_what_the_provider_says_it_charged_wins():
    item = BilledUsage(model="gpt-4o", usage=Usage(input_tokens=10))
    report = UsageReport(items=(item,), reported_cost=Decimal("0.5"))
    assert BOOK.cost(report).usd == Decimal("0.5")


@pytest.mark.parametrize("odd", ["NaN", "-1", "Infinity", "1e30"])
def test_a_reported_cost_that_is_no_amount_is_not_believed(odd):
    item = BilledUsage(model="gpt-4o", usage=Usage(input_tokens=1_000))
    report = UsageReport(items=(item,), reported_cost=Decimal(odd))
    assert BOOK.cost(report).usd == Decimal("0.0025")


def test_a_tool_without_a_known_fee_makes_the_cost_approximate():
    usage = Usage(tool_requests={"time_travel": 1})
    report = UsageReport(items=(BilledUsage(model="gpt-4o", usage=usage),))
    assert BOOK.cost(report).approximate


@pytest.mark.parametrize(
    ("model", "most"),
    [
        ("gpt-4o", 16_384),
        ("gpt-4o-2024-05-13", 4_096),
        ("gpt-4.1-nano", 32_768),
        ("gpt-4", 8_192),
        ("gpt-4-turbo-2024-04-09", 4_096),
        ("gpt-5-mini", 128_000),
        ("gpt-6.1-terra", 128_000),
        ("o1-mini", 65_536),
        ("openai/o3", 100_000),
        ("claude-3-5-sonnet-20241022", 8_192),
        ("claude-opus-4-1", 32_000),
        ("claude-sonnet-4.5", 64_000),
        ("us.anthropic.claude-opus-4-8", 128_000),
        ("gemini-2.0-flash", 8_192),
        ("models/gemini-2.5-pro", 65_536),
        ("who-knows", UNKNOWN_CEILING),
    ],
)
def test_the_longest_answer_of_each_family(model, most):
    assert max_output_of(model) == most


def test_the_price_list_is_not_loaded_before_a_price_is_asked_for():
    code = (
        "import sys; from agentfuse.pricing import PriceBook; PriceBook();"
        "sys.exit('genai_prices' in sys.modules or 'tiktoken' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
