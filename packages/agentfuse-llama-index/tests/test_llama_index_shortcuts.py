"""What a call is spared is spared unseen: retries, descriptions, clients and fresh answers."""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core.llms import LLM, ChatMessage
from llama_index.llms.openai import OpenAI
from openai import InternalServerError

from agentfuse import Fuse
from agentfuse.routing import Cascade
from agentfuse.testing.upstream import Call, Say
from agentfuse_llama_index import AgentFuseLLM

if TYPE_CHECKING:
    from agentfuse.testing import Upstream

BareOf = Callable[..., LLM]
HELLO = [ChatMessage(content="hello")]
WAYS = ("chat", "achat", "complete", "stream_chat", "astream_chat")


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let tenacity's pauses pass at once, and keep how long they would have been."""
    kept: list[float] = []

    async def sleep(seconds: float) -> None:
        kept.append(seconds)

    monkeypatch.setattr("tenacity.nap.time", SimpleNamespace(sleep=kept.append))
    monkeypatch.setattr("tenacity.asyncio._portable_async_sleep", sleep)
    return kept


def without_the_sdks_retries(bare: Any) -> Any:
    """Leave all retries to LlamaIndex: the SDK's own have the same number."""
    bare._client = bare._get_client().with_options(max_retries=0)
    bare._aclient = bare._get_aclient().with_options(max_retries=0)
    return bare


async def ask(llm: Any, way: str) -> Any:
    """Ask in one of the ways, and give the last response."""
    told = getattr(llm, way)("hello" if way == "complete" else HELLO)
    if way.startswith("a"):
        told = await told
    if way == "stream_chat":
        return list(told)[-1]
    return [chunk async for chunk in told][-1] if way == "astream_chat" else told


@pytest.mark.parametrize(
    "case",
    [
        *((way, failures, True) for way in WAYS for failures in (1, 2, 5)),
        *(("chat", 5, False), ("achat", 1, False)),
    ],
)
def test_a_call_that_fails_is_repeated_as_the_bare_one(
    bare_of: BareOf,
    up: Upstream,
    naps: list[float],
    caplog: pytest.LogCaptureFixture,
    case: tuple[str, int, bool],
) -> None:
    way, failures, reuse = case
    seen = []
    for fused in (False, True):
        up.reset()
        llm: Any = bare_of("openai", max_retries=3, reuse_client=reuse)
        llm = without_the_sdks_retries(llm) if reuse else llm
        if fused:
            llm = AgentFuseLLM(inner=llm, fuse=Fuse("$1", spend_book=False))
        up.fail(500, times=failures)
        try:
            ended = str(asyncio.run(ask(llm, way)))
        except InternalServerError:
            ended = "failed"
        told = [record.getMessage().partition(" in ")[0] for record in caplog.records]
        seen.append((up.calls, len(up.requests), ended, len(naps), told))
        naps.clear()
        caplog.clear()
        if fused:
            assert llm.fuse.open_leases() == ()
    assert seen[0] == seen[1]


def retries_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    """List what LlamaIndex has told of its retries."""
    told = [record.getMessage() for record in caplog.records]
    return [line for line in told if line.startswith("Retrying")]


@pytest.mark.usefixtures("naps")
@pytest.mark.parametrize("way", ["chat", "achat"])
def test_each_attempt_is_a_call_of_its_own(
    bare_of: BareOf, up: Upstream, caplog: pytest.LogCaptureFixture, way: str
) -> None:
    fuse = Fuse("$1", spend_book=False)
    llm = AgentFuseLLM(inner=without_the_sdks_retries(bare_of("openai")), fuse=fuse)
    up.fail(500, times=2)
    assert asyncio.run(ask(llm, way)).message.content
    assert len(retries_in(caplog)) == 2
    assert len(up.requests) == 3
    told = fuse.receipt()
    assert (told.failures, told.answers) == (2, 1)
    assert asyncio.run(ask(llm, way)).message.content
    after = fuse.receipt()
    assert (len(up.requests), after.spent, after.exact) == (3, told.spent, 1)


@pytest.mark.usefixtures("naps")
@pytest.mark.parametrize("way", ["chat", "achat"])
def test_a_cascade_answers_within_the_retries(
    bare_of: BareOf, up: Upstream, caplog: pytest.LogCaptureFixture, way: str
) -> None:
    cascade = Cascade(first=("gpt-4o-mini", "gpt-4.1-nano"), strong="gpt-4o")
    fuse = Fuse("$1", spend_book=False, route=cascade)
    llm = AgentFuseLLM(inner=without_the_sdks_retries(bare_of("openai")), fuse=fuse)
    up.fail(500, times=3)  # both cheap models, and then the strong one
    assert asyncio.run(ask(llm, way)).message.content
    assert len(retries_in(caplog)) == 1
    assert fuse.receipt().failures == 3
    assert fuse.open_leases() == ()


def test_a_class_with_its_own_way_keeps_it(up: Upstream, fuse: Fuse) -> None:
    class Own(OpenAI):
        asked: int = 0

        def _chat(self, messages: Any, **kwargs: Any) -> Any:
            self.asked += 1
            return super()._chat(messages, **kwargs)

        def to_payload(self) -> dict[str, Any]:
            return {"asked": self.asked}

    llm: Any = AgentFuseLLM(
        inner=Own(model="gpt-4o", api_key="sk-upstream", api_base=up.openai_url), fuse=fuse
    )
    llm.chat(HELLO)
    llm.chat(HELLO)
    assert (up.calls, llm.asked, llm.to_payload()["asked"]) == (1, 2, 2)


