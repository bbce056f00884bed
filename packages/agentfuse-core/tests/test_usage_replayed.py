"""Recorded answers are billed alike as JSON, as the clients' objects and as streams."""

from __future__ import annotations

import enum
import json
from contextlib import contextmanager
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentfuse.pricing import PriceBook
from agentfuse.usage import PriceContext, Usage

RECORDED = Path(__file__).parent / "data" / "recorded"
ASKED = {"model": "recorded", "messages": [{"role": "user", "content": "again"}]}


def recording(name: str) -> dict[str, Any]:
    return json.loads((RECORDED / f"{name}.json").read_text())


def as_json(recorded: dict[str, Any]) -> Any:
    if not recorded["stream"]:
        return json.loads(recorded["response_body"])
    lines = recorded["response_body"].splitlines()
    told = [line[5:].strip() for line in lines if line.startswith("data:")]
    return [json.loads(each) for each in told if each and each != "[DONE]"]


@contextmanager
def served(recorded: dict[str, Any]):
    body = recorded["response_body"].encode()
    usual = "text/event-stream" if recorded["stream"] else "application/json"
    content_type = recorded.get("content_type", usual)

    class Recorded(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers.get("content-length") or 0))
            self.send_response(recorded.get("status", 200))
            self.send_header("content-type", content_type)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Recorded) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()


def by_client(recorded: dict[str, Any]) -> Any:
    from anthropic import Anthropic
    from openai import OpenAI

    stream = bool(recorded["stream"])
    terms = {"api_key": "none", "max_retries": 0}
    with served(recorded) as address:
        if recorded["api"] == "anthropic-messages":
            with Anthropic(base_url=address, **terms) as client:
                answer = client.messages.create(**ASKED, max_tokens=9, stream=stream)
                return list(answer) if stream else answer
        with OpenAI(base_url=address, **terms) as client:
            if recorded["api"] == "openai-responses":
                answer = client.responses.create(model="recorded", input="again", stream=stream)
            else:
                answer = client.chat.completions.create(**ASKED, stream=stream)
            return list(answer) if stream else answer


@pytest.mark.parametrize(
    ("name", "totals"),
    [
        ("anthropic-10", (11_665, 186)),
        ("anthropic-13", (4_908, 143)),
        ("anthropic-15", (55_416, 133)),
        ("openai-chat-03", (4_020, 4)),
        ("openai-responses-04", (4_020, 5)),
        ("openrouter-02", (687, 187)),
        ("others-04", (563, 116)),
        ("others-06", (268, 5)),
    ],
)
def test_a_clients_object_is_billed_as_its_json(name, totals):
    recorded = recording(name)
    plain = Usage.from_response(as_json(recorded))
    assert Usage.from_response(by_client(recorded)) == plain
    assert (plain.usage.input_tokens, plain.usage.output_tokens) == totals


@pytest.mark.parametrize(
    ("name", "usage"),
    [
        (
            "bedrock-02",
            Usage(input_tokens=2_514, output_tokens=13, cache_write_5m_tokens=2_492),
        ),
        (
            "google-02",
            Usage(
                input_tokens=17_713,
                output_tokens=889,
                cache_read_tokens=17_379,
                cache_read_audio_tokens=1_881,
                reasoning_tokens=821,
                input_audio_tokens=36,
                input_video_tokens=297,
            ),
        ),
    ],
)
def test_native_answers_are_read_kind_by_kind(name, usage):
    assert Usage.from_response(as_json(recording(name))).usage == usage


def test_what_geminis_tools_put_in_is_input():
    usage = Usage.from_response(as_json(recording("google-06"))).usage
    assert (usage.input_tokens, usage.output_tokens) == (13 + 289, 194)


def test_a_vertex_stream_tells_its_tier():
    report = Usage.from_response(as_json(recording("google-10")))
    assert report.items[0].context == PriceContext(service_tier="flex")
    assert (report.usage.input_tokens, report.usage.output_tokens) == (5, 101)


