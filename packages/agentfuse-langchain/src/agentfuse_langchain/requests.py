"""One call of a hook as a request, and what the policy changed in it as words for the hook."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from agentfuse.by_content import ByContent
from agentfuse.messages import Media, Request
from agentfuse.nothing import NOTHING
from agentfuse.own_state import own_state_of
from agentfuse.providers.directory import PROVIDERS
from agentfuse.providers.reach import require_reach
from agentfuse_langchain.accounts import account_of
from agentfuse_langchain.json_values import plain_of
from agentfuse_langchain.messages import message_of
from agentfuse_langchain.params import ADDRESS_FIELDS
from agentfuse_langchain.prompt_caching import caching_words, marked
from agentfuse_langchain.rewriting import rewritten
from agentfuse_langchain.substitutes import own_maximum_of, speaker_for

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import BaseMessage

    from agentfuse.messages import Json
    from agentfuse_langchain.accounts import Account

_HOMES = {row.home.rstrip("/"): row.id for row in PROVIDERS if row.home}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """One call: what is asked of which model, and the words it was asked in.

    ``limit_word`` is how the provider's class takes an output maximum for one call, and
    ``speaks_its_maximum`` says that it sends its model's own where none is asked for.
    ``forces_usage`` says that a stream is told to report its usage although the caller's model
    would not have it, so that it is kept from the caller again. ``streams_blocks`` says that a
    stream of this call carries even plain text as blocks. ``schema`` is the pydantic class that the
    provider parses the answer into.
    """

    model: BaseChatModel
    messages: Sequence[BaseMessage]
    request: Request
    kwargs: Mapping[str, Any]
    limit_word: str
    speaks_its_maximum: bool = False
    forces_usage: bool = False
    streams_blocks: bool = False
    schema: Any = None

    @classmethod
    def of(
        cls,
        model: BaseChatModel,
        messages: Sequence[BaseMessage],
        stop: list[str] | None,
        kwargs: Mapping[str, Any],
        *,
        stream: bool = False,
    ) -> Asking:
        """Read a call of a hook; nothing secret enters the request."""
        account = account_of(model, stop, kwargs)
        request = _asked(account, model, messages, kwargs, stream=stream)
        return cls(
            model=model,
            messages=messages,
            request=request,
            kwargs=kwargs,
            limit_word=account.limit_word,
            speaks_its_maximum=account.speaks_its_maximum,
            forces_usage=stream and _is_silent_on_usage(model, kwargs),
            streams_blocks=stream and _streams_blocks(request),
            schema=_schema_in(kwargs, model),
        )

    def kwargs_for(self, request: Request) -> dict[str, Any]:
        """Give the hook's words for a request that the policy may have changed, and no other."""
        require_reach(self.request, request, "this chat model")
        words = {**self.kwargs, **caching_words(request.caching, self.kwargs)}
        if self.forces_usage and request.stream:
            words["stream_usage"] = True
        if request.model != self.request.model:
            words["model"] = request.model
            if request.max_output_tokens is None and self.speaks_its_maximum:
                words[self.limit_word] = own_maximum_of(self.model, request.model)
        if request.max_output_tokens != self.request.max_output_tokens:
            words[self.limit_word] = request.max_output_tokens
        return words

    def speaker_for(self, request: Request) -> BaseChatModel:
        """Give the model whose hook asks this request."""
        if request.model == self.request.model:
            return self.model
        return speaker_for(self.model, request.model, self.kwargs)

    def messages_for(self, request: Request) -> list[BaseMessage]:
        """Give the caller's own messages, and new ones where the policy changed them."""
        if request.messages is self.request.messages:
            return marked(self.messages, request.caching)
        own = rewritten(self.messages, self.request.messages, request.messages)
        return marked(own, request.caching)


def request_of(
    model: BaseChatModel,
    messages: Sequence[BaseMessage],
    stop: list[str] | None,
    kwargs: Mapping[str, Any],
    *,
    stream: bool = False,
) -> Request:
    """Read what a hook is asked, in the policy's words."""
    return _asked(account_of(model, stop, kwargs), model, messages, kwargs, stream=stream)


def _asked(
    account: Account,
    model: BaseChatModel,
    messages: Sequence[BaseMessage],
    kwargs: Mapping[str, Any],
    *,
    stream: bool,
) -> Request:
    address = _address_of(model)
    home = _HOMES.get(address)
    own = own_state_of(model, "langchain")
    tools = kwargs.get("tools", _own_words_of(model).get("tools"))
    return Request(
        provider=home or account.provider,
        model=account.model,
        messages=tuple(map(message_of, messages)),
        api="langchain",
        max_output_tokens=account.limit,
        tools=_plain_tools(tools) if tools else (),
        params=account.params if own is None else {**account.params, "own_state": own},
        stream=stream,
        base_url="" if home else address,
    )


def _own_words_of(model: BaseChatModel) -> Mapping[str, Any]:
    """Give the words that a model says in each call, unless the call has others."""
    return model.__dict__.get("model_kwargs") or NOTHING


def _plainly(tools: Sequence[Any]) -> tuple[Mapping[str, Json], ...]:
    plain: tuple[Mapping[str, Json], ...] = tuple(map(plain_of, tools))
    return plain


_plain_tools = ByContent(_plainly)


def _address_of(model: BaseChatModel) -> str:
    """Give the address a model speaks to, without a slash at its end; empty where none is told."""
    for field in _address_fields_of(type(model)):
        address = getattr(model, field, None)
        if isinstance(address, str) and address:
            return address.rstrip("/")
    # ChatOpenAI's SDK client reads OPENAI_BASE_URL itself.
    client = getattr(model, "root_client", None)
    return str(getattr(client, "base_url", "")).rstrip("/")


@lru_cache(maxsize=256)
def _address_fields_of(kind: type[BaseChatModel]) -> tuple[str, ...]:
    """List what a class has of these, as ``_limit_fields_of``."""
    known = kind.model_fields
    return tuple(word for word in ADDRESS_FIELDS if word in known or hasattr(kind, word))


def _is_silent_on_usage(model: Any, kwargs: Mapping[str, Any]) -> bool:
    """Say whether a stream of this model would end without usage, and could be told otherwise.

    BaseChatOpenAI asks for usage only at OpenAI's own address (its ``stream_usage``), and its
    Responses API always sends it; ChatAnthropic drops it with ``stream_usage=False``.
    """
    if "stream_usage" not in model.__class__.model_fields:
        return False
    if not _is_openais(model):
        asked = kwargs.get("stream_usage")
        return not (model.stream_usage if asked is None else asked)
    answers = getattr(model, "_use_responses_api", None)
    if answers is not None and answers({**kwargs, **(model.model_kwargs or {})}):
        return False
    return not model._should_stream_usage(**kwargs)  # noqa: SLF001 - langchain-openai decides by it


def _is_openais(model: Any) -> bool:
    """Recognise BaseChatOpenAI and its subclasses, without importing langchain-openai."""
    return hasattr(model, "_should_stream_usage")


def _schema_in(kwargs: Mapping[str, Any], model: BaseChatModel) -> Any:
    asked = kwargs.get("response_format")
    return asked if asked is not None and _is_openais(model) else None


def _streams_blocks(request: Request) -> bool:
    """Say whether ChatAnthropic keeps blocks in a stream (its ``coerce_content_to_string``)."""
    if request.provider != "anthropic":
        return False
    media = (part for message in request.messages for part in message.parts)
    return (
        bool(request.tools)
        or "thinking" in request.params
        or any(isinstance(part, Media) and part.kind == "document" for part in media)
    )
