"""The fused model and provider as objects: what they take, forward, remember and never remember."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from agents import (
    Agent,
    Model,
    ModelProvider,
    ModelResponse,
    ModelSettings,
    ModelTracing,
    MultiProvider,
    RunConfig,
    Runner,
    Usage,
    UserError,
    WebSearchTool,
    function_tool,
    set_trace_processors,
    set_tracing_disabled,
    trace,
)
from agents.models.multi_provider import MultiProviderMap
from agents.models.openai_provider import OpenAIProvider
from agents.models.openai_responses import OpenAIResponsesWSModel
from agents.retry import ModelRetryAdvice, ModelRetryAdviceRequest
from agents.tracing import TracingProcessor
from openai import AsyncOpenAI
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage

from agentfuse import BudgetExceeded, ConfigurationError, Fuse, completion
from agentfuse.testing import Upstream
from agentfuse.testing.upstream import Call, Say
from agentfuse_openai_agents import AgentFuseModel, AgentFuseModelProvider

BareOf = Callable[..., Model]


@function_tool
def get_weather(city: str) -> str:
    """Tell the weather in a city."""
    return f"sunny in {city}"


def words_of(question: Any = "What is Python?", **changed: Any) -> dict[str, Any]:
    """Give what the runner says to a model."""
    return {
        "system_instructions": None,
        "input": question,
        "model_settings": ModelSettings(),
        "tools": [],
        "output_schema": None,
        "handoffs": [],
        "tracing": ModelTracing.DISABLED,
        "previous_response_id": None,
        "conversation_id": None,
        "prompt": None,
        **changed,
    }


async def events_of(model: Model, **words: Any) -> list[Any]:
    return [event async for event in model.stream_response(**words_of(**words))]


# What can be given


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


class Odd(Model):
    """A model of the user's own, with an attribute and every method counted."""

    model = "gpt-4o"
    mood = "calm"

    def __init__(self, answer: str = "odd", *, usage: Usage | None = None) -> None:
        self.answer = answer
        self.usage = usage or Usage(requests=1, input_tokens=9, output_tokens=2, total_tokens=11)
        self.done: list[Any] = []

    async def get_response(self, *args: Any, **kwargs: Any) -> ModelResponse:
        self.done.append(("asked", args, sorted(kwargs)))
        return ModelResponse(output=[message(self.answer)], usage=self.usage, response_id="resp_1")

    async def stream_response(self, *args: Any, **kwargs: Any) -> Any:
        self.done.append(("streamed", len(args), sorted(kwargs)))
        response = {
            "id": "resp_1",
            "model": "gpt-4o",
            "status": "completed",
            "output": [message(self.answer).model_dump()],
            "usage": {"input_tokens": 9, "output_tokens": 2, "total_tokens": 11},
        }
        try:
            yield {"type": "response.created", "response": {**response, "output": []}}
            yield {"type": "response.output_text.delta", "delta": self.answer}
            yield {"type": "response.completed", "response": response}
        finally:
            self.done.append("closed")

    def get_retry_advice(self, request: ModelRetryAdviceRequest) -> ModelRetryAdvice:
        return ModelRetryAdvice(suggested=True, reason="mine")

    async def close(self) -> None:
        self.done.append("close")

    async def _cleanup_on_run_end(self, owner: object) -> None:
        self.done.append(("cleanup", owner))


def message(text: str) -> ResponseOutputMessage:
    return ResponseOutputMessage.model_validate(
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": text, "annotations": []}],
        }
    )


async def test_what_ends_and_repeats_a_call_is_the_inner_models(fuse: Fuse) -> None:
    inner = Odd()
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


def test_attributes_are_read_and_set_on_the_inner_model(fuse: Fuse) -> None:
    inner = Odd()
    model = AgentFuseModel(inner, fuse=fuse)
    assert (model.mood, model.inner, model.fuse) == ("calm", inner, fuse)
    model.mood = "cross"
    assert inner.mood == model.mood == "cross"
    with pytest.raises(AttributeError):
        _ = model.nothing_of_the_kind


def test_copies_share_the_money(fuse: Fuse) -> None:
    model = AgentFuseModel(Odd(), fuse=fuse)
    for other in (copy.copy(model), copy.deepcopy(model)):
        assert other.fuse is fuse
        assert isinstance(other.inner, Odd)
    assert copy.deepcopy(model).inner is not model.inner


