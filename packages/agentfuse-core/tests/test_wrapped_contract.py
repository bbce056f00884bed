"""Wrapped SDK clients keep the adapters' contract, in OpenAI's two dialects and in Anthropic's."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ClassVar

import anthropic
import openai
from pydantic import BaseModel

from agentfuse import Fuse, wrap_anthropic, wrap_openai
from agentfuse.testing import AdapterContract, Upstream
from agentfuse.testing.adapter_contract import TOOL, Shape

FEW = 4
KEY = "sk-upstream"
WORD = {
    "type": "object",
    "properties": {"word": {"type": "string"}},
    "required": ["word"],
    "additionalProperties": False,
}


class Person(BaseModel):
    """What ``extract`` asks for."""

    name: str
    age: int


class WrappedClient(AdapterContract):
    """A new client for every question, as a framework makes them."""

    missing: ClassVar[Mapping[str, str]] = {}
    forwarded = ("base_url", "max_retries", "timeout", "api_key")

    def client(self, upstream: Upstream, fuse: Fuse | None = None, *, awaited: bool = False) -> Any:
        raise NotImplementedError

    def open(self, client: Any, question: str, **more: Any) -> Any:
        """Ask, whole or streamed."""
        raise NotImplementedError

    def text_of(self, answer: Any) -> str:
        raise NotImplementedError

    def said_in(self, event: Any) -> str:
        raise NotImplementedError

    def calls_of(self, answer: Any) -> list[str]:
        raise NotImplementedError

    def final(self, client: Any, question: str, **more: Any) -> Any:
        """Ask through the SDK's stream helper and give the context manager."""
        raise NotImplementedError

    def final_of(self, stream: Any) -> Any:
        """Read a stream helper to its end."""
        raise NotImplementedError

    def tools(self) -> list[dict[str, Any]]:
        raise NotImplementedError

    def parsed(self, client: Any, question: str) -> Any:
        raise NotImplementedError

    def parsed_of(self, answer: Any) -> Any:
        raise NotImplementedError

    def ask(self, shape: Shape, fuse: Fuse, upstream: Upstream, question: str) -> str:
        match shape:
            case "call":
                with self.client(upstream, fuse) as client:
                    return self.text_of(self.open(client, question))
            case "stream":
                with self.client(upstream, fuse) as client:
                    events = self.open(client, question, stream=True)
                    return "".join([self.said_in(event) for event in events])
            case "acall":
                return self.awaited(upstream, fuse, lambda c: self.whole(c, question))
            case "astream":
                return self.awaited(upstream, fuse, lambda c: self.streamed_text(c, question))

    def awaited(self, upstream: Upstream, fuse: Fuse, ask: Callable[[Any], Awaitable[Any]]) -> Any:
        async def asked() -> Any:
            async with self.client(upstream, fuse, awaited=True) as client:
                return await ask(client)

        return asyncio.run(asked())

    async def whole(self, client: Any, question: str) -> str:
        return self.text_of(await self.open(client, question))

    async def streamed_text(self, client: Any, question: str) -> str:
        events = await self.open(client, question, stream=True)
        return "".join([self.said_in(event) async for event in events])

    def abandon(self, shape: Shape, fuse: Fuse, upstream: Upstream, question: str) -> None:
        if shape == "astream":
            self.awaited(upstream, fuse, lambda c: self.left(c, question))
            return
        with self.client(upstream, fuse) as client:
            stream = self.open(client, question, stream=True)
            for _ in range(FEW):
                next(stream)
            stream.close()

    async def left(self, client: Any, question: str) -> None:
        stream = await self.open(client, question, stream=True)
        for _ in range(FEW):
            await anext(stream)
        await stream.close()

    def call_tool(self, shape: Shape, fuse: Fuse, upstream: Upstream, question: str) -> list[str]:
        match shape:
            case "call":
                with self.client(upstream, fuse) as client:
                    return self.calls_of(self.open(client, question, tools=self.tools()))
            case "stream":
                with (
                    self.client(upstream, fuse) as client,
                    self.final(client, question, tools=self.tools()) as stream,
                ):
                    return self.calls_of(self.final_of(stream))
            case "acall":
                return self.awaited(upstream, fuse, lambda c: self.tool_called(c, question))
            case "astream":
                return self.awaited(upstream, fuse, lambda c: self.tool_streamed(c, question))

    async def tool_called(self, client: Any, question: str) -> list[str]:
        return self.calls_of(await self.open(client, question, tools=self.tools()))

    async def tool_streamed(self, client: Any, question: str) -> list[str]:
        async with self.final(client, question, tools=self.tools()) as stream:
            return self.calls_of(await self.final_of(stream))

    def extract(self, shape: Shape, fuse: Fuse, upstream: Upstream, question: str) -> Any:
        if shape in {"call", "stream"}:
            with self.client(upstream, fuse) as client:
                return self.parsed_of(self.parsed(client, question))
        return self.awaited(upstream, fuse, lambda c: self.aparsed(c, question))

    async def aparsed(self, client: Any, question: str) -> Any:
        return self.parsed_of(await self.parsed(client, question))

    def wrapped(self, fuse: Fuse, upstream: Upstream) -> tuple[object, object]:
        return self.client(upstream), self.client(upstream, fuse)


