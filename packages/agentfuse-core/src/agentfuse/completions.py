"""``completion()`` and ``acompletion()``: any provider's chat in OpenAI's shape, through a fuse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, overload

from agentfuse.errors import ConfigurationError
from agentfuse.runtime.calling import Calling
from agentfuse.runtime.default import default_fuse
from agentfuse.scopes import routed_by, scope

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from openai.types.chat import ChatCompletion, ChatCompletionChunk

    from agentfuse.messages import Json
    from agentfuse.money import Dollars
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
    shared), ``cache_mode`` (the ``cache`` of ``agentfuse.scope``), ``api_key`` (a list of keys
    takes turns), ``base_url``, ``timeout`` (seconds), and ``fuse`` (in place of the process's own).
    ``api_key`` and ``base_url`` are the asked provider's alone: a fallback of another one has its
    own from ``Fuse(keys=...)`` or the environment. ``auto_route`` is True (the fuse's router
    chooses, whichever model is asked), False (nobody does), or a ``Router`` or ``Cascade`` for
    this call.

    Raises BudgetExceeded before anything is sent, UnknownPrice for a budgeted model without a
    price, ConfigurationError for what cannot be asked (no key, no messages, unknown provider), and
    ProviderFailed, from the SDK's own error, once no further attempt is worth it.
    """
    route = options.pop("auto_route", None)
    with scope(cache=options.pop("cache_mode", None) or ""), routed_by(route):
        call = _call_of(model, messages, options, stream=stream)
        if stream:
            return call.fuse.stream(call.request, call.open_stream, call.codec, call.ask)
        answer: ChatCompletion = call.fuse.call(call.request, call.sending, call.codec)
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
    with scope(cache=options.pop("cache_mode", None) or ""), routed_by(route):
        call = _call_of(model, messages, options, stream=stream)
        if stream:
            return await call.fuse.astream(call.request, call.aopen_stream, call.codec, call.aask)
        answer: ChatCompletion = await call.fuse.acall(call.request, call.asending, call.codec)
        return answer


def _call_of(model: str, messages: Messages, options: dict[str, Any], *, stream: bool) -> Calling:
    if not messages:
        raise ConfigurationError("messages is empty: there is nothing to ask")
    take = options.pop
    fuse = _fuse_of(take("fuse", None), take("budget_id", None), take("budget_usd", None))
    return Calling.of(fuse, model, messages, options, stream=stream)


def _fuse_of(fuse: Fuse | None, budget_id: str | None, budget: Dollars | None) -> Fuse:
    if fuse is None:
        return default_fuse().run(budget_id, budget)
    if budget_id is not None or budget is not None:
        raise ConfigurationError("give a fuse or a budget, not both: the fuse has its own")
    return fuse
