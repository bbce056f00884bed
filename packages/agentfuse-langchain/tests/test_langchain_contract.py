"""The shared contract of adapters, through LangChain over both vendors."""

from __future__ import annotations

import asyncio
import time

import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.language_models import BaseChatModel
from langchain_core.messages.ai import add_ai_message_chunks as add
from langchain_core.runnables import Runnable
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

from agentfuse import Fuse
from agentfuse.testing import AdapterContract, Upstream
from agentfuse_langchain import AgentFuseChatModel

# The bare ChatOpenAI warns so when it streams a parsed answer.
pytestmark = pytest.mark.filterwarnings("ignore:Pydantic serializer warnings:UserWarning")

# LangChain keeps one async client for each address, and a kept connection belongs to the event loop
# that opened it: here each question may come from a loop of its own.
ALONE = {"Connection": "close"}


class Person(BaseModel):
    """Somebody."""

    name: str
    age: int


@tool
def look_up(word: str) -> str:
    """Look a word up."""
    return f"{word}: see there"


async def listed(model: Runnable, question: str) -> list:
    return [chunk async for chunk in model.astream(question)]


class LangChainContract(AdapterContract):
    forwarded = (
        *("temperature", "max_retries", "profile", "lc_attributes", "lc_secrets", "_llm_type"),
        *("disable_streaming", "rate_limiter", "tags", "metadata", "output_version"),
    )

    def bare(self, upstream: Upstream) -> BaseChatModel:
        raise NotImplementedError

    def ask(self, shape: str, fuse: Fuse, upstream: Upstream, question: str) -> str:
        model = AgentFuseChatModel(inner=self.bare(upstream), fuse=fuse)
        if shape == "call":
            return model.invoke(question).text
        if shape == "stream":
            return "".join(chunk.text for chunk in model.stream(question))
        return asyncio.run(self.awaited(shape, model, question))

    async def awaited(self, shape: str, model: BaseChatModel, question: str) -> str:
        if shape == "acall":
            return (await model.ainvoke(question)).text
        return "".join([chunk.text async for chunk in model.astream(question)])

    def call_tool(self, shape: str, fuse: Fuse, upstream: Upstream, question: str) -> list[str]:
        bare = AgentFuseChatModel(inner=self.bare(upstream), fuse=fuse)
        model = bare.bind_tools([look_up])
        match shape:
            case "call":
                answer = model.invoke(question)
            case "acall":
                answer = asyncio.run(model.ainvoke(question))
            case "stream":
                answer = add(*model.stream(question))
            case _:
                answer = add(*asyncio.run(listed(model, question)))
        return [call["name"] for call in answer.tool_calls]

    def extract(self, shape: str, fuse: Fuse, upstream: Upstream, question: str) -> Person:
        bare = AgentFuseChatModel(inner=self.bare(upstream), fuse=fuse)
        model = bare.with_structured_output(Person)
        match shape:
            case "call":
                return model.invoke(question)
            case "acall":
                return asyncio.run(model.ainvoke(question))
            case "stream":
                return list(model.stream(question))[-1]
            case _:
                return asyncio.run(listed(model, question))[-1]

    def wrapped(self, fuse: Fuse, upstream: Upstream) -> tuple[object, object]:
        bare = self.bare(upstream)
        return bare, AgentFuseChatModel(inner=bare, fuse=fuse)

    def abandon(self, shape: str, fuse: Fuse, upstream: Upstream, question: str) -> None:
        model = AgentFuseChatModel(inner=self.bare(upstream), fuse=fuse)
        if shape == "astream":
            asyncio.run(self.abandon_awaited(model, question))
            return
        for number, _ in enumerate(model.stream(question)):
            if number == 3:
                break

    async def abandon_awaited(self, model: BaseChatModel, question: str) -> None:
        stream = model.astream(question)
        async for _ in stream:
            break
        await stream.aclose()
        deadline = time.monotonic() + 5
        while model.fuse.open_leases() and time.monotonic() < deadline:  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.01)
        # openai 2, over httpx, takes a few more turns of the loop to close the connection.
        await asyncio.sleep(0.2)


class TestOverOpenAI(LangChainContract):
    provider = "openai"

    def bare(self, upstream: Upstream) -> BaseChatModel:
        return ChatOpenAI(
            model="gpt-4o",
            api_key="sk-upstream",
            base_url=upstream.openai_url,
            max_retries=0,
            default_headers=ALONE,
        )


class TestOverOpenAIResponses(LangChainContract):
    provider = "openai"

    def bare(self, upstream: Upstream) -> BaseChatModel:
        return ChatOpenAI(
            model="gpt-4o",
            api_key="sk-upstream",
            base_url=upstream.openai_url,
            max_retries=0,
            default_headers=ALONE,
            use_responses_api=True,
        )


class TestOverAnthropic(LangChainContract):
    provider = "anthropic"

    def bare(self, upstream: Upstream) -> BaseChatModel:
        return ChatAnthropic(
            model="claude-sonnet-4-6",
            api_key="sk-upstream",
            base_url=upstream.anthropic_url,
            max_retries=0,
            default_headers=ALONE,
        )


@pytest.mark.parametrize("kind", [TestOverOpenAI, TestOverAnthropic])
def test_no_promise_is_missing(kind: type[AdapterContract]) -> None:
    assert kind.missing == {}
