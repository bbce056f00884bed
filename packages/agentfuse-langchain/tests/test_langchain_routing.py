"""A router's choice goes over the wire, whichever way LangChain asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessageChunk

from agentfuse import Fuse
from agentfuse.routing import CHEAPEST_FIRST, Cascade, Router
from agentfuse_langchain import AgentFuseChatModel

if TYPE_CHECKING:
    from agentfuse.testing import Upstream


class Tokens(BaseCallbackHandler):
    """Keeps the tokens that LangChain's callbacks are told."""

    def __init__(self) -> None:
        self.tokens: list[str] = []

    def on_llm_new_token(self, token: Any, **_: Any) -> None:
        self.tokens.append(token)


CHEAPER = {"openai": "gpt-4o-mini", "anthropic": "claude-haiku-4-5"}
STRONG = {"openai": "gpt-4o", "anthropic": "claude-sonnet-4-6"}


async def test_the_wire_shows_the_routed_model(
    bare_of: Any, up: Upstream, vendor: str, ask: Any
) -> None:
    router = Router([CHEAPER[vendor], STRONG[vendor]], strategy=CHEAPEST_FIRST)
    fuse = Fuse("$1", spend_book=False, route=router)
    await ask(AgentFuseChatModel(inner=bare_of(vendor), fuse=fuse), "What is a fuse?")
    assert [request.model for request in up.requests] == [CHEAPER[vendor]]
    decision = fuse.decisions()[0]
    assert (decision.asked, decision.model) == (STRONG[vendor], CHEAPER[vendor])


def test_a_cascade_asks_two_cheap_models_first(bare_of: Any, up: Upstream) -> None:
    cascade = Cascade(
        first=("gpt-4o-mini", "gpt-4.1-nano"), strong="gpt-4o", canonical=lambda reply: reply.text
    )
    fuse = Fuse("$1", spend_book=False, route=cascade)
    answer = AgentFuseChatModel(inner=bare_of("openai"), fuse=fuse).invoke("What is a fuse?")
    assert answer.text == "Answer to: What is a fuse?"
    assert [request.model for request in up.requests] == ["gpt-4o-mini", "gpt-4.1-nano"]
    assert fuse.open_leases() == ()


@pytest.mark.parametrize("awaited", [False, True], ids=["stream", "astream"])
@pytest.mark.parametrize("agree", [True, False], ids=["alike", "different"])
async def test_a_cascade_answers_a_stream(
    bare_of: Any, up: Upstream, awaited: bool, agree: bool
) -> None:
    """What is chosen comes as LangChain's own chunks, and only its words reach the callbacks."""
    cascade = Cascade(
        first=("gpt-4o-mini", "gpt-4.1-nano"),
        strong="gpt-4o",
        canonical=lambda reply: reply.text if agree else None,
    )
    fuse = Fuse("$1", spend_book=False, route=cascade)
    model = AgentFuseChatModel(inner=bare_of("openai"), fuse=fuse)
    heard = Tokens()
    config: Any = {"callbacks": [heard]}
    if awaited:
        chunks = [chunk async for chunk in model.astream("What is a fuse?", config)]
    else:
        chunks = list(model.stream("What is a fuse?", config))
    assert all(isinstance(chunk, AIMessageChunk) for chunk in chunks)
    assert "".join(chunk.text for chunk in chunks) == "Answer to: What is a fuse?"
    assert "".join(heard.tokens) == "Answer to: What is a fuse?"
    asked = [request.model for request in up.requests]
    assert sorted(asked[:2]) == ["gpt-4.1-nano", "gpt-4o-mini"]
    assert asked[2:] == ([] if agree else ["gpt-4o"])
    assert [request.streamed for request in up.requests[2:]] == ([] if agree else [True])
    assert fuse.receipt().answers == len(asked)
    assert fuse.open_leases() == ()
