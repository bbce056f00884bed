"""Agents and engines on a fused LLM: as bare to the letter, repeats for nothing, a true stop."""

from __future__ import annotations

import re
from itertools import groupby
from typing import Any

import pytest
from llama_index.core import Document, Settings, VectorStoreIndex
from llama_index.core.agent.workflow import AgentWorkflow, FunctionAgent, ReActAgent
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.llms import LLM, ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.llms.anthropic import Anthropic
from llama_index.llms.openai import OpenAI

from agentfuse import BudgetExceeded, Fuse
from agentfuse.money import budget_of
from agentfuse.pricing import PriceBook
from agentfuse.testing import Upstream
from agentfuse.testing.upstream import Call, Say
from agentfuse.usage import BilledUsage, UsageReport
from agentfuse_llama_index import AgentFuseLLM, BudgetStop

# A workflow looks at every attribute of an agent for its steps, at pydantic's old ones too.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning"),
    # LlamaIndex's own ReActAgent asks its context what workflows no longer want to be asked.
    pytest.mark.filterwarnings("ignore:is_running called from within a step:DeprecationWarning"),
]

QUESTION = "What is the weather in 'Rome'?"
SPENT_OUT = "$0.0000001"
# Every run of a test asks a provider that starts anew, so that ids and answers are the same; what
# is left is the clock, the port, and how long the body became.
UNEQUAL = {"created", "timestamp", "at", "host", "content-length", "id_", "span_id"}
ALONE = {"Connection": "close"}


# Async, since plain tools run in threads, whose events come in any order.
async def get_weather(city: str) -> str:
    """Tell the weather in a city."""
    return f"sunny in {city}"


async def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


TURNS = [
    Say("Let me see.", [Call("get_weather", {"city": "Rome"}), Call("add", {"a": 1, "b": 2})]),
    Say("", [Call("add", {"a": 3, "b": 4})]),
    Say("It is sunny in Rome, and the sum is seven."),
]


def bare_at(upstream: Upstream, vendor: str, **params: Any) -> LLM:
    if vendor == "openai":
        words = {"model": "gpt-4o", "api_base": upstream.openai_url, **params}
        return OpenAI(api_key="sk-upstream", default_headers=ALONE, **words)
    words = {"model": "claude-sonnet-4-6", "base_url": upstream.anthropic_url, **params}
    return Anthropic(api_key="sk-upstream", default_headers=ALONE, **words)


async def run(llm: LLM, *, streaming: bool = True, **words: Any) -> tuple[list[Any], Any]:
    """Run an agent to its end, and give its events and its output."""
    agent = FunctionAgent(
        tools=[get_weather, add], llm=llm, streaming=streaming, system_prompt="Be brief.", **words
    )
    handler = agent.run(user_msg=QUESTION)
    events = [event async for event in handler.stream_events()]
    return events, await handler


def plain(value: Any) -> Any:
    """Write events, outputs and records as comparable values."""
    if isinstance(value, dict):
        return {str(name): plain(each) for name, each in value.items() if name not in UNEQUAL}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if hasattr(value, "model_dump"):
        return type(value).__name__, plain(value.model_dump(warnings=False))
    return re.sub(r"127\.0\.0\.1:\d+", "", value) if isinstance(value, str) else value


def wire_of(upstream: Upstream) -> list[Any]:
    """Give all that was recorded, but for the usage that only a fused stream asks for."""
    records = []
    for request in upstream.requests:
        fields = {name: getattr(request, name) for name in request.__slots__}
        fields["headers"] = dict(request.headers)
        fields["body"] = {k: v for k, v in request.body.items() if k != "stream_options"}
        forced = request.streamed and request.api == "chat.completions"
        records.append(
            plain({k: v for k, v in fields.items() if not (forced and k == "chunks_sent")})
        )
    return records