class TestChat(WrappedClient):
    """Chat Completions."""

    def client(self, upstream: Upstream, fuse: Fuse | None = None, *, awaited: bool = False) -> Any:
        kind = openai.AsyncOpenAI if awaited else openai.OpenAI
        bare = kind(api_key=KEY, base_url=upstream.openai_url, max_retries=0)
        return bare if fuse is None else wrap_openai(bare, fuse=fuse)

    def open(self, client: Any, question: str, **more: Any) -> Any:
        return client.chat.completions.create(**self.asked(question), **more)

    def asked(self, question: str) -> dict[str, Any]:
        messages = [{"role": "user", "content": question}]
        return {"model": "gpt-4o", "messages": messages, "max_tokens": 100}

    def text_of(self, answer: Any) -> str:
        return answer.choices[0].message.content

    def said_in(self, event: Any) -> str:
        return event.choices[0].delta.content or ""

    def calls_of(self, answer: Any) -> list[str]:
        return [call.function.name for call in answer.choices[0].message.tool_calls]

    def final(self, client: Any, question: str, **more: Any) -> Any:
        return client.chat.completions.stream(**self.asked(question), **more)

    def final_of(self, stream: Any) -> Any:
        return stream.get_final_completion()

    def tools(self) -> list[dict[str, Any]]:
        function = {"name": TOOL, "parameters": WORD, "strict": True}
        return [{"type": "function", "function": function}]

    def parsed(self, client: Any, question: str) -> Any:
        return client.chat.completions.parse(**self.asked(question), response_format=Person)

    def parsed_of(self, answer: Any) -> Any:
        return answer.choices[0].message.parsed


class TestResponses(TestChat):
    """The Responses API."""

    def open(self, client: Any, question: str, **more: Any) -> Any:
        return client.responses.create(**self.asked(question), **more)

    def asked(self, question: str) -> dict[str, Any]:
        return {"model": "gpt-4o", "input": question, "max_output_tokens": 100}

    def text_of(self, answer: Any) -> str:
        return answer.output_text

    def said_in(self, event: Any) -> str:
        return event.delta if event.type == "response.output_text.delta" else ""

    def calls_of(self, answer: Any) -> list[str]:
        return [item.name for item in answer.output if item.type == "function_call"]

    def final(self, client: Any, question: str, **more: Any) -> Any:
        return client.responses.stream(**self.asked(question), **more)

    def final_of(self, stream: Any) -> Any:
        return stream.get_final_response()

    def tools(self) -> list[dict[str, Any]]:
        return [{"type": "function", "name": TOOL, "parameters": WORD, "strict": True}]

    def parsed(self, client: Any, question: str) -> Any:
        return client.responses.parse(**self.asked(question), text_format=Person)

    def parsed_of(self, answer: Any) -> Any:
        return answer.output_parsed


class TestMessages(WrappedClient):
    """Anthropic's Messages API."""

    provider = "anthropic"

    def client(self, upstream: Upstream, fuse: Fuse | None = None, *, awaited: bool = False) -> Any:
        kind = anthropic.AsyncAnthropic if awaited else anthropic.Anthropic
        bare = kind(api_key=KEY, base_url=upstream.anthropic_url, max_retries=0)
        return bare if fuse is None else wrap_anthropic(bare, fuse=fuse)

    def open(self, client: Any, question: str, **more: Any) -> Any:
        return client.messages.create(**self.asked(question), **more)

    def asked(self, question: str) -> dict[str, Any]:
        messages = [{"role": "user", "content": question}]
        return {"model": "claude-sonnet-4-6", "messages": messages, "max_tokens": 100}

    def text_of(self, answer: Any) -> str:
        return answer.content[0].text

    def said_in(self, event: Any) -> str:
        return getattr(getattr(event, "delta", None), "text", "")

    def calls_of(self, answer: Any) -> list[str]:
        return [block.name for block in answer.content if block.type == "tool_use"]

    def final(self, client: Any, question: str, **more: Any) -> Any:
        return client.messages.stream(**self.asked(question), **more)

    def final_of(self, stream: Any) -> Any:
        return stream.get_final_message()

    def tools(self) -> list[dict[str, Any]]:
        return [{"name": TOOL, "input_schema": WORD}]

    def parsed(self, client: Any, question: str) -> Any:
        return client.messages.parse(**self.asked(question), output_format=Person)

    def parsed_of(self, answer: Any) -> Any:
        return answer.parsed_output


def test_no_promise_is_missing() -> None:
    assert [kind.missing for kind in (TestChat, TestResponses, TestMessages)] == [{}, {}, {}]
