"""The spans of a hit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from agents import Agent, Model, Runner, set_trace_processors, set_tracing_disabled, trace
from agents.tracing import TracingProcessor

from agentfuse import Fuse
from agentfuse.testing import Upstream
from agentfuse_openai_agents import AgentFuseModel

BareOf = Callable[..., Model]
WordsOf = Callable[..., dict[str, Any]]


class Spans(TracingProcessor):
    """Keeps every span that ends."""

    def __init__(self) -> None:
        self.ended: list[Any] = []

    def on_span_end(self, span: Any) -> None:
        self.ended.append(span)

    def on_trace_start(self, trace: Any) -> None: ...

    def on_trace_end(self, trace: Any) -> None: ...

    def on_span_start(self, span: Any) -> None: ...

    def shutdown(self) -> None: ...

    def force_flush(self) -> None: ...


@pytest.mark.parametrize("stream", [False, True])
async def test_a_hit_leaves_the_spans_of_a_miss(
    bare_of: BareOf, up: Upstream, fuse: Fuse, api: str, weather: Any, *, stream: bool
) -> None:
    agent = Agent(name="a", model=AgentFuseModel(bare_of(api), fuse=fuse), tools=[weather])
    spans = Spans()
    set_trace_processors([spans])
    set_tracing_disabled(disabled=False)
    seen = []
    for _ in range(2):
        spans.ended.clear()
        with trace("a run"):
            if stream:
                result = Runner.run_streamed(agent, "What is the weather in 'Rome'?")
                async for _ in result.stream_events():
                    pass
            else:
                await Runner.run(agent, "What is the weather in 'Rome'?")
        seen.append([span.span_data.export() for span in spans.ended])
    set_trace_processors([])
    assert up.calls == 2
    miss, hit = seen
    assert [span["type"] for span in hit] == [span["type"] for span in miss]
    for kind in ("response", "generation"):
        for before, after in zip(miss, hit, strict=True):
            if before["type"] == kind:
                assert after.get("response_id") == before.get("response_id")
                assert after.get("model") == before.get("model")
                assert set(after) == set(before)
                assert after["usage"]["total_tokens"] == 0
    kinds = [span["type"] for span in hit]
    assert kinds.count("response" if api == "responses" else "generation") == 2


async def test_a_hit_is_not_traced_where_tracing_is_off(
    bare_of: BareOf, up: Upstream, fuse: Fuse, words_of: WordsOf
) -> None:
    spans = Spans()
    set_trace_processors([spans])
    model = AgentFuseModel(bare_of("chat"), fuse=fuse)
    for _ in range(2):
        await model.get_response(**words_of())
    set_trace_processors([])
    assert up.calls == 1
    assert spans.ended == []
