"""A model's account of itself is remembered, and never outlives the settings it was made of."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.language_models import BaseChatModel, SimpleChatModel
from langchain_openai import AzureChatOpenAI, ChatOpenAI
from pydantic import BaseModel, PrivateAttr

from agentfuse import Fuse
from agentfuse_langchain import AgentFuseChatModel
from agentfuse_langchain.accounts import account_of

BareOf = Callable[..., BaseChatModel]

MODELS: dict[str, Callable[[], BaseChatModel]] = {
    "ChatOpenAI": lambda: ChatOpenAI(model="gpt-4o", api_key="k"),
    "ChatAnthropic": lambda: ChatAnthropic(model="claude-sonnet-4-6", api_key="k"),
    "AzureChatOpenAI": lambda: AzureChatOpenAI(
        azure_deployment="mine", azure_endpoint="https://me", api_version="2026-01-01", api_key="k"
    ),
}


def asked_anew(model: BaseChatModel) -> BaseChatModel:
    """Give the model as one of a class of the caller's own, whose accounts are not remembered."""
    twin = model.model_copy()
    twin.__class__ = own_class_of(type(model))
    return twin


@lru_cache
def own_class_of(kind: type[BaseChatModel]) -> type[BaseChatModel]:
    return type(kind.__name__, (kind,), {"__module__": __name__})


def changed(value: Any) -> Any:
    """Give another value that the model's own methods can do with."""
    match value:
        case bool():
            return not value
        case dict():
            return {**value, "max_output_tokens": 3, "changed": {"deep": 1}}
        case int() | float():
            return value + 1
        case list():
            return [*value, "changed"]
        case str():
            return "changed"
        case _:
            return {"changed": 0}


@pytest.mark.parametrize("name", MODELS)
def test_each_setting_that_is_changed_is_seen(name: str) -> None:
    model = MODELS[name]()
    seen = 0
    for field in type(model).model_fields:
        before = account_of(model, None, {})
        was = model.__dict__[field]
        for value in (changed(was), {"changed": 1}, {"changed": 2}):
            model.__dict__[field] = value
            try:
                anew = account_of(asked_anew(model), None, {})
            except (TypeError, ValueError, AttributeError):  # no value for this field
                continue
            assert account_of(model, None, {}) == anew, field
            seen += anew != before
        model.__dict__[field] = was
        assert account_of(model, None, {}) == before
    assert seen > 20


def test_a_setting_that_is_changed_in_place_is_seen(bare_of: BareOf) -> None:
    model: Any = bare_of("openai", model_kwargs={"a": {"b": 1}}, extra_body={"c": [1]})
    first = account_of(model, None, {})
    model.model_kwargs["a"]["b"] = 2
    second = account_of(model, None, {})
    model.extra_body["c"].append(2)
    third = account_of(model, None, {})
    assert [account.params["a"] for account in (first, second, third)] == [
        *({"b": 1}, {"b": 2}, {"b": 2})
    ]
    assert [account.params["extra_body"] for account in (first, second, third)] == [
        *({"c": [1]}, {"c": [1]}, {"c": [1, 2]})
    ]


def test_each_word_of_a_call_is_seen(bare_of: BareOf, vendor: str) -> None:
    model = bare_of(vendor)
    calls: list[tuple[list[str] | None, dict[str, Any]]] = [
        (None, {}),
        (["x"], {}),
        (None, {"temperature": 0.3}),
        (None, {"temperature": 1}),
        (None, {"temperature": True}),
        (None, {"max_tokens": 5}),
        (None, {"model": "another"}),
        (None, {"tool_choice": {"type": "auto"}}),
    ]
    for stop, words in calls * 2:
        assert account_of(model, stop, words) == account_of(asked_anew(model), stop, words)
    assert len({repr(account_of(model, stop, words)) for stop, words in calls}) == len(calls)


def test_an_account_is_worked_out_once(bare_of: BareOf, vendor: str) -> None:
    model, twin = bare_of(vendor, temperature=0.7), bare_of(vendor, temperature=0.7)
    assert account_of(model, ["x"], {"a": 1}) is account_of(model, ["x"], {"a": 1})
    assert account_of(model, ["x"], {"a": 1}) is account_of(twin, ["x"], {"a": 1})


