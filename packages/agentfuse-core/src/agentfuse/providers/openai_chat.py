"""OpenAI's Chat Completions API and all who speak it: the codec, and the four ways to ask.

``request_of``, ``body_of``, ``ask``, ``open_stream``, ``aask`` and ``aopen_stream`` have the same
form in ``anthropic_messages``, so that a caller picks a module by ``Target.api``.
"""

from __future__ import annotations

import inspect
import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from agentfuse.errors import ProviderFailed
from agentfuse.messages import Delta
from agentfuse.providers.chat_replies import completion_body, completion_of, reply_of_body
from agentfuse.providers.chat_requests import body_of, request_of
from agentfuse.providers.chat_streams import body_of_chunks, chunks_of_body, said_by
from agentfuse.providers.wire_json import object_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from openai import AsyncStream, Stream
    from openai.types.chat import ChatCompletion, ChatCompletionChunk

    from agentfuse.messages import Json, Reply, Request
    from agentfuse.semantics import SemanticHit
    from agentfuse.tickets import Answered

__all__ = [
    "OpenAIChat",
    "aask",
    "aopen_stream",
    "ask",
    "body_of",
    "codec_of",
    "open_stream",
    "request_of",
    "wants_usage",
]


class OpenAIChat:
    """Speaks ChatCompletion to the provider and to the caller alike.

    ``provider`` and ``model`` are whom the request went to; ``include_usage`` says that the caller
    of a stream asked for its usage chunk (see ``wants_usage``): if not, it is kept from them.
    """

    __slots__ = ("_hit", "_include_usage", "_model", "_provider")

    def __init__(
        self, provider: str = "openai", model: str = "", *, include_usage: bool = False
    ) -> None:
        self._provider = provider
        self._model = model
        self._include_usage = include_usage
        self._hit: SemanticHit | None = None

    def answered(self, ticket: Answered) -> None:
        """Note why a semantic answer was taken for one."""
        self._hit = ticket.hit

    def reply_of(self, result: ChatCompletion) -> Reply:
        """Read a whole answer, with all its choices."""
        raw = result.model_dump_json(exclude_unset=True, warnings=False)
        return reply_of_body(json.loads(raw), provider=self._provider, model=self._model, raw=raw)

    def answer_of(self, result: ChatCompletion) -> ChatCompletion:
        """Give what came off the wire, as it is."""
        return result

    def result_of(self, reply: Reply) -> ChatCompletion:
        """Make a fresh ChatCompletion of any reply."""
        return completion_of(reply, self._hit)

    def delta_of(self, chunk: ChatCompletionChunk) -> Delta:
        """Read what a chunk adds to the billed output, over all choices."""
        return Delta("".join(said_by(choice.delta) for choice in chunk.choices or ()))

    def shown(self, chunk: ChatCompletionChunk) -> tuple[ChatCompletionChunk, ...]:
        """Give the chunk, unless it is the usage that only we asked for."""
        if chunk.usage is not None and not chunk.choices and not self._include_usage:
            return ()
        return (chunk,)

    def joined(self, chunks: Sequence[ChatCompletionChunk]) -> Reply:
        """Read the chunks of a stream, whole or cut, as one answer."""
        body = body_of_chunks(
            chunk.model_dump(mode="json", exclude_unset=True, warnings=False) for chunk in chunks
        )
        return reply_of_body(body, provider=self._provider, model=self._model)

    def chunks_of(self, reply: Reply) -> Iterator[ChatCompletionChunk]:
        """Replay a reply as the chunks of a true stream."""
        return chunks_of_body(completion_body(reply, self._hit), include_usage=self._include_usage)


def wants_usage(body: Mapping[str, Json]) -> bool:
    """Tell whether a caller asked a stream for its usage chunk."""
    return bool(object_of(body.get("stream_options")).get("include_usage"))


def codec_of(request: Request) -> OpenAIChat:
    """Make the codec of one call."""
    return OpenAIChat(request.provider, request.model, include_usage=wants_usage(request.params))


def ask(client: Any, request: Request) -> ChatCompletion:
    """Ask and wait for the whole answer; raises what the SDK raises."""
    create = client.chat.completions.create
    answer: ChatCompletion = checked(create(**arguments_of(create, body_of(request))), "choices")
    return answer


def open_stream(client: Any, request: Request) -> Stream[ChatCompletionChunk]:
    """Ask for a stream; the first chunk may still be on its way."""
    create = client.chat.completions.create
    return create(**arguments_of(create, body_of(request)))  # type: ignore[no-any-return]


async def aask(client: Any, request: Request) -> ChatCompletion:
    """Ask and await the whole answer; raises what the SDK raises."""
    create = client.chat.completions.create
    said = await create(**arguments_of(create, body_of(request)))
    answer: ChatCompletion = checked(said, "choices")
    return answer


async def aopen_stream(client: Any, request: Request) -> AsyncStream[ChatCompletionChunk]:
    """Ask for a stream of an awaited client."""
    create = client.chat.completions.create
    return await create(**arguments_of(create, body_of(request)))  # type: ignore[no-any-return]


def arguments_of(create: Callable[..., Any], body: dict[str, Json]) -> dict[str, Any]:
    """Give a body as the SDK method's arguments; what the SDK does not know goes in the body."""
    known = _parameters_of(getattr(create, "__func__", create))
    arguments = {name: value for name, value in body.items() if name in known}
    unknown = {name: value for name, value in body.items() if name not in known}
    if unknown:
        arguments["extra_body"] = {**(arguments.get("extra_body") or {}), **unknown}
    return arguments


@lru_cache(maxsize=64)
def _parameters_of(create: Callable[..., Any]) -> frozenset[str]:
    """Name what an SDK method takes; its releases add and drop parameters."""
    return frozenset(inspect.signature(create).parameters)


def checked(result: Any, needed: str) -> Any:
    """Refuse what is no answer: SDKs pass on text or null that a proxy sent in its place.

    Raises ProviderFailed of kind ``malformed``.
    """
    if getattr(result, needed, None) is None:
        shown = str(result)[:200]
        raise ProviderFailed(f"the provider sent no answer but {shown!r}", kind="malformed")
    return result