async def test_a_model_is_asked_as_the_sdk_asks_it(fuse: Fuse) -> None:
    inner = Odd()
    model = AgentFuseModel(inner, fuse=fuse)
    await model.get_response(**words_of("one"))
    words = words_of("two")
    placed = [words.pop(name) for name in list(words)[:7]]
    async for _ in model.stream_response(*placed, **words):
        pass
    assert inner.done[0] == ("asked", (), sorted(words_of()))
    kept = ["conversation_id", "previous_response_id", "prompt"]
    assert inner.done[1:] == [("streamed", 7, kept), "closed"]


async def test_a_model_of_the_users_own_is_budgeted_and_remembered(fuse: Fuse) -> None:
    """It cannot be overheard: its own count is its bill. Events may be dicts."""
    inner = Odd()
    model = AgentFuseModel(inner, fuse=fuse)
    first = await model.get_response(**words_of())
    again = await model.get_response(**words_of())
    assert again.output == first.output
    assert again.output[0] is not first.output[0]
    assert (again.usage, again.response_id) == (Usage(), "resp_1")
    assert fuse.receipt().spent == 9 * 2_500 + 2 * 10_000
    events = await events_of(model, question="streamed?")
    assert [event["type"] for event in events] == [
        "response.created",
        "response.output_text.delta",
        "response.completed",
    ]
    assert fuse.receipt().spent == 2 * (9 * 2_500 + 2 * 10_000)
    assert [e.type for e in await events_of(model, question="streamed?")][-1] == "response.completed"
    assert fuse.receipt().exact == 2


async def test_an_answer_without_a_count_is_estimated(fuse: Fuse) -> None:
    model = AgentFuseModel(Odd(usage=Usage()), fuse=fuse)
    await model.get_response(**words_of())
    assert fuse.receipt().estimated == 1
    assert fuse.receipt().spent > 0


async def test_changing_a_hit_changes_no_other(bare_of: BareOf, up: Upstream, fuse: Fuse, api: str) -> None:
    model = AgentFuseModel(bare_of(api), fuse=fuse)
    await model.get_response(**words_of())
    spoiled = await model.get_response(**words_of())
    spoiled.output[0].content[0].text = "spoiled"
    fresh = await model.get_response(**words_of())
    assert fresh.output[0].content[0].text.startswith("Answer to")
    assert up.calls == 1


async def test_a_bare_model_is_left_as_it_was(bare_of: BareOf, up: Upstream, fuse: Fuse, api: str) -> None:
    inner = bare_of(api)
    before = dict(vars(inner))
    model = AgentFuseModel(inner, fuse=fuse)
    await model.get_response(**words_of())
    await events_of(model)
    assert vars(inner) == before
    assert "_fetch_response" not in vars(inner)


async def test_what_a_model_notes_while_it_works_it_goes_on_knowing(
    bare_of: BareOf, up: Upstream, fuse: Fuse
) -> None:
    inner = bare_of("chat")
    model = AgentFuseModel(inner, fuse=fuse)
    await model.get_response(**words_of(prompt={"id": "pmpt_1"}))
    assert inner._has_warned_unsupported_prompt


# What is remembered, and what never


async def test_one_key_for_all_who_ask_the_same(bare_of: BareOf, up: Upstream, fuse: Fuse, api: str) -> None:
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
    bare_of: BareOf, up: Upstream, fuse: Fuse, api: str
) -> None:
    agent = Agent(name="a", model=AgentFuseModel(bare_of(api), fuse=fuse), tools=[get_weather])
    result = await Runner.run(agent, "What is the weather in 'Rome'?")
    call = result.new_items[0].raw_item
    tool = {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": get_weather.description,
            "parameters": get_weather.params_json_schema,
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
    bare_of: BareOf, up: Upstream, fuse: Fuse, api: str
) -> None:
    tool = {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": get_weather.description,
            "parameters": get_weather.params_json_schema,
            "strict": True,
        },
    }
    question = {"role": "user", "content": "What is the weather in 'Rome'?"}
    completion(
        "gpt-4o", [question], tools=[tool], base_url=up.openai_url, api_key="sk-upstream", fuse=fuse
    )
    agent = Agent(name="a", model=AgentFuseModel(bare_of(api), fuse=fuse), tools=[get_weather])
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
async def test_what_hangs_on_the_world_is_asked_again(fuse: Fuse, kept: Any) -> None:
    inner = Odd()
    model = AgentFuseModel(inner, fuse=fuse)
    for _ in range(2):
        await model.get_response(**words_of(**kept))
    assert len(inner.done) == 2
    assert fuse.receipt().exact == 0


