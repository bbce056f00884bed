"""One call of a CrewAI LLM as a request in the policy's words."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from agentfuse.messages import Message, Request, Text
from agentfuse.nothing import NOTHING
from agentfuse.providers.chat_requests import message_of
from agentfuse.providers.directory import BY_ID, BY_PREFIX
from agentfuse.providers.wire_json import list_of, object_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from crewai.llms.base_llm import BaseLLM

    from agentfuse.messages import Json

LIMIT_FIELDS = ("max_completion_tokens", "max_output_tokens", "max_tokens")
"""The fields an output maximum may stand in, first found wins, as CrewAI's providers read them."""

_NAMES = ("tools", "callbacks", "available_functions", "from_task", "from_agent", "response_model")

# Whose names the price catalogue writes otherwise (crewai.llms.constants, PROVIDER_ALIASES).
_IDS = {"bedrock": "aws", "aws": "aws", "gemini": "google", "claude": "anthropic"}

# How a call travels, is repeated or watched, or what is told elsewhere: no part of the answer.
_TOLD = frozenset(
    {
        *(
            "llm_type",
            "model",
            "provider",
            "api_key",
            "is_litellm",
            "prefer_upload",
            "custom_openai",
        ),
        *("stream", "stop", "response_format", "additional_params", *LIMIT_FIELDS),
        *("base_url", "api_base", "endpoint", "timeout", "max_retries", "client_params"),
        *("callbacks", "interceptor", "context_window_size", "tool_search_results"),
        *("is_o1_model", "is_gpt4_model", "is_claude_3", "is_anthropic", "supports_tools"),
        *("default_headers", "default_query", "organization", "project", "credentials"),
    }
)

# Messages' own keys that CrewAI keeps for itself (crewai.llms.cache, crewai.utilities.types).
_BOOKKEEPING = frozenset({"cache_breakpoint", "raw_tool_call_parts"})

