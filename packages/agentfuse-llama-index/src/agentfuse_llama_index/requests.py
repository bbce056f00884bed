"""One call of an LLM that is metered as a whole: as a request, and asked again as it was."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.llms import LLM
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from agentfuse.errors import ConfigurationError
from agentfuse.messages import Request
from agentfuse.nothing import NOTHING
from agentfuse.own_state import own_state_of
from agentfuse.providers.directory import BY_ID, BY_PREFIX
from agentfuse.providers.reach import require_reach
from agentfuse.providers.wire_json import object_of
from agentfuse_llama_index.messages import chat_message_of, message_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from agentfuse.messages import Json

LIMIT_WORDS = ("max_tokens", "max_output_tokens", "max_completion_tokens", "max_new_tokens")
"""How LLM classes call the most tokens of an answer."""
MODEL_WORDS = ("model", "model_name", "model_id")
"""How LLM classes call their model."""

_ADDRESS_WORDS = ("api_base", "base_url", "endpoint")
# How a call travels or is repeated, and who asks.
_TRAVEL = frozenset({"timeout", "request_timeout", "max_retries", "reuse_client", "formatted"})
_SECRETIVE = re.compile(
    r"(api_?key|secret|password|token|credential|headers?|auth\w*)$", re.IGNORECASE
)
_PROVIDERS = {"google_genai": "google", "bedrock_converse": "aws", "bedrock": "aws"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """One call of ``chat`` or ``complete``: what is asked, and the arguments it was asked in."""

    llm: LLM
    request: Request
    question: Any
    chats: bool

    @classmethod
    def of(cls, llm: LLM, question: Any, options: Mapping[str, Any], *, stream: bool) -> Asking:
        """Read a call: ``question`` is its messages, or its prompt."""
        chats = not isinstance(question, str)
        messages = list(question) if chats else [ChatMessage(content=question)]
        words = {name: options[name] for name in options if options[name] is not None}
        if not chats and not llm.metadata.is_chat_model:
            words["completes"] = True  # such a model chats by a prompt of its own making
        kind = type(llm)
        model = _first(words, MODEL_WORDS) or llm.metadata.model_name or kind.__name__
        tools = words.pop("tools", None) or ()
        request = Request(
            provider=_provider_of(kind),
            model=str(model),
            messages=tuple(map(message_of, messages)),
            api="llama_index",
            max_output_tokens=_limit_of(llm, words),
            tools=tuple(map(_plain, tools)),
            params=dict(_params_of(llm, words)) or NOTHING,
            stream=stream,
            base_url=_first(vars(llm), _ADDRESS_WORDS).rstrip("/"),
        )
        return cls(llm=llm, request=request, question=question, chats=chats)

    def question_for(self, request: Request) -> Any:
        """Give the messages or the prompt, as they were but for what the policy changed."""
        if request.messages is self.request.messages:
            return self.question
        if not self.chats:
            return request.messages[-1].text
        kept = dict(zip(map(id, self.request.messages), self.question, strict=True))
        return [kept.get(id(each)) or chat_message_of(each) for each in request.messages]

    def changes_for(self, request: Request) -> tuple[dict[str, Any], dict[str, Any]]:
        """Tell what the policy changed as fields of the LLM, or else as words of the call.

        Raises ConfigurationError for an LLM that keeps its model under no name that we know.
        """
        kind = type(self.llm)
        require_reach(self.request, request, f"this {kind.__name__}")
        fields: dict[str, Any] = {}
        if request.model != self.request.model:
            fields[_model_field_of(kind)] = request.model
        if request.max_output_tokens == self.request.max_output_tokens:
            return fields, {}
        limit = next((word for word in LIMIT_WORDS if word in kind.model_fields), None)
        if limit is None:
            return fields, {LIMIT_WORDS[0]: request.max_output_tokens}
        fields[limit] = request.max_output_tokens
        return fields, {}


def _model_field_of(kind: type[LLM]) -> str:
    found = next((word for word in MODEL_WORDS if word in kind.model_fields), None)
    if found is None:
        raise ConfigurationError(
            f"{kind.__name__} keeps its model in none of {', '.join(MODEL_WORDS)}, so its calls"
            " cannot go to another: leave it out of downgrade="
        )
    return found


def _first(fields: Mapping[str, Any], words: tuple[str, ...]) -> str:
    return next((str(fields[word]) for word in words if fields.get(word)), "")


@lru_cache(maxsize=256)
def _provider_of(kind: type[LLM]) -> str:
    """Name the provider by the integration that a class comes from (``llama_index.llms.NAME``)."""
    for each in kind.__mro__:
        if each.__module__.startswith("llama_index.llms."):
            name = each.__module__.split(".")[2]
            row = BY_ID.get(name) or BY_PREFIX.get(name)
            return row.id if row else _PROVIDERS.get(name, name)
    return ""


def _limit_of(llm: LLM, words: Mapping[str, Any]) -> int | None:
    """Give the most output tokens that the caller asked for."""
    found = [words.get(word) for word in LIMIT_WORDS] + [
        vars(llm).get(word) for word in LIMIT_WORDS
    ]
    return next((limit for limit in found if isinstance(limit, int)), None)


def _params_of(llm: LLM, words: Mapping[str, Any]) -> Iterator[tuple[str, Json]]:
    """Gather what else changes an answer: the LLM's fields that are set, and the call's words.

    A value without a JSON form stays as it is: such a request has no key and is never answered from
    memory.
    """
    kind = type(llm)
    fields = vars(llm)
    given: dict[str, Any] = {
        name: fields.get(name) for name, default in _telling(kind) if fields.get(name) != default
    }
    extra = object_of(given.pop("additional_kwargs", None))
    for name, value in {**given, **extra, **words}.items():
        left = name in LIMIT_WORDS or name in MODEL_WORDS or name in _TRAVEL
        if not left and value is not None and value not in ({}, []):
            yield name, _plain(value)
    own = own_state_of(llm, "llama_index.")
    if own is not None:
        yield "own_state", own


@lru_cache(maxsize=256)
def _telling(kind: type[LLM]) -> tuple[tuple[str, Any], ...]:
    """List the fields of a class that may change an answer, each with its default."""
    common = {*LLM.model_fields, "fuse", *_ADDRESS_WORDS}
    return tuple(
        (name, None if field.default is PydanticUndefined else field.default)
        for name, field in kind.model_fields.items()
        if name not in common and not field.exclude and not _SECRETIVE.search(name)
    )


def _plain(value: Any) -> Json:
    """Write a value as JSON, where it has such a form."""
    kind: Any = value
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return kind.model_json_schema()
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    try:
        return json.loads(json.dumps(value))
    except (TypeError, ValueError):
        return value
