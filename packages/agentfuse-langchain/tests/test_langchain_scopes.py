"""Ids in a RunnableConfig decide whose limit a call is booked on and whose answers it may get."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver

from agentfuse import Fuse, scope
from agentfuse.tickets import Receipt
from agentfuse_langchain import AgentFuseChatModel, BudgetStop

if TYPE_CHECKING:
    from agentfuse.scopes import Scope
    from agentfuse.testing import Upstream
    from agentfuse.tickets import Event

BareOf = Callable[..., BaseChatModel]
QUESTION = {"messages": [("user", "What is the weather in 'Rome'?")]}
WAYS = ("invoke", "ainvoke", "stream", "astream", "batch", "abatch")


class Heard:
    """Keeps the scope of every receipt."""

    def __init__(self) -> None:
        self.scopes: list[Scope] = []

    def hear(self, event: Event) -> None:
        if isinstance(event, Receipt):
            self.scopes.append(event.scope)


@tool
def get_weather(city: str) -> str:
    """Tell the weather in a city."""
    return f"sunny in {city}"


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def model(bare_of: BareOf, heard: Heard) -> Any:
    fuse = Fuse("$1", cache=False, spend_book=False, listeners=[heard], limits={"user": "$1"})
    return AgentFuseChatModel(inner=bare_of("openai", max_tokens=50), fuse=fuse)


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def ask(model: Any, way: str, asked: Any, config: Any) -> None:
    match way:
        case "invoke":
            model.invoke(asked, config)
        case "ainvoke":
            await model.ainvoke(asked, config)
        case "stream":
            list(model.stream(asked, config))
        case "astream":
            [chunk async for chunk in model.astream(asked, config)]
        case "batch":
            model.batch([asked, asked], config)
        case _:
            await model.abatch([asked, asked], config)


async def test_ids_in_the_metadata_of_a_call_are_its_scope(
    model: Any, heard: Heard, way: str
) -> None:
    ids = {"agentfuse_user": "ann", "agentfuse_tenant": "acme", "agentfuse_team": 7, "other": "x"}
    await ask(model, way, "hello", {"metadata": ids})
    assert {(each.user, each.tenant, each.team, each.run) for each in heard.scopes} == {
        ("ann", "acme", "7", "")
    }


async def test_ids_in_the_config_of_an_agent_reach_its_models(
    model: Any, heard: Heard, way: str
) -> None:
    agent = create_agent(model, [get_weather], checkpointer=InMemorySaver())
    config = {
        "metadata": {"agentfuse_user": "ann"},
        "configurable": {"thread_id": "t1", "agentfuse_tenant": "acme"},
    }
    await ask(agent, way, QUESTION, config)
    assert len(heard.scopes) == 2 * (1 + way.endswith("batch"))
    assert {(each.user, each.tenant, each.session) for each in heard.scopes} == {
        ("ann", "acme", "t1")
    }


async def test_the_scope_around_a_call_reaches_the_threads_of_langchain(
    model: Any, heard: Heard, way: str
) -> None:
    chain = RunnableLambda(lambda text: text) | model
    with scope(user="ann", session="mine"):
        await ask(chain, way, "hello", {"configurable": {"thread_id": "t1"}})
    assert {(each.user, each.session) for each in heard.scopes} == {("ann", "mine")}


def test_the_nearest_id_wins(model: Any, heard: Heard) -> None:
    with scope(user="ann", team="red", session="mine"):
        model.invoke("hello", {"metadata": {"agentfuse_user": "bob"}})
        model.invoke("hello", {"metadata": {"agentfuse_session": "theirs"}})
        model.invoke("hello")
    model.invoke("hello")
    assert [(each.user, each.team, each.session) for each in heard.scopes] == [
        ("bob", "red", "mine"),
        ("ann", "red", "theirs"),
        ("ann", "red", "mine"),
        ("", "", ""),
    ]


def test_a_thread_is_a_session_in_plain_chains_too(model: Any, heard: Heard) -> None:
    chain = RunnableLambda(lambda text: text) | model
    chain.invoke("hello", {"configurable": {"thread_id": "t1"}})
    assert [each.session for each in heard.scopes] == ["t1"]


async def test_a_users_limit_stops_that_users_agent(
    bare_of: BareOf, up: Upstream, way: str
) -> None:
    fuse = Fuse(cache=False, spend_book=False, limits={"user": "$0.0000001"})
    model = AgentFuseChatModel(inner=bare_of("openai", max_tokens=50), fuse=fuse)
    agent = create_agent(model, [get_weather])
    with pytest.raises(BudgetStop, match="user 'ann'"):
        await ask(agent, way, QUESTION, {"metadata": {"agentfuse_user": "ann"}})
    assert up.calls == 0
    await ask(agent, way, QUESTION, None)
    assert up.calls >= 2


def test_a_tenant_in_the_config_is_never_given_anothers_answer(
    bare_of: BareOf, up: Upstream, fuse: Fuse
) -> None:
    model = AgentFuseChatModel(inner=bare_of("openai", max_tokens=50), fuse=fuse)
    for tenant in ("acme", "zenith", "acme"):
        model.invoke("hello", {"metadata": {"agentfuse_tenant": tenant}})
    assert up.calls == 2
    assert fuse.receipt().exact == 1


def test_a_stream_leaves_no_scope_behind(model: Any, heard: Heard) -> None:
    stream = model.stream("hello", {"metadata": {"agentfuse_user": "ann"}})
    next(stream)
    model.invoke("hello")
    stream.close()
    assert [each.user for each in heard.scopes] == ["", "ann"]