UNKEYED: Any = object()
"""A parameter without a JSON form: a request that has it is never answered from memory."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The arguments of one call, as they came: none is added, so that any LLM class takes them."""

    messages: Any
    given: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @classmethod
    def of(cls, messages: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Asked:
        """Name the arguments that came by place (``BaseLLM.call``)."""
        return cls(messages, {**dict(zip(_NAMES, args, strict=False)), **kwargs})

    def __getattr__(self, name: str) -> Any:
        """Give an argument of ``BaseLLM.call``, None where it was left out."""
        if name in _NAMES:
            return self.given.get(name)
        raise AttributeError(name)

    @property
    def listed(self) -> list[dict[str, Any]]:
        """The messages as a fresh list of fresh dicts; the text alone is the user's."""
        if isinstance(self.messages, str):
            return [{"role": "user", "content": self.messages}]
        return [dict(object_of(message)) for message in list_of(self.messages)]


def request_of(llm: BaseLLM, asked: Asked) -> Request:
    """Read a call: whom it asks, what, and with which parameters."""
    provider, model = address_of(llm)
    limit, ceiling = limits_of(llm)
    params = dict(_params_of(llm, asked))
    return Request(
        provider=provider,
        model=model,
        messages=tuple(_message_of(message) for message in asked.listed),
        api="crewai",
        max_output_tokens=limit,
        output_ceiling=ceiling,
        tools=_tools_of(llm, asked),
        params=params or NOTHING,
        stream=is_streaming(llm),
        base_url=_base_url_of(llm, provider),
    )


def bare_class_of(llm: Any) -> Any:
    """Give the provider's class of an LLM that has our taps before it."""
    kind: Any = llm.__class__
    return kind.bare


def is_streaming(llm: Any) -> bool:
    """Say whether this call's answer is streamed (a scope of CrewAI may override the field)."""
    effective = getattr(llm, "_effective_stream", None)
    return bool(effective() if effective is not None else llm.stream)


def address_of(llm: BaseLLM) -> tuple[str, str]:
    """Give the provider's id in the price catalogue, and the model as the provider writes it."""
    prefix, slash, rest = llm.model.partition("/")
    named = str(llm.provider or "openai")
    if slash and prefix == named:
        return _id_of(prefix), rest
    if slash and llm.is_litellm and prefix in BY_PREFIX:
        return BY_PREFIX[prefix].id, rest
    return _id_of(named), llm.model


def _id_of(name: str) -> str:
    row = BY_PREFIX.get(name) or BY_ID.get(name)
    return _IDS.get(name) or (row.id if row else name)


def _base_url_of(llm: Any, provider: str) -> str:
    """Give the address a call goes to; empty for the provider's own."""
    given = getattr(llm, "base_url", None) or getattr(llm, "api_base", None)
    client = getattr(llm, "_client", None)
    address = str(given or getattr(client, "base_url", "") or "").rstrip("/")
    row = BY_ID.get(provider)
    home = row.home.rstrip("/") if row else ""
    return "" if address == home else address


def limits_of(llm: Any) -> tuple[int | None, int | None]:
    """Give the output maximum the caller set, and the one that is sent where none was set.

    AnthropicCompletion fills its field with what the model can give at most, since the API wants
    one: that is no wish of the caller's.
    """
    limit = next((getattr(llm, name, None) for name in LIMIT_FIELDS if _is_set(llm, name)), None)
    limit = None if limit is None else int(limit)
    kind: Any = llm.__class__
    own = own_limit_of(kind, llm.model)
    return (None, own) if limit is not None and limit == own else (limit, None)


@lru_cache(maxsize=256)
def own_limit_of(kind: Any, model: str) -> int | None:
    """Give the output maximum that AnthropicCompletion fills in by itself for a model."""
    for each in kind.__mro__:
        filled = getattr(sys.modules.get(each.__module__), "_default_max_tokens_for_model", None)
        if filled is not None:
            return int(filled(model))
    return None


def _is_set(llm: Any, name: str) -> bool:
    return isinstance(getattr(llm, name, None), int | float)


def _message_of(written: dict[str, Any]) -> Message:
    """Read a message, without what CrewAI notes beside it; files are told apart by their names."""
    kept = {k: v for k, v in written.items() if k not in _BOOKKEEPING and v is not None}
    files = kept.pop("files", None)
    message = message_of({"content": None, **kept})
    if not files:
        return message
    names = Text(json.dumps({str(k): repr(v) for k, v in dict(files).items()}, sort_keys=True))
    return replace(
        message, parts=(*message.parts, names), extra={**message.extra, "files": UNKEYED}
    )


def _tools_of(llm: Any, asked: Asked) -> tuple[Mapping[str, Json], ...]:
    """Give the tools as function tools of chat completions: the provider's own reading of them."""
    tools = asked.tools or ()
    if not tools:
        return ()
    converted = list_of(llm._convert_tools_for_interference(tools))  # noqa: SLF001 - as it is sent
    if all("function" in object_of(tool) for tool in converted):
        return tuple(object_of(tool) for tool in converted)
    return tuple(object_of(tool) or {"tool": repr(tool)} for tool in list_of(tools))


def _params_of(llm: BaseLLM, asked: Asked) -> Iterator[tuple[str, Json]]:
    """Gather what else changes the answer, under the names of chat completions."""
    yield from _set_fields(llm)
    yield from llm.additional_params.items()
    if llm.stop_sequences:
        yield "stop", list(llm.stop_sequences)
    shape = asked.response_model or getattr(llm, "response_format", None)
    if shape is not None:
        yield "response_format", _format_of(shape)
    for name, value in asked.given.items():
        if name not in _NAMES and value is not None:
            yield name, _plain(value)
    if asked.available_functions:
        yield "available_functions", UNKEYED  # CrewAI runs them inside the call
    if _is_chained(llm):
        yield "previous_response_id", True


def _is_chained(llm: Any) -> bool:
    """Say whether an answer changes the next question: kept by the provider, or by the LLM."""
    stateful = ("auto_chain", "auto_chain_reasoning", "thinking", "builtin_tools", "tool_search")
    return any(getattr(llm, name, None) for name in stateful)


def _set_fields(llm: BaseLLM) -> Iterator[tuple[str, Json]]:
    for name, default in _telling_fields(type(llm)):
        value = getattr(llm, name, None)
        if value is not None and value != default:
            yield name, _plain(value)


@lru_cache(maxsize=256)
def _telling_fields(kind: type[BaseLLM]) -> tuple[tuple[str, Any], ...]:
    """List the fields of a class that may change an answer, each with its default."""
    return tuple(
        (name, None if each.default is PydanticUndefined else each.default)
        for name, each in kind.model_fields.items()
        if not (name in _TOLD or each.exclude or name.endswith(("_key", "_token", "_secret")))
    )


def _format_of(shape: Any) -> Json:
    if isinstance(shape, type) and issubclass(shape, BaseModel):
        schema = {"name": shape.__name__, "schema": shape.model_json_schema()}
        return {"type": "json_schema", "json_schema": schema}
    return _plain(shape)


def _plain(value: Any) -> Json:
    """Write pydantic's values as JSON; what has no JSON form stays, and the request has no key."""
    if isinstance(value, BaseModel):
        return cast("Json", value.model_dump(mode="json", warnings=False))
    return value
