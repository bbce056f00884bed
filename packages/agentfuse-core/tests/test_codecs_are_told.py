"""A codec that asks is told where a remembered answer came from."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

from agentfuse import Fuse
from agentfuse.messages import Choice, Message, Reply, Request, Text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentfuse.tickets import Answered

REQUEST = Request(provider="openai", model="gpt-4o", messages=(Message("user", (Text("hi"),)),))
REPLY = Reply(choices=(Choice(parts=(Text("hello"),), finish_reason="stop"),), model="gpt-4o")


class Telling:
    """Speaks our own words, and keeps where an answer came from."""

    def __init__(self) -> None:
        self.source = "provider"

    def answered(self, ticket: Answered) -> None:
        self.source = ticket.source

    def reply_of(self, result: Reply) -> Reply:
        return result

    def answer_of(self, result: Reply) -> str:
        return f"{result.text} from {self.source}"

    def result_of(self, reply: Reply) -> str:
        return f"{reply.text} from {self.source}"

    def chunks_of(self, reply: Reply) -> Iterator[str]:
        yield f"{reply.text} from {self.source}"

    def delta_of(self, chunk: Any) -> Any:
        raise NotImplementedError

    def shown(self, chunk: Any) -> Any:
        raise NotImplementedError

    def joined(self, chunks: Any) -> Any:
        raise NotImplementedError


def test_an_answer_from_the_cache_says_so() -> None:
    fuse = Fuse(spend_book=False)

    async def asend(_: Request) -> Reply:
        return REPLY

    async def astream(_: Request) -> Any:
        raise NotImplementedError

    async def awaited() -> list[str]:
        stream = await fuse.astream(REQUEST, astream, Telling())
        return [await fuse.acall(REQUEST, asend, Telling()), *[chunk async for chunk in stream]]

    assert fuse.call(REQUEST, lambda _: REPLY, Telling()) == "hello from provider"
    assert fuse.call(REQUEST, lambda _: REPLY, Telling()) == "hello from exact"
    assert list(fuse.stream(REQUEST, lambda _: (), Telling())) == ["hello from exact"]
    assert asyncio.run(awaited()) == ["hello from exact"] * 2


def test_an_answer_of_an_identical_call_in_the_air_says_so() -> None:
    fuse = Fuse(spend_book=False)
    asked, answers = threading.Event(), list[str]()

    def slow(_: Request) -> Reply:
        asked.set()
        waiter.start()
        waiter.join(0.2)
        return REPLY

    def wait() -> None:
        answers.append(fuse.call(REQUEST, lambda _: REPLY, Telling()))

    waiter = threading.Thread(target=wait)
    assert fuse.call(REQUEST, slow, Telling()) == "hello from provider"
    waiter.join()
    assert asked.is_set()
    assert answers == ["hello from coalesced"]