def billed(upstream: Upstream, provider: str) -> int:
    """Price what the provider served, call by call, in nanodollars."""
    book, total = PriceBook(), 0
    for served in upstream.requests:
        item = BilledUsage(model=served.model, usage=served.billed)
        total += book.cost(UsageReport(items=(item,)), provider).nanodollars
    return total


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize("cache", [True, False])
async def test_an_agents_run_is_the_bare_one(vendor: str, *, streaming: bool, cache: bool) -> None:
    with Upstream() as upstream:
        upstream.script(TURNS)
        wanted = await run(bare_at(upstream, vendor), streaming=streaming)
        recorded = wire_of(upstream)
    with Upstream() as upstream:
        upstream.script(TURNS)
        fuse = Fuse(spend_book=False, cache=cache)
        llm = AgentFuseLLM(inner=bare_at(upstream, vendor), fuse=fuse)
        events, output = await run(llm, streaming=streaming)
        assert wire_of(upstream) == recorded
        assert len(recorded) == 3
        assert plain(events) == plain(wanted[0])
        assert plain(output) == plain(wanted[1])
        assert str(output) == "It is sunny in Rome, and the sum is seven."
        receipt = fuse.receipt()
        assert (receipt.answers, receipt.exact, receipt.estimated) == (3, 0, 0)
        assert receipt.spent == billed(upstream, vendor)


async def test_a_stream_that_asks_for_its_usage_is_the_bare_one_to_the_byte() -> None:
    asks = {"additional_kwargs": {"stream_options": {"include_usage": True}}}
    runs = []
    for fused in (False, True):
        with Upstream() as upstream:
            upstream.script(TURNS)
            bare = bare_at(upstream, "openai", **asks)
            llm = AgentFuseLLM(inner=bare, spend_book=False, cache=False) if fused else bare
            events, output = await run(llm)
            bodies = [
                (r.headers["content-length"], r.body, r.chunks_sent) for r in upstream.requests
            ]
            runs.append((bodies, plain(events), plain(output)))
    assert runs[0] == runs[1]
    assert all(body["stream_options"] == {"include_usage": True} for _, body, _ in runs[0][0])


@pytest.mark.parametrize("streaming", [True, False])
async def test_a_second_run_asks_nobody_and_says_the_same(vendor: str, *, streaming: bool) -> None:
    with Upstream() as upstream:
        upstream.script(TURNS)
        fuse = Fuse("$1", spend_book=False)
        llm = AgentFuseLLM(inner=bare_at(upstream, vendor), fuse=fuse)
        first_events, first = await run(llm, streaming=streaming)
        spent = fuse.receipt().spent
        events, output = await run(llm, streaming=streaming)
        assert upstream.calls == 3
        assert str(output) == str(first)
        assert [call.tool_kwargs for call in output.tool_calls] == [
            call.tool_kwargs for call in first.tool_calls
        ]
        assert kinds_of(events) == kinds_of(first_events)
        assert (fuse.receipt().spent, fuse.receipt().exact) == (spent, 3)
        if streaming:
            assert sum(type(event).__name__ == "AgentStream" for event in events) > 6


def kinds_of(events: list[Any]) -> list[str]:
    """Name the kinds of events in their order, however many pieces a stream came in."""
    return [kind for kind, _ in groupby(type(event).__name__ for event in events)]


async def test_a_whole_run_and_a_streamed_one_serve_each_other(vendor: str) -> None:
    with Upstream() as upstream:
        upstream.script(TURNS)
        llm = AgentFuseLLM(inner=bare_at(upstream, vendor), budget="$1", spend_book=False)
        _, whole = await run(llm, streaming=False)
        _, streamed = await run(llm, streaming=True)
        assert upstream.calls == 3
        assert str(streamed) == str(whole)


