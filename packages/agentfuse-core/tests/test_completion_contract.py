"""``completion()`` keeps the adapters' contract, for OpenAI's dialect and for Anthropic's."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from agentfuse import acompletion, completion
from agentfuse.testing import AdapterContract
from agentfuse.testing.adapter_contract import TOOL

if TYPE_CHECKING:
    from agentfuse import Fuse
    from agentfuse.testing import Upstream
    from agentfuse.testing.adapter_contract import Shape

FEW = 4


class TestOpenAI(AdapterContract):
    """Chat Completions on the wire."""

    model = "gpt-4o"
    missing = {"wrapped": "completion() wraps no object"}  # noqa: RUF012 - the kit's ClassVar

    def asked(self, fuse: Fuse, upstream: Upstream, question: str) -> dict[str, Any]:
        """Write the call."""
        return {
            "model": self.model,
            "messages": [{"role": "user", "content": question}],
            "max_tokens": 100,
            "fuse": fuse,
            "base_url": upstream.openai_url,
            "api_key": "sk-upstream",
        }

    def ask(self, shape: Shape, fuse: Fuse, upstream: Upstream, question: str) -> str:
        """Ask in one of the four shapes."""
        asked = self.asked(fuse, upstream, question)
        match shape:
            case "call":
                return completion(**asked).choices[0].message.content or ""
            case "acall":
                return asyncio.run(acompletion(**asked)).choices[0].message.content or ""
            case "stream":
                return "".join(
                    chunk.choices[0].delta.content or ""
                    for chunk in completion(**asked, stream=True)
                )
            case "astream":
                return asyncio.run(joined(asked))

    def call_tool(self, shape: Shape, fuse: Fuse, upstream: Upstream, question: str) -> list[str]:
        """Ask with a tool."""
        choice = self.choice(shape, self.asked(fuse, upstream, question) | {"tools": [LOOK_UP]})
        return [call["function"]["name"] for call in choice["tool_calls"]]

    def extract(self, shape: Shape, fuse: Fuse, upstream: Upstream, question: str) -> Any:
        """Ask for JSON of a schema."""
        asked = self.asked(fuse, upstream, question) | {"response_format": PERSON}
        return json.loads(self.choice(shape, asked)["content"])

    def choice(self, shape: Shape, asked: dict[str, Any]) -> dict[str, Any]:
        """Give the message of an answer, whole or joined from its chunks."""
        match shape:
            case "call":
                return completion(**asked).choices[0].message.model_dump()
            case "acall":
                return asyncio.run(acompletion(**asked)).choices[0].message.model_dump()
            case "stream":
                return message_of(list(completion(**asked, stream=True)))
            case "astream":
                return message_of(asyncio.run(listed(asked)))

    def abandon(self, shape: Shape, fuse: Fuse, upstream: Upstream, question: str) -> None:
        """Take a few chunks and close."""
        asked = self.asked(fuse, upstream, question)
        if shape == "astream":
            asyncio.run(left(asked))
            return
        stream = completion(**asked, stream=True)
        for _ in range(FEW):
            next(stream)
        stream.close()


class TestAnthropic(TestOpenAI):
    """Messages on the wire, ChatCompletion for the caller."""

    model = "claude-sonnet-4-6"
    provider = "anthropic"

    def asked(self, fuse: Fuse, upstream: Upstream, question: str) -> dict[str, Any]:
        """Write the call."""
        return super().asked(fuse, upstream, question) | {"base_url": upstream.anthropic_url}


LOOK_UP = {
    "type": "function",
    "function": {
        "name": TOOL,
        "parameters": {"type": "object", "properties": {"word": {"type": "string"}}},
    },
}
PERSON = {
    "type": "json_schema",
    "json_schema": {
        "name": "person",
        "schema": {
            "type": "object",
            "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
            "required": ["name", "age"],
            "additionalProperties": False,
        },
    },
}


def message_of(chunks: list[Any]) -> dict[str, Any]:
    """Join a stream's chunks."""
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    calls = [call.model_dump() for delta in deltas for call in delta.tool_calls or ()]
    return {
        "content": "".join(delta.content or "" for delta in deltas),
        "tool_calls": [call for call in calls if call["function"]["name"]],
    }


async def listed(asked: dict[str, Any]) -> list[Any]:
    """List a stream's chunks."""
    return [chunk async for chunk in await acompletion(**asked, stream=True)]


async def joined(asked: dict[str, Any]) -> str:
    """Read a whole stream."""
    stream = await acompletion(**asked, stream=True)
    return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])


async def left(asked: dict[str, Any]) -> None:
    """Leave a stream after a few chunks."""
    async with await acompletion(**asked, stream=True) as stream:
        for _ in range(FEW):
            await anext(stream)
