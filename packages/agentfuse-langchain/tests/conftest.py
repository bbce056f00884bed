"""A simulated provider, and bare and fused models that speak to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from langchain_anthropic import ChatAnthropic
from langchain_openai import ChatOpenAI

from agentfuse import Fuse
from agentfuse.pricing import PriceBook
from agentfuse.testing import Upstream
from agentfuse.usage import BilledUsage, UsageReport

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from langchain_core.language_models import BaseChatModel

KEY = "sk-upstream"
WAYS = ("invoke", "ainvoke", "stream", "astream")
QUESTION: Any = {"messages": [("user", "What is the weather in 'Rome'?")]}
MODELS = {"openai": "gpt-4o", "anthropic": "claude-sonnet-4-6"}


@pytest.fixture(scope="module")
def serving() -> Iterator[Upstream]:
    with Upstream() as provider:
        yield provider


@pytest.fixture
def up(serving: Upstream) -> Upstream:
    """A provider that has not been asked anything yet."""
    serving.wait_idle()
    serving.reset()
    return serving


@pytest.fixture
def fuse() -> Fuse:
    return Fuse("$1", spend_book=False)


@pytest.fixture
def bare_of(up: Upstream) -> Callable[..., BaseChatModel]:
    """Make a bare model of a vendor that speaks to the simulated provider."""

    def make(vendor: str, **params: Any) -> BaseChatModel:
        # A kept connection belongs to the event loop that opened it, and each test has its own.
        alone = {"Connection": "close"}
        words = {"default_headers": alone, "model": MODELS[vendor], "api_key": KEY, **params}
        if vendor == "openai":
            return ChatOpenAI(**{"base_url": up.openai_url, **words})
        return ChatAnthropic(**{"base_url": up.anthropic_url, **words})

    return make


@pytest.fixture(params=sorted(MODELS))
def vendor(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def ask(way: str) -> Callable[..., Awaitable[None]]:
    """Ask a model or an agent, each way in turn."""

    async def asking(model: Any, asked: Any) -> None:
        match way:
            case "invoke":
                model.invoke(asked)
            case "ainvoke":
                await model.ainvoke(asked)
            case "stream":
                list(model.stream(asked))
            case _:
                [chunk async for chunk in model.astream(asked)]

    return asking


@pytest.fixture
def final_of(way: str) -> Callable[..., Awaitable[Any]]:
    """Run a graph to its end, each way in turn, and give its last state."""

    async def final(graph: Any, asked: Any = QUESTION, config: Any = None) -> Any:
        values: Any = {"stream_mode": "values"}
        match way:
            case "invoke":
                return graph.invoke(asked, config)
            case "ainvoke":
                return await graph.ainvoke(asked, config)
            case "stream":
                return list(graph.stream(asked, config, **values))[-1]
            case _:
                return [each async for each in graph.astream(asked, config, **values)][-1]

    return final


@pytest.fixture
def billed(up: Upstream) -> Callable[[str], int]:
    """Price what the provider served, in nanodollars."""

    def price(provider: str) -> int:
        book = PriceBook()
        items = [BilledUsage(model=served.model, usage=served.billed) for served in up.requests]
        costs = [book.cost(UsageReport(items=(each,)), provider) for each in items]
        return sum(cost.nanodollars for cost in costs)

    return price
