"""What hooks alone can do, and that nothing they do fails silently."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from crewai import Crew
from crewai.hooks import (
    HookAborted,
    LLMCallHookContext,
    register_after_llm_call_hook,
    register_before_llm_call_hook,
    unregister_before_llm_call_hook,
)
from crewai.hooks.dispatch import InterceptionPoint, register_scoped, scoped_hooks

from agentfuse import ConfigurationError, Fuse, UnknownPrice
from agentfuse_crewai import AgentFuseLLM, BudgetStop, create_agentfuse_hooks

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentfuse.testing import Upstream

    BareOf = Callable[..., Any]
    Billed = Callable[..., int]
    CrewOf = Callable[..., Crew]

TOPIC = {"topic": "electricity"}
TOOL = {
    "type": "function",
    "function": {
        "name": "look_up",
        "description": "Look a word up.",
        "parameters": {"type": "object", "properties": {"word": {"type": "string"}}},
    },
}


def under_hooks(fuse: Fuse) -> None:
    before, after = create_agentfuse_hooks(fuse=fuse)
    register_before_llm_call_hook(before)
    register_after_llm_call_hook(after)


def test_a_crew_under_hooks_is_budgeted_and_remembered(
    bare_of: BareOf, crew_of: CrewOf, up: Upstream, billed: Billed, vendor: str
) -> None:
    fuse = Fuse(spend_book=False)
    under_hooks(fuse)
    first = crew_of(bare_of(vendor)).kickoff(inputs=TOPIC).raw
    assert fuse.receipt().spent == billed(up, vendor) > 0
    assert fuse.receipt().estimated == 0
    asked = up.calls
    assert crew_of(bare_of(vendor)).kickoff(inputs=TOPIC).raw == first
    assert up.calls == asked
    assert fuse.receipt().exact == asked


def test_a_crew_under_hooks_without_a_limit_is_the_bare_one(
    bare_of: BareOf, crew_of: CrewOf, up: Upstream, vendor: str
) -> None:
    wanted = crew_of(bare_of(vendor)).kickoff(inputs=TOPIC).raw
    models = [(r.path, len(r.body["messages"]), sorted(r.body)) for r in up.requests]
    up.reset()
    under_hooks(Fuse(cache=False, spend_book=False))
    assert crew_of(bare_of(vendor)).kickoff(inputs=TOPIC).raw == wanted
    assert [(r.path, len(r.body["messages"]), sorted(r.body)) for r in up.requests] == models


def test_hooks_stop_a_crew(bare_of: BareOf, crew_of: CrewOf, up: Upstream, billed: Billed) -> None:
    whole = Fuse(cache=False, spend_book=False)
    crew_of(AgentFuseLLM(bare_of(max_tokens=80), fuse=whole)).kickoff(inputs=TOPIC)
    up.reset()
    fuse = Fuse(whole.receipt().spent_usd * 9 / 10, cache=False, spend_book=False)
    under_hooks(fuse)
    crew = crew_of(bare_of(max_tokens=80))
    with pytest.raises(BudgetStop) as stop:
        crew.kickoff(inputs=TOPIC)
    assert stop.value.crew is crew
    assert stop.value.partial_output.raw == (
        crew.tasks[0].output.raw if crew.tasks[0].output else ""
    )
    assert fuse.receipt().spent == billed(up) > 0
    assert fuse.open_leases() == ()


def test_a_downgrade_reaches_the_wire_through_hooks(
    bare_of: BareOf, crew_of: CrewOf, up: Upstream
) -> None:
    fuse = Fuse("$1", downgrade={"gpt-4o": "gpt-4o-mini"}, spend_book=False)
    under_hooks(fuse)
    crew = crew_of(bare_of())
    crew.tasks[0].callback = lambda _: fuse.record_tool_call("search", "$0.85")
    crew.kickoff(inputs=TOPIC)
    models = [request.model for request in up.requests]
    assert models[0] == "gpt-4o"
    assert models[-1] == "gpt-4o-mini"


@pytest.mark.parametrize("streaming", [False, True])
def test_a_first_direct_call_is_billed_and_the_next_is_remembered(
    bare_of: BareOf, up: Upstream, billed: Billed, vendor: str, streaming: bool
) -> None:
    fuse = Fuse("$1", spend_book=False)
    under_hooks(fuse)
    llm = bare_of(vendor, stream=streaming)
    first = llm.call("What is a fuse?")
    assert fuse.receipt().spent == billed(up, vendor) > 0
    assert fuse.receipt().estimated == 0
    assert llm.call("What is a fuse?") == first
    assert llm.call("What is a fuse?") == first
    assert up.calls == 2
    assert fuse.receipt().exact == 1
    assert fuse.open_leases() == ()


async def test_awaited_direct_calls_are_held_too(
    bare_of: BareOf, up: Upstream, billed: Billed, vendor: str
) -> None:
    fuse = Fuse("$1", spend_book=False)
    under_hooks(fuse)
    alone = {"client_params": {"default_headers": {"Connection": "close"}}}
    llm = bare_of(vendor, **alone)
    first = await llm.acall("What is a fuse?")
    assert await llm.acall("What is a fuse?") == first
    assert await llm.acall("What is a fuse?") == first
    assert up.calls == 2
    assert fuse.receipt().spent == billed(up, vendor)


def test_a_first_direct_call_is_capped_by_the_budget(
    bare_of: BareOf, up: Upstream, vendor: str
) -> None:
    under_hooks(Fuse("$0.02", spend_book=False))
    bare_of(vendor).call("What is a fuse?")
    words = ("max_completion_tokens", "max_tokens")
    caps = [up.requests[0].body[word] for word in words if word in up.requests[0].body]
    assert len(caps) == 1
    assert 128 <= caps[0] < 4_000


def test_a_first_direct_call_is_stopped(bare_of: BareOf, up: Upstream, vendor: str) -> None:
    under_hooks(Fuse("$0.0000001", spend_book=False))
    with pytest.raises(BudgetStop):
        bare_of(vendor).call("What is a fuse?")
    assert up.calls == 0


def test_a_first_direct_call_that_fails_gives_the_money_back(
    bare_of: BareOf, up: Upstream, vendor: str
) -> None:
    fuse = Fuse("$1", spend_book=False)
    under_hooks(fuse)
    up.fail(400)
    llm = bare_of(vendor)
    with pytest.raises(Exception, match="400"):
        llm.call("What is a fuse?")
    assert fuse.open_leases() == ()
    assert llm.call("What is a fuse?")


def test_a_first_direct_call_with_tools_of_its_own_is_billed(
    bare_of: BareOf, up: Upstream, billed: Billed, vendor: str
) -> None:
    fuse = Fuse("$1", spend_book=False)
    under_hooks(fuse)
    llm = bare_of(vendor)
    result = llm.call(
        "look_up the word 'fuse'",
        tools=[TOOL],
        available_functions={"look_up": lambda word: f"{word}!"},
    )
    assert "fuse" in str(result)
    assert fuse.receipt().spent == billed(up, vendor) > 0
    assert fuse.open_leases() == ()


def test_eight_threads_over_one_llm_are_billed_exactly(
    bare_of: BareOf, up: Upstream, billed: Billed
) -> None:
    fuse = Fuse("$20", cache=False, spend_book=False)
    under_hooks(fuse)
    llm = bare_of()
    llm.call("What is it?")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: llm.call(f"What is number {n}?"), range(40)))
    assert len(set(answers)) == 40
    assert fuse.receipt().answers == up.calls == 41
    assert fuse.receipt().spent == billed(up)
    assert llm.get_token_usage_summary().successful_requests == 41


def test_scoped_hooks_end_with_their_scope(bare_of: BareOf, crew_of: CrewOf, up: Upstream) -> None:
    fuse = Fuse("$1", spend_book=False)
    before, _ = create_agentfuse_hooks(fuse=fuse)
    crew = crew_of(bare_of())
    with scoped_hooks():
        register_scoped(InterceptionPoint.PRE_MODEL_CALL, before)
        crew.kickoff(inputs=TOPIC)
    inside = fuse.receipt().answers
    assert inside == up.calls
    crew_of(bare_of()).kickoff(inputs=TOPIC)
    assert fuse.receipt().answers == inside
    assert up.calls == 2 * inside


def test_an_equipped_llm_without_hooks_is_the_bare_one(bare_of: BareOf, up: Upstream) -> None:
    fuse = Fuse("$1", spend_book=False)
    before, _ = create_agentfuse_hooks(fuse=fuse)
    register_before_llm_call_hook(before)
    llm = bare_of()
    kind, name = type(llm), type(llm).__name__
    llm.call("What is a fuse?")
    assert isinstance(llm, kind)
    assert type(llm).__name__ == name
    unregister_before_llm_call_hook(before)
    llm.call("What is a fuse?")
    llm.call("What is a fuse?")
    assert up.calls == 3
    assert fuse.receipt().answers == 1


def test_the_users_hooks_run_once_whoever_pays(bare_of: BareOf, up: Upstream) -> None:
    before, _ = create_agentfuse_hooks("$1", spend_book=False)
    seen: list[int] = []
    register_before_llm_call_hook(before)
    register_before_llm_call_hook(lambda context: seen.append(len(context.messages)))
    llm = bare_of()
    llm.call("one")
    llm.call("two")
    unregister_before_llm_call_hook(before)
    llm.call("three")
    assert up.calls == len(seen) == 3


def test_an_unknown_price_is_heard(bare_of: BareOf, up: Upstream) -> None:
    under_hooks(Fuse("$1", spend_book=False))
    with pytest.raises(UnknownPrice) as error:
        bare_of(model="gpt-of-nobody", provider="openai").call("hello")
    assert isinstance(error.value, HookAborted)
    assert "gpt-of-nobody" in str(error.value)
    assert up.calls == 0


def test_what_cannot_be_held_is_stopped() -> None:
    before, _ = create_agentfuse_hooks("$1", spend_book=False)
    context = LLMCallHookContext(llm="gpt-4o", messages=[{"role": "user", "content": "hello"}])
    with pytest.raises(ConfigurationError, match="no budget can hold") as error:
        before(context)
    assert isinstance(error.value, HookAborted)


def test_a_fault_of_ours_stops_the_call(bare_of: BareOf) -> None:
    before, _ = create_agentfuse_hooks("$1", spend_book=False)
    context: Any = SimpleNamespace(llm=bare_of(), agent=None, crew=None)  # and no executor
    with pytest.raises(HookAborted, match="hook of AgentFuse failed"):
        before(context)


def test_two_pairs_with_different_fuses_are_refused(bare_of: BareOf, up: Upstream) -> None:
    under_hooks(Fuse("$1", spend_book=False))
    under_hooks(Fuse("$2", spend_book=False))
    with pytest.raises(ConfigurationError, match="two pairs"):
        bare_of().call("hello")
    assert up.calls == 0


def test_an_llm_with_a_fuse_of_its_own_keeps_it(
    bare_of: BareOf, up: Upstream, billed: Billed
) -> None:
    hooked, own = Fuse("$1", spend_book=False), Fuse("$1", spend_book=False)
    under_hooks(hooked)
    AgentFuseLLM(bare_of(), fuse=own).call("hello")
    assert own.receipt().spent == billed(up)
    assert hooked.receipt().answers == 0


def test_a_budget_and_a_fuse_are_not_both_taken() -> None:
    with pytest.raises(ConfigurationError, match="not both"):
        create_agentfuse_hooks("$1", fuse=Fuse("$1", spend_book=False))
