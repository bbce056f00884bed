"""Usage is read from every provider's shape, and nonsense never raises."""

from __future__ import annotations

import gzip
import json
import os
from decimal import ROUND_CEILING, Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentfuse.pricing import PriceBook, report_of, stream_usage
from agentfuse.usage import PriceContext, Usage

RECORDED = Path(__file__).parent / "data" / "recorded"
DATA = Path(os.environ.get("AGENTFUSE_DATA") or Path(__file__).parents[4] / "shared" / "data")
PAIRS = DATA / "usage_pairs" / "dev"


def recording(name: str) -> dict[str, Any]:
    return json.loads((RECORDED / f"{name}.json").read_text())


def events_of(recorded: dict[str, Any]) -> list[dict[str, Any]]:
    lines = recorded["response_body"].splitlines()
    told = [line[5:].strip() for line in lines if line.startswith("data:")]
    return [json.loads(each) for each in told if each != "[DONE]"]


def body_of(recorded: dict[str, Any]) -> Any:
    return json.loads(recorded["response_body"])


def test_a_chat_completion_says_what_was_cached_thought_and_spoken():
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 50,
        "total_tokens": 150,
        "prompt_tokens_details": {"cached_tokens": 60, "audio_tokens": 10},
        "completion_tokens_details": {"reasoning_tokens": 30, "audio_tokens": 5},
    }
    report = report_of({"model": "gpt-4o", "service_tier": "priority", "usage": usage})
    assert report is not None
    assert report.usage == Usage(
        input_tokens=100,
        output_tokens=50,
        cache_read_tokens=60,
        input_audio_tokens=10,
        reasoning_tokens=30,
        output_audio_tokens=5,
    )
    assert report.items[0].context == PriceContext(service_tier="priority")
    assert report.items[0].model == "gpt-4o"
    assert not report.approximate


def test_what_is_missing_between_the_parts_and_the_total_is_output():
    usage = {"prompt_tokens": 35, "completion_tokens": 12, "total_tokens": 109}
    report = report_of({"usage": usage}, model="gemini-2.5-flash")
    assert report is not None
    assert report.usage == Usage(input_tokens=35, output_tokens=74)
    assert report.items[0].model == "gemini-2.5-flash"


def test_compaction_is_billed_though_the_top_level_leaves_it_out():
    report = report_of(body_of(recording("anthropic-15")))
    assert report is not None
    assert report.usage.input_tokens == 55_416
    assert report.usage.output_tokens == 133


def test_an_adviser_is_billed_under_its_own_model():
    report = report_of(body_of(recording("anthropic-13")))
    assert report is not None
    shares = {item.model: item.usage.input_tokens for item in report.items[1:]}
    assert shares["claude-opus-4-8"] == 2_518
    own = [item.usage.input_tokens for item in report.items if item.model == "claude-sonnet-5"]
    assert own == [1_128, 1_262]


def test_anthropics_stream_is_merged_and_not_added():
    recorded = recording("anthropic-10")
    body = stream_usage(events_of(recorded))
    assert body is not None
    report = report_of(body)
    assert report is not None
    assert report.items[0].model == "claude-sonnet-4-5-20250929"
    assert report.usage == Usage(
        input_tokens=11_665, output_tokens=186, tool_requests={"web_search": 1}
    )


def test_anthropics_input_includes_what_was_cached_for_how_long():
    usage = {
        "input_tokens": 4,
        "cache_read_input_tokens": 100,
        "cache_creation_input_tokens": 30,
        "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
        "output_tokens": 7,
        "output_tokens_details": {"thinking_tokens": 3},
        "service_tier": "batch",
        "speed": "fast",
        "inference_geo": "us",
    }
    report = report_of({"type": "message", "model": "claude-opus-5", "usage": usage})
    assert report is not None
    assert report.usage == Usage(
        input_tokens=134,
        output_tokens=7,
        cache_read_tokens=100,
        cache_write_5m_tokens=10,
        cache_write_1h_tokens=20,
        reasoning_tokens=3,
    )
    terms = PriceContext(service_tier="batch", speed="fast", region="us")
    assert report.items[0].context == terms


@pytest.mark.parametrize("name", ["openai-chat-03", "openai-responses-04"])
def test_cache_writes_of_openai_are_seen(name):
    report = report_of(body_of(recording(name)))
    assert report is not None
    assert report.usage.input_tokens == 4_020
    assert report.usage.cache_write_5m_tokens == 4_012


def test_deepseeks_cache_hits_are_seen():
    usage = {"prompt_tokens": 563, "completion_tokens": 116, "prompt_cache_hit_tokens": 512}
    report = report_of({"usage": usage})
    assert report is not None
    assert report.usage.cache_read_tokens == 512
    recorded = report_of(body_of(recording("others-04")))
    assert recorded is not None
    assert recorded.usage.cache_read_tokens == 512


def test_groqs_own_place_for_usage_is_found():
    told = {"usage": {"prompt_tokens": 5, "completion_tokens": 6, "total_tokens": 11}}
    report = report_of({"x_groq": told, "model": "llama-3.3-70b-versatile", "usage": None})
    assert report is not None
    assert report.usage == Usage(input_tokens=5, output_tokens=6)
    chunks = [{"choices": [], "usage": None}, {"x_groq": told, "choices": []}]
    body = stream_usage(chunks)
    assert body is not None
    assert report_of(body) is not None


def test_openrouters_charge_is_taken_to_the_last_digit():
    body = stream_usage(events_of(recording("openrouter-02")))
    assert body is not None
    report = report_of(body)
    assert report is not None
    assert report.reported_cost == Decimal("0.00333825")


