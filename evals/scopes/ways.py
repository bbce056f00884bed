"""The public ways in, each as a function that asks one request through a cache."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from langchain_core.messages import convert_to_messages
from langchain_openai import ChatOpenAI
from llama_index.core.llms import ChatMessage, ImageBlock, TextBlock
from llama_index.llms.openai import OpenAI

from agentfuse import Fuse, completion, scope
from agentfuse_langchain import AgentFuseCache, AgentFuseChatModel
from agentfuse_llama_index import AgentFuseLLM

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentfuse import SemanticCache
    from agentfuse.testing import Upstream
    from agentfuse.testing.near_requests import NearRequest

    Ask = Callable[[NearRequest], object]

KEY = "sk-upstream"


def by_completion(provider: Upstream, semantic: SemanticCache) -> Ask:
    """Ask by ``completion()``, the tenant among its words."""
    fuse = Fuse(cache=False, semantic=semantic, spend_book=False)
    where = {"base_url": provider.openai_url, "api_key": KEY}

    def ask(near: NearRequest) -> object:
        words = {**where, **near.params, "tenant_id": near.tenant}
        with scope(user=near.user):
            return completion(near.model, near.messages, fuse=fuse, **words)

    return ask


def by_langchain_model(provider: Upstream, semantic: SemanticCache) -> Ask:
    """Ask LangChain's chat model over a fuse of the tenant's."""
    fuse_of, inner_of = _fuses(semantic), _langchain_models(provider)

    @cache
    def model_of(model: str, tenant: str) -> AgentFuseChatModel:
        return AgentFuseChatModel(inner_of(model), fuse=fuse_of(tenant))

    def ask(near: NearRequest) -> object:
        model = model_of(near.model, near.tenant)
        with scope(user=near.user):
            return model.invoke(convert_to_messages(near.messages), **near.params)

    return ask


def by_langchain_cache(provider: Upstream, semantic: SemanticCache) -> Ask:
    """Ask LangChain's plain chat model, whose own cache is ours."""
    model_of = _langchain_models(provider, cache=AgentFuseCache(semantic))

    def ask(near: NearRequest) -> object:
        with scope(user=near.user, tenant=near.tenant):
            return model_of(near.model).invoke(convert_to_messages(near.messages), **near.params)

    return ask


def by_llama_index(provider: Upstream, semantic: SemanticCache) -> Ask:
    """Ask LlamaIndex's LLM over a fuse of the tenant's."""
    fuse_of = _fuses(semantic)

    @cache
    def llm_of(model: str, tenant: str) -> AgentFuseLLM:
        inner = OpenAI(model=model, api_key=KEY, api_base=provider.openai_url, max_retries=0)
        return AgentFuseLLM(inner, fuse=fuse_of(tenant))

    def ask(near: NearRequest) -> object:
        messages = [_chat_message(each) for each in near.messages]
        with scope(user=near.user):
            return llm_of(near.model, near.tenant).chat(messages, **near.params)

    return ask


def _fuses(semantic: SemanticCache) -> Callable[[str], Fuse]:
    """Give each tenant a fuse, all over one cache."""
    return cache(
        lambda tenant: Fuse(cache=False, semantic=semantic, tenant=tenant, spend_book=False)
    )


def _langchain_models(provider: Upstream, **words: Any) -> Callable[[str], ChatOpenAI]:
    return cache(
        lambda model: ChatOpenAI(
            model=model, base_url=provider.openai_url, api_key=KEY, max_retries=0, **words
        )
    )


def _chat_message(body: dict[str, Any]) -> ChatMessage:
    """Say a message of OpenAI's in LlamaIndex's blocks and words."""
    content = body["content"] or []
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    blocks = [
        TextBlock(text=part["text"])
        if part["type"] == "text"
        else ImageBlock(url=part["image_url"]["url"])
        for part in parts
    ]
    rest = {word: value for word, value in body.items() if word not in {"role", "content"}}
    return ChatMessage(role=body["role"], blocks=blocks, additional_kwargs=rest)


WAYS: dict[str, Callable[[Upstream, SemanticCache], Ask]] = {
    "completion": by_completion,
    "langchain-model": by_langchain_model,
    "langchain-cache": by_langchain_cache,
    "llama-index": by_llama_index,
}
