"""What the policy asks of a provider's cache of prompts reaches it through LangChain's models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import HumanMessage, SystemMessage
from langchain_core.tools import tool

from agentfuse import Fuse
from agentfuse_langchain import AgentFuseChatModel

if TYPE_CHECKING:
    from collections.abc import Callable

    from langchain_core.language_models import BaseChatModel

    from agentfuse.testing import Upstream

RULES = "You know all about fuses. Rule: be short, exact and kind. " * 400


@tool
def get_weather(city: str) -> str:
    """Tell the weather in a city."""
    return f"sunny in {city}"


def test_claude_is_marked_and_reads_what_it_was_told_before(
    bare_of: Callable[..., BaseChatModel], up: Upstream
) -> None:
    fuse = Fuse("$9", prompt_caching=True, spend_book=False)
    model = AgentFuseChatModel(inner=bare_of("anthropic", max_tokens=200), fuse=fuse)
    for question in ("One?", "Two?", "Three?"):
        model.invoke([SystemMessage(RULES), HumanMessage(question)])
    first, second, third = up.requests
    assert "cache_control" not in str(first.body)
    assert second.body["system"][-1]["cache_control"] == {"type": "ephemeral"}
    assert third.billed.cache_read_tokens > 2_048
    assert fuse.receipt().prompt_cache_saved > 0


def test_an_agents_turns_are_marked_as_they_grow(
    bare_of: Callable[..., BaseChatModel], up: Upstream
) -> None:
    fuse = Fuse("$9", prompt_caching="5m", spend_book=False)
    model = AgentFuseChatModel(inner=bare_of("anthropic", max_tokens=200), fuse=fuse)
    agent = create_agent(model, [get_weather], system_prompt=RULES)
    agent.invoke({"messages": [("user", "What is the weather in 'Rome'?")]})
    body: Any = up.requests[1].body
    assert "cache_control" in body["system"][-1]
    result = body["messages"][-1]["content"][-1]
    assert (result["type"], result["cache_control"]) == ("tool_result", {"type": "ephemeral"})
    assert up.requests[1].billed.cache_read_tokens > 2_048


def test_openai_is_given_a_key(bare_of: Callable[..., BaseChatModel], up: Upstream) -> None:
    fuse = Fuse("$9", prompt_caching=True, spend_book=False)
    model = AgentFuseChatModel(inner=bare_of("openai"), fuse=fuse)
    model.invoke([SystemMessage(RULES), HumanMessage("One?")])
    assert up.requests[0].body["prompt_cache_key"].startswith("agentfuse-")


@pytest.mark.parametrize("kind", ["openai", "anthropic"])
def test_off_changes_nothing(
    bare_of: Callable[..., BaseChatModel], up: Upstream, kind: str
) -> None:
    bare = bare_of(kind, max_tokens=200)
    asked = [SystemMessage(RULES), HumanMessage("One?")]
    bare.invoke(asked)
    AgentFuseChatModel(inner=bare, fuse=Fuse("$9", spend_book=False)).invoke(asked)
    assert up.requests[0].body == up.requests[1].body