def test_with_an_own_key_openrouters_fee_is_not_the_whole_cost():
    usage = {
        "prompt_tokens": 1,
        "completion_tokens": 1,
        "cost": 0.001,
        "is_byok": True,
        "cost_details": {"upstream_inference_cost": 0.02},
    }
    report = report_of({"usage": usage})
    assert report is not None
    assert report.reported_cost == Decimal("0.021")


def test_what_openrouter_charged_is_what_is_booked():
    book = PriceBook()
    pairs = json.loads((RECORDED / "billed_cost_pairs.json").read_text())
    for pair in pairs:
        report = report_of({"usage": pair["usage"], "model": pair["model"]})
        assert report is not None
        charged = Decimal(str(pair["billed_usd"])).quantize(Decimal("1e-9"), ROUND_CEILING)
        assert book.cost(report).usd == charged


def test_searches_of_the_responses_api_are_counted():
    output = [
        {"type": "web_search_call", "action": {"type": "search"}},
        {"type": "web_search_call", "action": {"type": "open_page"}},
        {"type": "file_search_call"},
        {"type": "message"},
    ]
    report = report_of({"output": output, "usage": {"input_tokens": 1, "output_tokens": 1}})
    assert report is not None
    assert report.usage.tool_requests == {"web_search": 1, "file_search": 1}


def test_a_responses_stream_ends_with_its_usage():
    usage = {"input_tokens": 9, "output_tokens": 4, "total_tokens": 13}
    events = [
        {"type": "response.created", "response": {"usage": None}},
        {"type": "response.completed", "response": {"model": "gpt-5", "usage": usage}},
    ]
    body = stream_usage(events)
    assert body is not None
    assert report_of(body) == report_of(events[1])


def test_gemini_counts_thoughts_tools_and_sound():
    usage = {
        "promptTokenCount": 100,
        "toolUsePromptTokenCount": 10,
        "cachedContentTokenCount": 50,
        "candidatesTokenCount": 5,
        "thoughtsTokenCount": 20,
        "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 30}],
        "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 25}],
        "trafficType": "ON_DEMAND_FLEX",
    }
    report = report_of({"usageMetadata": usage, "modelVersion": "gemini-2.5-flash"})
    assert report is not None
    assert report.usage == Usage(
        input_tokens=110,
        output_tokens=25,
        cache_read_tokens=50,
        cache_read_audio_tokens=25,
        input_audio_tokens=5,
        reasoning_tokens=20,
    )
    assert report.items[0].context.service_tier == "flex"


def test_bedrocks_converse_is_read():
    usage = {"inputTokens": 22, "outputTokens": 13, "cacheWriteInputTokens": 2_492}
    report = report_of({"usage": usage}, model="us.amazon.nova-lite-v1:0")
    assert report is not None
    assert report.usage == Usage(input_tokens=2_514, output_tokens=13, cache_write_5m_tokens=2_492)


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": 6}},
        {"completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": 6}},
        {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 7},
    ],
)
def test_counts_that_contradict_each_other_are_marked(usage):
    report = report_of({"usage": usage})
    assert report is not None
    assert report.approximate


@pytest.mark.parametrize(
    "body", [{}, {"usage": None}, {"usage": {}}, {"usage": []}, {"choices": []}]
)
def test_no_usage_is_no_report(body):
    assert report_of(body) is None


def test_a_stream_without_usage_has_none():
    assert stream_usage([]) is None
    assert stream_usage([{"choices": [], "usage": None}]) is None


FIELDS = """
usage prompt_tokens completion_tokens total_tokens input_tokens output_tokens cached_tokens
prompt_tokens_details output_tokens_details cache_creation cache_creation_input_tokens
ephemeral_1h_input_tokens iterations model type cost is_byok cost_details server_tool_use
web_search_requests usageMetadata promptTokenCount promptTokensDetails inputTokens x_groq
response message service_tier output action cacheDetails
"""
WORDS = st.sampled_from(FIELDS.split())
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(["message", "web_search_call", "message_start", "message_delta"]),
)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=6),
    max_leaves=30,
)
BODIES = st.dictionaries(WORDS, JSON, max_size=6)
FREE = PriceBook(on_unknown_model="free")


@given(BODIES)
def test_no_json_is_too_strange_to_read(body):
    report = report_of(body)
    if report is not None:
        assert FREE.cost(report).nanodollars >= 0


@given(st.lists(BODIES, max_size=5))
def test_no_stream_is_too_strange_to_read(events):
    body = stream_usage(events)
    report = report_of(body) if body is not None else None
    assert report is None or FREE.cost(report).nanodollars >= 0


def pairs() -> list[dict[str, Any]]:
    found = []
    for path in sorted(PAIRS.glob("*.jsonl.gz")):
        with gzip.open(path, "rt") as lines:
            found += [json.loads(line) for line in lines]
    return found


@pytest.mark.skipif(
    not PAIRS.is_dir(), reason="recorded usages are not beside the repository (AGENTFUSE_DATA)"
)
def test_every_recorded_usage_is_read_as_it_was_billed():
    wrong, read = [], 0
    for row in pairs():
        usage = row["usage"]
        if "Tokens" in row["api"] or "count_tokens" in row["api"] or row["api"] == "cohere.chat":
            continue
        native = row["api"].startswith("google")
        body = {"usageMetadata": usage} if native else {"usage": usage}
        report = report_of(body, provider=row["provider"], model=row["model"] or "")
        assert report is not None
        if usage.get("iterations"):
            continue
        tools = (usage.get("toolUsePromptTokenCount") or 0) if native else 0
        totals = (report.usage.input_tokens - tools, report.usage.output_tokens)
        read += 1
        if totals != (row["input_total"], row.get("output_total", 0)):
            wrong.append(row["id"])
    assert wrong == []
    assert read > 1_500
