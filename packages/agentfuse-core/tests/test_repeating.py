"""A framework's own retries are around what asks the provider, and around nothing else."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from agentfuse import Fuse
from agentfuse.messages import Choice, Message, Reply, Request, Text
from agentfuse.routing import Cascade

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

REQUEST = Request(provider="openai", model="gpt-4o", messages=(Message("user", (Text("hi"),)),))


class Plain:
    """Speaks our own words."""

    def reply_of(self, result: Reply) -> Reply:
        return result

    def answer_of(self, result: Reply) -> str:
        return result.text

    def result_of(self, reply: Reply) -> str:
        return reply.text


class Provider:
    """Fails so many times, and then answers."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.asked = self.rounds = 0

    def send(self, request: Request) -> Reply:
        self.asked += 1
        if self.asked <= self.failures:
            raise ConnectionError
        said = Choice(parts=(Text("hello"),), finish_reason="stop")
        return Reply(choices=(said,), model=request.model)

    async def asend(self, request: Request) -> Reply:
        return self.send(request)

    def repeat(self, attempt: Callable[[], Any]) -> Any:
        while True:
            self.rounds += 1
            try:
                return attempt()
            except ConnectionError:
                if self.rounds > 2:
                    raise

    async def arepeat(self, attempt: Callable[[], Awaitable[Any]]) -> Any:
        while True:
            self.rounds += 1
            try:
                return await attempt()
            except ConnectionError:
                if self.rounds > 2:
                    raise


def asked(fuse: Fuse, provider: Provider, way: str) -> Any:
    codec: Any = Plain()
    if way == "blocking":
        return fuse.call(REQUEST, provider.send, codec, provider.repeat)
    return asyncio.run(fuse.acall(REQUEST, provider.asend, codec, provider.arepeat))


@pytest.mark.parametrize("way", ["blocking", "awaited"])
def test_each_round_is_a_call_and_what_is_remembered_needs_none(way: str) -> None:
    fuse, provider = Fuse("$1", spend_book=False), Provider(failures=2)
    assert asked(fuse, provider, way) == "hello"
    told = fuse.receipt()
    assert (provider.asked, provider.rounds, told.failures, told.answers) == (3, 3, 2, 1)
    assert asked(fuse, provider, way) == "hello"
    assert (provider.asked, provider.rounds, fuse.receipt().exact) == (3, 3, 1)
    assert fuse.open_leases() == ()


@pytest.mark.parametrize("way", ["blocking", "awaited"])
def test_what_fails_to_the_end_holds_no_money(way: str) -> None:
    fuse, provider = Fuse("$1", spend_book=False), Provider(failures=9)
    with pytest.raises(ConnectionError):
        asked(fuse, provider, way)
    assert (provider.asked, fuse.receipt().failures) == (3, 3)
    assert fuse.open_leases() == ()


@pytest.mark.parametrize("way", ["blocking", "awaited"])
def test_a_cascade_still_answers(way: str) -> None:
    cascade = Cascade(first=("gpt-4o-mini", "gpt-4.1-nano"), strong="gpt-4o")
    fuse, provider = Fuse("$1", spend_book=False, route=cascade), Provider(failures=0)
    assert asked(fuse, provider, way) == "hello"
    assert provider.rounds == 1
    assert {model.model for model in fuse.receipt().models} == {"gpt-4o-mini", "gpt-4.1-nano"}
