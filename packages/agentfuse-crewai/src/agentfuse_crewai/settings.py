"""What an LLM's own settings say of each of its calls, made out once for each set of them."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from agentfuse.providers.directory import BY_ID, BY_PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from crewai.llms.base_llm import BaseLLM

    from agentfuse.messages import Json

LIMIT_FIELDS = ("max_completion_tokens", "max_output_tokens", "max_tokens")
"""The fields an output maximum may stand in, first found wins, as CrewAI's providers read them."""

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

# With one of these, an answer changes the next question: kept by the provider, or by the LLM.
_STATEFUL = ("auto_chain", "auto_chain_reasoning", "thinking", "builtin_tools", "tool_search")

_ADDRESS_FIELDS = ("model", "provider", "is_litellm", "base_url", "api_base")

# Values that cannot change in place, so what was made of equal ones holds.
_LASTING = frozenset((str, int, float, bool, type(None)))

# Sets of settings remembered of one class; a program has a handful.
_MOST = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Whom an LLM asks, and with which parameters.

    ``provider`` is its id in the price catalogue, ``model`` as the provider writes it. ``limit`` is
    the output maximum the caller set, ``ceiling`` the one that is sent where none was set.
    ``base_url`` is empty for the provider's own address, and None where the client knows it.
    """

    provider: str
    model: str
    limit: int | None
    ceiling: int | None
    base_url: str | None
    params: Mapping[str, Json]
    chained: bool


def settings_of(llm: BaseLLM) -> Settings:
    """Read an LLM's settings as they stand now: any of them may be set between two calls."""
    return _reader_of(type(llm)).read(llm)


def address_of(llm: BaseLLM) -> tuple[str, str]:
    """Give the provider's id in the price catalogue, and the model as the provider writes it."""
    settings = settings_of(llm)
    return settings.provider, settings.model


class _Reader:
    """Reads the settings of one class's LLMs; what it made of the very same values, it knows.

    What is no field is looked for where an LLM keeps whatever is set on it, or, where its class has
    a word to say, as any attribute is.
    """

    __slots__ = ("_computed", "_held", "_kind", "_known")

    def __init__(self, kind: type[BaseLLM]) -> None:
        told = (name for name, _ in _telling_fields(kind))
        names = dict.fromkeys((*_ADDRESS_FIELDS, *LIMIT_FIELDS, *_STATEFUL, *told))
        above = kind.__mro__[: kind.__mro__.index(BaseModel)]
        answers_any = any("__getattr__" in vars(each) for each in above)
        answers_any = answers_any or kind.model_config.get("extra") == "allow"
        fields = kind.model_fields
        self._computed = [n for n in names if n not in fields and (answers_any or hasattr(kind, n))]
        self._held = [name for name in names if name not in self._computed]
        self._kind = kind
        # By the values' ids, which stay theirs as long as the values are kept beside.
        self._known: dict[tuple[int, ...], tuple[list[Any], Settings]] = {}

    def read(self, llm: BaseLLM) -> Settings:
        """Give an LLM's settings."""
        values = [*map(llm.__dict__.get, self._held)]
        if self._computed:
            values += [getattr(llm, name, None) for name in self._computed]
        key = tuple(map(id, values))
        known = self._known.get(key)
        if known is not None:
            return known[1]
        settings = _settings_in(self._named(values), self._kind)
        if _LASTING.issuperset(map(type, values)):
            if len(self._known) >= _MOST:
                self._known = {}
            self._known[key] = (values, settings)
        return settings

    def _named(self, values: list[Any]) -> dict[str, Any]:
        return dict(zip((*self._held, *self._computed), values, strict=True))


_reader_of = lru_cache(maxsize=256)(_Reader)


def _settings_in(found: Mapping[str, Any], kind: type[BaseLLM]) -> Settings:
    provider, model = _address_in(found)
    limit, ceiling = _limits_in(found, kind)
    return Settings(
        provider=provider,
        model=model,
        limit=limit,
        ceiling=ceiling,
        base_url=_base_url_in(found, provider),
        params=dict(_params_in(found, kind)),
        chained=any(found[name] for name in _STATEFUL),
    )


def _address_in(found: Mapping[str, Any]) -> tuple[str, str]:
    prefix, slash, rest = found["model"].partition("/")
    named = str(found["provider"] or "openai")
    if slash and prefix == named:
        return _id_of(prefix), rest
    if slash and found["is_litellm"] and prefix in BY_PREFIX:
        return BY_PREFIX[prefix].id, rest
    return _id_of(named), found["model"]


def _id_of(name: str) -> str:
    row = BY_PREFIX.get(name) or BY_ID.get(name)
    return _IDS.get(name) or (row.id if row else name)


def _base_url_in(found: Mapping[str, Any], provider: str) -> str | None:
    given = found["base_url"] or found["api_base"]
    return away_from_home(given, provider) if given else None


def away_from_home(address: Any, provider: str) -> str:
    """Give an address a call goes to; empty for the provider's own."""
    written = str(address or "").rstrip("/")
    row = BY_ID.get(provider)
    return "" if written == (row.home.rstrip("/") if row else "") else written


def _limits_in(found: Mapping[str, Any], kind: Any) -> tuple[int | None, int | None]:
    """Give the output maximum the caller set, and the one that is sent where none was set.

    AnthropicCompletion fills its field with what the model can give at most, since the API wants
    one: that is no wish of the caller's.
    """
    limits = (found[name] for name in LIMIT_FIELDS)
    given = next((each for each in limits if isinstance(each, int | float)), None)
    limit = None if given is None else int(given)
    own = _own_limit_of(kind, found["model"])
    return (None, own) if limit is not None and limit == own else (limit, None)


@lru_cache(maxsize=256)
def _own_limit_of(kind: Any, model: str) -> int | None:
    """Give the output maximum that AnthropicCompletion fills in by itself for a model."""
    for each in kind.__mro__:
        filled = getattr(sys.modules.get(each.__module__), "_default_max_tokens_for_model", None)
        if filled is not None:
            return int(filled(model))
    return None


def _params_in(found: Mapping[str, Any], kind: type[BaseLLM]) -> Iterator[tuple[str, Json]]:
    for name, default in _telling_fields(kind):
        value = found[name]
        if value is not None and value != default:
            yield name, plain_value(value)


@lru_cache(maxsize=256)
def _telling_fields(kind: type[BaseLLM]) -> tuple[tuple[str, Any], ...]:
    """List the fields of a class that may change an answer, each with its default."""
    return tuple(
        (name, None if each.default is PydanticUndefined else each.default)
        for name, each in kind.model_fields.items()
        if not (name in _TOLD or each.exclude or name.endswith(("_key", "_token", "_secret")))
    )


def plain_value(value: Any) -> Json:
    """Write pydantic's values as JSON; what has no JSON form stays, and the request has no key."""
    if isinstance(value, BaseModel):
        return cast("Json", value.model_dump(mode="json", warnings=False))
    return value
