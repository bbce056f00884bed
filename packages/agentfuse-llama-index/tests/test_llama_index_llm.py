"""A fused LLM is the user's own, in everything LlamaIndex and its users look at."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core import Settings
from llama_index.core.callbacks import CallbackManager
from llama_index.core.llms import (
    LLM,
    ChatMessage,
    CompletionResponse,
    CustomLLM,
    LLMMetadata,
    MockLLM,
)
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.utils import resolve_llm
from llama_index.llms.openai import OpenAI
from pydantic import PrivateAttr

from agentfuse import ConfigurationError, Fuse
from agentfuse_llama_index import AgentFuseLLM

if TYPE_CHECKING:
    from agentfuse.testing import Upstream

BareOf = Callable[..., LLM]
HELLO = [ChatMessage(content="hello")]


def fused(inner: LLM, fuse: Fuse) -> Any:
    return AgentFuseLLM(inner=inner, fuse=fuse)


def test_it_is_a_fused_llm_and_the_users_own_kind(bare_of: BareOf, fuse: Fuse, vendor: str) -> None:
    bare = bare_of(vendor)
    llm = fused(bare, fuse)
    for kind in (AgentFuseLLM, type(bare), FunctionCallingLLM, LLM):
        assert isinstance(llm, kind)
    assert llm.fuse is fuse
    names = [(k.__name__, k.__qualname__, k.__module__) for k in (type(llm), type(bare))]
    assert names[0] == names[1]
    assert llm.class_name() == bare.class_name()
    assert repr(llm) == repr(bare)
    assert llm.metadata == bare.metadata
    assert llm.to_dict() == bare.to_dict()
    assert llm.model_fields_set == bare.model_fields_set
    assert llm.model_json_schema() == bare.model_json_schema()


def test_its_clients_are_of_the_users_kind(bare_of: BareOf, fuse: Fuse, vendor: str) -> None:
    bare = bare_of(vendor)
    llm = fused(bare, fuse)
    if vendor == "openai":
        pairs = [(llm._get_client(), bare._get_client()), (llm._get_aclient(), bare._get_aclient())]
        assert llm._get_client() is llm._get_client()
    else:
        pairs = [(llm._client, bare._client), (llm._aclient, bare._aclient)]
        assert llm._client is llm._client
    for ours, theirs in pairs:
        assert type(ours) is type(theirs)
        assert ours.base_url == theirs.base_url
        assert ours is not theirs


def test_the_given_llm_stays_as_it_is(bare_of: BareOf, up: Upstream, vendor: str) -> None:
    bare = bare_of(vendor)
    kind, before = type(bare), dict(bare.__dict__)
    llm = AgentFuseLLM(inner=bare, budget="$1", spend_book=False)
    llm.temperature = 0.2
    llm.chat(HELLO)
    assert type(bare) is kind
    assert bare.__dict__ == before
    bare.chat(HELLO)
    assert up.calls == 2
    assert [request.body["temperature"] for request in up.requests] == [0.2, 0.1]
    assert llm.fuse.receipt().answers == 1


def test_inner_gives_the_bare_llm_with_the_settings_of_now(
    bare_of: BareOf, fuse: Fuse, up: Upstream, vendor: str
) -> None:
    bare = bare_of(vendor)
    llm = fused(bare, fuse)
    llm.temperature = 0.3
    inner = llm.inner
    assert type(inner) is type(bare)
    assert not isinstance(inner, AgentFuseLLM)
    assert inner.temperature == 0.3
    inner.chat(HELLO)
    assert up.calls == 1
    assert fuse.receipt().answers == 0


def test_fused_classes_are_made_once(bare_of: BareOf) -> None:
    first = AgentFuseLLM(inner=bare_of("openai"), spend_book=False)
    second = AgentFuseLLM(inner=bare_of("openai"), spend_book=False)
    assert type(first) is type(second)
    assert first.fuse is not second.fuse


def test_options_reach_the_fuse(bare_of: BareOf, up: Upstream) -> None:
    llm = AgentFuseLLM(inner=bare_of("openai"), budget=1, cache=False, spend_book=False)
    llm.chat(HELLO)
    llm.chat(HELLO)
    assert up.calls == 2


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ({"budget": "$1", "fuse": True}, "not both"),
        ({"name": "run", "fuse": True}, "not both"),
        ({"budget": "-1"}, "amount"),
        ({"bugdet": "$1"}, "bugdet"),
        ({"fuse": "$1"}, "agentfuse.Fuse"),
    ],
)
def test_words_that_are_off_are_named(
    bare_of: BareOf, fuse: Fuse, words: dict[str, Any], says: str
) -> None:
    given = {**words, "fuse": fuse} if words.get("fuse") is True else words
    with pytest.raises(ConfigurationError, match=says):
        AgentFuseLLM(inner=bare_of("openai"), **given)


def test_what_is_no_llm_is_refused_with_advice() -> None:
    for thing in ("gpt-4o", None, OpenAI):
        with pytest.raises(ConfigurationError, match="fuse the LLM"):
            AgentFuseLLM(inner=thing, budget="$1")


def test_a_fused_llm_is_not_fused_again(bare_of: BareOf, fuse: Fuse) -> None:
    llm = fused(bare_of("openai"), fuse)
    with pytest.raises(ConfigurationError, match="fused already"):
        AgentFuseLLM(inner=llm, budget="$1")
    assert AgentFuseLLM(inner=llm.inner, fuse=fuse).fuse is fuse


def test_a_fused_class_wants_its_fuse(bare_of: BareOf, fuse: Fuse) -> None:
    kind = type(fused(bare_of("openai"), fuse))
    with pytest.raises(ValueError, match="fuse"):
        kind(model="gpt-4o", api_key="k")


def test_copies_share_the_fuse(bare_of: BareOf, fuse: Fuse, up: Upstream, vendor: str) -> None:
    llm = fused(bare_of(vendor), fuse)
    llm.chat(HELLO)
    copies = [copy.copy(llm), llm.model_copy(update={"temperature": 0.4})]
    assert [type(each) is type(llm) for each in copies] == [True, True]
    assert [each.fuse is fuse for each in copies] == [True, True]
    copies[1].chat(HELLO)
    assert up.requests[1].body["temperature"] == 0.4
    assert fuse.receipt().answers == 2


def test_a_deep_copy_shares_the_money() -> None:
    fuse = Fuse(spend_book=False)
    llm = fused(MockLLM(max_tokens=3), fuse)
    twin = copy.deepcopy(llm)
    assert twin.fuse is fuse
    twin.chat(HELLO)
    assert fuse.receipt().answers == 1


def test_a_pickled_llm_finds_its_fuse_again(
    bare_of: BareOf, fuse: Fuse, up: Upstream, vendor: str
) -> None:
    llm = fused(bare_of(vendor, default_headers=None), fuse)
    llm.chat(HELLO)
    if vendor == "anthropic":
        # Its bare class keeps clients that cannot be pickled, and cannot be made again without.
        return
    twin = pickle.loads(pickle.dumps(llm))
    assert type(twin) is type(llm)
    assert twin.fuse is fuse
    assert twin.chat(HELLO).message.content == llm.chat(HELLO).message.content
    assert up.calls == 1


def test_a_pickled_llm_never_loses_its_budget_in_silence() -> None:
    llm = fused(MockLLM(), Fuse("$1", spend_book=False))
    pickled = pickle.dumps(llm)
    del llm
    with pytest.raises(ConfigurationError, match="fuse"):
        pickle.loads(pickled)


def test_settings_and_resolvers_take_it(
    bare_of: BareOf, fuse: Fuse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Settings, "_llm", None)
    llm = fused(bare_of("openai"), fuse)
    Settings.llm = llm
    assert Settings.llm is llm
    assert resolve_llm(llm) is llm
    Settings.callback_manager = CallbackManager([])
    assert Settings.llm.callback_manager is llm.callback_manager is Settings.callback_manager
    monkeypatch.setattr(Settings, "_llm", None)


def test_a_subclass_of_the_users_own_is_kept(up: Upstream, fuse: Fuse) -> None:
    class Polite(OpenAI):
        def chat(self, messages: Any, **kwargs: Any) -> Any:
            return super().chat([*messages, ChatMessage(content="please")], **kwargs)

    llm = fused(Polite(model="gpt-4o", api_key="sk-upstream", api_base=up.openai_url), fuse)
    assert llm.chat(HELLO).message.content == "Answer to: please"
    assert fuse.receipt().answers == up.calls == 1


def test_clients_that_are_not_reused_are_metered_and_closed(
    bare_of: BareOf, up: Upstream, fuse: Fuse
) -> None:
    llm = fused(bare_of("openai", reuse_client=False), fuse)
    for _ in range(2):
        assert llm.chat(HELLO).message.content
        assert llm.complete("and you").text
    assert up.calls == 2
    assert fuse.receipt().exact == 2


def test_attributes_are_set_and_read_as_ever(bare_of: BareOf, fuse: Fuse, up: Upstream) -> None:
    llm = fused(bare_of("openai"), fuse)
    llm.model = "gpt-4o-mini"
    llm.additional_kwargs = {"seed": 7}
    llm.max_tokens = 40
    llm.chat(HELLO)
    body = up.requests[0].body
    assert (body["model"], body["seed"], body["max_tokens"]) == ("gpt-4o-mini", 7, 40)
    assert fuse.receipt().models[0].model == "gpt-4o-mini"


class Persona(CustomLLM):
    """An LLM of a caller's own, that keeps what it needs where no field tells."""

    _persona: str = PrivateAttr(default="")

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name="gpt-4o")

    def complete(self, prompt: str, formatted: bool = False, **_: Any) -> CompletionResponse:
        return CompletionResponse(text=f"{self._persona} heard {len(prompt)}")

    def stream_complete(self, prompt: str, formatted: bool = False, **_: Any) -> Any:
        raise NotImplementedError


def persona(name: str) -> Persona:
    llm = Persona()
    llm._persona = name
    return llm


def test_two_llms_of_a_callers_own_never_share_an_answer(fuse: Fuse) -> None:
    said = [fused(persona(name), fuse).complete("hello").text for name in ("Ann", "Bob", "Ann")]
    assert said == ["Ann heard 5", "Bob heard 5", "Ann heard 5"]
    assert fuse.receipt().exact == 1
