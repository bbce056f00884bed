"""``completion()`` and ``acompletion()``: any provider's chat in OpenAI's shape, through a fuse."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Literal, overload

from agentfuse.errors import ConfigurationError
from agentfuse.providers.clients import DEFAULT_TIMEOUT, ClientPool
from agentfuse.providers.names import access_of, address_of, target_of
from agentfuse.providers.reach import require_reach
from agentfuse.providers.translation import AsyncTranslated, Translated, retell
from agentfuse.runtime.default import default_fuse
from agentfuse.runtime.settings import environment
from agentfuse.scopes import routed_by

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence

    from openai.types.chat import ChatCompletion, ChatCompletionChunk

    from agentfuse.messages import Json, Request
    from agentfuse.money import Dollars
    from agentfuse.providers.names import Access, Target
    from agentfuse.runtime.fuse import Fuse
    from agentfuse.runtime.streams import AsyncMeteredStream, MeteredStream

    CompletionStream = MeteredStream[Any, ChatCompletionChunk]
    AsyncCompletionStream = AsyncMeteredStream[Any, ChatCompletionChunk]
    Messages = Sequence[Mapping[str, Json]]


@overload
def completion(
    model: str, messages: Messages, *, stream: Literal[False] = ..., **options: Any
) -> ChatCompletion: ...
@overload
def completion(
    model: str, messages: Messages, *, stream: Literal[True], **options: Any
) -> CompletionStream: ...
def completion(
    model: str, messages: Messages, *, stream: bool = False, **options: Any
) -> ChatCompletion | CompletionStream:
    """Ask a model by its name and get OpenAI's ``ChatCompletion``, or its chunks if ``stream``.

    ``model`` is a bare name (``gpt-4o``, ``claude-sonnet-4-6``) or ``provider/model``
    (``deepseek/deepseek-chat``); ``messages`` and further ``options`` are those of
    ``chat.completions.create``. AgentFuse reads for itself: ``budget_id`` and ``budget_usd`` (a run
    and what it may spend: ``5.00``, ``"$5"``, Decimal), ``tenant_id`` (whose answers may be
    shared), ``api_key``, ``base_url``, ``timeout`` (seconds), and ``fuse`` (in place of the
    process's own). ``auto_route`` is True (the fuse's router chooses, whichever model is asked),
    False (nobody does), or a ``Router`` or ``Cascade`` for this call.

    Raises BudgetExceeded before anything is sent, UnknownPrice for a budgeted model without a
    price, ConfigurationError for what cannot be asked (no key, no messages, unknown provider), and
    ProviderFailed, from the SDK's own error, once no further attempt is worth it.
    """
    route = options.pop("auto_route", None)
    call = _Call.of(model, messages, options, stream=stream)
    with routed_by(route):
        if stream:
            return call.fuse.stream(call.request, call.open_stream, call.codec)
        answer: ChatCompletion = call.fuse.call(call.request, call.ask, call.codec)
        return answer


@overload
async def acompletion(
    model: str, messages: Messages, *, stream: Literal[False] = ..., **options: Any
) -> ChatCompletion: ...
@overload
async def acompletion(
    model: str, messages: Messages, *, stream: Literal[True], **options: Any
) -> AsyncCompletionStream: ...
async def acompletion(
    model: str, messages: Messages, *, stream: bool = False, **options: Any
) -> ChatCompletion | AsyncCompletionStream:
    """Do as ``completion``, awaited."""
    route = options.pop("auto_route", None)
    call = _Call.of(model, messages, options, stream=stream)
    with routed_by(route):
        if stream:
            return await call.fuse.astream(call.request, call.aopen_stream, call.codec)
        answer: ChatCompletion = await call.fuse.acall(call.request, call.aask, call.codec)
        return answer


@dataclass(frozen=True, slots=True)
class _Call:
    """One call of ``completion``: what to ask, whom, in which dialect, and through which fuse."""

    fuse: Fuse
    request: Request
    codec: Any
    speech: Any
    access: Callable[[], Access]
    timeout: float

    @classmethod
    def of(cls, model: str, messages: Messages, options: dict[str, Any], *, stream: bool) -> _Call:
        """Take our own words out of the options; the rest is the provider's."""
        if not messages:
            raise ConfigurationError("messages is empty: there is nothing to ask")
        take = options.pop
        fuse = _fuse_of(take("fuse", None), take("budget_id", None), take("budget_usd", None))
        tenant, timeout = take("tenant_id", None), take("timeout", None) or DEFAULT_TIMEOUT
        target = target_of(model)
        base_url, key = take("base_url", None) or "", take("api_key", None) or ""
        access = partial(access_of, target, environment(), base_url=base_url, api_key=key)
        speech = _speech_of(target)
        body = {"messages": messages, **options}
        at = address_of(target, environment(), base_url=base_url)
        request = speech.request_of(target, body, tenant=tenant, stream=stream, base_url=at)
        return cls(fuse, request, speech.codec_of(request), speech, access, timeout)

    def access_for(self, request: Request) -> Access:
        """Say where the request goes, and with which key."""
        require_reach(self.request, request, "this call")
        return self.access()

    def ask(self, request: Request) -> Any:
        """Ask the provider and wait."""
        client = client_pool().client(self.access_for(request), self.timeout)
        try:
            return self.speech.ask(client, request)
        except Exception as error:  # noqa: BLE001 - sorted and raised again
            retell(error, request)

    def open_stream(self, request: Request) -> Iterator[Any]:
        """Open the provider's stream."""
        client = client_pool().client(self.access_for(request), self.timeout)
        try:
            return Translated(self.speech.open_stream(client, request), request)
        except Exception as error:  # noqa: BLE001 - sorted and raised again
            retell(error, request)

    async def aask(self, request: Request) -> Any:
        """Ask the provider, awaited."""
        client = client_pool().aclient(self.access_for(request), self.timeout)
        try:
            return await self.speech.aask(client, request)
        except Exception as error:  # noqa: BLE001 - sorted and raised again
            retell(error, request)

    async def aopen_stream(self, request: Request) -> AsyncIterator[Any]:
        """Open the provider's stream, awaited."""
        client = client_pool().aclient(self.access_for(request), self.timeout)
        try:
            return AsyncTranslated(await self.speech.aopen_stream(client, request), request)
        except Exception as error:  # noqa: BLE001 - sorted and raised again
            retell(error, request)


def _fuse_of(fuse: Fuse | None, budget_id: str | None, budget: Dollars | None) -> Fuse:
    if fuse is None:
        return default_fuse().run(budget_id, budget)
    if budget_id is not None or budget is not None:
        raise ConfigurationError("give a fuse or a budget, not both: the fuse has its own")
    return fuse


def _speech_of(target: Target) -> Any:
    """Give the module that speaks the target's dialect."""
    if target.api == "anthropic.messages":
        from agentfuse.providers import anthropic_messages

        return anthropic_messages
    from agentfuse.providers import openai_chat

    return openai_chat


@lru_cache(maxsize=1)
def client_pool() -> ClientPool:
    """Give the process's SDK clients."""
    return ClientPool()
