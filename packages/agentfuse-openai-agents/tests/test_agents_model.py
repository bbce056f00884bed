"""The fused model as an object: what it takes, and what goes to the inner one."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from agents import Agent, Model, MultiProvider, Runner, Usage
from agents.models.openai_provider import OpenAIProvider
from agents.retry import ModelRetryAdviceRequest
from openai.types.responses import ResponseFunctionToolCall

from agentfuse import BudgetExceeded, ConfigurationError, Fuse
from agentfuse.testing import Upstream
from agentfuse_openai_agents import AgentFuseModel, AgentFuseModelProvider

BareOf = Callable[..., Model]
WordsOf = Callable[..., dict[str, Any]]


async def events_of(model: Model, words: dict[str, Any]) -> list[Any]:
    return [event async for event in model.stream_response(**words)]


@pytest.mark.parametrize("inner", [None, "gpt-4o", object(), MultiProvider()], ids=repr)
def test_only_a_model_can_be_fused(inner: Any) -> None:
    with pytest.raises(ConfigurationError, match="inner must be a model"):
        AgentFuseModel(inner)


def test_only_a_provider_can_be_fused(bare_of: BareOf) -> None:
    with pytest.raises(ConfigurationError, match="inner must be a model provider"):
        AgentFuseModelProvider(bare_of("chat"))


def test_a_fused_model_is_not_fused_again(bare_of: BareOf, fuse: Fuse) -> None:
    model = AgentFuseModel(bare_of("chat"), fuse=fuse)
    with pytest.raises(ConfigurationError, match="fused already"):
        AgentFuseModel(model)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ({"budget": "$1", "fuse": Fuse(spend_book=False)}, "give a fuse or budget"),
        ({"cache": False, "fuse": Fuse(spend_book=False)}, "give a fuse or cache"),
        ({"fuse": "$1"}, "must be an agentfuse.Fuse"),
        ({"budgets": "$1"}, "knows no option 'budgets'"),
    ],
)
def test_words_that_are_off_are_told(bare_of: BareOf, words: Any, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        AgentFuseModel(bare_of("chat"), **words)
    with pytest.raises(ConfigurationError, match=told):
        AgentFuseModelProvider(OpenAIProvider(api_key="sk-x"), **words)


# What goes to the inner model


async def test_what_ends_and_repeats_a_call_is_the_inner_models(fuse: Fuse, odd: Any) -> None:
    inner = odd()
    model = AgentFuseModel(inner, fuse=fuse)
    owner = object()
    await model._cleanup_on_run_end(owner)
    await model.close()
    assert inner.done == [("cleanup", owner), "close"]
    theirs = ModelRetryAdviceRequest(error=ValueError("x"), attempt=1, stream=False)
    assert model.get_retry_advice(theirs).reason == "mine"
    ours = ModelRetryAdviceRequest(error=BudgetExceeded("no money"), attempt=1, stream=False)
    advice = model.get_retry_advice(ours)
    assert (advice.suggested, advice.replay_safety, advice.reason) == (False, "unsafe", "no money")


def test_attributes_are_read_and_set_on_the_inner_model(fuse: Fuse, odd: Any) -> None:
    inner = odd()
    model = AgentFuseModel(inner, fuse=fuse)
    assert (model.mood, model.inner, model.fuse) == ("calm", inner, fuse)
    model.mood = "cross"
    assert inner.mood == model.mood == "cross"
    with pytest.raises(AttributeError):
        _ = model.nothing_of_the_kind


def test_copies_share_the_money(fuse: Fuse, odd: Any) -> None:
    model = AgentFuseModel(odd(), fuse=fuse)
    for other in (copy.copy(model), copy.deepcopy(model)):
        assert other.fuse is fuse
        assert isinstance(other.inner, odd)
    assert copy.deepcopy(model).inner is not model.inner


async def test_a_model_is_asked_as_the_sdk_asks_it(fuse: Fuse, words_of: WordsOf, odd: Any) -> None:
    inner = odd()
    model = AgentFuseModel(inner, fuse=fuse)
    await model.get_response(**words_of("one"))
    words = words_of("two")
    placed = [words.pop(name) for name in list(words)[:7]]
    async for _ in model.stream_response(*placed, **words):
        pass
    assert inner.done[0] == ("asked", (), sorted(words_of()))
    kept = ["conversation_id", "previous_response_id", "prompt"]
    assert inner.done[1:] == [("streamed", 7, kept), "closed"]


async def test_a_model_of_the_users_own_is_budgeted_and_remembered(
    fuse: Fuse, words_of: WordsOf, odd: Any
) -> None:
    """It cannot be overheard: its own count is its bill. Events may be dicts."""
    inner = odd()
    model = AgentFuseModel(inner, fuse=fuse)
    first = await model.get_response(**words_of())
    again = await model.get_response(**words_of())
    assert again.output == first.output
    assert again.output[0] is not first.output[0]
    assert (again.usage, again.response_id) == (Usage(), "resp_1")
    assert fuse.receipt().spent == 9 * 2_500 + 2 * 10_000
    events = await events_of(model, words_of("streamed?"))
    assert [event["type"] for event in events] == [
        "response.created",
        "response.output_text.delta",
        "response.completed",
    ]
    assert fuse.receipt().spent == 2 * (9 * 2_500 + 2 * 10_000)
    assert [e.type for e in await events_of(model, words_of("streamed?"))][
        -1
    ] == "response.completed"
    assert fuse.receipt().exact == 2


async def test_an_answer_without_a_count_is_estimated(
    fuse: Fuse, words_of: WordsOf, odd: Any
) -> None:
    model = AgentFuseModel(odd(usage=Usage()), fuse=fuse)
    await model.get_response(**words_of())
    assert fuse.receipt().estimated == 1
    assert fuse.receipt().spent > 0


async def test_changing_a_hit_changes_no_other(
    bare_of: BareOf, up: Upstream, fuse: Fuse, api: str, words_of: WordsOf
) -> None:
    model = AgentFuseModel(bare_of(api), fuse=fuse)
    await model.get_response(**words_of())
    spoiled = await model.get_response(**words_of())
    spoiled.output[0].content[0].text = "spoiled"
    fresh = await model.get_response(**words_of())
    assert fresh.output[0].content[0].text.startswith("Answer to")
    assert up.calls == 1


async def test_a_bare_model_is_left_as_it_was(
    bare_of: BareOf, up: Upstream, fuse: Fuse, api: str, words_of: WordsOf
) -> None:
    inner = bare_of(api)
    before = dict(vars(inner))
    model = AgentFuseModel(inner, fuse=fuse)
    await model.get_response(**words_of())
    await events_of(model, words_of())
    assert vars(inner) == before
    assert "_fetch_response" not in vars(inner)


async def test_what_a_model_notes_while_it_works_it_goes_on_knowing(
    bare_of: BareOf, up: Upstream, fuse: Fuse, words_of: WordsOf
) -> None:
    inner = bare_of("chat")
    model = AgentFuseModel(inner, fuse=fuse)
    await model.get_response(**words_of(prompt={"id": "pmpt_1"}))
    assert inner._has_warned_unsupported_prompt


# The SDK's own scripted model


async def test_the_sdks_scripted_model_is_fused_like_any_other(
    fuse: Fuse, weather: Any, message_of: Any
) -> None:
    testing = pytest.importorskip("agents.testing", reason="it came with openai-agents 0.21")
    call = ResponseFunctionToolCall(
        call_id="call_1", name="get_weather", arguments='{"city": "Rome"}', type="function_call"
    )
    usage = Usage(requests=1, input_tokens=10, output_tokens=5, total_tokens=15)
    steps = [
        testing.ModelStep(output=[call], usage=usage),
        testing.ModelStep(output=[message_of("It is sunny.")], usage=usage),
    ]
    scripted = testing.ScriptedModel([*steps, *steps])
    prices = {"ScriptedModel": {"input": 1, "output": 2}}
    fuse = Fuse("$1", spend_book=False, prices=prices)
    agent = Agent(name="a", model=AgentFuseModel(scripted, fuse=fuse), tools=[weather])
    first = await Runner.run(agent, "What is the weather in Rome?")
    again = await Runner.run(agent, "What is the weather in Rome?")
    streamed = Runner.run_streamed(agent, "What is the weather in Oslo?")
    kinds = [event.type async for event in streamed.stream_events()]
    assert first.final_output == again.final_output == streamed.final_output == "It is sunny."
    assert again.to_input_list() == first.to_input_list()
    assert kinds.count("run_item_stream_event") == 3
    receipt = fuse.receipt()
    assert (receipt.answers, receipt.exact) == (6, 2)
    assert receipt.spent == 4 * (10 * 1_000 + 5 * 2_000)
