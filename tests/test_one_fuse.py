"""One fuse in five frameworks at once: one budget, one memory, one receipt."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from agentfuse import BudgetExceeded, Fuse, completion, scope, wrap_openai
from agentfuse.testing import Upstream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MODEL = "gpt-4o"
QUESTION = "What is a fuse?"
# LlamaIndex's OpenAI class always sends a temperature, and what is sent is part of the question.
WARMTH = 0.1

# What the frameworks say of one another's dependencies, and CrewAI's telemetry of itself.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ImportWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


@pytest.fixture(autouse=True)
def _nobody_is_told(quiet: None) -> None:
    """Keep the frameworks from reporting to their makers."""


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream(answer_tokens=20) as provider:
        yield provider


def by_completion(fuse: Fuse, upstream: Upstream, question: str) -> str:
    answer = completion(
        model=MODEL,
        messages=[{"role": "user", "content": question}],
        temperature=WARMTH,
        fuse=fuse,
        base_url=upstream.openai_url,
        api_key="sk-upstream",
    )
    return answer.choices[0].message.content or ""


def by_the_sdk(fuse: Fuse, upstream: Upstream, question: str) -> str:
    from openai import OpenAI

    client = wrap_openai(OpenAI(base_url=upstream.openai_url, api_key="sk-upstream"), fuse=fuse)
    messages: Any = [{"role": "user", "content": question}]
    answer = client.chat.completions.create(model=MODEL, messages=messages, temperature=WARMTH)
    return answer.choices[0].message.content or ""


def by_langchain(fuse: Fuse, upstream: Upstream, question: str) -> str:
    from langchain_openai import ChatOpenAI

    from agentfuse_langchain import AgentFuseChatModel

    inner = ChatOpenAI(
        model=MODEL, base_url=upstream.openai_url, api_key="sk-upstream", temperature=WARMTH
    )
    return AgentFuseChatModel(inner=inner, fuse=fuse).invoke(question).text


def by_crewai(fuse: Fuse, upstream: Upstream, question: str) -> str:
    from crewai import LLM

    from agentfuse_crewai import AgentFuseLLM

    inner = LLM(
        model=MODEL, base_url=upstream.openai_url, api_key="sk-upstream", temperature=WARMTH
    )
    return str(AgentFuseLLM(inner=inner, fuse=fuse).call(question))


def by_the_agents_sdk(fuse: Fuse, upstream: Upstream, question: str) -> str:
    from agents import Agent, ModelSettings, OpenAIChatCompletionsModel, Runner
    from openai import AsyncOpenAI

    from agentfuse_openai_agents import AgentFuseModel

    async def run() -> str:
        async with AsyncOpenAI(base_url=upstream.openai_url, api_key="sk-upstream") as client:
            inner = OpenAIChatCompletionsModel(model=MODEL, openai_client=client)
            agent = Agent(
                name="asker",
                model=AgentFuseModel(inner, fuse=fuse),
                model_settings=ModelSettings(temperature=WARMTH),
            )
            return str((await Runner.run(agent, question)).final_output)

    return asyncio.run(run())


def by_llama_index(fuse: Fuse, upstream: Upstream, question: str) -> str:
    from llama_index.core.llms import ChatMessage
    from llama_index.llms.openai import OpenAI

    from agentfuse_llama_index import AgentFuseLLM

    inner = OpenAI(
        model=MODEL, api_base=upstream.openai_url, api_key="sk-upstream", temperature=WARMTH
    )
    llm = AgentFuseLLM(inner=inner, fuse=fuse)
    return str(llm.chat([ChatMessage(role="user", content=question)]).message.content)


WAYS: tuple[Callable[[Fuse, Upstream, str], str], ...] = (
    by_completion,
    by_the_sdk,
    by_langchain,
    by_crewai,
    by_the_agents_sdk,
    by_llama_index,
)


@pytest.mark.parametrize("first", WAYS)
def test_a_question_asked_anywhere_is_answered_everywhere(
    first: Callable[[Fuse, Upstream, str], str], upstream: Upstream
) -> None:
    fuse = Fuse("$1", spend_book=False)
    answer = first(fuse, upstream, QUESTION)
    assert answer
    for ask in WAYS:
        assert ask(fuse, upstream, QUESTION) == answer, ask.__name__
    assert upstream.calls == 1
    assert fuse.receipt().exact == len(WAYS)


def test_all_share_one_budget(upstream: Upstream) -> None:
    fuse = Fuse("$1", spend_book=False, cache=False, name="shared")
    for number, ask in enumerate(WAYS):
        ask(fuse, upstream, f"What is fuse number {number}?")
    assert upstream.calls == len(WAYS)
    assert fuse.receipt().answers == len(WAYS)
    fuse.allow("$0.0000001")
    for ask in WAYS:
        with pytest.raises(BudgetExceeded):
            ask(fuse, upstream, "One more?")
    assert upstream.calls == len(WAYS)
    assert fuse.open_leases() == ()


def test_ids_in_the_context_reach_every_framework(upstream: Upstream) -> None:
    fuse = Fuse(spend_book=False, cache=False, limits={"user": "$0.0000001"})
    with scope(user="ann"):
        for ask in WAYS:
            with pytest.raises(BudgetExceeded) as stop:
                ask(fuse, upstream, QUESTION)
            assert stop.value.refusal is not None
            assert stop.value.refusal.limit.key == "user:ann"
    assert upstream.calls == 0
