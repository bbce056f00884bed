"""Anthropic's own Message and stream events, made of any reply as its client would make them."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from agentfuse.messages import Other, Reasoning, Text
from agentfuse.providers.anthropic_messages import AnthropicMessages
from agentfuse.providers.anthropic_replies import SHAPE, reply_of_message
from agentfuse.providers.wire_json import list_of, object_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from agentfuse.messages import Choice, Json, Part, Reply, ToolCall
    from agentfuse.usage import UsageReport

_ENDS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}
_WORD = re.compile(r"\s*\S+(?:\s+\Z)?|\s+")
_WORDS_AN_EVENT = 4
_THINKING = frozenset({"thinking", "redacted_thinking"})


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
        return (_event_of(body) for body in event_bodies(message_body(reply)))


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


def message_body(reply: Reply) -> dict[str, Json]:
    """Give any reply as a Message's body; tokens nobody told are zero."""
    if reply.shape == SHAPE:
        body: dict[str, Json] = json.loads(reply.raw)
        return body
    choice = reply.choices[0]
    return {
        "id": reply.id,
        "type": "message",
        "role": "assistant",
        "model": reply.model,
        "content": list(_blocks_of(choice)),
        "stop_reason": _ENDS.get(choice.finish_reason, choice.finish_reason or None),
        "stop_sequence": None,
        "usage": usage_body(reply.report),
    }


def _blocks_of(choice: Choice) -> Iterator[dict[str, Json]]:
    """Write an answer's blocks; another provider's own ones have no place here."""
    for part in choice.parts:
        block = _block_of(part)
        if block is not None:
            yield block
    for call in choice.tool_calls:
        yield {"type": "tool_use", "id": call.id, "name": call.name, "input": _input_of(call)}


def _input_of(call: ToolCall) -> Json:
    """Read a call's arguments; what another model wrote that is no JSON stays its text."""
    try:
        return json.loads(call.arguments or "{}")
    except ValueError:
        return call.arguments


def _block_of(part: Part) -> dict[str, Json] | None:
    match part:
        case Text(text):
            return {"type": "text", "text": text, "citations": None}
        case Reasoning(_, block) if block.get("type") in _THINKING:
            return dict(block)
        case Other(block) if block.get("type") == "refusal":
            return {"type": "text", "text": str(block.get("refusal") or ""), "citations": None}
        case _:
            return None


def usage_body(report: UsageReport | None) -> dict[str, Json]:
    """Give a report as a Message's usage, whose input leaves out what was cached."""
    if report is None:
        return {"input_tokens": 0, "output_tokens": 0}
    usage = report.usage
    written = usage.cache_write_5m_tokens + usage.cache_write_1h_tokens
    return {
        "input_tokens": usage.input_tokens - usage.cache_read_tokens - written,
        "output_tokens": usage.output_tokens,
        "cache_read_input_tokens": usage.cache_read_tokens,
        "cache_creation_input_tokens": written,
    }


def event_bodies(message: Mapping[str, Json]) -> Iterator[dict[str, Json]]:
    """Cut a Message's body into the events of a stream.

    Source of their order: https://docs.anthropic.com/en/docs/build-with-claude/streaming
    """
    usage = object_of(message.get("usage"))
    begun: dict[str, Json] = {
        **message,
        "content": [],
        "stop_reason": None,
        "usage": {**usage, "output_tokens": 1},
    }
    yield {"type": "message_start", "message": begun}
    for index, block in enumerate(list_of(message.get("content"))):
        start, deltas = _opened(block)
        yield {"type": "content_block_start", "index": index, "content_block": start}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    ended = {name: message.get(name) for name in ("stop_reason", "stop_sequence")}
    yield {"type": "message_delta", "delta": ended, "usage": usage}
    yield {"type": "message_stop"}


def _opened(block: dict[str, Json]) -> tuple[dict[str, Json], list[dict[str, Json]]]:
    """Give a block as it opens, and what is then added to it."""
    match block:
        case {"type": "text", "text": str(text)}:
            said = [{"type": "text_delta", "text": piece} for piece in _pieces_of(text)]
            cited = list_of(block.get("citations"))
            said += [{"type": "citations_delta", "citation": each} for each in cited]
            return {**block, "text": "", "citations": None}, said
        case {"type": "thinking", "thinking": str(text)}:
            said = [{"type": "thinking_delta", "thinking": piece} for piece in _pieces_of(text)]
            signed = {"type": "signature_delta", "signature": block.get("signature") or ""}
            return {**block, "thinking": "", "signature": ""}, [*said, signed]
        case {"type": "tool_use", "input": given}:
            text = json.dumps(given, ensure_ascii=False)
            said = [
                {"type": "input_json_delta", "partial_json": piece} for piece in _pieces_of(text)
            ]
            return {**block, "input": {}}, said
        case _:
            return block, []


def _pieces_of(text: str) -> Iterator[str]:
    words = _WORD.findall(text)
    for start in range(0, len(words), _WORDS_AN_EVENT):
        yield "".join(words[start : start + _WORDS_AN_EVENT])


def _event_of(body: dict[str, Json]) -> Any:
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


def _typed(kind: Any, body: dict[str, Json]) -> Any:
    """Make an SDK object; what does not fit its schema is kept, as the SDK itself does."""
    from agentfuse.providers.chat_replies import typed

    return typed(kind, json.dumps(body))
