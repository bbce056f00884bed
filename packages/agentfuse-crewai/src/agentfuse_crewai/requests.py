"""One call of a CrewAI LLM as a request in the policy's words."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from agentfuse.messages import Message, Request, Text
from agentfuse.nothing import NOTHING
from agentfuse.own_state import own_state_of
from agentfuse.providers.chat_requests import message_of
from agentfuse.providers.wire_json import list_of
from agentfuse_crewai.settings import away_from_home, plain_value, settings_of
from agentfuse_crewai.tools import told_tools

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crewai.llms.base_llm import BaseLLM

    from agentfuse.messages import Json

_NAMES = ("tools", "callbacks", "available_functions", "from_task", "from_agent", "response_model")

# Messages' own keys that CrewAI keeps for itself (crewai.llms.cache, crewai.utilities.types).
_BOOKKEEPING = frozenset({"cache_breakpoint", "raw_tool_call_parts"})

# What most messages hold, and what those of an agent under way do.
_PLAINEST = frozenset({"role", "content"})
_PLAIN = _PLAINEST | {"tool_calls", "tool_call_id", "name"}

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
        if args:
            kwargs = {**dict(zip(_NAMES, args, strict=False)), **kwargs}
        return cls(messages, kwargs)

    def get(self, name: str) -> Any:
        """Give an argument of ``BaseLLM.call``, None where it was left out."""
        return self.given.get(name)

    @property
    def listed(self) -> list[dict[str, Any]]:
        """The messages as a fresh list of fresh dicts."""
        return [dict(message) for message in self.written]

    @property
    def written(self) -> list[dict[str, Any]]:
        """The messages as they came, to read; a text alone is the user's."""
        if isinstance(self.messages, str):
            return [{"role": "user", "content": self.messages}]
        return [each if isinstance(each, dict) else {} for each in list_of(self.messages)]


def request_of(llm: BaseLLM, asked: Asked) -> Request:
    """Read a call: whom it asks, what, and with which parameters."""
    settings = settings_of(llm)
    params = {**settings.params, **_params_of(llm, asked)}
    if settings.chained:
        params["previous_response_id"] = True
    return Request(
        provider=settings.provider,
        model=settings.model,
        messages=tuple([_message_of(message) for message in asked.written]),
        api="crewai",
        max_output_tokens=settings.limit,
        output_ceiling=settings.ceiling,
        tools=told_tools(llm, asked.get("tools")),
        params=params or NOTHING,
        stream=is_streaming(llm),
        base_url=settings.base_url
        if settings.base_url is not None
        else away_from_home(_clients_address_of(llm), settings.provider),
    )


def bare_class_of(llm: Any) -> Any:
    """Give the provider's class of an LLM that has our taps before it."""
    kind: Any = llm.__class__
    return kind.bare


def is_streaming(llm: Any) -> bool:
    """Say whether this call's answer is streamed (a scope of CrewAI may override the field)."""
    effective = getattr(llm, "_effective_stream", None)
    return bool(effective() if effective is not None else llm.stream)


def shape_of(llm: Any, asked: Asked) -> Any:
    """Give the form the answer must have: the call's, or the LLM's own."""
    return asked.get("response_model") or getattr(llm, "response_format", None)


def _clients_address_of(llm: Any) -> Any:
    return getattr(getattr(llm, "_client", None), "base_url", None)


def _message_of(written: dict[str, Any]) -> Message:
    """Read a message, without what CrewAI notes beside it; files are told apart by their names."""
    keys = written.keys()
    if keys == _PLAINEST and isinstance(written["content"], str):
        return Message(written["role"], (Text(written["content"]),))
    if keys <= _PLAIN:
        return message_of(written)
    kept = {k: v for k, v in written.items() if k not in _BOOKKEEPING and v is not None}
    files = kept.pop("files", None)
    message = message_of(kept)
    if not files:
        return message
    names = Text(json.dumps({str(k): repr(v) for k, v in dict(files).items()}, sort_keys=True))
    return replace(
        message, parts=(*message.parts, names), extra={**message.extra, "files": UNKEYED}
    )


def _params_of(llm: BaseLLM, asked: Asked) -> dict[str, Json]:
    """Gather what else changes the answer, under the names of chat completions."""
    params: dict[str, Json] = dict(llm.additional_params)
    stop = llm.stop_sequences
    if stop:
        params["stop"] = list(stop)
    shape = shape_of(llm, asked)
    if shape is not None:
        params["response_format"] = _format_of(shape)
    for name, value in asked.given.items():
        if name not in _NAMES and value is not None:
            params[name] = plain_value(value)
    if asked.get("available_functions"):
        params["available_functions"] = UNKEYED  # CrewAI runs them inside the call
    own = own_state_of(llm, "crewai.")
    if own is not None:
        params["own_state"] = own
    return params


def _format_of(shape: Any) -> Json:
    if isinstance(shape, type) and issubclass(shape, BaseModel):
        return _schema_of(shape, shape.__pydantic_validator__)
    return plain_value(shape)


@lru_cache(maxsize=256)
def _schema_of(shape: type[BaseModel], _validator: object) -> Json:
    """Write a class's schema, anew where it was rebuilt: then its validator is another."""
    schema = {"name": shape.__name__, "schema": shape.model_json_schema()}
    return {"type": "json_schema", "json_schema": schema}
