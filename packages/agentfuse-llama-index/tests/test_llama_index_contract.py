"""The shared contract of adapters, through LlamaIndex over both vendors, chatting and completing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from llama_index.core.llms import LLM, ChatMessage
from llama_index.llms.anthropic import Anthropic
from llama_index.llms.openai import OpenAI

from agentfuse import Fuse
from agentfuse.testing import AdapterContract, Upstream
from agentfuse_llama_index import AgentFuseLLM

# A kept connection belongs to the event loop that opened it, and each question may have its own.
ALONE = {"Connection": "close"}


def text_of(response: Any) -> str:
    return str(response.message.content if hasattr(response, "message") else response.text)


class LlamaIndexContract(AdapterContract):
    word = "chat"

    def bare(self, upstream: Upstream) -> LLM:
        raise NotImplementedError

    def asked(self, question: str) -> Any:
        return [ChatMessage(role="user", content=question)] if self.word == "chat" else question

    def ask(self, shape: str, fuse: Fuse, upstream: Upstream, question: str) -> str:
        llm: Any = AgentFuseLLM(inner=self.bare(upstream), fuse=fuse)
        asked = self.asked(question)
        if shape == "call":
            return text_of(getattr(llm, self.word)(asked))
        if shape == "stream":
            chunks = list(getattr(llm, f"stream_{self.word}")(asked))
            assert "".join(chunk.delta for chunk in chunks) == text_of(chunks[-1])
            return text_of(chunks[-1])
        return asyncio.run(self.awaited(shape, llm, asked))

    async def awaited(self, shape: str, llm: Any, asked: Any) -> str:
        if shape == "acall":
            return text_of(await getattr(llm, f"a{self.word}")(asked))
        stream = await getattr(llm, f"astream_{self.word}")(asked)
        return text_of([chunk async for chunk in stream][-1])

    def abandon(self, shape: str, fuse: Fuse, upstream: Upstream, question: str) -> None:
        llm: Any = AgentFuseLLM(inner=self.bare(upstream), fuse=fuse)
        asked = self.asked(question)
        if shape == "astream":
            asyncio.run(self.abandon_awaited(llm, asked))
            return
        for number, _ in enumerate(getattr(llm, f"stream_{self.word}")(asked)):
            if number == 3:
                break

    async def abandon_awaited(self, llm: Any, asked: Any) -> None:
        stream = await getattr(llm, f"astream_{self.word}")(asked)
        async for _ in stream:
            break
        await stream.aclose()


class OverOpenAI(LlamaIndexContract):
    provider = "openai"

    def bare(self, upstream: Upstream) -> LLM:
        return OpenAI(
            model="gpt-4o",
            api_key="sk-upstream",
            api_base=upstream.openai_url,
            max_retries=0,
            default_headers=ALONE,
        )


class OverAnthropic(LlamaIndexContract):
    provider = "anthropic"

    def bare(self, upstream: Upstream) -> LLM:
        return Anthropic(
            model="claude-sonnet-4-6",
            api_key="sk-upstream",
            base_url=upstream.anthropic_url,
            max_retries=0,
            default_headers=ALONE,
        )


class TestChatOverOpenAI(OverOpenAI):
    word = "chat"


class TestCompleteOverOpenAI(OverOpenAI):
    word = "complete"


class TestChatOverAnthropic(OverAnthropic):
    word = "chat"


class TestCompleteOverAnthropic(OverAnthropic):
    word = "complete"


@pytest.mark.parametrize("kind", [OverOpenAI, OverAnthropic])
def test_no_promise_is_missing(kind: type[AdapterContract]) -> None:
    assert kind.missing == {}
