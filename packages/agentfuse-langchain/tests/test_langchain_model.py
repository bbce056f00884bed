"""A fused model is the user's own model, in everything LangChain and its users look at."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.language_models import BaseChatModel, FakeListChatModel
from langchain_core.language_models.fake_chat_models import FakeChatModel
from langchain_core.load import dumpd, dumps, load
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import ConfigurableField
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langchain_openai.chat_models.base import BaseChatOpenAI

from agentfuse import ConfigurationError, Fuse
from agentfuse_langchain import AgentFuseChatModel
from agentfuse_langchain.answers import MARK

if TYPE_CHECKING:
    from agentfuse.testing import Upstream

BareOf = Callable[..., BaseChatModel]
HOOKS = ("_generate", "_agenerate", "_stream", "_astream")


@tool
def get_weather(city: str) -> str:
    """Tell the weather in a city."""
    return f"sunny in {city}"


def fused(inner: BaseChatModel, fuse: Fuse) -> Any:
    return AgentFuseChatModel(inner=inner, fuse=fuse)


def test_it_is_a_fused_model_and_the_users_own_kind(
    bare_of: BareOf, fuse: Fuse, vendor: str
) -> None:
    bare = bare_of(vendor)
    model = fused(bare, fuse)
    assert isinstance(model, AgentFuseChatModel)
    assert isinstance(model, type(bare))
    assert isinstance(model, BaseChatModel)
    assert model.fuse is fuse
    assert issubclass(type(model), AgentFuseChatModel)
    names = [(k.__name__, k.__qualname__, k.__module__) for k in (type(model), type(bare))]
    assert names[0] == names[1]


def test_the_given_model_stays_as_it_is(bare_of: BareOf, up: Upstream) -> None:
    bare = bare_of("openai")
    kind, before = type(bare), dict(bare.__dict__)
    model = AgentFuseChatModel(inner=bare, budget="$1", spend_book=False)
    model.temperature = 0.2
    model.invoke("hello")
    assert type(bare) is kind
    assert bare.__dict__ == before
    bare.invoke("hello")
    assert up.calls == 2
    assert model.fuse.receipt().answers == 1


def test_inner_gives_the_bare_model_with_the_settings_of_now(bare_of: BareOf, fuse: Fuse) -> None:
    model = fused(bare_of("openai"), fuse)
    model.temperature = 0.3
    inner = model.inner
    assert type(inner) is ChatOpenAI
    assert not isinstance(inner, AgentFuseChatModel)
    assert inner.temperature == 0.3
    assert inner.client is model.client


def test_only_the_hooks_of_the_provider_are_overridden(bare_of: BareOf, fuse: Fuse) -> None:
    for inner in (bare_of("openai"), FakeChatModel(), FakeListChatModel(responses=["a"])):
        kind = type(fused(inner, fuse))
        for hook in HOOKS:
            own = getattr(type(inner), hook) is not getattr(BaseChatModel, hook)
            assert (hook in vars(kind)) == own
    assert type(fused(FakeChatModel(), fuse))._stream is BaseChatModel._stream


def test_a_model_that_cannot_stream_still_streams_through_invoke() -> None:
    fuse = Fuse(spend_book=False)
    model = fused(FakeChatModel(), fuse)
    assert [chunk.text for chunk in model.stream("hello")] == ["fake response"]
    assert fuse.receipt().answers == 1


def test_fused_classes_are_made_once(bare_of: BareOf) -> None:
    first = AgentFuseChatModel(inner=bare_of("openai"), spend_book=False)
    second = AgentFuseChatModel(inner=bare_of("openai"), spend_book=False)
    assert type(first) is type(second)
    assert first.fuse is not second.fuse


def test_without_a_budget_calls_are_tracked_and_remembered(bare_of: BareOf, up: Upstream) -> None:
    model = AgentFuseChatModel(inner=bare_of("openai"), spend_book=False)
    first, second = model.invoke("hello"), model.invoke("hello")
    assert first.content == second.content
    assert up.calls == 1
    receipt = model.fuse.receipt()
    assert (receipt.budget, receipt.exact) == (None, 1)
    assert receipt.spent > 0


def test_options_reach_the_fuse(bare_of: BareOf, up: Upstream) -> None:
    model = AgentFuseChatModel(inner=bare_of("openai"), budget=1, cache=False, spend_book=False)
    model.invoke("hello")
    model.invoke("hello")
    assert up.calls == 2


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ({"budget": "$1", "fuse": True}, "not both"),
        ({"name": "run", "fuse": True}, "not both"),
        ({"budget": "-1"}, "amount"),
        ({"budget": "much"}, "amount"),
        ({"bugdet": "$1"}, "bugdet"),
        ({"fuse": "$1"}, "agentfuse.Fuse"),
    ],
)
def test_words_that_are_off_are_named(
    bare_of: BareOf, fuse: Fuse, words: dict[str, Any], says: str
) -> None:
    given = {**words, "fuse": fuse} if words.get("fuse") is True else words
    with pytest.raises(ConfigurationError, match=says):
        AgentFuseChatModel(inner=bare_of("openai"), **given)


def test_what_is_no_model_is_refused_with_advice(bare_of: BareOf) -> None:
    bound = bare_of("openai").bind_tools([get_weather])
    for thing in (bound, "gpt-4o", None, ChatOpenAI):
        with pytest.raises(ConfigurationError, match="fuse the model first"):
            AgentFuseChatModel(inner=thing, budget="$1")


def test_a_fused_model_is_not_fused_again(bare_of: BareOf, fuse: Fuse) -> None:
    model = fused(bare_of("openai"), fuse)
    with pytest.raises(ConfigurationError, match="fused already"):
        AgentFuseChatModel(inner=model, budget="$1")
    assert AgentFuseChatModel(inner=model.inner, fuse=fuse).fuse is fuse


def test_a_fused_class_wants_its_fuse(bare_of: BareOf, fuse: Fuse) -> None:
    kind = type(fused(bare_of("openai"), fuse))
    with pytest.raises(ValueError, match="fuse"):
        kind(model="gpt-4o", api_key="k")


def test_its_identity_is_the_bare_ones(bare_of: BareOf, fuse: Fuse, vendor: str) -> None:
    bare = bare_of(vendor, temperature=0.1)
    model = fused(bare, fuse)
    assert dumpd(model) == dumpd(bare)
    assert model.lc_id() == bare.lc_id()
    assert model._llm_type == bare._llm_type
    assert model._identifying_params == bare._identifying_params
    assert model._get_ls_params(stop=["x"]) == bare._get_ls_params(stop=["x"])
    assert model._get_llm_string() == bare._get_llm_string()
    assert model.profile == bare.profile
    assert model.get_name() == bare.get_name()
    assert repr(model) == repr(bare)
    assert str(model.get_input_schema()) == str(bare.get_input_schema())
    assert model.model_fields_set == bare.model_fields_set


@pytest.mark.filterwarnings("ignore:The function `load` is in beta")
def test_its_serialised_form_loads_as_the_bare_model(bare_of: BareOf, fuse: Fuse) -> None:
    model = fused(bare_of("openai"), fuse)
    assert "fuse" not in dumps(model)
    secrets = {"OPENAI_API_KEY": "sk-upstream"}
    assert type(load(dumpd(model), secrets_map=secrets, allowed_objects="all")) is ChatOpenAI


def test_copies_share_the_fuse(bare_of: BareOf, fuse: Fuse, up: Upstream) -> None:
    model = fused(bare_of("anthropic"), fuse)
    copies = [copy.copy(model), model.model_copy(update={"temperature": 0.4})]
    assert [type(each) is type(model) for each in copies] == [True, True]
    assert [each.fuse is fuse for each in copies] == [True, True]
    copies[1].invoke("hello")
    assert up.requests[0].body["temperature"] == 0.4
    assert fuse.receipt().answers == 1


def test_a_deep_copy_shares_the_money(fuse: Fuse) -> None:
    model = fused(FakeListChatModel(responses=["a", "b"]), fuse)
    twin = copy.deepcopy(model)
    assert twin.fuse is fuse
    assert twin.responses == ["a", "b"]
    assert twin.responses is not model.responses


def test_a_pickled_model_finds_its_fuse_again() -> None:
    fuse = Fuse(spend_book=False)
    model = fused(FakeListChatModel(responses=["a"]), fuse)
    twin = pickle.loads(pickle.dumps(model))
    assert type(twin) is type(model)
    assert twin.fuse is fuse
    assert twin.invoke("hello").content == "a"


def test_a_pickled_model_never_loses_its_budget_in_silence() -> None:
    model = fused(FakeListChatModel(responses=["a"]), Fuse("$1", spend_book=False))
    pickled = pickle.dumps(model)
    del model
    with pytest.raises(ConfigurationError, match="fuse"):
        pickle.loads(pickled)


def test_bindings_chains_and_batches_are_metered(
    bare_of: BareOf, fuse: Fuse, up: Upstream, vendor: str
) -> None:
    model = fused(bare_of(vendor, max_tokens=50), fuse)
    model.bind(temperature=0.1).invoke("one")
    model.bind_tools([get_weather]).invoke("What is the weather in Rome?")
    (ChatPromptTemplate.from_template("{x}") | model).invoke({"x": "three"})
    model.batch(["four", "five"])
    model.with_config(tags=["six"]).invoke("six")
    model.with_retry(stop_after_attempt=1).invoke("seven")
    model.with_fallbacks([model]).invoke("eight")
    model.with_structured_output({"title": "T", "type": "object", "properties": {}}).invoke("nine")
    receipt = fuse.receipt()
    assert receipt.answers == up.calls == 9
    assert receipt.models[0].output_tokens == up.usage_served().output_tokens


def test_configurable_fields_keep_the_fuse(bare_of: BareOf, fuse: Fuse, up: Upstream) -> None:
    model = fused(bare_of("openai"), fuse).configurable_fields(
        temperature=ConfigurableField(id="heat")
    )
    model.with_config(configurable={"heat": 0.25}).invoke("hello")
    assert up.requests[0].body["temperature"] == 0.25
    assert fuse.receipt().answers == 1


def test_a_subclass_of_the_users_own_is_kept(up: Upstream, fuse: Fuse) -> None:
    class Polite(ChatOpenAI):
        def _generate(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
            result = super()._generate(messages, *args, **kwargs)
            result.generations[0].message.content += ", please"
            return result

    inner = Polite(model="gpt-4o", api_key="sk-upstream", base_url=up.openai_url)
    model = fused(inner, fuse)
    assert model.invoke("hello").content == "Answer to: hello, please"
    assert model.invoke("hello").content == "Answer to: hello, please"
    assert up.calls == fuse.receipt().answers - 1 == 1
    assert isinstance(model, BaseChatOpenAI)


async def test_hooks_within_hooks_are_one_call(up: Upstream, fuse: Fuse) -> None:
    class Roundabout(ChatOpenAI):
        """Whose whole answers come from its stream, and awaited ones from LangChain's default."""

        def _generate(self, messages: Any, stop: Any = None, **kwargs: Any) -> Any:
            from langchain_core.language_models.chat_models import generate_from_stream

            kwargs.pop("run_manager", None)
            return generate_from_stream(self._stream(messages, stop=stop, **kwargs))

        async def _agenerate(self, *args: Any, **kwargs: Any) -> Any:
            return await BaseChatModel._agenerate(self, *args, **kwargs)

    inner = Roundabout(
        model="gpt-4o", api_key="sk-upstream", base_url=up.openai_url, stream_usage=True
    )
    model = fused(inner, fuse)
    model.invoke("one")
    await model.ainvoke("two")
    receipt = fuse.receipt()
    assert (receipt.answers, receipt.estimated) == (2, 0)
    assert receipt.models[0].input_tokens == up.usage_served().input_tokens


def test_it_takes_the_middlewares_for_its_provider(bare_of: BareOf, fuse: Fuse) -> None:
    assert isinstance(fused(bare_of("anthropic"), fuse), ChatAnthropic)


def test_an_answer_says_where_it_came_from(bare_of: BareOf, up: Upstream, fuse: Fuse) -> None:
    model = AgentFuseChatModel(inner=bare_of("openai"), fuse=fuse)
    up.slow(latency=0.3)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(model.invoke, ["hello"] * 4))
    answers.append(model.invoke("hello"))
    marks = [answer.response_metadata.get(MARK, {}).get("source") for answer in answers]
    assert up.calls == 1
    receipt = fuse.receipt()
    assert marks.count("coalesced") == receipt.coalesced == 3
    assert marks.count("exact") == receipt.exact == 1