@pytest.mark.parametrize(
    ("body", "usage"),
    [
        (
            {"usage": {"billed_units": {"input_tokens": 5, "output_tokens": 3}, "tokens": {}}},
            Usage(input_tokens=5, output_tokens=3),
        ),
        (
            {"meta": {"billed_units": {"search_units": 2}}},
            Usage(tool_requests={"rerank_search": 2}),
        ),
        (
            {"prompt_eval_count": 26, "eval_count": 9, "message": {"content": "yes"}},
            Usage(input_tokens=26, output_tokens=9),
        ),
        (
            {"inputTextTokenCount": 4, "results": [{"tokenCount": 6}]},
            Usage(input_tokens=4, output_tokens=6),
        ),
        ({"usage": {"total_tokens": 3}}, Usage(input_tokens=3)),
        ({"prompt_tokens": 3, "completion_tokens": 2}, Usage(input_tokens=3, output_tokens=2)),
        (
            {"usage": {"prompt_tokens": 9, "num_cached_tokens": 4}},
            Usage(input_tokens=9, cache_read_tokens=4),
        ),
        (
            {"usage": {"inputTokens": 9, "outputTokens": 1, "cacheReadInputTokens": 4}},
            Usage(input_tokens=13, output_tokens=1, cache_read_tokens=4),
        ),
        (  # the total says that the cache is counted inside
            {
                "usage": {
                    "inputTokens": 9,
                    "outputTokens": 1,
                    "totalTokens": 10,
                    "cacheReadInputTokens": 4,
                }
            },
            Usage(input_tokens=9, output_tokens=1, cache_read_tokens=4),
        ),
    ],
)
def test_other_shapes_are_read(body, usage):
    assert Usage.from_response(body).usage == usage


def test_xais_ticks_and_searches_are_read():
    told = {
        "input_tokens": 2,
        "output_tokens": 1,
        "cost_in_usd_ticks": 37_756_000,
        "server_side_tool_usage_details": {"web_search_calls": 2, "x_search_calls": 1},
    }
    report = Usage.from_response({"usage": told})
    assert report.reported_cost == Decimal("0.0037756")
    assert report.usage.tool_requests == {"web_search": 2, "social_search": 1}


def test_grounding_is_billed_by_the_query_since_gemini_3():
    grounding = {"groundingMetadata": {"webSearchQueries": ["a", "b"]}}
    body = {"usageMetadata": {"promptTokenCount": 1}, "candidates": [grounding]}
    newer = Usage.from_response({**body, "modelVersion": "gemini-3-flash"})
    older = Usage.from_response({**body, "modelVersion": "gemini-2.5-pro"})
    assert newer.usage.tool_requests == {"web_search": 2}
    assert older.usage.tool_requests == {"web_search": 1}


def test_cached_sound_is_not_counted_as_new_where_there_is_no_room():
    details = {"cached_tokens": 900, "audio_tokens": 500}
    report = Usage.from_response(
        {"usage": {"prompt_tokens": 1_000, "prompt_tokens_details": details}}
    )
    assert not report.approximate
    assert report.usage.input_audio_tokens == 100
    assert report.usage.cache_read_audio_tokens == 400


def test_a_batchs_line_is_billed_as_a_batch():
    answer = {"model": "gpt-5", "usage": {"prompt_tokens": 1, "completion_tokens": 1}}
    report = Usage.from_response({"custom_id": "a", "response": {"body": answer}})
    assert report.items[0].model == "gpt-5"
    assert report.items[0].context.batch


class Modality(enum.IntEnum):
    AUDIO = 4


def test_numbered_enums_and_plain_objects_are_read():
    detail = SimpleNamespace(modality=Modality.AUDIO, token_count=4)
    told = SimpleNamespace(
        prompt_token_count=10, candidates_token_count=2, prompt_tokens_details=[detail]
    )
    usage = Usage.from_response(SimpleNamespace(usage_metadata=told)).usage
    assert usage == Usage(input_tokens=10, output_tokens=2, input_audio_tokens=4)


class Grudging:
    def model_dump(self, **_: object) -> object:
        raise RuntimeError("no")

    @property
    def __dict__(self):
        raise RuntimeError("no")


@pytest.mark.parametrize(
    "body", [None, 3, "no json", b"\xff", [], Grudging(), {"usage": Grudging()}]
)
def test_an_answer_without_usage_is_an_empty_report(body):
    report = Usage.from_response(body)
    assert report.items == ()
    assert report.approximate


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4)
FIELDS = """
usage meta billed_units input_tokens totalTokens promptTokenCount iterations model response
    candidates groundingMetadata webSearchQueries promptTokensDetails modality cacheDetails output
    usage_metadata server_tool_use delta metadata body result message eval_count cost type
    cached_tokens_details prompt_tokens_details audio_tokens serviceTier performanceConfig
    """
NAMES = st.sampled_from(FIELDS.split())
ANY = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=25,
)
FREE = PriceBook(on_unknown_model="free")


@given(ANY)
def test_no_answer_is_too_strange_to_bill(body):
    report = Usage.from_response(body)
    assert FREE.cost(report).nanodollars >= 0
