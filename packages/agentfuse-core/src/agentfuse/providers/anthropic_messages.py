"""Anthropic's Messages API on the wire, ChatCompletion for the caller: the codec and four ways.

``request_of``, ``body_of``, ``ask``, ``open_stream``, ``aask`` and ``aopen_stream`` have the same
form in ``openai_chat``, so that a caller picks a module by ``Target.api``.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from agentfuse.messages import Delta
from agentfuse.providers import chat_requests
from agentfuse.providers.anthropic_replies import reply_of_message
from agentfuse.providers.anthropic_requests import DEFAULT_MAX_TOKENS, body_of
from agentfuse.providers.anthropic_streams import ChunkMaker, body_of_events, said_in
from agentfuse.providers.chat_replies import completion_body, completion_of
from agentfuse.providers.chat_streams import chunks_of_body
from agentfuse.providers.openai_chat import arguments_of, checked, wants_usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from anthropic import AsyncStream, Stream
    from anthropic.types import Message, RawMessageStreamEvent
    from openai.types.chat import ChatCompletion, ChatCompletionChunk

    from agentfuse.messages import Json, Reply, Request
    from agentfuse.providers.names import Target
    from agentfuse.semantics import SemanticHit
    from agentfuse.tickets import Answered

__all__ = [
    "AnthropicMessages",
    "aask",
    "aopen_stream",
    "ask",
    "body_of",
    "codec_of",
    "open_stream",
    "request_of",
    "wants_usage",
]


class AnthropicMessages:
    """Hears Anthropic's Messages and events; gives ChatCompletion and its chunks.

    An instance serves one call, since telling a stream as chunks needs to remember its beginning.
    Thinking comes as ``reasoning_content``, and whole as ``thinking_blocks``: sent back in the next
    turn's message they become the blocks they were. Answers with blocks that OpenAI has no word for
    carry all their blocks in ``content_blocks``, with the same use.
    """

    __slots__ = ("_chunks", "_hit", "_include_usage", "_model", "_provider")

    def __init__(
        self, provider: str = "anthropic", model: str = "", *, include_usage: bool = False
    ) -> None:
        self._provider = provider
        self._model = model
        self._include_usage = include_usage
        self._chunks = ChunkMaker()
        self._hit: SemanticHit | None = None

    def answered(self, ticket: Answered) -> None:
        """Note why a semantic answer was taken for one."""
        self._hit = ticket.hit

    def reply_of(self, result: Message) -> Reply:
        """Read a whole answer."""
        raw = result.model_dump_json(exclude_unset=True, warnings=False)
        body = json.loads(raw)
        return reply_of_message(body, provider=self._provider, model=self._model, raw=raw)

    def answer_of(self, result: Message) -> ChatCompletion:
        """Give what came off the wire as a ChatCompletion."""
        return completion_of(self.reply_of(result))

    def result_of(self, reply: Reply) -> ChatCompletion:
        """Make a fresh ChatCompletion of any reply."""
        return completion_of(reply, self._hit)

    def delta_of(self, chunk: RawMessageStreamEvent) -> Delta:
        """Read what an event adds to the billed output."""
        return Delta(said_in(chunk))

    def shown(self, chunk: RawMessageStreamEvent) -> tuple[ChatCompletionChunk, ...]:
        """Tell an event as chunks: none, one, or at the end the usage that was asked for."""
        if chunk.type == "message_stop":
            report = self._reply_of(self._chunks.heard).report if self._include_usage else None
            return () if report is None else (self._chunks.usage_chunk(report),)
        body = chunk.model_dump(mode="json", exclude_unset=True, warnings=False)
        return tuple(
            self._chunks.chunk(delta, finish) for delta, finish in self._chunks.deltas_of(body)
        )

    def joined(self, chunks: Sequence[RawMessageStreamEvent]) -> Reply:
        """Read the events of a stream, whole or cut, as one answer."""
        return self._reply_of(
            chunk.model_dump(mode="json", exclude_unset=True, warnings=False) for chunk in chunks
        )

    def _reply_of(self, events: Iterable[Mapping[str, Json]]) -> Reply:
        body = body_of_events(events)
        return reply_of_message(body, provider=self._provider, model=self._model)

    def chunks_of(self, reply: Reply) -> Iterator[ChatCompletionChunk]:
        """Replay a reply as the chunks of a true stream."""
        return chunks_of_body(completion_body(reply, self._hit), include_usage=self._include_usage)


def request_of(
    target: Target,
    body: Mapping[str, Json],
    *,
    tenant: str | None = None,
    stream: bool = False,
    base_url: str = "",
) -> Request:
    """Read what a caller of ``chat.completions.create`` wrote; Claude always needs a maximum."""
    request = chat_requests.request_of(
        target, body, tenant=tenant, stream=stream, base_url=base_url
    )
    return replace(request, output_ceiling=DEFAULT_MAX_TOKENS)


def codec_of(request: Request) -> AnthropicMessages:
    """Make the codec of one call."""
    return AnthropicMessages(
        request.provider, request.model, include_usage=wants_usage(request.params)
    )


def ask(client: Any, request: Request) -> Message:
    """Ask and wait for the whole answer; raises what the SDK raises."""
    create = client.messages.create
    answer: Message = checked(create(**arguments_of(create, body_of(request))), "content")
    return answer


def open_stream(client: Any, request: Request) -> Stream[RawMessageStreamEvent]:
    """Ask for a stream; the first event may still be on its way."""
    create = client.messages.create
    return create(**arguments_of(create, body_of(request)))  # type: ignore[no-any-return]


async def aask(client: Any, request: Request) -> Message:
    """Ask and await the whole answer; raises what the SDK raises."""
    create = client.messages.create
    said = await create(**arguments_of(create, body_of(request)))
    answer: Message = checked(said, "content")
    return answer


async def aopen_stream(client: Any, request: Request) -> AsyncStream[RawMessageStreamEvent]:
    """Ask for a stream of an awaited client."""
    create = client.messages.create
    return await create(**arguments_of(create, body_of(request)))  # type: ignore[no-any-return]
