"""What keeps like prompts together at OpenAI reaches it from LlamaIndex."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llama_index.core.llms import ChatMessage

from agentfuse import Fuse
from agentfuse_llama_index import AgentFuseLLM

if TYPE_CHECKING:
    from agentfuse.testing import Upstream

RULES = ChatMessage(role="system", content="You know all about fuses.")


async def test_openai_is_given_a_key(bare_of: Any, up: Upstream) -> None:
    fuse = Fuse("$1", spend_book=False, prompt_caching=True)
    llm = AgentFuseLLM(inner=bare_of("openai"), fuse=fuse)
    llm.chat([RULES, ChatMessage(content="One?")])
    await llm.achat([RULES, ChatMessage(content="Two?")])
    list(llm.stream_chat([RULES, ChatMessage(content="Three?")]))
    keys = [request.body["prompt_cache_key"] for request in up.requests]
    assert len(keys) == 3
    assert len(set(keys)) == 1
    assert keys[0].startswith("agentfuse-")
