"""Answers by meaning through LlamaIndex, and what keeps them apart."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core.llms import ChatMessage, ChatResponse, ImageBlock, MessageRole, TextBlock
from llama_index.llms.openai import OpenAI

from agentfuse import Fuse, SemanticCache, scope
from agentfuse.testing.near_requests import NearRequest, first_request, near_requests
from agentfuse.tickets import Receipt
from agentfuse_llama_index import AgentFuseLLM

if TYPE_CHECKING:
    from agentfuse.testing import Upstream

KEPT = "How do I reset my password?"
ASKED = "How can I reset my password?"


class Ears:
    def __init__(self) -> None:
        self.sources: list[str] = []

    def hear(self, event: Any) -> None:
        if isinstance(event, Receipt):
            self.sources.append(event.source)


def test_a_reworded_question_is_answered(up, bare_of, vendor) -> None:
    ears = Ears()
    fuse = Fuse("$1", semantic=True, spend_book=False, listeners=[ears])
    llm = AgentFuseLLM(bare_of(vendor), fuse=fuse)

    def asked(text: str) -> list[ChatMessage]:
        return [ChatMessage(role="user", content=text)]

    first, again = llm.chat(asked(KEPT)), llm.chat(asked(ASKED))
    assert again.message.content == first.message.content
    streamed = list(llm.stream_chat(asked("How could I reset my password?")))
    assert streamed[-1].message.content == first.message.content
    awaited = asyncio.run(llm.achat(asked(ASKED)))
    assert awaited.message.content == first.message.content
    assert up.calls == 1
    assert ears.sources == ["provider", "semantic", "semantic", "semantic"]


def message_of(body: dict[str, Any]) -> ChatMessage:
    """Say a message of OpenAI's in LlamaIndex's words."""
    content, kept = body["content"], {}
    if isinstance(content, list):
        blocks = [
            TextBlock(text=part["text"])
            if part["type"] == "text"
            else ImageBlock(url=part["image_url"]["url"])
            for part in content
        ]
        return ChatMessage(role=body["role"], blocks=blocks)
    for word in ("tool_calls", "tool_call_id"):
        if word in body:
            kept[word] = body[word]
    return ChatMessage(role=MessageRole(body["role"]), content=content, additional_kwargs=kept)


def test_hundreds_of_near_requests_never_meet(up: Upstream) -> None:
    ears, cache = Ears(), SemanticCache(threshold=0.01)

    def ask(near: NearRequest) -> ChatResponse:
        fuse = Fuse(
            cache=False, semantic=cache, tenant=near.tenant, spend_book=False, listeners=[ears]
        )
        llm = OpenAI(
            model=near.model,
            api_key="sk-upstream",
            api_base=up.openai_url,
            default_headers={"Connection": "close"},
        )
        with scope(user=near.user):
            messages = [message_of(each) for each in near.messages]
            return AgentFuseLLM(llm, fuse=fuse).chat(messages, **near.params)

    ask(first_request())
    met: Counter[str] = Counter()
    for near in near_requests(300):
        ask(near)
        if ears.sources[-1] != "provider":
            met[near.what] += 1
    assert met == {}
    assert up.calls == 301
    ask(first_request())
    assert ears.sources[-1] == "semantic"


@pytest.mark.parametrize("threaded", [False, True])
def test_the_cache_may_be_used_by_hand(threaded: bool) -> None:
    """For whatever passes through no fuse: LlamaIndex has no cache of answers to plug one into."""
    cache = SemanticCache()
    asked = {"model": "gpt-4o", "messages": [{"role": "user", "content": ASKED}]}
    cache.put("By mail.", model="gpt-4o", messages=[{"role": "user", "content": KEPT}])
    match = asyncio.run(asyncio.to_thread(cache.get, **asked)) if threaded else cache.get(**asked)
    assert match is not None
    assert match.reply.text == "By mail."
