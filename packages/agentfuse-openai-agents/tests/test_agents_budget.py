"""Runs that meet their budget: stopped before the call that would pass it, with what was done."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from agents import (
    Agent,
    AgentsException,
    GuardrailFunctionOutput,
    InputGuardrailTripwireTriggered,
    Model,
    ModelBehaviorError,
    ModelRetrySettings,
    ModelSettings,
    RunConfig,
    Runner,
    function_tool,
    input_guardrail,
    retry_policies,
)
from agents.models.openai_provider import OpenAIProvider

from agentfuse import BudgetExceeded, Fuse, UnknownPrice
from agentfuse.money import budget_of
from agentfuse.pricing import PriceBook
from agentfuse.testing import Upstream
from agentfuse.testing.upstream import Call, Say
from agentfuse.usage import BilledUsage, UsageReport
from agentfuse_openai_agents import AgentFuseModel, AgentFuseModelProvider, BudgetStop

if TYPE_CHECKING:
    from openai import AsyncOpenAI

BareOf = Callable[..., Model]
SPENT_OUT = "$0.0000001"
# What each turn says, at $10 a million tokens: some 12 cents in all.
REPORT = "word " * 3000
TURNS = tuple(Say("", [Call("look", {"page": page})]) for page in range(4))


@function_tool
def look(page: int) -> str:
    """Read a page."""
    return f"page {page}: {REPORT}"


def billed(up: Upstream) -> int:
    """Price what the provider served, in nanodollars."""
    book = PriceBook()
    reports = [
        UsageReport(items=(BilledUsage(model=served.model, usage=served.billed),))
        for served in up.requests
    ]
    return sum(book.cost(report, "openai").nanodollars for report in reports)


async def ran(agent: Any, question: str, *, stream: bool, **words: Any) -> Any:
    if not stream:
        return await Runner.run(agent, question, **words)
    result = Runner.run_streamed(agent, question, **words)
    async for _ in result.stream_events():
        pass
    return result


@pytest.fixture(params=[False, True], ids=["whole", "streamed"])
def stream(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def test_the_stop_is_of_both_kinds() -> None:
    assert issubclass(BudgetStop, BudgetExceeded)
    assert issubclass(BudgetStop, AgentsException)


async def test_a_run_stops_before_the_call_that_would_pass_its_budget(
    bare_of: BareOf, up: Upstream, api: str, *, stream: bool
) -> None:
    fuse = Fuse("$0.05", cache=False, spend_book=False)
    model = AgentFuseModel(bare_of(api), fuse=fuse)
    settings = ModelSettings(max_tokens=1000)
    agent = Agent(name="reader", model=model, tools=[look], model_settings=settings)
    up.script([*TURNS, *TURNS])
    with pytest.raises(BudgetStop) as stop:
        await ran(agent, "Read on.", stream=stream)
    served = up.calls
    assert 1 < served < 8
    assert stop.value.refusal is not None
    assert stop.value.receipt.spent == fuse.receipt().spent == billed(up) <= budget_of("$0.05")
    assert stop.value.receipt.estimated == 0
    assert fuse.open_leases() == ()
    data = stop.value.run_data
    assert data is not None
    kinds = [item.type for item in data.new_items]
    assert kinds == ["tool_call_item", "tool_call_output_item"] * served
    assert len(data.raw_responses) == served
    usage = data.context_wrapper.usage
    if api == "responses" or not stream:
        assert usage.input_tokens == up.usage_served().input_tokens
    assert isinstance(stop.value.__cause__, BudgetExceeded)


async def test_a_stopped_run_goes_on_after_a_top_up(
    bare_of: BareOf, up: Upstream, api: str
) -> None:
    model = AgentFuseModel(bare_of(api), "$0.05", cache=False, spend_book=False)
    agent = Agent(
        name="reader", model=model, tools=[look], model_settings=ModelSettings(max_tokens=1000)
    )
    up.script([*TURNS, Say("That was all.")])
    with pytest.raises(BudgetStop) as stop:
        await Runner.run(agent, "Read on.")
    done = up.calls
    data = stop.value.run_data
    model.fuse.top_up("$1")
    given = [{"role": "user", "content": "Read on."}]
    resumed = await Runner.run(agent, [*given, *(item.to_input_item() for item in data.new_items)])
    assert resumed.final_output == "That was all."
    assert up.calls == 5 > done


async def test_a_stop_inside_an_agent_used_as_a_tool_meets_the_next_call(
    bare_of: BareOf, up: Upstream, api: str, *, stream: bool
) -> None:
    fuse = Fuse("$1", spend_book=False)
    model = AgentFuseModel(bare_of(api), fuse=fuse)

    def spent_out(context: Any, agent: Any) -> str:
        fuse.allow(SPENT_OUT)
        return "Be an expert."

    expert = Agent(name="expert", model=model, instructions=spent_out)
    tool = expert.as_tool("ask_expert", "Ask the expert.")
    agent = Agent(name="outer", model=model, tools=[tool])
    up.script([Say("", [Call("ask_expert", {"input": "why?"})])])
    with pytest.raises(BudgetStop) as stop:
        await ran(agent, "Ask away.", stream=stream)
    assert up.calls == 1
    assert fuse.receipt().refusals == 2
    # What the SDK told the outer model of the refused call inside, before it asked again.
    outputs = [item.output for item in stop.value.run_data.new_items if hasattr(item, "output")]
    assert "error occurred" in outputs[0]


async def test_a_tool_that_does_not_hide_its_errors_stops_at_once(
    bare_of: BareOf, up: Upstream, fuse: Fuse
) -> None:
    poor = AgentFuseModel(bare_of("chat"), SPENT_OUT, spend_book=False)
    tool = Agent(name="expert", model=poor).as_tool(
        "ask_expert", "Ask the expert.", failure_error_function=None
    )
    agent = Agent(name="outer", model=AgentFuseModel(bare_of("chat"), fuse=fuse), tools=[tool])
    up.script([Say("", [Call("ask_expert", {"input": "why?"})])])
    with pytest.raises(BudgetStop):
        await Runner.run(agent, "Ask away.")
    assert up.calls == 1


async def test_a_stop_is_not_retried(
    bare_of: BareOf, up: Upstream, api: str, *, stream: bool
) -> None:
    fuse = Fuse(SPENT_OUT, spend_book=False)
    eager = ModelRetrySettings(max_retries=3, policy=retry_policies.network_error())
    always = ModelRetrySettings(max_retries=3, policy=lambda context: True)
    for retry in (eager, always):
        settings = ModelSettings(retry=retry)
        agent = Agent(
            name="a", model=AgentFuseModel(bare_of(api), fuse=fuse), model_settings=settings
        )
        with pytest.raises(BudgetStop):
            await ran(agent, "Hello?", stream=stream)
    assert fuse.receipt().refusals == 2
    assert up.calls == 0


async def test_the_runners_retries_each_reserve_and_settle(
    bare_of: BareOf, up: Upstream, fuse: Fuse, api: str
) -> None:
    retry = ModelRetrySettings(
        max_retries=2, policy=retry_policies.http_status([500]), backoff={"initial_delay": 0.0}
    )
    agent = Agent(
        name="a",
        model=AgentFuseModel(bare_of(api), fuse=fuse),
        model_settings=ModelSettings(retry=retry),
    )
    up.fail(500, times=2)
    result = await Runner.run(agent, "Hello?")
    assert result.context_wrapper.usage.requests == 3
    assert fuse.receipt().failures == 2
    assert fuse.receipt().spent == billed(up) > 0
    assert fuse.open_leases() == ()


async def test_a_model_without_a_price_is_told_and_not_asked(
    bare_of: BareOf, up: Upstream, fuse: Fuse, api: str, *, stream: bool
) -> None:
    agent = Agent(name="a", model=AgentFuseModel(bare_of(api, "nobodys-model"), fuse=fuse))
    with pytest.raises(UnknownPrice, match="nobodys-model"):
        await ran(agent, "Hello?", stream=stream)
    assert up.calls == 0


async def test_a_provider_has_one_budget_for_all_its_models(
    client: AsyncOpenAI, up: Upstream, api: str
) -> None:
    inner = OpenAIProvider(openai_client=client, use_responses=api == "responses")
    provider = AgentFuseModelProvider(inner, "$0.0015", cache=False, spend_book=False)
    config = RunConfig(model_provider=provider, tracing_disabled=True)
    settings = ModelSettings(max_tokens=100)

    async def go_on() -> None:
        for number in range(20):
            name = ("gpt-4o", "gpt-4o-mini")[number % 2]
            agent = Agent(name=name, model=name, model_settings=settings)
            await Runner.run(agent, f"What is {number}?", run_config=config)

    with pytest.raises(BudgetStop):
        await go_on()
    assert {request.model for request in up.requests} == {"gpt-4o", "gpt-4o-mini"}
    assert provider.fuse.receipt().spent == billed(up) <= budget_of("$0.0015")


async def test_sixteen_runs_at_once_share_a_budget(bare_of: BareOf, up: Upstream, api: str) -> None:
    fuse = Fuse("$0.003", cache=False, spend_book=False)
    up.slow(latency=0.05)
    agents = [Agent(name=str(n), model=AgentFuseModel(bare_of(api), fuse=fuse)) for n in range(16)]
    runs = [Runner.run(agent, f"What is {agent.name}?") for agent in agents]
    ends = await asyncio.gather(*runs, return_exceptions=True)
    stopped = [end for end in ends if isinstance(end, BudgetStop)]
    assert 0 < len(stopped) < 16
    assert up.calls == 16 - len(stopped)
    assert fuse.receipt().spent == billed(up) <= budget_of("$0.003")


async def test_a_run_steps_down_to_the_cheaper_model_midway(
    bare_of: BareOf, up: Upstream, api: str, *, stream: bool
) -> None:
    fuse = Fuse("$1", cache=False, spend_book=False, downgrade={"gpt-4o": "gpt-4o-mini"})

    @function_tool
    def buy() -> str:
        """Buy something dear."""
        fuse.record_tool_call("buy", "$0.85")
        return "bought"

    agent = Agent(name="a", model=AgentFuseModel(bare_of(api), fuse=fuse), tools=[buy, look])
    up.script([Say("", [Call("buy", {})]), Say("", [Call("look", {"page": 1})]), Say("Done.")])
    result = await ran(agent, "Buy it.", stream=stream)
    assert result.final_output == "Done."
    assert [request.model for request in up.requests] == ["gpt-4o", "gpt-4o-mini", "gpt-4o-mini"]
    assert fuse.receipt().spent == billed(up) + budget_of("$0.85")


async def test_a_provider_is_asked_for_the_cheaper_model(
    client: AsyncOpenAI, up: Upstream, fuse: Fuse
) -> None:
    asked: list[str | None] = []

    class Noted(OpenAIProvider):
        def get_model(self, model_name: str | None) -> Model:
            asked.append(model_name)
            return super().get_model(model_name)

    fuse = Fuse("$1", spend_book=False, downgrade={"gpt-4o": "gpt-4o-mini"})
    fuse.record_tool_call("search", "$0.90")
    provider = AgentFuseModelProvider(Noted(openai_client=client), fuse=fuse)
    config = RunConfig(model_provider=provider, tracing_disabled=True)
    await Runner.run(Agent(name="a", model="gpt-4o"), "Hello?", run_config=config)
    assert [request.model for request in up.requests] == ["gpt-4o-mini"]
    assert "gpt-4o-mini" in asked


async def test_a_stream_that_spends_its_lease_is_cut_at_the_provider(
    bare_of: BareOf, up: Upstream, api: str
) -> None:
    fuse = Fuse("$0.01", cache=False, spend_book=False)
    model = AgentFuseModel(bare_of(api), fuse=fuse)
    agent = Agent(name="a", model=model, model_settings=ModelSettings(max_tokens=300))
    up.script([Say("word " * 40_000, overlong=True)])
    up.slow(per_chunk=0.001)
    with pytest.raises(BudgetStop) as stop:
        await ran(agent, "Hello?", stream=True)
    assert "word word" in stop.value.partial_text
    assert up.wait_idle(20)
    assert up.requests[0].aborted
    assert fuse.open_leases() == ()
    assert fuse.receipt().spent > 0
    assert stop.value.receipt.spent == fuse.receipt().spent


async def test_an_answer_cut_by_the_budget_alone_is_a_stop(
    bare_of: BareOf, up: Upstream, api: str, *, stream: bool
) -> None:
    """The SDK's results cannot say that a text is cut, so one would pass for whole."""
    fuse = Fuse("$0.004", spend_book=False)
    agent = Agent(name="a", model=AgentFuseModel(bare_of(api), fuse=fuse))
    up.script([Say("word " * 2000)])
    with pytest.raises(BudgetStop, match="tokens of output") as stop:
        await ran(agent, "Hello?", stream=stream)
    assert stop.value.partial_text.startswith("word word")
    assert fuse.receipt().spent == billed(up)
    assert (fuse.receipt().estimated, fuse.open_leases()) == (0, ())
    assert stop.value.receipt.spent == billed(up)


