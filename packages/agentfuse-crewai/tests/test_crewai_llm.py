"""The fused LLM: the user's own in every respect, with one fuse behind it and its copies."""

from __future__ import annotations

import asyncio
import copy
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from crewai import LLM
from crewai.events import crewai_event_bus
from crewai.events.types.llm_events import (
    LLMCallCompletedEvent,
    LLMCallFailedEvent,
    LLMCallStartedEvent,
    LLMStreamChunkEvent,
)
from crewai.hooks import HookAborted, register_after_llm_call_hook, register_before_llm_call_hook
from crewai.llms.base_llm import BaseLLM, call_stream_override
from pydantic import BaseModel

from agentfuse import ConfigurationError, Fuse, UnknownPrice, completion
from agentfuse.policy.keys import key_of
from agentfuse.providers.chat_requests import request_of as chat_request_of
from agentfuse.providers.names import target_of
from agentfuse.testing.upstream import Say
from agentfuse_crewai import AgentFuseLLM, BudgetStop
from agentfuse_crewai.requests import Asked, request_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentfuse.testing import Upstream

    BareOf = Callable[..., Any]
    Billed = Callable[..., int]

LOOK_UP = {
    "type": "function",
    "function": {
        "name": "look_up",
        "description": "Look a word up.",
        "parameters": {"type": "object", "properties": {"word": {"type": "string"}}},
    },
}


class Person(BaseModel):
    """Somebody."""

    name: str
    age: int


def ask_in_every_way(llm: BaseLLM) -> list[Any]:
    history = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What is it?"},
        {"role": "assistant", "content": "A fuse."},
        {"role": "user", "content": "Why?"},
    ]
    answers = [
        llm.call("hello"),
        llm.call(history),
        llm.call("look_up the word 'fuse'", tools=[LOOK_UP]),
        llm.call("Who is 'Ann', 7?", response_model=Person),
        llm.call("look_up 'fuse'", [LOOK_UP], None, {"look_up": lambda word: f"{word}!"}),
    ]
    with call_stream_override(llm, stream=True):
        answers += [llm.call("hello again"), llm.call("Who is 'Bob', 8?", response_model=Person)]
    return [named(answer) for answer in answers]


def named(answer: Any) -> Any:
    """An answer without the ids that a provider invents for its tool calls."""
    if not isinstance(answer, list):
        return type(answer).__name__, answer
    plain = [call if isinstance(call, dict) else call.model_dump() for call in answer]
    return [{k: v for k, v in call.items() if k != "id"} for call in plain]


def test_bodies_and_answers_are_the_bare_ones(
    bare_of: BareOf, up: Upstream, billed: Billed, vendor: str
) -> None:
    wanted = ask_in_every_way(bare_of(vendor, stop=["END"], max_tokens=200))
    bare = [(request.path, dict(request.body)) for request in up.requests]
    up.reset()
    llm = AgentFuseLLM(bare_of(vendor, stop=["END"], max_tokens=200), budget="$5", cache=False)
    assert ask_in_every_way(llm) == wanted
    ours = [(request.path, dict(request.body)) for request in up.requests]
    assert ours == bare
    assert llm.fuse.receipt().spent == billed(up, vendor) > 0
    assert llm.fuse.open_leases() == ()


def test_it_is_the_users_own_llm(bare_of: BareOf, vendor: str) -> None:
    bare = bare_of(vendor)
    llm = AgentFuseLLM(bare, budget="$1", spend_book=False)
    assert isinstance(llm, type(bare))
    assert isinstance(llm, AgentFuseLLM)
    assert type(llm).__name__ == type(bare).__name__
    assert llm.supports_function_calling() == bare.supports_function_calling()
    assert llm.get_context_window_size() == bare.get_context_window_size()
    assert llm.to_config_dict() == bare.to_config_dict()
    assert type(llm.inner) is type(bare)
    assert llm.model_dump(exclude={"interceptor"}) == bare.model_dump(exclude={"interceptor"})