@pytest.mark.parametrize("streaming", [True, False])
async def test_a_small_budget_stops_an_agent_before_the_call_that_would_pass_it(
    vendor: str, *, streaming: bool
) -> None:
    budget = "$0.05"
    with Upstream() as upstream:
        fuse = Fuse(budget, spend_book=False, cache=False)
        bare = bare_at(upstream, vendor, max_tokens=1_500)
        llm = AgentFuseLLM(inner=bare, fuse=fuse)
        upstream.script(
            [Say(f"turn {n} " * 120, [Call("add", {"a": n, "b": 1})]) for n in range(60)]
        )
        agent = FunctionAgent(tools=[get_weather, add], llm=llm, streaming=streaming)
        handler = agent.run(user_msg=QUESTION, max_iterations=90)
        with pytest.raises(BudgetStop) as stop:
            await handler
        assert isinstance(stop.value, BudgetExceeded)
        assert 1 < upstream.calls < 60
        assert len(stop.value.results) == upstream.calls
        assert stop.value.results[0].startswith("turn 0")
        assert stop.value.receipt.spent == fuse.receipt().spent == billed(upstream, vendor)
        assert stop.value.refusal is not None
        assert stop.value.receipt.spent + stop.value.refusal.needed > budget_of(budget)
        assert fuse.receipt().spent <= budget_of(budget)
        assert fuse.receipt().refusals == 1
        assert fuse.open_leases() == ()
        # The workflow's own state is at hand as well: what the agent had gathered so far.
        scratchpad = await handler.ctx.store.get("scratchpad")
        assert sum(message.role == "tool" for message in scratchpad) == upstream.calls


async def test_a_stopped_agent_goes_on_after_a_top_up(vendor: str) -> None:
    with Upstream() as upstream:
        fuse = Fuse("$1", spend_book=False)
        llm = AgentFuseLLM(inner=bare_at(upstream, vendor), fuse=fuse)

        def get_weather(city: str) -> str:
            """Tell the weather in a city."""
            fuse.allow(SPENT_OUT)  # the money runs out between the turns
            return f"sunny in {city}"

        agent = FunctionAgent(tools=[get_weather], llm=llm)
        upstream.script([Say("", [Call("get_weather", {"city": "Rome"})]), Say("Sunny.")])
        with pytest.raises(BudgetStop):
            await agent.run(user_msg=QUESTION)
        fuse.top_up("$1")
        answer = await FunctionAgent(tools=[add], llm=llm).run(user_msg="Hello")
        assert str(answer) == "Sunny."
        assert upstream.calls == 2


@pytest.mark.parametrize("shared", [True, False])
async def test_a_stop_in_a_tool_is_no_tools_result(vendor: str, *, shared: bool) -> None:
    with Upstream() as upstream:
        fuse = Fuse("$1", spend_book=False)
        poor = fuse.session("expert", SPENT_OUT) if shared else Fuse(SPENT_OUT, spend_book=False)
        expert = AgentFuseLLM(inner=bare_at(upstream, vendor), fuse=poor)

        async def ask_expert(question: str) -> str:
            """Ask the expert."""
            return str(await expert.acomplete(question))

        llm = AgentFuseLLM(inner=bare_at(upstream, vendor), fuse=fuse)
        upstream.script([Say("", [Call("ask_expert", {"question": "why?"})])])
        for agent in (
            FunctionAgent(tools=[ask_expert], llm=llm),
            AgentWorkflow(agents=[FunctionAgent(name="one", tools=[ask_expert], llm=llm)]),
        ):
            with pytest.raises(BudgetStop):
                await agent.run(user_msg=QUESTION)
        assert upstream.calls == 1
        # The user raises the limit and goes on with the same conversation: nobody is in the way.
        poor.top_up("$1")
        memory = [ChatMessage(role="user", content=f"it said: {stop_text(poor)}")]
        assert llm.chat(memory).message.content


def stop_text(fuse: Fuse) -> str:
    return str(fuse.receipt())


async def test_a_run_steps_down_to_the_cheaper_model_midway(vendor: str) -> None:
    cheaper = {"gpt-4o": "gpt-4o-mini", "claude-sonnet-4-6": "claude-haiku-4-5"}
    with Upstream() as upstream:
        fuse = Fuse("$1", spend_book=False, downgrade=cheaper)
        llm = AgentFuseLLM(inner=bare_at(upstream, vendor), fuse=fuse)

        def get_weather(city: str) -> str:
            """Tell the weather in a city."""
            fuse.record_tool_call("weather", "$0.80")
            return f"sunny in {city}"

        upstream.script(
            [
                Say("", [Call("get_weather", {"city": "Rome"})]),
                Say("", [Call("add", {"a": 1, "b": 2})]),
                Say("Done."),
            ]
        )
        output = await FunctionAgent(tools=[get_weather, add], llm=llm).run(user_msg=QUESTION)
        assert str(output) == "Done."
        strong, *rest = [request.model for request in upstream.requests]
        assert rest == [cheaper[strong]] * 2
        assert llm.model == strong
        assert fuse.receipt().spent == budget_of("$0.80") + billed(upstream, vendor)
        assert fuse.receipt().downgrades == 2


