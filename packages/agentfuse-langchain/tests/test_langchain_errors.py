"""Our own errors reach the caller: no middleware repeats, answers or escapes them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import ModelFallbackMiddleware, ModelRetryMiddleware
from langchain_core.language_models import BaseChatModel
from langgraph.checkpoint.memory import InMemorySaver

from agentfuse import AgentFuseError, ConfigurationError, Fuse, StoreUnavailable, UnknownPrice
from agentfuse.testing import Upstream
from agentfuse.testing.adapter_contract import BrokenLedger
from agentfuse_langchain import AgentFuseChatModel
from agentfuse_langchain.errors import surfaced

if TYPE_CHECKING:
    from collections.abc import Iterator

Ask = Callable[..., Awaitable[None]]
BareOf = Callable[..., BaseChatModel]
QUESTION: Any = {"messages": [("user", "hello")]}
UNHEARD = "house-model-7"


@pytest.fixture(scope="module")
def serving() -> Iterator[Upstream]:
    with Upstream(models=[UNHEARD]) as provider:
        yield provider


def unpriced(bare_of: BareOf) -> tuple[BaseChatModel, type[AgentFuseError]]:
    bare = bare_of("openai", model=UNHEARD)
    return AgentFuseChatModel(inner=bare, budget="$1", spend_book=False), UnknownPrice


def out_of_reach(bare_of: BareOf) -> tuple[BaseChatModel, type[AgentFuseError]]:
    cheaper = {"gpt-4o": "anthropic/claude-haiku-4-5"}
    fuse = Fuse("$1", spend_book=False, downgrade=cheaper)
    fuse.record_tool_call("search", "$0.85")
    return AgentFuseChatModel(inner=bare_of("openai"), fuse=fuse), ConfigurationError


def without_a_ledger(bare_of: BareOf) -> tuple[BaseChatModel, type[AgentFuseError]]:
    fuse = Fuse("$1", spend_book=False, ledger=BrokenLedger())
    return AgentFuseChatModel(inner=bare_of("openai"), fuse=fuse), StoreUnavailable


CASES = [unpriced, out_of_reach, without_a_ledger]


@pytest.fixture(params=CASES, ids=lambda case: case.__name__)
def failing(
    request: pytest.FixtureRequest, bare_of: BareOf
) -> tuple[BaseChatModel, type[AgentFuseError]]:
    made: tuple[BaseChatModel, type[AgentFuseError]] = request.param(bare_of)
    return made


async def test_an_error_of_ours_surfaces_from_a_model(
    failing: tuple[BaseChatModel, type[AgentFuseError]], up: Upstream, ask: Ask
) -> None:
    model, kind = failing
    with pytest.raises(kind) as error:
        await ask(model, "hello")
    assert type(error.value.__cause__) is kind
    assert str(error.value) == str(error.value.__cause__)
    assert up.calls == 0


async def test_retries_and_fallbacks_let_it_through(
    failing: tuple[BaseChatModel, type[AgentFuseError]], bare_of: BareOf, up: Upstream, ask: Ask
) -> None:
    model, kind = failing
    guards = [
        ModelFallbackMiddleware(bare_of("anthropic", max_tokens=50)),
        ModelRetryMiddleware(max_retries=2, initial_delay=0.0),
    ]
    for middleware in ([guards[0]], [guards[1]], guards):
        with pytest.raises(kind):
            await ask(create_agent(model, [], middleware=middleware), QUESTION)
    assert up.calls == 0


def test_a_price_given_later_lets_a_checkpointed_run_go_on(bare_of: BareOf, up: Upstream) -> None:
    bare = bare_of("openai", model=UNHEARD)
    config: Any = {"configurable": {"thread_id": "1"}}
    saver = InMemorySaver()
    poor = AgentFuseChatModel(inner=bare, budget="$1", spend_book=False)
    with pytest.raises(UnknownPrice):
        create_agent(poor, [], checkpointer=saver).invoke(QUESTION, config)
    prices = {UNHEARD: {"input": 1, "output": 2}}
    priced = AgentFuseChatModel(inner=bare, budget="$1", spend_book=False, prices=prices)
    answer = create_agent(priced, [], checkpointer=saver).invoke(None, config)
    assert [message.type for message in answer["messages"]] == ["human", "ai"]
    assert up.calls == 1


def test_an_error_keeps_what_it_carries() -> None:
    error: Any = surfaced(UnknownPrice(UNHEARD, "openai"))
    assert (error.model, error.provider) == (UNHEARD, "openai")
    assert isinstance(error, UnknownPrice)
    assert error.is_retryable is False
    assert surfaced(error) is error
