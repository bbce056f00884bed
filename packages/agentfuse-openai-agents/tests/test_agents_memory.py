"""What is remembered for whom, and what never."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from agents import Agent, Model, ModelSettings, Runner, UserError, WebSearchTool, handoff

from agentfuse import Fuse, completion
from agentfuse.testing import Upstream
from agentfuse.testing.upstream import Say
from agentfuse_openai_agents import AgentFuseModel
from agentfuse_openai_agents.requests import Asking, Call

BareOf = Callable[..., Model]
WordsOf = Callable[..., dict[str, Any]]


async def test_one_key_for_all_who_ask_the_same(
    bare_of: BareOf, up: Upstream, fuse: Fuse, api: str
) -> None:
    """A question asked through ``completion`` is answered to an agent, and back."""
    model = AgentFuseModel(bare_of(api), fuse=fuse)
    where = {"base_url": up.openai_url, "api_key": "sk-upstream", "fuse": fuse}
    system = {"role": "system", "content": "Be brief."}

    def asked(*messages: Any, **params: Any) -> str:
        answer = completion("gpt-4o", list(messages), **where, **params)
        return str(answer.choices[0].message.content)

    said = asked(system, {"role": "user", "content": "What is Python?"}, temperature=0.2)
    agent = Agent(
        name="a",
        instructions="Be brief.",
        model=model,
        model_settings=ModelSettings(temperature=0.2),
    )
    assert (await Runner.run(agent, "What is Python?")).final_output == said
    streamed = Runner.run_streamed(agent, "What is Python?")
    kinds = [e.data.type async for e in streamed.stream_events() if e.type == "raw_response_event"]
    assert kinds[-1] == "response.completed"
    assert streamed.final_output == said
    assert up.calls == 1
    agent = Agent(name="a", model=model, model_settings=ModelSettings(max_tokens=200))
    answer = (await Runner.run(agent, "What is Rust?")).final_output
    rust = {"role": "user", "content": "What is Rust?"}
    assert asked(rust, max_completion_tokens=200) == answer
    assert up.calls == 2
    assert fuse.receipt().exact == 3


async def test_a_whole_tool_conversation_has_one_key(
    bare_of: BareOf, up: Upstream, fuse: Fuse, api: str, weather: Any
) -> None:
    agent = Agent(name="a", model=AgentFuseModel(bare_of(api), fuse=fuse), tools=[weather])
    result = await Runner.run(agent, "What is the weather in 'Rome'?")
    call = result.new_items[0].raw_item
    tool = {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": weather.description,
            "parameters": weather.params_json_schema,
            "strict": True,
        },
    }
    function = {"name": call.name, "arguments": call.arguments}
    messages = [
        {"role": "user", "content": "What is the weather in 'Rome'?"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "call_made_up", "type": "function", "function": function}],
        },
        {"role": "tool", "tool_call_id": "call_made_up", "content": "sunny in Rome"},
    ]
    answer = completion(
        "gpt-4o",
        messages,
        tools=[tool],
        base_url=up.openai_url,
        api_key="sk-upstream",
        fuse=fuse,
    )
    assert answer.choices[0].message.content == result.final_output
    assert up.calls == 2


async def test_another_frameworks_tool_call_is_answered_to_an_agent(
    bare_of: BareOf, up: Upstream, fuse: Fuse, api: str, weather: Any
) -> None:
    tool = {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": weather.description,
            "parameters": weather.params_json_schema,
            "strict": True,
        },
    }
    question = {"role": "user", "content": "What is the weather in 'Rome'?"}
    completion(
        "gpt-4o", [question], tools=[tool], base_url=up.openai_url, api_key="sk-upstream", fuse=fuse
    )
    agent = Agent(name="a", model=AgentFuseModel(bare_of(api), fuse=fuse), tools=[weather])
    result = await Runner.run(agent, "What is the weather in 'Rome'?")
    assert [item.type for item in result.new_items] == [
        "tool_call_item",
        "tool_call_output_item",
        "message_output_item",
    ]
    assert fuse.receipt().exact == 1
    assert up.calls == 2  # the second of them has the rebuilt call in its input, and is accepted


@pytest.mark.parametrize(
    "kept",
    [
        {"previous_response_id": "resp_1"},
        {"conversation_id": "conv_1"},
        {"prompt": {"id": "pmpt_1"}},
        {"tools": [WebSearchTool()]},
        {"model_settings": ModelSettings(temperature=1.0)},
        {"model_settings": ModelSettings(extra_args={"background": True})},
    ],
    ids=["previous response", "conversation", "prompt", "hosted tool", "temperature", "background"],
)
async def test_what_hangs_on_the_world_is_asked_again(
    fuse: Fuse, kept: Any, words_of: WordsOf, odd: Any
) -> None:
    inner = odd()
    model = AgentFuseModel(inner, fuse=fuse)
    for _ in range(2):
        await model.get_response(**words_of(**kept))
    assert len(inner.done) == 2
    assert fuse.receipt().exact == 0


async def test_a_response_id_is_kept_for_runs_that_go_on_from_it(
    bare_of: BareOf, up: Upstream, fuse: Fuse, weather: Any
) -> None:
    """With ``auto_previous_response_id`` the next request names the first and leaves it out."""
    agent = Agent(name="a", model=AgentFuseModel(bare_of("responses"), fuse=fuse), tools=[weather])
    results = [
        await Runner.run(agent, "What is the weather in 'Rome'?", auto_previous_response_id=True)
        for _ in range(2)
    ]
    assert results[1].final_output == results[0].final_output
    assert results[1].raw_responses[0].response_id == results[0].raw_responses[0].response_id
    _, second, third = up.requests
    assert second.body["previous_response_id"] == third.body["previous_response_id"]
    assert [item["type"] for item in third.body["input"]] == ["function_call_output"]
    assert fuse.receipt().exact == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"model_settings": ModelSettings(temperature=0.1)},
        {"model_settings": ModelSettings(max_tokens=77)},
        {"model_settings": ModelSettings(store=False)},
        {"model_settings": ModelSettings(verbosity="low")},
        {"model_settings": ModelSettings(extra_headers={"x-variant": "b"})},
        {"model_settings": ModelSettings(extra_body={"tomorrow": 1})},
        {"model_settings": ModelSettings(extra_args={"seed": 1})},
        {"model_settings": ModelSettings(reasoning={"effort": "low"})},
        {"model_settings": ModelSettings(reasoning={"effort": "low", "summary": "auto"})},
        {"model_settings": ModelSettings(tool_choice="none")},
        {"tools": "a tool"},
        {"handoffs": "a handoff"},
        {"system_instructions": "Be a pirate."},
        {"question": [{"role": "user", "content": "What is Python? "}]},
        {"question": [{"role": "developer", "content": "What is Python?"}]},
    ],
    ids=lambda changed: str(changed)[-60:],
)
async def test_another_question_is_another(
    fuse: Fuse, changed: Any, words_of: WordsOf, odd: Any, weather: Any
) -> None:
    if "handoffs" in changed:
        changed = {"handoffs": [handoff(Agent(name="other"))]}
    if "tools" in changed:
        changed = {"tools": [weather]}
    inner = odd()
    model = AgentFuseModel(inner, fuse=fuse)
    await model.get_response(**words_of())
    await model.get_response(**words_of(**changed))
    assert len(inner.done) == 2
    await model.get_response(**words_of())
    await model.get_response(**words_of(**changed))
    assert len(inner.done) == 2


async def test_how_a_call_travels_is_no_part_of_the_question(
    fuse: Fuse, words_of: WordsOf, odd: Any
) -> None:
    inner = odd()
    model = AgentFuseModel(inner, fuse=fuse)
    await model.get_response(**words_of())
    for settings in (
        ModelSettings(metadata={"user": "ann"}),
        ModelSettings(include_usage=True),
        ModelSettings(prompt_cache_retention="24h"),
        ModelSettings(extra_args={"prompt_cache_key": "k"}),
        ModelSettings(parallel_tool_calls=True),  # not sent where there are no tools
    ):
        await model.get_response(**words_of(model_settings=settings))
    await model.get_response(**words_of([{"role": "user", "content": "What is Python?"}]))
    assert len(inner.done) == 1


async def test_a_secret_header_is_not_in_the_key(fuse: Fuse, words_of: WordsOf, odd: Any) -> None:
    settings = ModelSettings(extra_headers={"Authorization": "Bearer sk-very-secret"})
    words = words_of(model_settings=settings)
    asking = Asking.of(odd(), Call(**words))
    assert "sk-very-secret" not in repr(asking.request)


@pytest.mark.parametrize(
    "said",
    [
        Say("half", finish_reason="length"),
        Say("hidden", finish_reason="content_filter"),
    ],
    ids=["truncated", "filtered"],
)
async def test_an_answer_that_is_not_whole_is_given_once(
    bare_of: BareOf, up: Upstream, fuse: Fuse, said: Say
) -> None:
    """Chat models give such an answer as if it were whole; only its wire tells."""
    agent = Agent(name="a", model=AgentFuseModel(bare_of("chat"), fuse=fuse))
    for stream in (False, True):
        up.script([said, said])
        for _ in range(2):
            if stream:
                result = Runner.run_streamed(agent, "Hello?")
                async for _ in result.stream_events():
                    pass
            else:
                result = await Runner.run(agent, "Hello?")
            assert result.final_output == said.text
    assert up.calls == 4
    assert fuse.receipt().estimated == 0


async def test_a_call_that_was_never_sent_costs_nothing(
    bare_of: BareOf, up: Upstream, fuse: Fuse
) -> None:
    agent = Agent(
        name="a", model=AgentFuseModel(bare_of("chat"), fuse=fuse), tools=[WebSearchTool()]
    )
    with pytest.raises(UserError, match="Hosted tools"):
        await Runner.run(agent, "Hello?")
    assert (up.calls, fuse.receipt().spent, fuse.open_leases()) == (0, 0, ())


async def test_identical_runs_at_once_are_asked_once(
    bare_of: BareOf, up: Upstream, fuse: Fuse, api: str
) -> None:
    agent = Agent(name="a", model=AgentFuseModel(bare_of(api), fuse=fuse))
    up.slow(latency=0.2)
    one, other = await asyncio.gather(*(Runner.run(agent, "Hello?") for _ in range(2)))
    assert one.final_output == other.final_output
    assert one.new_items[0].raw_item is not other.new_items[0].raw_item
    assert up.calls == 1
    assert fuse.receipt().coalesced == 1


async def test_two_models_of_a_callers_own_never_share_an_answer(
    fuse: Fuse, words_of: WordsOf, odd: Any
) -> None:
    said = [
        (await AgentFuseModel(odd(name), fuse=fuse).get_response(**words_of())).output[0]
        for name in ("Ann", "Bob")
    ]
    assert [each.content[0].text for each in said] == ["Ann", "Bob"]
    assert fuse.receipt().exact == 0
