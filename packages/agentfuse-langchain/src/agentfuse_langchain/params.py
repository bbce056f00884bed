"""The parameters of a call: everything beside model, messages and tools that changes the answer."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pydantic_core import PydanticUndefined

from agentfuse_langchain.json_values import digest_of, is_secretive, plain_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from langchain_core.language_models import BaseChatModel

    from agentfuse.messages import Json

LIMIT_WORDS = (
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "max_tokens_to_sample",
    "max_new_tokens",
)
"""How providers and their LangChain classes call the most tokens of an answer."""

ADDRESS_FIELDS = ("openai_api_base", "anthropic_api_url", "base_url", "azure_endpoint", "endpoint")
"""Where a model's address may stand, first found wins."""

# Who is asked and what, told elsewhere in a request.
_TOLD = frozenset({"model", "model_name", "messages", "tools", *LIMIT_WORDS, *ADDRESS_FIELDS})

# How a call travels, is repeated, watched or named, which leaves the answer as it is: LangChain's
# own fields (BaseChatModel, BaseLanguageModel, RunnableSerializable), clients and timeouts.
_TRAVEL = frozenset(
    {
        *("_type", "cache", "callbacks", "custom_get_token_ids", "disable_streaming", "fuse"),
        *("max_retries", "model_kwargs", "name", "profile", "rate_limiter", "tags", "verbose"),
        *("ls_structured_output_format", "structured_output_format"),
        *("stream", "streaming", "stream_options", "stream_usage", "stream_chunk_timeout"),
        *("default_request_timeout", "request_timeout", "timeout"),
        *("anthropic_proxy", "openai_proxy", "http_socket_options", "tiktoken_model_name"),
    }
)
# Fields whose name means something else as a parameter of a call.
_TRAVEL_AS_FIELD = frozenset({"metadata"})
_CLIENT = "client"


def params_of(
    model: BaseChatModel, stop: list[str] | None, kwargs: Mapping[str, Any]
) -> dict[str, Json]:
    """Gather a call's parameters: the provider's own account, its fields, and the call's words.

    Fields at their defaults say nothing, empty ones neither. A value without a JSON form stays as
    it is: such a request has no key and is never answered from memory.
    """
    told: Any = model  # the account a model gives of a call to its callbacks, protected by its name
    found: dict[str, Any] = dict(_set_fields(model))
    found.update(told._get_invocation_params(stop=stop))  # noqa: SLF001
    found.update(getattr(model, "model_kwargs", None) or {})
    found.update(kwargs)
    if stop is not None:
        found["stop"] = stop
    if found.get("use_previous_response_id"):
        found["previous_response_id"] = True
    return {name: _written(name, value) for name, value in found.items() if _matters(name, value)}


def _matters(name: str, value: Any) -> bool:
    if name in _TOLD or name in _TRAVEL or value is None:
        return False
    return not (isinstance(value, str | list | tuple | dict) and not value)


def _written(name: str, value: Any) -> Json:
    if is_secretive(name):
        return digest_of(value)
    if name == "response_format" and isinstance(value, type):
        return {"type": "json_schema", "json_schema": plain_of(value)}
    return plain_of(value)


def _set_fields(model: BaseChatModel) -> Iterator[tuple[str, Any]]:
    for name, default in _telling_fields(type(model)):
        value = getattr(model, name, None)
        if value is not default and not (type(value) is type(default) and value == default):
            yield name, value


@lru_cache(maxsize=256)
def _telling_fields(kind: type[BaseChatModel]) -> tuple[tuple[str, Any], ...]:
    """List the fields of a class that may change an answer, each with its default."""
    defaults = {name: field.default for name, field in kind.model_fields.items()}
    return tuple(
        (name, None if defaults[name] is PydanticUndefined else defaults[name])
        for name in fields_that_tell(kind)
        if name not in _TOLD and name not in _TRAVEL
    )


def fields_that_tell(kind: type[BaseChatModel]) -> tuple[str, ...]:
    """Name the fields of a class that say what is asked of whom; clients and keys are none."""
    return tuple(
        name
        for name, field in kind.model_fields.items()
        if not (
            field.exclude
            or (name in _TRAVEL and name != "model_kwargs")
            or name in _TRAVEL_AS_FIELD
            or name.endswith(_CLIENT)
            or _is_key(name)
        )
    )


def _is_key(name: str) -> bool:
    """Say whether a field holds the key of an account, which is no part of the question."""
    return is_secretive(name) and not name.endswith("headers")
