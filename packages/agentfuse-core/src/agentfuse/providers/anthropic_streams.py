"""Streams of Anthropic's Messages API: joined into one Message, or shown as OpenAI chunks.

Source of the events: https://docs.anthropic.com/en/docs/build-with-claude/streaming
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from agentfuse.providers.anthropic_replies import finish_of
from agentfuse.providers.chat_replies import finish_word, kept_blocks, typed, usage_body
from agentfuse.providers.wire_json import object_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from openai.types.chat import ChatCompletionChunk

    from agentfuse.messages import Json

_SAID_IN = {
    "text_delta": "text",
    "thinking_delta": "thinking",
    "signature_delta": "signature",
    "input_json_delta": "partial_json",
}


def body_of_events(events: Iterable[Mapping[str, Json]]) -> dict[str, Json]:
    """Join events into the Message's body; ``stop_reason`` is null where the stream was cut."""
    body: dict[str, Json] = {"type": "message", "role": "assistant", "content": []}
    blocks: dict[int, dict[str, Json]] = {}
    for event in events:
        match event.get("type"):
            case "message_start":
                body = {**body, **event["message"]}
            case "content_block_start":
                blocks[event["index"]] = dict(event["content_block"])
            case "content_block_delta":
                _extend(blocks.setdefault(event["index"], {"type": "text"}), event["delta"])
            case "message_delta":
                beside = {k: v for k, v in event.items() if k not in {"type", "delta", "usage"}}
                said = {**event["delta"], **beside}
                body |= {k: v for k, v in said.items() if v is not None}
                body["usage"] = _later(body.get("usage"), event.get("usage"))
            case _:
                pass  # content_block_stop, message_stop and ping say nothing more
    body["content"] = [_closed(blocks[index]) for index in sorted(blocks)]
    return body


def _extend(block: dict[str, Json], delta: Mapping[str, Json]) -> None:
    kind = delta.get("type")
    word = _SAID_IN.get(kind or "")
    if word is not None:
        block[word] = (block.get(word) or "") + delta[word]
    elif kind == "citations_delta":
        block["citations"] = [*(block.get("citations") or ()), delta["citation"]]


def _later(held: Json, given: Json) -> dict[str, Json]:
    """Let the last event's counts, which are cumulative, stand over the first's."""
    later = {kind: count for kind, count in object_of(given).items() if count is not None}
    return {**object_of(held), **later}


def _closed(block: dict[str, Json]) -> dict[str, Json]:
    """Read a block's JSON input, now that it is whole; what was cut stays text."""
    text = block.pop("partial_json", None)
    if text:
        try:
            block["input"] = json.loads(text)
        except ValueError:
            block["input"] = text
    return block


def said_in(event: Any) -> str:
    """Give the text of an event that is billed as output: words, thinking, names, arguments."""
    if event.type == "content_block_delta":
        return getattr(event.delta, _SAID_IN.get(event.delta.type, ""), None) or ""
    if event.type == "content_block_start":
        return getattr(event.content_block, "name", None) or ""
    return ""


def said_in_event(event: Mapping[str, Json]) -> str:
    """Do as ``said_in`` for an event's body."""
    delta = object_of(event.get("delta"))
    said = delta.get(_SAID_IN.get(str(delta.get("type")), "")) or object_of(
        event.get("content_block")
    ).get("name")
    return said if isinstance(said, str) else ""


class ChunkMaker:
    """Tells one stream of Anthropic events as OpenAI chunks, as they come."""

    __slots__ = ("_calls", "_thinking", "_top", "heard")

    def __init__(self) -> None:
        self._top: dict[str, Json] = {}
        self._calls: dict[int, int] = {}
        self._thinking: dict[int, dict[str, Json]] = {}
        self.heard: list[Mapping[str, Json]] = []

    def deltas_of(self, event: Mapping[str, Json]) -> list[tuple[dict[str, Json], str | None]]:
        """Give what an event says as (delta, finish_reason) pairs: none, one or two."""
        self.heard.append(event)
        match event.get("type"):
            case "message_start":
                message = event["message"]
                self._top = {
                    "id": message.get("id") or "",
                    "object": "chat.completion.chunk",
                    "created": int(time.time()),
                    "model": message.get("model") or "",
                }
                return [({"role": "assistant", "content": ""}, None)]
            case "content_block_start":
                return self._started(event["index"], event["content_block"])
            case "content_block_delta":
                return self._continued(event["index"], event["delta"])
            case "content_block_stop":
                return self._stopped(event["index"])
            case "message_delta":
                return self._ended(event["delta"].get("stop_reason"))
            case _:
                return []

    def _started(
        self, index: int, block: Mapping[str, Json]
    ) -> list[tuple[dict[str, Json], str | None]]:
        match block.get("type"):
            case "text":
                return [({"content": block["text"]}, None)] if block.get("text") else []
            case "thinking" | "redacted_thinking":
                self._thinking[index] = dict(block)
                return []
            case "tool_use":
                place = self._calls[index] = len(self._calls)
                given = json.dumps(block["input"]) if block.get("input") else ""
                call = {
                    "index": place,
                    "id": block["id"],
                    "type": "function",
                    "function": {"name": block["name"], "arguments": given},
                }
                return [({"tool_calls": [call]}, None)]
            case _:
                return []

    def _continued(
        self, index: int, delta: Mapping[str, Json]
    ) -> list[tuple[dict[str, Json], str | None]]:
        if index in self._thinking:
            _extend(self._thinking[index], delta)
        match delta:
            case {"type": "text_delta", "text": text}:
                return [({"content": text}, None)]
            case {"type": "thinking_delta", "thinking": text}:
                return [({"reasoning_content": text}, None)]
            case {"type": "input_json_delta", "partial_json": text} if index in self._calls:
                call = {"index": self._calls[index], "function": {"arguments": text}}
                return [({"tool_calls": [call]}, None)]
            case _:
                return []

    def _stopped(self, index: int) -> list[tuple[dict[str, Json], str | None]]:
        """Hand over a finished thinking block whole: the next turn has to send it back."""
        block = self._thinking.pop(index, None)
        return [({"thinking_blocks": [block]}, None)] if block else []

    def _ended(self, stop_reason: str | None) -> list[tuple[dict[str, Json], str | None]]:
        kept = kept_blocks(body_of_events(self.heard)["content"])
        whole: list[tuple[dict[str, Json], str | None]]
        whole = [({"content_blocks": kept}, None)] if kept else []
        return [*whole, ({}, finish_word(finish_of(stop_reason)))]

    def chunk(self, delta: dict[str, Json], finish: str | None) -> ChatCompletionChunk:
        """Make one chunk."""
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return _chunk({**self._top, "choices": [choice]})

    def usage_chunk(self, report: Any) -> ChatCompletionChunk:
        """Make the last chunk, which has no choices and the usage of a report."""
        return _chunk({**self._top, "choices": [], "usage": usage_body(report)})


def _chunk(body: dict[str, Json]) -> ChatCompletionChunk:
    from openai.types.chat import ChatCompletionChunk

    chunk: ChatCompletionChunk = typed(ChatCompletionChunk, json.dumps(body))
    return chunk