def test_a_model_is_described_as_its_fields_are_now(bare_of: BareOf, fuse: Fuse) -> None:
    bare: Any = bare_of("openai")
    llm: Any = AgentFuseLLM(inner=bare, fuse=fuse)
    for name, value in (
        *(("model", "gpt-4o-mini"), ("max_tokens", 7), ("model", "gpt-3.5-turbo-instruct")),
        *(("max_tokens", None), ("model", "o1"), ("temperature", 0.9), ("strict", True)),
    ):
        described(llm)["model_name"] = "changed by who got it"
        setattr(llm, name, value)
        setattr(bare, name, value)
        assert described(llm) == described(bare)
        for words in ({}, {"use_chat_completions": False}, {"use_chat_completions": True}):
            assert llm._use_chat_completions(words) is bare._use_chat_completions(words)
    llm.model = bare.model = "nobody-knows-it"
    for each in (llm, bare):
        with pytest.raises(ValueError, match="nobody-knows-it"):
            each._use_chat_completions({})


def test_llama_indexs_tables_of_models_are_read_as_they_are_now(
    bare_of: BareOf, up: Upstream, fuse: Fuse, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare: Any = bare_of("openai", model="gpt-4o")
    llm: Any = AgentFuseLLM(inner=bare, fuse=fuse)
    utils: Any = sys.modules["llama_index.llms.openai.utils"]
    own = "my-own-model"
    edits = (
        *(("ALL_AVAILABLE_MODELS", "gpt-4o"), ("ALL_AVAILABLE_MODELS", own), ("CHAT_MODELS", own)),
        *(("O1_MODELS", own), ("DISCONTINUED_MODELS", "gpt-4o")),
    )
    seen: list[Any] = [None]
    for table, name in (("CHAT_MODELS", "gpt-4o"), *edits):
        monkeypatch.setitem(getattr(utils, table), name, 7)
        told = []
        for model in ("gpt-4o", own):
            llm.model = bare.model = model
            assert said_of(llm) == said_of(bare)
            told.append(said_of(llm))
        # An older LlamaIndex tells the fields alone.
        assert told != seen[-1] or not hasattr(llm, "to_payload")
        seen.append(told)
    assert up.calls == 0


def described(llm: Any) -> dict[str, Any]:
    """Give what listeners are told of an LLM; older versions of LlamaIndex tell its fields."""
    told: dict[str, Any] = llm.to_payload() if hasattr(llm, "to_payload") else llm.to_dict()
    return told


def said_of(llm: Any) -> Any:
    """Give what an LLM says of its model, and whether that chats."""
    try:
        return described(llm), llm._use_chat_completions({})
    except ValueError as unknown:
        return str(unknown)


def test_a_models_new_row_leads_its_calls(
    bare_of: BareOf, up: Upstream, fuse: Fuse, monkeypatch: pytest.MonkeyPatch
) -> None:
    llm: Any = AgentFuseLLM(inner=bare_of("openai", model="gpt-4o"), fuse=fuse)
    llm.chat(HELLO)
    utils: Any = sys.modules["llama_index.llms.openai.utils"]
    monkeypatch.delitem(utils.CHAT_MODELS, "gpt-4o")
    assert not llm._use_chat_completions({})
    monkeypatch.undo()
    assert llm.chat(HELLO).message.content
    assert (up.calls, fuse.receipt().exact) == (1, 1)


def test_another_client_is_seen_at_once(bare_of: BareOf, fuse: Fuse) -> None:
    llm: Any = AgentFuseLLM(inner=bare_of("openai"), fuse=fuse)
    first = llm._get_client()
    assert llm._get_client() is first
    llm._client = llm._client.with_options(timeout=3.0)
    assert llm._get_client() is not first
    assert llm._get_client().timeout == 3.0
    llm.reuse_client = False
    assert llm._get_client().timeout != 3.0


@pytest.mark.parametrize("way", ["chat", "complete", "stream_chat", "achat"])
def test_a_span_knows_the_signature_of_the_method(bare_of: BareOf, fuse: Fuse, way: str) -> None:
    bare = bare_of("openai")
    llm = AgentFuseLLM(inner=bare, fuse=fuse)
    ours, theirs = getattr(llm, way), getattr(bare, way)
    assert inspect.signature(ours) == inspect.signature(theirs)
    assert ours.__name__ == theirs.__name__


def test_who_changes_an_answer_changes_no_other(bare_of: BareOf, up: Upstream, fuse: Fuse) -> None:
    up.script([Say("So.", [Call("look_up", {"word": "x"})])])
    llm = AgentFuseLLM(inner=bare_of("openai"), fuse=fuse)
    bought = llm.chat(HELLO).raw
    whole = bought.model_dump()
    for _ in range(3):
        given = llm.chat(HELLO).raw
        assert given.model_dump() == whole
        assert given.model_fields_set == bought.model_fields_set
        given.choices[0].message.tool_calls[0].function.arguments = "{}"
        given.choices[0].message.content = given.usage = None
        given.choices.append(given.choices[0])
        given.new_field = 1
    assert up.calls == 1