def test_what_is_set_on_it_holds_for_its_calls(bare_of: BareOf, up: Upstream) -> None:
    bare = bare_of()
    llm = AgentFuseLLM(bare, budget="$1", spend_book=False)
    llm.temperature = 0.3
    llm.stop = "END"
    llm.stream = True
    llm.call("hello")
    assert up.requests[0].body["temperature"] == 0.3
    assert up.requests[0].streamed
    assert llm.stop_sequences == ["END"]
    assert bare.temperature is None


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, BaseLLM.model_copy, lambda llm: llm.model_copy(deep=True)]
)
def test_copies_share_the_fuse(bare_of: BareOf, up: Upstream, vendor: str, copied: Any) -> None:
    llm = AgentFuseLLM(bare_of(vendor, stop=["END"]), budget="$1", spend_book=False)
    twin = copied(llm)
    assert twin.fuse is llm.fuse
    assert twin.call("hello") == llm.call("hello")
    assert up.calls == 1
    twin.stop.append("x") if copied is not copy.copy and copied is not BaseLLM.model_copy else None
    assert llm.stop == ["END"]


def test_a_name_stands_for_an_llm(monkeypatch: pytest.MonkeyPatch, up: Upstream) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", up.openai_url)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-upstream")
    llm = AgentFuseLLM("gpt-4o", budget="$1", spend_book=False)
    assert (
        llm.call("hello")
        == completion(
            model="gpt-4o", messages=[{"role": "user", "content": "hello"}], fuse=llm.fuse
        )
        .choices[0]
        .message.content
    )
    assert up.calls == 1


@pytest.mark.parametrize("words", [{}, {"temperature": 0.2, "seed": 7, "max_tokens": 50}])
def test_the_same_question_has_the_same_name_everywhere(
    bare_of: BareOf, up: Upstream, vendor: str, words: dict[str, Any]
) -> None:
    llm = bare_of(vendor, **words)
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}]
    address = up.openai_url if vendor == "openai" else up.anthropic_url
    body = {"messages": messages, **words}
    theirs = chat_request_of(target_of(llm.model), body, base_url=address)
    assert key_of(request_of(llm, Asked.of(messages, (), {}))) == key_of(theirs)


def test_another_frameworks_answer_serves_and_is_served(
    monkeypatch: pytest.MonkeyPatch, up: Upstream, vendor: str
) -> None:
    url = up.openai_url if vendor == "openai" else up.anthropic_url
    monkeypatch.setenv(f"{vendor.upper()}_BASE_URL", url)
    monkeypatch.setenv(f"{vendor.upper()}_API_KEY", "sk-upstream")
    model = {"openai": "gpt-4o", "anthropic": "claude-sonnet-4-6"}[vendor]
    fuse = Fuse("$9", spend_book=False, clamp=False)
    llm = AgentFuseLLM(LLM(model=model, base_url=url), fuse=fuse)
    first = completion(model=model, messages=[{"role": "user", "content": "Why?"}], fuse=fuse)
    assert llm.call("Why?") == first.choices[0].message.content
    mine = llm.call("How?")
    again = completion(model=model, messages=[{"role": "user", "content": "How?"}], fuse=fuse)
    assert again.choices[0].message.content == mine
    assert up.calls == 2


def test_a_call_that_runs_tools_is_never_remembered(
    bare_of: BareOf, up: Upstream, billed: Billed
) -> None:
    llm = AgentFuseLLM(bare_of(), budget="$1", spend_book=False)
    done: list[str] = []

    def look_up(word: str) -> str:
        done.append(word)
        return llm.call(f"What is {word}?")

    for _ in range(2):
        llm.call("look_up 'fuse'", tools=[LOOK_UP], available_functions={"look_up": look_up})
    assert len(done) == 2
    assert up.calls == 3
    assert llm.fuse.receipt().spent == billed(up)
    assert llm.fuse.receipt().exact == 1
    assert llm.fuse.open_leases() == ()


def test_eight_threads_over_one_llm_are_billed_exactly(
    bare_of: BareOf, up: Upstream, billed: Billed
) -> None:
    llm = AgentFuseLLM(bare_of(), budget="$20", cache=False, spend_book=False)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: llm.call(f"What is number {n}?"), range(40)))
    assert llm.fuse.receipt().answers == up.calls == 40
    assert llm.fuse.receipt().spent == billed(up)


