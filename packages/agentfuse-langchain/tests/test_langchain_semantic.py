"""Answers by meaning through LangChain: its own chat model over a fuse, and its own cache."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.caches import BaseCache
from langchain_core.messages import AIMessage, convert_to_messages
from langchain_core.outputs import ChatGeneration, Generation
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

from agentfuse import Fuse, SemanticCache, StoreUnavailable, scope
from agentfuse.testing.near_requests import NearRequest, first_request, near_requests
from agentfuse.testing.upstream import Say
from agentfuse_langchain import AgentFuseCache, AgentFuseChatModel

if TYPE_CHECKING:
    from agentfuse.testing import Upstream

KEPT = "How do I reset my password?"
ASKED = "How can I reset my password?"
OTHER = "How do I reset my router?"


@pytest.fixture
def cache() -> AgentFuseCache:
    return AgentFuseCache()


def chat(up: Upstream, **params: Any) -> ChatOpenAI:
    words = {"model": "gpt-4o", "base_url": up.openai_url, "api_key": "sk-upstream", **params}
    return ChatOpenAI(default_headers={"Connection": "close"}, **words)


@pytest.mark.parametrize("vendor", ["openai", "anthropic"])
def test_a_reworded_question_is_answered_and_says_so(up, bare_of, vendor) -> None:
    fuse = Fuse("$1", semantic=True, spend_book=False)
    model = AgentFuseChatModel(bare_of(vendor), fuse=fuse)
    first, again = model.invoke(KEPT), model.invoke(ASKED)
    assert up.calls == 1
    assert again.content == first.content
    mark = again.response_metadata["agentfuse"]
    assert (mark["source"], mark["matched_prompt"]) == ("semantic", KEPT)
    assert mark["score"] > 0.9
    assert model.invoke(KEPT).response_metadata["agentfuse"] == {"cached": True, "source": "exact"}
    chunks = list(model.stream("How could I reset my password?"))
    assert "".join(str(chunk.text) for chunk in chunks) == first.text
    assert asyncio.run(model.ainvoke(ASKED)).content == first.content
    model.invoke(OTHER)
    assert up.calls == 2


def test_hundreds_of_near_requests_never_meet(up) -> None:
    """One thing differs beside the question: each is asked of the provider."""
    cache = SemanticCache(threshold=0.01)

    def ask(near: NearRequest) -> AIMessage:
        fuse = Fuse(cache=False, semantic=cache, tenant=near.tenant, spend_book=False)
        model = AgentFuseChatModel(chat(up, model=near.model), fuse=fuse)
        with scope(user=near.user):
            return model.invoke(convert_to_messages(near.messages), **near.params)

    ask(first_request())
    met = Counter(
        near.what for near in near_requests(300) if "agentfuse" in ask(near).response_metadata
    )
    assert met == {}
    assert up.calls == 301
    assert ask(first_request()).response_metadata["agentfuse"]["source"] == "semantic"


def test_the_cache_is_langchains_own_kind(up, cache) -> None:
    model = chat(up, cache=cache)
    assert isinstance(cache, BaseCache)
    first, again = model.invoke(KEPT), model.invoke(ASKED)
    assert up.calls == 1
    assert again.content == first.content
    assert again.response_metadata["agentfuse"]["matched_prompt"] == KEPT
    assert again.usage_metadata["total_cost"] == 0
    assert asyncio.run(model.ainvoke("How could I reset my password?")).content == first.content
    assert model.invoke(OTHER).content != first.content
    assert up.calls == 2


def test_hundreds_of_near_prompts_never_meet_in_langchains_cache(up) -> None:
    cache = AgentFuseCache(SemanticCache(threshold=0.01))

    def ask(near: NearRequest) -> AIMessage:
        model = chat(up, model=near.model, cache=cache)
        with scope(user=near.user, tenant=near.tenant):
            return model.invoke(convert_to_messages(near.messages), **near.params)

    ask(first_request())
    met = Counter(
        near.what for near in near_requests(300) if "agentfuse" in ask(near).response_metadata
    )
    assert met == {}
    assert up.calls == 301
    assert ask(first_request()).response_metadata["agentfuse"]["source"] == "semantic"


def test_what_langchain_clears_is_gone_and_nothing_else(up) -> None:
    semantic = SemanticCache()
    model = chat(up, cache=AgentFuseCache(semantic))
    model.invoke(KEPT)
    semantic.put("By mail.", model="gpt-4o", messages=[{"role": "user", "content": KEPT}])
    assert semantic.report().entries == 2
    model.cache.clear()
    assert semantic.report().entries == 1
    model.invoke(ASKED)
    assert up.calls == 2


class Answer(BaseModel):
    text: str


def look_up(word: str) -> str:
    """Look a word up."""
    return word


@pytest.mark.parametrize(
    "changed",
    [
        lambda model: model.bind_tools([look_up]),
        lambda model: model.bind(n=2),
        lambda model: model.bind(logprobs=True),
        lambda model: model.bind(temperature=0.9),
        lambda model: model.model_copy(update={"temperature": 0.9}),
    ],
)
def test_what_never_enters(up, cache, changed) -> None:
    model = changed(chat(up, cache=cache))
    model.invoke(KEPT)
    model.invoke(ASKED)
    assert up.calls == 2
    assert cache.semantic.report().entries == 0


@pytest.mark.parametrize(("method", "calls"), [("json_schema", 2), ("json_mode", 1)])
def test_structured_output_is_always_the_callers_class(up, cache, method, calls) -> None:
    """LangChain does not tell its cache which class to parse into, where the SDK does that."""
    model = chat(up, cache=cache).with_structured_output(Answer, method=method)
    up.script([Say('{"text": "By mail."}')] * 2)
    for question in (KEPT, ASKED):
        system = ("system", "Answer in JSON.")
        assert model.invoke([system, ("user", question)]) == Answer(text="By mail.")
    assert up.calls == calls


def test_through_a_fuse_structured_output_is_parsed_anew(up) -> None:
    fuse = Fuse(semantic=True, spend_book=False)
    model = AgentFuseChatModel(chat(up), fuse=fuse).with_structured_output(
        Answer, method="json_schema"
    )
    assert model.invoke(KEPT) == model.invoke(ASKED)
    assert up.calls == 1


@pytest.mark.parametrize("prompt", ["Say hi to everybody", "[]", "{", '["a"]', '[{"lc": 1}]'])
def test_a_prompt_that_holds_no_messages_is_passed_over(cache, prompt) -> None:
    """Plain language models write their prompt as it is: question and instructions in one."""
    cache.update(prompt, "llm", [Generation(text="hi")])
    cache.update(prompt, "llm", [ChatGeneration(message=AIMessage("hi"))])
    assert cache.lookup(prompt, "llm") is None
    assert cache.semantic.report().entries == 0


def test_a_store_in_trouble_is_a_miss(up, caplog, monkeypatch) -> None:
    cache = AgentFuseCache()

    def broken(*arguments: Any) -> Any:
        raise StoreUnavailable("out of reach")

    monkeypatch.setattr(cache.semantic.tier.store, "nearest", broken)
    with caplog.at_level(logging.WARNING, "agentfuse"):
        assert chat(up, cache=cache).invoke(KEPT).content
    assert caplog.text.count("passed over: out of reach") == 2


def test_a_judge_that_asks_the_same_model_is_not_judged(up) -> None:
    models: list[Any] = []
    cache = AgentFuseCache(
        SemanticCache(
            verifiers=[lambda asked, kept: bool(models[0].invoke(f"{asked} {kept}").text)]
        )
    )
    models.append(chat(up, cache=cache))
    models[0].invoke(KEPT)
    assert models[0].invoke(ASKED).response_metadata["agentfuse"]["source"] == "semantic"
    assert up.calls == 2
