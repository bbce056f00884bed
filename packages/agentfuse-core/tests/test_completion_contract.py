"""``completion()`` keeps the adapters' contract, for OpenAI's dialect and for Anthropic's."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from agentfuse import acompletion, completion
from agentfuse.testing import AdapterContract

if TYPE_CHECKING:
    from agentfuse import Fuse
    from agentfuse.testing import Upstream
    from agentfuse.testing.adapter_contract import Shape

FEW = 4


class TestOpenAI(AdapterContract):
    """Chat Completions on the wire."""

    model = "gpt-4o"

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


async def joined(asked: dict[str, Any]) -> str:
    """Read a whole stream."""
    stream = await acompletion(**asked, stream=True)
    return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])


async def left(asked: dict[str, Any]) -> None:
    """Leave a stream after a few chunks."""
    async with await acompletion(**asked, stream=True) as stream:
        for _ in range(FEW):
            await anext(stream)