async def test_a_response_id_is_kept_for_runs_that_go_on_from_it(
    bare_of: BareOf, up: Upstream, fuse: Fuse
) -> None:
    """With ``auto_previous_response_id`` the next request names the first and leaves it out."""
    agent = Agent(name="a", model=AgentFuseModel(bare_of("responses"), fuse=fuse), tools=[get_weather])
    results = [
        await Runner.run(agent, "What is the weather in 'Rome'?", auto_previous_response_id=True)
        for _ in range(2)
    ]
    assert results[1].final_output == results[0].final_output
    assert results[1].raw_responses[0].response_id == results[0].raw_responses[0].response_id
    first, second, third = up.requests
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
        {"tools": [get_weather]},
        {"handoffs": "a handoff"},
        {"system_instructions": "Be a pirate."},
        {"question": [{"role": "user", "content": "What is Python? "}]},
        {"question": [{"role": "developer", "content": "What is Python?"}]},
    ],
    ids=lambda changed: str(changed)[-60:],
)
async def test_another_question_is_another(fuse: Fuse, changed: Any) -> None:
    from agents import handoff

    if "handoffs" in changed:
        changed = {"handoffs": [handoff(Agent(name="other"))]}
    inner = Odd()
    model = AgentFuseModel(inner, fuse=fuse)
    await model.get_response(**words_of())
    await model.get_response(**words_of(**changed))
    assert len(inner.done) == 2
    await model.get_response(**words_of())
    await model.get_response(**words_of(**changed))
    assert len(inner.done) == 2


async def test_how_a_call_travels_is_no_part_of_the_question(fuse: Fuse) -> None:
    inner = Odd()
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


async def test_a_secret_header_is_not_in_the_key(fuse: Fuse) -> None:
    from agentfuse_openai_agents.requests import Asking, Call

    settings = ModelSettings(extra_headers={"Authorization": "Bearer sk-very-secret"})
    words = words_of(model_settings=settings)
    asking = Asking.of(Odd(), Call(**words))
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


async def test_a_call_that_was_never_sent_costs_nothing(bare_of: BareOf, up: Upstream, fuse: Fuse) -> None:
    agent = Agent(
        name="a", model=AgentFuseModel(bare_of("chat"), fuse=fuse), tools=[WebSearchTool()]
    )
    with pytest.raises(UserError, match="Hosted tools"):
        await Runner.run(agent, "Hello?")
    assert (up.calls, fuse.receipt().spent, fuse.open_leases()) == (0, 0, ())


# Streams


@pytest.mark.parametrize("end", ["close", "break"])
async def test_a_stream_that_is_left_hangs_up_and_settles(
    bare_of: BareOf, up: Upstream, fuse: Fuse, api: str, end: str
) -> None:
    model = AgentFuseModel(bare_of(api), fuse=fuse)
    up.script([Say("word " * 3000)])
    up.slow(per_chunk=0.01)
    stream = model.stream_response(**words_of())
    seen = 0
    async for event in stream:
        seen += event.type.endswith(".delta")
        if seen == 3:
            break
    await stream.aclose()
    assert fuse.open_leases() == ()
    assert fuse.receipt().spent > 0
    import asyncio

    await asyncio.sleep(0.1)
    assert up.wait_idle(10)
    assert up.requests[0].aborted


@pytest.mark.parametrize("asked", [None, True, False])
async def test_a_chat_streams_usage_is_seen_by_those_who_asked(
    bare_of: BareOf, up: Upstream, fuse: Fuse, asked: bool | None
) -> None:
    """The SDK leaves usage out at other addresses than OpenAI's; the bill needs it all the same."""
    settings = ModelSettings(include_usage=asked)
    usages = []
    for model in (bare_of("chat"), AgentFuseModel(bare_of("chat"), fuse=fuse)):
        result = Runner.run_streamed(Agent(name="a", model=model, model_settings=settings), "Hi?")
        async for _ in result.stream_events():
            pass
        usages.append(result.context_wrapper.usage)
    assert usages[1].total_tokens == usages[0].total_tokens
    assert usages[1].requests == usages[0].requests
    assert bool(usages[1].total_tokens) is (asked is True)
    assert up.requests[1].body["stream_options"] == {"include_usage": True}
    assert fuse.receipt().estimated == 0


