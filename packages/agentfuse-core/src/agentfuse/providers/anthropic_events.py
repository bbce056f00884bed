"""An answer of Anthropic's Messages API cut into the events of a true stream, or made of any reply.

Source of the order: https://docs.anthropic.com/en/docs/build-with-claude/streaming
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING

from agentfuse.messages import Other, Reasoning, Text
from agentfuse.providers.anthropic_replies import SHAPE
from agentfuse.providers.chat_streams import pieces_of_text
from agentfuse.providers.wire_json import list_of, object_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from agentfuse.messages import Choice, Json, Part, Reply, ToolCall
    from agentfuse.usage import UsageReport

_STOPS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
}
# What a block starts without, and the deltas that bring it.
_FILLED = {
    "text": (("text", "text_delta"),),
    "thinking": (("thinking", "thinking_delta"), ("signature", "signature_delta")),
}
_AT_THE_START = ("id", "type", "role", "model")
_IN_THE_END = ("stop_reason", "stop_sequence", "stop_details", "container")


def message_body(reply: Reply) -> Mapping[str, Json]:
    """Give any reply as a Message's body."""
    if reply.shape == SHAPE:
        body: dict[str, Json] = json.loads(reply.raw)
        return body
    choice = reply.choices[0]
    return {
        "id": reply.id,
        "type": "message",
        "role": "assistant",
        "model": reply.model,
        "content": [*_blocks_of(choice), *(_use_of(call) for call in choice.tool_calls)],
        "stop_reason": _STOPS.get(choice.finish_reason, choice.finish_reason) or None,
        "stop_sequence": None,
        "usage": _usage_body(reply.report),
    }


def _blocks_of(choice: Choice) -> Iterator[dict[str, Json]]:
    for part in choice.parts:
        block = _block_of(part)
        if block is not None:
            yield block


def _block_of(part: Part) -> dict[str, Json] | None:
    """Write a part; thinking that no Claude has signed cannot be shown as Claude's."""
    match part:
        case Text(text):
            return {"type": "text", "text": text}
        case Reasoning(_, block) if block.get("type") in {"thinking", "redacted_thinking"}:
            return dict(block)
        case Other(block) if block.get("type") == "refusal":
            return {"type": "text", "text": block["refusal"]}
        case _:
            return None


def _use_of(call: ToolCall) -> dict[str, Json]:
    given: Json = call.arguments
    with suppress(ValueError):  # what is no JSON stays the text it is, as in an answer cut short
        given = json.loads(call.arguments or "{}")
    return {"type": "tool_use", "id": call.id, "name": call.name, "input": given}


def _usage_body(report: UsageReport | None) -> dict[str, Json]:
    """Write a usage whose input leaves out what was cached."""
    if report is None:
        return {"input_tokens": 0, "output_tokens": 0}
    usage = report.usage
    written = usage.cache_write_5m_tokens + usage.cache_write_1h_tokens
    return {
        "input_tokens": max(usage.input_tokens - usage.cache_read_tokens - written, 0),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": usage.cache_read_tokens,
        "output_tokens": usage.output_tokens,
    }


def events_of_message(body: Mapping[str, Json]) -> Iterator[dict[str, Json]]:
    """Cut a Message's body into events."""
    usage = object_of(body.get("usage"))
    start: dict[str, Json] = {
        **{word: body.get(word) for word in _AT_THE_START},
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {**usage, "output_tokens": min(usage.get("output_tokens") or 0, 1)},
    }
    yield {"type": "message_start", "message": start}
    for index, block in enumerate(map(object_of, list_of(body.get("content")))):
        at = {"index": index}
        opened, deltas = _opened(block)
        yield {"type": "content_block_start", **at, "content_block": opened}
        yield from ({"type": "content_block_delta", **at, "delta": delta} for delta in deltas)
        yield {"type": "content_block_stop", **at}
    ending = {word: body[word] for word in _IN_THE_END if word in body}
    told = {*_AT_THE_START, *_IN_THE_END, "content", "usage"}
    rest = {word: value for word, value in body.items() if word not in told}
    yield {"type": "message_delta", "delta": ending, "usage": usage, **rest}
    yield {"type": "message_stop"}


def _opened(block: Mapping[str, Json]) -> tuple[dict[str, Json], list[dict[str, Json]]]:
    """Give a block as it opens, and the deltas that fill it."""
    kind = str(block.get("type"))
    if kind in {"tool_use", "server_tool_use"}:
        text = json.dumps(block.get("input") or {}, ensure_ascii=False)
        said = [{"type": "input_json_delta", "partial_json": each} for each in pieces_of_text(text)]
        return {**block, "input": {}}, said
    opened = dict(block)
    deltas: list[dict[str, Json]] = []
    for word, delta in _FILLED.get(kind, ()):
        if isinstance(block.get(word), str):
            opened[word] = ""
            deltas += [{"type": delta, word: each} for each in _pieces(word, block[word])]
    if block.get("citations"):
        opened["citations"] = []
        deltas += [{"type": "citations_delta", "citation": each} for each in block["citations"]]
    return opened, deltas


def _pieces(word: str, text: str) -> Iterator[str]:
    """Cut words where words end; a signature comes whole."""
    return iter((text,)) if word == "signature" else pieces_of_text(text)