async def test_an_answer_cut_by_the_callers_own_maximum_is_as_ever(
    bare_of: BareOf, up: Upstream, fuse: Fuse, api: str, *, stream: bool
) -> None:
    ends = []
    for model in (bare_of(api), AgentFuseModel(bare_of(api), fuse=fuse)):
        agent = Agent(name="a", model=model, model_settings=ModelSettings(max_tokens=20))
        up.reset()
        up.script([Say("word " * 2000)])
        try:
            ends.append((await ran(agent, "Hello?", stream=stream)).final_output)
        except ModelBehaviorError as error:
            ends.append(type(error))
    assert ends[0] == ends[1]
    assert fuse.receipt().spent == billed(up) > 0
    assert (fuse.receipt().estimated, fuse.open_leases()) == (0, ())
    up.script([Say("word " * 2000)])
    if ends[1] is not ModelBehaviorError:
        await ran(agent, "Hello?", stream=stream)
        assert fuse.receipt().exact == 0


async def test_a_tripwire_leaves_nothing_unsettled(
    bare_of: BareOf, up: Upstream, fuse: Fuse, api: str, *, stream: bool
) -> None:
    """The SDK cancels a whole answer that it overtakes; a streamed one comes to its end."""

    @input_guardrail
    async def slowly(context: Any, agent: Any, given: Any) -> GuardrailFunctionOutput:
        await asyncio.sleep(0.05)
        return GuardrailFunctionOutput(output_info=None, tripwire_triggered=True)

    agent = Agent(
        name="a", model=AgentFuseModel(bare_of(api), fuse=fuse), input_guardrails=[slowly]
    )
    up.slow(latency=0.1)
    with pytest.raises(InputGuardrailTripwireTriggered):
        await ran(agent, "Hello?", stream=stream)
    for _ in range(100):
        if not fuse.open_leases():
            break
        await asyncio.sleep(0.02)
    assert fuse.open_leases() == ()
    assert up.wait_idle(10)
    if stream:
        assert fuse.receipt().spent == billed(up) > 0


async def test_a_run_that_is_cancelled_settles(
    bare_of: BareOf, up: Upstream, fuse: Fuse, api: str
) -> None:
    agent = Agent(name="a", model=AgentFuseModel(bare_of(api), fuse=fuse))
    up.hang(5.0)
    task = asyncio.create_task(Runner.run(agent, "Hello?"))
    while not up.calls:  # noqa: ASYNC110 - no event tells
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert fuse.open_leases() == ()
    assert fuse.receipt().failures == 1
