"""Replies of every kind, for Hypothesis: any text, block, tool call and usage."""

from __future__ import annotations

from hypothesis import strategies as st

from agentfuse.messages import Choice, Media, Other, Reasoning, Reply, Text, ToolCall
from agentfuse.usage import BilledUsage, PriceContext, Usage, UsageReport

texts = st.text(max_size=20)
counts = st.integers(0, 2**40)
jsons = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
blocks = st.dictionaries(texts, jsons, max_size=3)
parts = st.one_of(
    st.builds(Text, texts, blocks),
    st.builds(
        Media,
        kind=st.sampled_from(["image", "audio", "document", "video"]),
        url=texts,
        data=texts,
        media_type=texts,
        block=blocks,
    ),
    st.builds(Reasoning, texts, blocks),
    st.builds(Other, blocks),
)
calls = st.builds(ToolCall, texts, texts, texts, blocks)
choices = st.builds(
    Choice,
    parts=st.lists(parts, max_size=3).map(tuple),
    tool_calls=st.lists(calls, max_size=2).map(tuple),
    finish_reason=texts,
)
usages = st.builds(
    Usage,
    input_tokens=counts,
    output_tokens=counts,
    cache_read_tokens=counts,
    cache_write_5m_tokens=counts,
    cache_write_1h_tokens=counts,
    reasoning_tokens=counts,
    tool_requests=st.dictionaries(texts, counts, max_size=2),
)
contexts = st.builds(
    PriceContext, service_tier=texts, batch=st.booleans(), speed=texts, region=texts
)
reports = st.builds(
    UsageReport,
    items=st.lists(
        st.builds(BilledUsage, model=texts, usage=usages, context=contexts), max_size=2
    ).map(tuple),
    reported_cost=st.none() | st.decimals(allow_nan=False, allow_infinity=False),
    approximate=st.booleans(),
)
replies = st.builds(
    Reply,
    choices=st.lists(choices, max_size=2).map(tuple),
    report=st.none() | reports,
    model=texts,
    id=texts,
    shape=texts,
    raw=texts,
)
"""Any reply that JSON can carry."""