async def test_a_chat_stream_that_just_ends_is_not_remembered(
    bare_of: BareOf, up: Upstream, fuse: Fuse
) -> None:
    from agentfuse_openai_agents.taps import Tap

    class Chunk:
        choices = ()
        usage = None

    tap = Tap()
    tap.note_chunk(Chunk())
    assert tap.finish_reason == "interrupted"


# Providers


class Fixed(ModelProvider):
    """A provider of one model."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.closed = False

    def get_model(self, model_name: str | None) -> Model:
        return self.model

    async def aclose(self) -> None:
        self.closed = True


async def test_a_prefix_leads_to_the_fused_provider(
    client: AsyncOpenAI, up: Upstream, fuse: Fuse
) -> None:
    routes = MultiProviderMap()
    inner = OpenAIProvider(openai_client=client, use_responses=False)
    routes.add_provider("fuse", AgentFuseModelProvider(inner, fuse=fuse))
    config = RunConfig(model_provider=MultiProvider(provider_map=routes), tracing_disabled=True)
    for _ in range(2):
        agent = Agent(name="a", model="fuse/gpt-4o")
        assert (await Runner.run(agent, "Hello?", run_config=config)).final_output
    assert [request.model for request in up.requests] == ["gpt-4o"]
    assert fuse.receipt().exact == 1


async def test_a_provider_forwards_what_is_not_its_own(fuse: Fuse) -> None:
    inner = Fixed(Odd())
    provider = AgentFuseModelProvider(inner, fuse=fuse)
    assert (provider.inner, provider.fuse) == (inner, fuse)
    assert provider.model is inner.model
    with pytest.raises(AttributeError):
        _ = provider.nothing_of_the_kind
    await provider.aclose()
    assert inner.closed


def test_a_model_with_a_fuse_of_its_own_keeps_it(fuse: Fuse) -> None:
    own = AgentFuseModel(Odd(), fuse=fuse)
    provider = AgentFuseModelProvider(Fixed(own), "$1", spend_book=False)
    assert provider.get_model("any") is own


def test_the_sdks_own_provider_is_the_default() -> None:
    assert isinstance(AgentFuseModelProvider(spend_book=False).inner, MultiProvider)


async def test_a_prefixed_name_steps_down_under_its_prefix(
    client: AsyncOpenAI, up: Upstream
) -> None:
    fuse = Fuse("$1", spend_book=False, downgrade={"gpt-4o": "gpt-4o-mini"})
    fuse.record_tool_call("search", "$0.90")
    provider = AgentFuseModelProvider(MultiProvider(openai_client=client), fuse=fuse)
    config = RunConfig(model_provider=provider, tracing_disabled=True)
    await Runner.run(Agent(name="a", model="openai/gpt-4o"), "Hello?", run_config=config)
    assert [request.model for request in up.requests] == ["gpt-4o-mini"]


async def test_a_provider_reaches_another_providers_model(
    client: AsyncOpenAI, up: Upstream
) -> None:
    other = Odd("from the other")
    fuse = Fuse("$1", spend_book=False, downgrade={"gpt-4o": "anthropic/claude-haiku-4-5"})
    fuse.record_tool_call("search", "$0.90")
    routes = MultiProviderMap()
    routes.add_provider("anthropic", Fixed(other))
    inner = MultiProvider(openai_client=client, provider_map=routes)
    config = RunConfig(
        model_provider=AgentFuseModelProvider(inner, fuse=fuse), tracing_disabled=True
    )
    result = await Runner.run(Agent(name="a", model="gpt-4o"), "Hello?", run_config=config)
    assert result.final_output == "from the other"
    assert up.calls == 0
    lost = AgentFuseModelProvider(MultiProvider(openai_client=client), fuse=fuse, **{})
    config = RunConfig(model_provider=lost, tracing_disabled=True)
    with pytest.raises(ConfigurationError, match="no model 'anthropic/claude-haiku-4-5'"):
        await Runner.run(Agent(name="a", model="gpt-4o"), "Who?", run_config=config)


async def test_a_model_alone_reaches_no_other_provider(bare_of: BareOf, up: Upstream) -> None:
    fuse = Fuse("$1", spend_book=False, downgrade={"gpt-4o": "anthropic/claude-haiku-4-5"})
    fuse.record_tool_call("search", "$0.90")
    model = AgentFuseModel(bare_of("chat"), fuse=fuse)
    with pytest.raises(ConfigurationError, match="cannot ask anthropic"):
        await model.get_response(**words_of())
    assert (up.calls, fuse.open_leases()) == (0, ())


async def test_a_model_without_a_name_cannot_step_down() -> None:
    class Nameless(Odd):
        model = None

    fuse = Fuse(
        "$1",
        spend_book=False,
        downgrade={"Nameless": "gpt-4o-mini"},
        prices={"Nameless": {"input": 10, "output": 30}},
    )
    fuse.record_tool_call("search", "$0.90")
    with pytest.raises(ConfigurationError):
        await AgentFuseModel(Nameless(), fuse=fuse).get_response(**words_of())


def test_a_copy_under_another_name_opens_a_websocket_of_its_own(client: AsyncOpenAI) -> None:
    from agentfuse_openai_agents.model import renamed

    inner = OpenAIResponsesWSModel("gpt-4o", client)
    inner._ws_connection = object()
    other = renamed(inner)("gpt-4o-mini")
    assert (other.model, other._ws_connection, other._client) == ("gpt-4o-mini", None, client)
    assert inner.model == "gpt-4o"
    assert inner._ws_connection is not None


# Traces


class Spans(TracingProcessor):
    """Keeps every span that ends."""

    def __init__(self) -> None:
        self.ended: list[Any] = []

    def on_span_end(self, span: Any) -> None:
        self.ended.append(span)

    def on_trace_start(self, trace: Any) -> None: ...

    def on_trace_end(self, trace: Any) -> None: ...

    def on_span_start(self, span: Any) -> None: ...

    def shutdown(self) -> None: ...

    def force_flush(self) -> None: ...


@pytest.mark.parametrize("stream", [False, True])
async def test_a_hit_leaves_the_spans_of_a_miss(
    bare_of: BareOf, up: Upstream, fuse: Fuse, api: str, *, stream: bool
) -> None:
    agent = Agent(name="a", model=AgentFuseModel(bare_of(api), fuse=fuse), tools=[get_weather])
    spans = Spans()
    set_trace_processors([spans])
    set_tracing_disabled(disabled=False)
    seen = []
    for _ in range(2):
        spans.ended.clear()
        with trace("a run"):
            if stream:
                result = Runner.run_streamed(agent, "What is the weather in 'Rome'?")
                async for _ in result.stream_events():
                    pass
            else:
                await Runner.run(agent, "What is the weather in 'Rome'?")
        seen.append([span.span_data.export() for span in spans.ended])
    set_trace_processors([])
    assert up.calls == 2
    miss, hit = seen
    assert [span["type"] for span in hit] == [span["type"] for span in miss]
    for kind in ("response", "generation"):
        for before, after in zip(miss, hit, strict=True):
            if before["type"] == kind:
                assert after.get("response_id") == before.get("response_id")
                assert after.get("model") == before.get("model")
                assert set(after) == set(before)
                assert after["usage"]["total_tokens"] == 0
    kinds = [span["type"] for span in hit]
    assert kinds.count("response" if api == "responses" else "generation") == 2


async def test_a_hit_is_not_traced_where_tracing_is_off(
    bare_of: BareOf, up: Upstream, fuse: Fuse
) -> None:
    spans = Spans()
    set_trace_processors([spans])
    model = AgentFuseModel(bare_of("chat"), fuse=fuse)
    for _ in range(2):
        await model.get_response(**words_of())
    set_trace_processors([])
    assert up.calls == 1
    assert spans.ended == []


# The SDK's own scripted model


async def test_the_sdks_scripted_model_is_fused_like_any_other(fuse: Fuse) -> None:
    testing = pytest.importorskip("agents.testing", reason="it came with openai-agents 0.21")
    call = ResponseFunctionToolCall(
        call_id="call_1", name="get_weather", arguments='{"city": "Rome"}', type="function_call"
    )
    usage = Usage(requests=1, input_tokens=10, output_tokens=5, total_tokens=15)
    steps = [
        testing.ModelStep(output=[call], usage=usage),
        testing.ModelStep(output=[message("It is sunny.")], usage=usage),
    ]
    scripted = testing.ScriptedModel([*steps, *steps])
    prices = {"ScriptedModel": {"input": 1, "output": 2}}
    fuse = Fuse("$1", spend_book=False, prices=prices)
    agent = Agent(name="a", model=AgentFuseModel(scripted, fuse=fuse), tools=[get_weather])
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
