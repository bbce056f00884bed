"""Anthropic's own Message and stream events, made of any reply as its client would make them."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from agentfuse.providers.anthropic_events import events_of_message, message_body
from agentfuse.providers.anthropic_messages import AnthropicMessages
from agentfuse.providers.anthropic_replies import reply_of_message

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from agentfuse.messages import Json, Reply


class MessageCodec(AnthropicMessages):
    """Reads Anthropic's answers as ``completion()`` does, and gives the caller Anthropic's own."""

    def answer_of(self, result: Any) -> Any:
        """Give what came off the wire, as it is."""
        return result

    def result_of(self, reply: Reply) -> Any:
        """Make a fresh Message of any reply."""
        from anthropic.types import Message

        return _typed(Message, message_body(reply))

    def shown(self, chunk: Any) -> tuple[Any, ...]:
        """Give a copy of the events that LlamaIndex writes into: a call's opening, and usage."""
        written = chunk.type in {"content_block_start", "message_delta"}
        return (chunk.model_copy(deep=True) if written else chunk,)

    def chunks_of(self, reply: Reply) -> Iterator[Any]:
        """Replay a reply as the events of a true stream."""
        return (_event_of(body) for body in events_of_message(message_body(reply)))


class ParsedCodec(MessageCodec):
    """Does so for an answer that the client parses into a user's class."""

    __slots__ = ("_kind",)

    def __init__(self, provider: str, model: str, kind: Any) -> None:
        super().__init__(provider, model)
        self._kind = kind

    def reply_of(self, result: Any) -> Reply:
        """Read a whole answer, without the user's object: it is made anew for each hit."""
        parsed = {"content": {"__all__": {"parsed_output"}}}
        body = result.model_dump(mode="json", exclude_unset=True, exclude=parsed, warnings=False)
        return reply_of_message(body, provider=self._provider, model=self._model)

    def result_of(self, reply: Reply) -> Any:
        """Make a fresh parsed message of any reply, its text validated anew."""
        from anthropic.types.beta.parsed_beta_message import ParsedBetaMessage, ParsedBetaTextBlock
        from pydantic import TypeAdapter

        body = message_body(reply)
        parser: TypeAdapter[Any] = TypeAdapter(self._kind)
        blocks = [
            ParsedBetaTextBlock.construct(
                **block, parsed_output=parser.validate_json(block["text"])
            )
            if block.get("type") == "text"
            else block
            for block in body["content"]
        ]
        kind: Any = ParsedBetaMessage
        return kind.construct(**{**body, "content": blocks})


def _event_of(body: Mapping[str, Json]) -> Any:
    return _typed(_event_kinds()[body["type"]], body)


@lru_cache(maxsize=1)
def _event_kinds() -> Mapping[str, Any]:
    from anthropic import types

    return {
        "message_start": types.RawMessageStartEvent,
        "content_block_start": types.RawContentBlockStartEvent,
        "content_block_delta": types.RawContentBlockDeltaEvent,
        "content_block_stop": types.RawContentBlockStopEvent,
        "message_delta": types.RawMessageDeltaEvent,
        "message_stop": types.RawMessageStopEvent,
    }


def _typed(kind: Any, body: Mapping[str, Json]) -> Any:
    """Make an SDK object; what does not fit its schema is kept, as the SDK itself does."""
    from agentfuse.providers.chat_replies import typed

    return typed(kind, json.dumps(body))
