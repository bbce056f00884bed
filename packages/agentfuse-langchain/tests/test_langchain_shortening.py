"""A shortened conversation is one the provider would take, and keeps what matters."""

from __future__ import annotations

from itertools import chain
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.messages.utils import count_tokens_approximately

from agentfuse_langchain.shortening import shortened

texts = st.text("ab ", max_size=60)


def step_of(number: int, said: str, results: list[str]) -> list[Any]:
    """Make what the model said, and the results of the tools it called."""
    ids = [f"call_{number}_{place}" for place in range(len(results))]
    calls = [{"name": "f", "args": {}, "id": each} for each in ids]
    answers = [ToolMessage(text, tool_call_id=i) for i, text in zip(ids, results, strict=True)]
    return [AIMessage(said, tool_calls=calls), *answers]


@st.composite
def conversations(draw: st.DrawFn) -> list[Any]:
    said: list[Any] = [SystemMessage(draw(texts))] if draw(st.booleans()) else []
    for turn in range(draw(st.integers(0, 4))):
        said.append(HumanMessage(draw(texts)))
        for step in range(draw(st.integers(0, 3))):
            results = draw(st.lists(texts, max_size=2))
            said += step_of(10 * turn + step, draw(texts), results)
    return said


@given(conversations(), st.floats(0, 1))
def test_what_is_left_is_whole_and_in_order(messages: list[Any], share: float) -> None:
    left = shortened(messages, share)
    places = [next(i for i, each in enumerate(messages) if each is kept) for kept in left]
    assert places == sorted(places)
    called = [call["id"] for each in left if each.type == "ai" for call in each.tool_calls]
    assert called == [each.tool_call_id for each in left if each.type == "tool"]
    assert all(each in left for each in messages if each.type == "system")
    users = [each for each in messages if each.type == "human"]
    if users:
        assert users[-1] in left
        assert next(each for each in left if each.type != "system").type == "human"
    if messages:
        assert left[-1] is messages[-1]


@given(conversations())
def test_nothing_is_dropped_where_there_is_room(messages: list[Any]) -> None:
    assert shortened(messages, 1.0) == messages


def test_the_oldest_goes_first_and_no_more_than_needed() -> None:
    turns = [[HumanMessage(f"{n} " * 50), AIMessage(f"{n} " * 50)] for n in range(4)]
    messages = [SystemMessage("Be brief."), *chain(*turns), HumanMessage("and now?")]
    left = shortened(messages, 0.6)
    assert left == [messages[0], *chain(*turns[2:]), messages[-1]]
    assert count_tokens_approximately(left) <= 0.6 * count_tokens_approximately(messages)


def test_the_last_turn_loses_its_oldest_steps() -> None:
    steps = [step_of(n, "", ["word " * 200]) for n in range(5)]
    messages = [HumanMessage("Find out."), *chain(*steps)]
    assert shortened(messages) == [messages[0], *chain(*steps[3:])]
    assert shortened(messages, 0.0) == [messages[0], *steps[-1]]
