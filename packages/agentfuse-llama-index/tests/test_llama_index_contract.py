"""The shared contract of adapters, through LlamaIndex, chatting and completing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from llama_index.core import PromptTemplate
from llama_index.core.llms import LLM, ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.llms.anthropic import Anthropic
from llama_index.llms.openai import OpenAI
from pydantic import BaseModel

from agentfuse import Fuse
from agentfuse.testing import AdapterContract, Upstream
from agentfuse_llama_index import AgentFuseLLM

# The bare Anthropic class asks in words its SDK has since replaced.
pytestmark = pytest.mark.filterwarnings("ignore:The 'output_format' parameter:DeprecationWarning")

# A kept connection belongs to the event loop that opened it, and each question may have its own.
ALONE = {"Connection": "close"}


def text_of(response: Any) -> str:
    return str(response.message.content if hasattr(response, "message") else response.text)


class Person(BaseModel):
    """Somebody."""

    name: str
    age: int


def look_up(word: str) -> str:
    """Look a word up."""
    return f"{word}: see there"


TOOL = FunctionTool.from_defaults(look_up)
PROMPT = PromptTemplate("{question}")


class LlamaIndexContract(AdapterContract):
    word = "chat"
    forwarded = (
        *("model", "temperature", "max_tokens", "metadata", "callback_manager", "rate_limiter"),
        *("additional_kwargs", "system_prompt", "messages_to_prompt", "pydantic_program_mode"),
        *("max_retries", "timeout", "output_parser", "completion_to_prompt"),
    )

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

    def call_tool(self, shape: str, fuse: Fuse, upstream: Upstream, question: str) -> list[str]:
        llm: Any = AgentFuseLLM(inner=self.bare(upstream), fuse=fuse)
        match shape:
            case "call":
                answer = llm.chat_with_tools([TOOL], user_msg=question)
            case "acall":
                answer = asyncio.run(llm.achat_with_tools([TOOL], user_msg=question))
            case "stream":
                answer = list(llm.stream_chat_with_tools([TOOL], user_msg=question))[-1]
            case _:
                opened = llm.astream_chat_with_tools([TOOL], user_msg=question)
                answer = asyncio.run(listed(opened))[-1]
        return [call.tool_name for call in llm.get_tool_calls_from_response(answer)]

    def extract(self, shape: str, fuse: Fuse, upstream: Upstream, question: str) -> Any:
        llm: Any = AgentFuseLLM(inner=self.bare(upstream), fuse=fuse)
        match shape:
            case "call":
                return llm.structured_predict(Person, PROMPT, question=question)
            case "acall":
                return asyncio.run(llm.astructured_predict(Person, PROMPT, question=question))
            case "stream":
                return list(llm.stream_structured_predict(Person, PROMPT, question=question))[-1]
            case _:
                opened = llm.astream_structured_predict(Person, PROMPT, question=question)
                return asyncio.run(listed(opened))[-1]

    def wrapped(self, fuse: Fuse, upstream: Upstream) -> tuple[object, object]:
        bare = self.bare(upstream)
        return bare, AgentFuseLLM(inner=bare, fuse=fuse)


async def listed(opened: Any) -> list[Any]:
    return [chunk async for chunk in await opened]


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
