"""A long chat of LlamaIndex goes out short and valid, and an agent's loop is stopped."""

from __future__ import annotations

import json
from typing import Any

import pytest
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.llms import ChatMessage
from llama_index.llms.openai import OpenAI
from long_talks import PROMPT, Heard, order_of, result_of, tracking_of

from agentfuse import Fuse
from agentfuse.lengths import Compressed
from agentfuse.testing import Upstream
from agentfuse.testing.upstream import Call, Say
from agentfuse_llama_index import AgentFuseLLM, BudgetStop

KEY = "sk-upstream"


def test_a_long_chat_is_short_and_valid() -> None:
    heard = Heard()
    fuse = Fuse(
        "$50",
        spend_book=False,
        cache=False,
        listeners=[heard],
        compress="keep_recent",
        compress_above=3_000,
    )
    with Upstream() as up:
        llm = AgentFuseLLM(OpenAI(model="gpt-4o", api_base=up.openai_url, api_key=KEY), fuse=fuse)
        messages = [ChatMessage(role="system", content=PROMPT)]
        for number in range(20):
            messages += [
                ChatMessage(role="user", content=f"This is {order_of(number)}."),
                ChatMessage(role="assistant", content=result_of(number)),
                ChatMessage(role="user", content=f"Thanks for number {number}."),
            ]
            messages.append(llm.chat(messages).message)
        messages.append(ChatMessage(role="user", content=f"Which parcel has {order_of(3)}?"))
        llm.chat(messages)
        assert {request.status for request in up.requests} == {200}
        last = json.dumps(up.requests[-1].body)
        assert PROMPT in last
        assert tracking_of(3) in last
        assert max(event.after for event in heard.of(Compressed)) <= 3_000


async def rate_of(currency: str) -> str:
    """Tell a rate."""
    return f"no rate of {currency} today"


@pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning")
async def test_an_agent_that_asks_the_same_for_ever_is_stopped() -> None:
    fuse = Fuse("$5", spend_book=False, cache=False, loops="stop")

    def undecided(_: Any) -> Say:
        return Say("", [Call("rate_of", {"currency": "USD"})])

    with Upstream(undecided) as up:
        llm = AgentFuseLLM(OpenAI(model="gpt-4o", api_base=up.openai_url, api_key=KEY), fuse=fuse)
        agent = FunctionAgent(tools=[rate_of], llm=llm)
        with pytest.raises(BudgetStop, match="loop detected"):
            await agent.run("What is a dollar?", max_iterations=20)
        assert up.calls == 4
