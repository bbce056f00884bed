"""The shared contract of adapters, through CrewAI's native providers of both vendors.

CrewAI streams by events: a stream's text is what its chunk events said.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import pytest
from crewai import LLM
from crewai.events import crewai_event_bus
from crewai.events.types.llm_events import LLMStreamChunkEvent
from crewai.llms.base_llm import BaseLLM
from pydantic import BaseModel

from agentfuse import Fuse
from agentfuse.testing import AdapterContract, Upstream
from agentfuse_crewai import AgentFuseLLM

if TYPE_CHECKING:
    from collections.abc import Iterator

LOOK_UP = {
    "type": "function",
    "function": {
        "name": "look_up",
        "description": "Look a word up.",
        "parameters": {
            "type": "object",
            "properties": {"word": {"type": "string"}},
            "required": ["word"],
        },
    },
}


# CrewAI never closes its async client, and a kept connection belongs to the event loop that opened
# it: here each question may come from a loop of its own.
ALONE = {"client_params": {"default_headers": {"Connection": "close"}}}


class Person(BaseModel):
    """Somebody."""

    name: str
    age: int


@contextmanager
def chunks_heard() -> Iterator[list[str]]:
    """Hear what the chunk events of this thread or task say: CrewAI tells them in place."""
    heard: list[str] = []
    token = listening.set(heard)
    try:
        yield heard
    finally:
        listening.reset(token)


listening: ContextVar[list[str] | None] = ContextVar("listening", default=None)


@pytest.fixture(autouse=True)
def chunk_handler() -> Iterator[None]:
    """Hand every chunk to whoever listens where it comes up."""
    with crewai_event_bus.scoped_handlers():

        @crewai_event_bus.on(LLMStreamChunkEvent)
        def hear(source: Any, event: LLMStreamChunkEvent) -> None:
            heard = listening.get()
            if heard is not None:
                heard.append(event.chunk)

        yield


class CrewAIContract(AdapterContract):
    forwarded = (
        *("model", "temperature", "max_tokens", "provider", "stop", "stop_sequences", "timeout"),
        *("max_retries", "stream", "llm_type", "additional_params", "model_fields_set"),
    )

    def bare(self, upstream: Upstream, **params: Any) -> BaseLLM:
        raise NotImplementedError

    def fused(self, shape: str, fuse: Fuse, upstream: Upstream) -> AgentFuseLLM:
        bare = self.bare(upstream, stream=shape.endswith("stream"))
        return AgentFuseLLM(bare, fuse=fuse)

    def asked(self, shape: str, llm: AgentFuseLLM, question: str, **words: Any) -> Any:
        if shape.startswith("a"):
            return asyncio.run(llm.acall(question, **words))
        return llm.call(question, **words)

    def ask(self, shape: str, fuse: Fuse, upstream: Upstream, question: str) -> str:
        llm = self.fused(shape, fuse, upstream)
        with chunks_heard() as heard:
            answer = self.asked(shape, llm, question)
        if shape.endswith("stream"):
            assert "".join(heard) == answer
        return answer

    def call_tool(self, shape: str, fuse: Fuse, upstream: Upstream, question: str) -> list[str]:
        llm = self.fused(shape, fuse, upstream)
        calls = self.asked(shape, llm, question, tools=[LOOK_UP])
        assert isinstance(calls, list)
        return [name_of(call) for call in calls]

    def extract(self, shape: str, fuse: Fuse, upstream: Upstream, question: str) -> Person:
        llm = self.fused(shape, fuse, upstream)
        return self.asked(shape, llm, question, response_model=Person)

    def wrapped(self, fuse: Fuse, upstream: Upstream) -> tuple[object, object]:
        bare = self.bare(upstream, temperature=0.2, stop=["END"])
        return bare, AgentFuseLLM(bare, fuse=fuse)

    def abandon(self, shape: str, fuse: Fuse, upstream: Upstream, question: str) -> None:
        if shape == "stream":
            pytest.skip("CrewAI has no way to hang up on a blocking stream: closing it waits")
        asyncio.run(self.abandon_awaited(self.fused(shape, fuse, upstream), question))

    async def abandon_awaited(self, llm: AgentFuseLLM, question: str) -> None:
        with chunks_heard() as heard:
            task = asyncio.create_task(llm.acall(question))
            while len(heard) < 3:  # noqa: ASYNC110 - no event tells
                await asyncio.sleep(0.005)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task


def name_of(call: Any) -> str:
    if isinstance(call, dict):
        return call["function"]["name"] if "function" in call else call["name"]
    return call.function.name if hasattr(call, "function") else call.name


class TestOverOpenAI(CrewAIContract):
    provider = "openai"

    def bare(self, upstream: Upstream, **params: Any) -> BaseLLM:
        return LLM(
            model="gpt-4o",
            base_url=upstream.openai_url,
            api_key="sk-upstream",
            max_retries=0,
            **ALONE,
            **params,
        )


class TestOverOpenAIResponses(CrewAIContract):
    provider = "openai"

    def call_tool(self, shape: str, fuse: Fuse, upstream: Upstream, question: str) -> list[str]:
        if shape.endswith("stream"):
            pytest.skip("CrewAI drops the tool calls of a stream of the Responses API")
        return super().call_tool(shape, fuse, upstream, question)

    def bare(self, upstream: Upstream, **params: Any) -> BaseLLM:
        return LLM(
            model="gpt-4o",
            api="responses",
            base_url=upstream.openai_url,
            api_key="sk-upstream",
            max_retries=0,
            **ALONE,
            **params,
        )


class TestOverAnthropic(CrewAIContract):
    provider = "anthropic"

    def bare(self, upstream: Upstream, **params: Any) -> BaseLLM:
        return LLM(
            model="claude-sonnet-4-6",
            base_url=upstream.anthropic_url,
            api_key="sk-upstream",
            max_retries=0,
            **ALONE,
            **params,
        )


@pytest.mark.parametrize("kind", [TestOverOpenAI, TestOverOpenAIResponses, TestOverAnthropic])
def test_no_promise_is_missing(kind: type[AdapterContract]) -> None:
    assert kind.missing == {}