async def test_tasks_over_one_llm_are_billed_exactly(
    bare_of: BareOf, up: Upstream, billed: Billed
) -> None:
    alone = {"client_params": {"default_headers": {"Connection": "close"}}}
    llm = AgentFuseLLM(bare_of(**alone), budget="$20", cache=False, spend_book=False)
    await asyncio.gather(*(llm.acall(f"What is number {n}?") for n in range(20)))
    assert llm.fuse.receipt().answers == up.calls == 20
    assert llm.fuse.receipt().spent == billed(up)


@pytest.mark.parametrize("api", ["openai", "anthropic", "responses"])
@pytest.mark.parametrize("awaited", [False, True])
def test_a_stream_is_cut_when_its_lease_runs_out(
    bare_of: BareOf, up: Upstream, api: str, awaited: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    fuse = Fuse("$1", spend_book=False)
    words = {"api": "responses"} if api == "responses" else {}
    vendor = "anthropic" if api == "anthropic" else "openai"
    llm = AgentFuseLLM(bare_of(vendor, stream=True, **words), fuse=fuse)
    up.slow(per_chunk=0.02)
    up.script([Say("A long answer. " * 100)])
    metered = Fuse.meter
    chunks: list[str] = []

    def run_out(self: Fuse, ticket: Any, delta: Any) -> None:
        chunks.append(delta.text)
        ticket.progress.allowed = 10  # as if the lease had been that small
        metered(self, ticket, delta)

    monkeypatch.setattr(Fuse, "meter", run_out)
    with pytest.raises(BudgetStop) as stop:
        asyncio.run(llm.acall("hello")) if awaited else llm.call("hello")
    assert stop.value.partial_text == "".join(chunks) != ""
    assert stop.value.receipt.spent == fuse.receipt().spent > 0
    assert fuse.open_leases() == ()
    assert up.wait_idle(10)
    assert up.requests[0].aborted
    assert up.calls == 1


def test_events_on_a_hit_are_those_of_a_call(bare_of: BareOf, vendor: str) -> None:
    llm = AgentFuseLLM(bare_of(vendor, stream=True), budget="$1", spend_book=False)
    runs: list[list[Any]] = []
    with crewai_event_bus.scoped_handlers():
        heard: list[Any] = []
        for kind in (LLMCallStartedEvent, LLMCallCompletedEvent, LLMStreamChunkEvent):

            @crewai_event_bus.on(kind)
            def hear(source: Any, event: Any) -> None:
                heard.append(event)

        for _ in range(2):
            llm.call("hello")
            crewai_event_bus.flush()
            runs.append(heard[:])
            heard.clear()
    live, hit = runs
    for run in (live, hit):
        assert len({event.call_id for event in run}) == 1
        assert len([event for event in run if event.type == "llm_call_started"]) == 1
    said = ["".join(e.chunk for e in run if e.type == "llm_stream_chunk") for run in runs]
    assert said[0] == said[1] != ""
    ends = [next(e for e in run if e.type == "llm_call_completed") for run in runs]
    assert ends[0].response == ends[1].response
    assert ends[0].response_id == ends[1].response_id


def test_a_refusal_is_told_as_a_denial(bare_of: BareOf) -> None:
    llm = AgentFuseLLM(bare_of(), budget="$0.0000001", spend_book=False)
    heard: list[str] = []
    with crewai_event_bus.scoped_handlers():

        @crewai_event_bus.on(LLMCallFailedEvent)
        def hear(source: Any, event: LLMCallFailedEvent) -> None:
            heard.append(event.error)

        with pytest.raises(BudgetStop):
            llm.call("hello")
        crewai_event_bus.flush()
    assert len(heard) == 1
    assert "denied by agentfuse" in heard[0]


def test_the_users_hooks_run_once_a_call_on_a_hit_too(bare_of: BareOf, up: Upstream) -> None:
    before: list[str] = []
    after: list[str] = []

    def note(context: Any) -> None:
        before.append(context.messages[-1]["content"])

    def shout(context: Any) -> str:
        after.append(context.response)
        return context.response.upper()

    register_before_llm_call_hook(note)
    register_after_llm_call_hook(shout)
    llm = AgentFuseLLM(bare_of(), budget="$1", spend_book=False)
    answers = {llm.call("hello") for _ in range(2)}
    assert len(answers) == 1
    assert answers.pop().isupper()
    assert before == ["hello"] * 2
    assert len(after) == 2
    assert up.calls == 1


def test_what_a_hook_adds_is_part_of_the_question(bare_of: BareOf, up: Upstream) -> None:
    notes = ["one", "two", "two"]

    def add(context: Any) -> None:
        context.messages.append({"role": "user", "content": notes.pop(0)})

    register_before_llm_call_hook(add)
    llm = AgentFuseLLM(bare_of(), budget="$1", spend_book=False)
    for _ in range(3):
        llm.call("hello")
    assert [len(request.body["messages"]) for request in up.requests] == [2, 2]


def test_a_hook_that_blocks_blocks(bare_of: BareOf, up: Upstream) -> None:
    def refuse(context: Any) -> None:
        raise HookAborted("no")

    register_before_llm_call_hook(refuse)
    llm = AgentFuseLLM(bare_of(), budget="$1", spend_book=False)
    with pytest.raises(HookAborted, match="no"):
        llm.call("hello")
    assert up.calls == 0
    assert llm.fuse.open_leases() == ()


def test_an_unknown_price_is_a_clear_error(bare_of: BareOf, up: Upstream) -> None:
    llm = AgentFuseLLM(bare_of(model="gpt-of-nobody", provider="openai"), budget="$1")
    with pytest.raises(UnknownPrice, match="gpt-of-nobody") as error:
        llm.call("hello")
    assert isinstance(error.value, HookAborted)
    assert error.value.model == "gpt-of-nobody"
    assert up.calls == 0


def test_a_runs_name_does_not_make_crewai_try_again(bare_of: BareOf, up: Upstream) -> None:
    name = "rate limit, throttled: too many requests"
    llm = AgentFuseLLM(bare_of(), budget="$0.0000001", name=name, spend_book=False)
    with pytest.raises(BudgetStop) as stop:
        llm.call("hello")
    assert llm.fuse.receipt().refusals == 1
    words = ("rate limit", "throttled", "too many requests", "resource exhausted")
    error: BaseException | None = stop.value
    while error is not None:
        assert not any(word in str(error).lower() for word in words)
        error = error.__cause__ or error.__context__


def test_a_fused_llm_is_not_fused_again(bare_of: BareOf) -> None:
    llm = AgentFuseLLM(bare_of(), budget="$1", spend_book=False)
    with pytest.raises(ConfigurationError, match="fused already"):
        AgentFuseLLM(llm, budget="$1")
    with pytest.raises(ConfigurationError, match="must be an LLM"):
        AgentFuseLLM(42, budget="$1")
    with pytest.raises(ConfigurationError, match="not both"):
        AgentFuseLLM(bare_of(), "$1", fuse=llm.fuse)
    with pytest.raises(ConfigurationError, match=r"agentfuse\.Fuse"):
        AgentFuseLLM(bare_of(), fuse="$1")


class Parrot(BaseLLM):
    """A user's own LLM class, which emits no events and runs no hooks."""

    def call(self, messages: Any, tools: Any = None, **more: Any) -> str:
        """Say it again."""
        self._track_token_usage_internal({"prompt_tokens": 3, "completion_tokens": 2})
        return f"{messages}!"


def test_a_users_own_class_is_held(up: Upstream) -> None:
    prices = {"parrot": {"input": 1, "output": 1}}
    llm = AgentFuseLLM(Parrot(model="parrot"), budget="$1", prices=prices, spend_book=False)
    assert llm.call("hello") == "hello!" == llm.call("hello")
    assert llm.fuse.receipt().exact == 1
    assert llm.fuse.receipt().spent == 5_000