async def test_other_agents_run_on_it(vendor: str) -> None:
    with Upstream() as upstream:
        llm = AgentFuseLLM(inner=bare_at(upstream, vendor), budget="$1", spend_book=False)
        for _ in range(2):
            upstream.script(
                [
                    Say('Thought: I look.\nAction: get_weather\nAction Input: {"city": "Rome"}'),
                    Say("Thought: I can answer without using any more tools.\nAnswer: Sunny."),
                ]
                if upstream.calls == 0
                else []
            )
            output = await ReActAgent(tools=[get_weather], llm=llm).run(user_msg=QUESTION)
            assert str(output) == "Sunny."
        assert upstream.calls == 2
        workflow = AgentWorkflow.from_tools_or_functions([get_weather], llm=llm)
        upstream.script([Say("", [Call("get_weather", {"city": "Oslo"})]), Say("Sunny in Oslo.")])
        assert str(await workflow.run(user_msg="Oslo?")) == "Sunny in Oslo."
        assert str(await workflow.run(user_msg="Oslo?")) == "Sunny in Oslo."
        assert upstream.calls == 4
        assert llm.fuse.receipt().spent == billed(upstream, vendor)


def test_predict_and_call_is_the_bare_one(vendor: str) -> None:
    tools = [FunctionTool.from_defaults(each) for each in (get_weather, add)]
    outputs = []
    for fused in (False, True):
        with Upstream() as upstream:
            upstream.script(TURNS[:1])
            bare = bare_at(upstream, vendor)
            llm = AgentFuseLLM(inner=bare, spend_book=False) if fused else bare
            for _ in range(2 if fused else 1):
                answer = llm.predict_and_call(tools, QUESTION, allow_parallel_tool_calls=True)
                outputs.append((str(answer), plain(answer.sources)))
            assert upstream.calls == 1
            outputs.append(wire_of(upstream))
    assert outputs[:2] == outputs[2::2]
    assert outputs[2] == outputs[3]


@pytest.mark.parametrize("streaming", [True, False])
def test_a_query_engines_repeats_cost_nothing(
    vendor: str, monkeypatch: pytest.MonkeyPatch, *, streaming: bool
) -> None:
    documents = [Document(text=f"The fuse of room {n} is rated {n} amperes.") for n in range(5)]
    with Upstream() as upstream:
        fuse = Fuse("$1", spend_book=False)
        llm = AgentFuseLLM(inner=bare_at(upstream, vendor), fuse=fuse)
        monkeypatch.setattr(Settings, "_llm", None)
        Settings.llm = llm
        assert Settings.llm is llm
        index = VectorStoreIndex.from_documents(documents, embed_model=MockEmbedding(embed_dim=8))
        engine = index.as_query_engine(streaming=streaming)
        answers = {str(engine.query("What is the fuse of room 3 rated?")) for _ in range(3)}
        assert len(answers) == 1
        assert answers.pop().startswith("Answer to:")
        assert upstream.calls == 1
        assert fuse.receipt().exact == 2
        assert fuse.receipt().spent == billed(upstream, vendor)
        monkeypatch.setattr(Settings, "_llm", None)


async def test_chat_engines_speak_through_it(vendor: str) -> None:
    with Upstream() as upstream:
        fuse = Fuse("$1", spend_book=False)
        llm = AgentFuseLLM(inner=bare_at(upstream, vendor), fuse=fuse)
        engine = SimpleChatEngine.from_defaults(llm=llm)
        said = str(engine.chat("Hello"))
        engine.reset()
        assert "".join(engine.stream_chat("Hello").response_gen) == said
        engine.reset()
        stream = await engine.astream_chat("Hello")
        assert "".join([piece async for piece in stream.async_response_gen()]) == said
        assert upstream.calls == 1
        fuse.allow(SPENT_OUT)
        with pytest.raises(BudgetStop):
            engine.chat("And now?")