def test_a_model_of_the_callers_own_is_asked_each_time(bare_of: BareOf) -> None:
    class Moody(ChatOpenAI):
        @property
        def _default_params(self) -> dict[str, Any]:
            return {**super()._default_params, **outside}

    outside = {"mood": "good"}
    model = Moody(model="gpt-4o", api_key="k")
    assert account_of(model, None, {}).params["mood"] == "good"
    outside["mood"] = "bad"
    assert account_of(model, None, {}).params["mood"] == "bad"


def test_a_fused_model_tells_langchain_of_itself_what_the_bare_one_does(
    bare_of: BareOf, vendor: str, fuse: Fuse
) -> None:
    class Joke(BaseModel):
        setup: str

    bare: Any = bare_of(vendor, temperature=0.5)
    fused: Any = AgentFuseChatModel(inner=bare, fuse=fuse)
    calls: list[dict[str, Any]] = [
        {},
        {"stop": ["x"]},
        {"model": "another", "max_tokens": 3},
        {"response_format": Joke, "tools": [{"type": "function"}]},
    ]
    for words in calls:
        told = fused._get_ls_params(**words)
        assert told == bare._get_ls_params(**words)
        told["ls_temperature"] = "spoilt"
        told.setdefault("ls_stop", []).append("spoilt")
        assert fused._get_ls_params(**words) == bare._get_ls_params(**words)
    fused.temperature = bare.temperature = 0.9
    assert fused._get_ls_params() == bare._get_ls_params()
    assert fused._get_ls_params()["ls_temperature"] == 0.9


@pytest.mark.parametrize("name", MODELS)
def test_each_setting_is_in_what_a_fused_model_tells_langchain_of_a_call(
    name: str, fuse: Fuse
) -> None:
    bare: Any = MODELS[name]()
    fused: Any = AgentFuseChatModel(inner=bare, fuse=fuse)
    seen = 0
    for field in type(bare).model_fields:
        was = bare.__dict__[field]
        before = fused._get_invocation_params()
        for value in (changed(was), {"changed": 1}, {"changed": 2}):
            bare.__dict__[field] = fused.__dict__[field] = value
            try:
                anew = bare._get_invocation_params()
            except (TypeError, ValueError, AttributeError):  # no value for this field
                continue
            assert fused._get_invocation_params() == anew, field
            seen += anew != before
        bare.__dict__[field] = fused.__dict__[field] = was
        assert fused._get_invocation_params() == before == bare._get_invocation_params()
    assert seen > 20


def test_a_fused_model_tells_langchain_of_a_call_what_the_bare_one_does(
    bare_of: BareOf, vendor: str, fuse: Fuse
) -> None:
    class Joke(BaseModel):
        setup: str

    bare: Any = bare_of(vendor, temperature=0.5, model_kwargs={"a": {"b": [1]}})
    fused: Any = AgentFuseChatModel(inner=bare, fuse=fuse)
    function = {"type": "function", "function": {"name": "look_up"}}
    secret = {"type": "mcp", "server_url": "https://x", "authorization": "Bearer s3cret"}
    calls: list[dict[str, Any]] = [
        {},
        {"stop": ["x"], "tools": []},
        {"tools": [function], "tool_choice": "auto"},
        {"tools": [function, secret]},
        {"tools": [secret]},
        {"tools": [{"name": "look_up", "input_schema": {}}], "extra": [{"deep": 1}]},
        {"response_format": Joke, "tools": [function]},
    ]
    for words in calls * 2:
        told = fused._get_invocation_params(**words)
        assert told == bare._get_invocation_params(**words)
        told["spoilt"] = True
        if vendor == "openai":
            told["a"]["b"].append("spoilt")
        told.get("extra", [{}])[0]["spoilt"] = True
    bare.model_kwargs["a"]["b"].append(2)
    assert fused._get_invocation_params() == bare._get_invocation_params()


class Persona(SimpleChatModel):
    """A model of a caller's own, that keeps what it needs where no field tells."""

    _persona: str = PrivateAttr(default="")

    @property
    def _llm_type(self) -> str:
        return "persona"

    def _call(self, messages: Any, *_: Any, **__: Any) -> str:
        return f"{self._persona} heard {len(messages)}"


def persona(name: str) -> Persona:
    model = Persona()
    model._persona = name
    return model


def test_two_models_of_a_callers_own_never_share_an_answer() -> None:
    fuse = Fuse(spend_book=False)
    said = [
        AgentFuseChatModel(inner=persona(name), fuse=fuse).invoke("Who is there?").content
        for name in ("Ann", "Bob", "Ann")
    ]
    assert said == ["Ann heard 1", "Bob heard 1", "Ann heard 1"]
    assert fuse.receipt().exact == 1
