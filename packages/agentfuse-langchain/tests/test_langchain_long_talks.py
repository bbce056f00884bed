"""A long conversation of a LangChain agent under compression: valid, short, and nothing is lost."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from langchain.agents import create_agent
from langchain.tools import tool
from long_talks import CODE, PROMPT, Heard, order_of, questions, result_of, tracking_of

from agentfuse import Compressor, Fuse
from agentfuse.lengths import Compressed
from agentfuse_langchain import AgentFuseChatModel, AgentFuseMiddleware

if TYPE_CHECKING:
    from collections.abc import Callable

    from langchain_core.language_models import BaseChatModel

    from agentfuse.messages import Message
    from agentfuse.testing import Upstream

    BareOf = Callable[..., BaseChatModel]

TURNS = 60


@tool
def get_order(order: str) -> str:
    """Look an order up."""
    return result_of(int(order.removeprefix("A-")) - 1000)


def is_pinned(message: Message) -> bool:
    return "remember" in message.text.lower()


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def frugal(heard: Heard) -> Fuse:
    return Fuse(
        "$50",
        spend_book=False,
        cache=False,
        listeners=[heard],
        compress=Compressor(keep=is_pinned),
        compress_above=4_000,
    )


def written(request: Any) -> str:
    return json.dumps(request.body, ensure_ascii=False)


@pytest.mark.parametrize("awaited", [False, True])
async def test_sixty_turns_stay_valid_and_short(
    bare_of: BareOf, up: Upstream, vendor: str, frugal: Fuse, heard: Heard, awaited: bool
) -> None:
    model = AgentFuseChatModel(inner=bare_of(vendor, max_tokens=100), fuse=frugal)
    agent = create_agent(model, [get_order], system_prompt=PROMPT)
    messages: list[Any] = []
    for question in questions(TURNS):
        messages.append(("user", question))
        asked: Any = {"messages": messages}
        result = await agent.ainvoke(asked) if awaited else agent.invoke(asked)
        messages = result["messages"]
    assert {request.status for request in up.requests} == {200}
    assert up.calls == 2 * TURNS
    events = heard.of(Compressed)
    assert max(event.after for event in events) <= 4_000
    assert sum(e.after for e in events) <= 0.25 * sum(e.before for e in events)
    assert all(PROMPT in written(r) and CODE in written(r) for r in up.requests)
    assert len(messages) == 4 * TURNS  # the agent's own history is whole
    messages.append(("user", f"Which parcel number does {order_of(7)} have?"))
    agent.invoke({"messages": messages})
    assert tracking_of(7) in written(up.requests[-1])


def test_the_middleware_shortens_by_the_same_rules(bare_of: BareOf, up: Upstream) -> None:
    heard = Heard()
    guard = AgentFuseMiddleware(
        "$50", spend_book=False, listeners=[heard], compress="sliding_window", compress_after=9
    )
    agent = create_agent(bare_of("openai"), [get_order], middleware=[guard])
    messages: list[Any] = []
    for question in questions(14):
        messages.append(("user", question))
        asked: Any = {"messages": messages}
        messages = agent.invoke(asked)["messages"]
    assert {request.status for request in up.requests} == {200}
    assert {event.why for event in heard.of(Compressed)} == {"steps", "held"}
