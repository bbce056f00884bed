"""Single streams: left halfway, cut, and their usage."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from agents import Agent, Model, ModelSettings, Runner

from agentfuse import Fuse
from agentfuse.testing import Upstream
from agentfuse.testing.upstream import Say
from agentfuse_openai_agents import AgentFuseModel
from agentfuse_openai_agents.taps import Tap

BareOf = Callable[..., Model]
WordsOf = Callable[..., dict[str, Any]]


@pytest.mark.parametrize("end", ["close", "break"])
async def test_a_stream_that_is_left_hangs_up_and_settles(
    bare_of: BareOf, up: Upstream, fuse: Fuse, api: str, end: str, words_of: WordsOf
) -> None:
    model = AgentFuseModel(bare_of(api), fuse=fuse)
    up.script([Say("word " * 3000)])
    up.slow(per_chunk=0.01)
    stream = model.stream_response(**words_of())
    seen = 0
    async for event in stream:
        seen += event.type.endswith(".delta")
        if seen == 3:
            break
    await stream.aclose()
    assert fuse.open_leases() == ()
    assert fuse.receipt().spent > 0
    await asyncio.sleep(0.1)
    assert up.wait_idle(10)
    assert up.requests[0].aborted


@pytest.mark.parametrize("asked", [None, True, False])
async def test_a_chat_streams_usage_is_seen_by_those_who_asked(
    bare_of: BareOf, up: Upstream, fuse: Fuse, asked: bool | None
) -> None:
    """The SDK leaves usage out at other addresses than OpenAI's; the bill needs it all the same."""
    settings = ModelSettings(include_usage=asked)
    usages = []
    for model in (bare_of("chat"), AgentFuseModel(bare_of("chat"), fuse=fuse)):
        result = Runner.run_streamed(Agent(name="a", model=model, model_settings=settings), "Hi?")
        async for _ in result.stream_events():
            pass
        usages.append(result.context_wrapper.usage)
    assert usages[1].total_tokens == usages[0].total_tokens
    assert usages[1].requests == usages[0].requests
    assert bool(usages[1].total_tokens) is (asked is True)
    assert up.requests[1].body["stream_options"] == {"include_usage": True}
    assert fuse.receipt().estimated == 0


async def test_a_chat_stream_that_just_ends_is_not_remembered(
    bare_of: BareOf, up: Upstream, fuse: Fuse
) -> None:
    class Chunk:
        choices = ()
        usage = None

    tap = Tap()
    tap.note_chunk(Chunk())
    assert tap.finish_reason == "interrupted"
