"""The shared contract of adapters, through LangChain over both vendors."""

from __future__ import annotations

import asyncio
import time

import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.language_models import BaseChatModel
from langchain_openai import ChatOpenAI

from agentfuse import Fuse
from agentfuse.testing import AdapterContract, Upstream
from agentfuse_langchain import AgentFuseChatModel

# LangChain keeps one async client for each address, and a kept connection belongs to the event loop
# that opened it: here each question may come from a loop of its own.
ALONE = {"Connection": "close"}


class LangChainContract(AdapterContract):
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
