"""What is remembered of tools goes out as the provider's class would have written it anew."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
from crewai.llms.providers.openai.completion import OpenAICompletion

from agentfuse import Fuse
from agentfuse_crewai import AgentFuseLLM
from agentfuse_crewai.requests import Asked, request_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentfuse.testing import Upstream

LOOK_UP: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "look up",
        "description": "Look a word up.",
        "strict": True,
        "parameters": {
            "type": "object",
            "title": "LookUp",
            "$defs": {"Word": {"type": "string", "title": "Word"}},
            "properties": {"word": {"$ref": "#/$defs/Word"}, "times": {"default": 1}},
        },
    },
}


@pytest.fixture
def sent(up: Upstream) -> Callable[..., Any]:
    """Ask a question with tools, and give the tools that reached the provider."""
    questions = iter(range(99))

    def ask(llm: Any, tools: Any) -> Any:
        llm.call(f"question {next(questions)}", tools=tools)
        return up.requests[-1].body["tools"]

    return ask


def test_tools_go_out_as_without_a_fuse_each_time(
    bare_of: Callable[..., Any], sent: Callable[..., Any], fuse: Fuse, vendor: str
) -> None:
    bare, llm = bare_of(vendor), AgentFuseLLM(bare_of(vendor), fuse=fuse)
    tools, wanted = [copy.deepcopy(LOOK_UP)], sent(bare, [copy.deepcopy(LOOK_UP)])
    assert [sent(llm, tools), sent(llm, copy.deepcopy(tools)), sent(llm, tools)] == [wanted] * 3
    assert tools == [LOOK_UP]


def test_a_tool_changed_in_place_goes_out_changed(
    bare_of: Callable[..., Any], sent: Callable[..., Any], fuse: Fuse, vendor: str
) -> None:
    llm, tool = AgentFuseLLM(bare_of(vendor), fuse=fuse), copy.deepcopy(LOOK_UP)
    before = sent(llm, [tool])
    tool["function"]["description"] = "Look a word up in English."
    assert "in English" in str(sent(llm, [tool]))
    assert "in English" not in str(before)


def test_who_gets_the_tools_may_change_them(
    bare_of: Callable[..., Any], fuse: Fuse, vendor: str
) -> None:
    llm = AgentFuseLLM(bare_of(vendor), fuse=fuse)
    first = llm._convert_tools_for_interference([LOOK_UP])
    wanted = copy.deepcopy(first)
    first[0].clear()
    assert llm._convert_tools_for_interference([LOOK_UP]) == wanted
    asked = request_of(llm, Asked("hello", {"tools": [LOOK_UP]}))
    assert asked.tools == request_of(bare_of(vendor), Asked("hello", {"tools": [LOOK_UP]})).tools


def test_tools_that_cannot_be_sent_are_refused_in_the_providers_words(
    bare_of: Callable[..., Any], fuse: Fuse, vendor: str
) -> None:
    bare, llm = bare_of(vendor), AgentFuseLLM(bare_of(vendor), fuse=fuse)
    tools = [{"type": "function", "function": "look_up"}]
    with pytest.raises(ValueError, match="must be a dictionary"):
        bare.call("hello", tools=tools)
    with pytest.raises(ValueError, match="must be a dictionary"):
        llm.call("hello", tools=tools)


class Asking(OpenAICompletion):
    """A class that asks its LLM how tools are written, as one of CrewAI's might some day."""

    def _convert_tools_for_interference(self, tools: Any) -> Any:
        word = getattr(self, "word_for_tools", "unasked")
        return [{"type": "function", "function": {"name": word}} for _ in tools]


def test_a_class_that_asks_its_llm_is_asked_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    convert = Asking._convert_tools_for_interference
    monkeypatch.setattr(convert, "__module__", "crewai.llms.providers.asking")
    for word in ("one", "two"):
        llm = AgentFuseLLM(Asking(model="gpt-4o", api_key="sk"), spend_book=False)
        object.__setattr__(llm, "word_for_tools", word)
        assert llm._convert_tools_for_interference([LOOK_UP])[0]["function"] == {"name": word}
        request = request_of(llm, Asked("hello", {"tools": [LOOK_UP]}))
        assert request.tools[0]["function"] == {"name": word}
