"""Bodies as they go over the wire are counted in every dialect, and true usages are learned."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentfuse.messages import Message, Request, Text
from agentfuse.tokens import TokenCounter, count_text
from agentfuse.tokens.text import fresh_count

TOOL = {"name": "f", "description": "Get a thing.", "input_schema": {"type": "object"}}
SAID = "hello world, how are you?"
BODIES = {
    "chat.completions": {"messages": [{"role": "user", "content": SAID}]},
    "responses": {"input": SAID},
    "anthropic.messages": {"messages": [{"role": "user", "content": SAID}]},
    "anthropic.count_tokens": {"messages": [{"role": "user", "content": SAID}]},
    "google.generateContent": {"contents": [{"parts": [{"text": SAID}]}]},
    "google.countTokens": {"contents": [{"parts": [{"text": SAID}]}]},
    "bedrock.converse": {"messages": [{"role": "user", "content": [{"text": SAID}]}]},
    "bedrock.invoke": {"messages": [{"role": "user", "content": SAID}]},
    "cohere.chat": {"message": SAID},
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["role", "content", "parts", "text", "type", "tools", "name", "input", "toolUse"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@pytest.mark.parametrize("api", BODIES)
def test_the_same_words_count_alike_in_every_dialect(api):
    estimate = TokenCounter().count_request(BODIES[api], "gpt-4o", api)
    assert estimate.tokens == count_text(SAID) + 7
    assert estimate.method == "exact"


def test_texts_to_embed_are_their_tokens_alone():
    counter = TokenCounter()
    body = {"input": [SAID, [1, 2, 3]]}
    estimate = counter.count_request(body, "text-embedding-3-small", "embeddings")
    assert estimate.tokens == count_text(SAID, "text-embedding-3-small") + 3


@given(
    st.dictionaries(
        st.sampled_from(
            ["messages", "input", "contents", "tools", "system", "toolConfig", "instructions"]
        ),
        JSON,
        max_size=4,
    ),
    st.sampled_from([*BODIES, "embeddings"]),
    st.sampled_from(["gpt-5", "claude-opus-4-5", "gemini-2.5-pro", "command-r", "mystery"]),
)
def test_no_body_is_too_odd_to_count(body, api, model):
    estimate = TokenCounter().count_request(body, model, api)
    assert 0 <= estimate.low <= estimate.tokens <= estimate.high


def claude(text: str) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": text}], "tools": [TOOL]}


def test_the_next_request_with_the_same_tools_is_moved_by_what_was_billed():
    counter = TokenCounter()
    cold = counter.count_request(claude("hi"), "claude-opus-4-5", "anthropic.messages")
    counter.observe(cold, cold.tokens + 90)
    warm = counter.count_request(claude("hi there"), "claude-opus-4-5", "anthropic.messages")
    other = counter.count_request(claude("hi"), "claude-sonnet-4-5", "anthropic.messages")
    assert warm.method == "calibrated"
    assert abs(warm.tokens - cold.tokens - 90) <= 5
    assert warm.high - warm.tokens < cold.high - cold.tokens
    assert other == cold


@pytest.mark.parametrize(("factor", "most"), [(100, 3.0), (0.001, 0.5)])
def test_one_strange_bill_moves_the_next_estimate_only_so_far(factor, most):
    counter = TokenCounter()
    cold = counter.count_request(claude("hi"), "claude-opus-4-5", "anthropic.messages")
    counter.observe(cold, max(int(cold.tokens * factor), 1))
    warm = counter.count_request(claude("hi"), "claude-opus-4-5", "anthropic.messages")
    assert warm.tokens == pytest.approx(cold.tokens * most, abs=1)


def test_exact_counts_learn_nothing():
    counter = TokenCounter()
    body = BODIES["chat.completions"]
    estimate = counter.count_request(body, "gpt-4o", "chat.completions")
    counter.observe(estimate, 5000)
    assert counter.count_request(body, "gpt-4o", "chat.completions") == estimate


def test_a_settled_call_teaches_the_next_from_any_thread():
    counter = TokenCounter()

    def asked() -> Request:
        messages = (Message("user", (Text("hi"),)),)
        return Request(provider="", model="claude-opus-4-5", messages=messages, tools=(TOOL,))

    cold = counter.count(asked())

    def call(_: int) -> None:
        request = asked()
        counter.count(request)
        counter.settle(request, cold.tokens + 30)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(call, range(200)))
    assert counter.count(asked()).tokens == cold.tokens + 30
    counter.settle(asked(), 1)
    assert counter.count(asked()).tokens == cold.tokens + 30


@pytest.mark.parametrize("words", [20, 4_000])
def test_resent_history_is_counted_from_memory(monkeypatch, words):
    fresh: list[str] = []
    spied = lambda text, vocabulary: fresh.append(text) or fresh_count(text, vocabulary)  # noqa: E731
    monkeypatch.setattr("agentfuse.tokens.text.fresh_count", spied)
    texts = [f"message {n} of {words} " + f"word{n} " * words for n in range(200)]
    body = {"messages": [{"role": "user", "content": text} for text in texts]}
    counter = TokenCounter()
    whole = counter.count_request(body, "gpt-4o", "chat.completions").tokens
    assert fresh == texts
    body["messages"].append({"role": "user", "content": f"and now, after {words}?"})
    longer = counter.count_request(body, "gpt-4o", "chat.completions").tokens
    assert fresh == [*texts, f"and now, after {words}?"]
    assert longer > whole
