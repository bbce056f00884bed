"""Anthropic's Messages API: requests read, answers and streams written.

Shapes: docs.anthropic.com/en/api/messages and .../en/docs/build-with-claude/streaming.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from agentfuse.testing.upstream.answering import id_of
from agentfuse.testing.upstream.anthropic_rules import blocks_of, message_problems
from agentfuse.testing.upstream.counting import MEDIA_TOKENS, Block, Prompt
from agentfuse.testing.upstream.problems import Problem, anthropic_error, anthropic_fault
from agentfuse.testing.upstream.said import Asked, Event, Tool, Turn, compact, object_in
from agentfuse.testing.upstream.sse import named_event, pieces_of
from agentfuse.tokens import count_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from agentfuse.testing.upstream.counting import PromptMemory
    from agentfuse.testing.upstream.said import Answer, Json, Spoken
    from agentfuse.usage import Usage

_STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}
_SIGNATURE = "c2lnbmVkIGJ5IGEgc2ltdWxhdGVkIHByb3ZpZGVy"


class AnthropicMessages:
    """POST /v1/messages."""

    api = "anthropic.messages"

    def key_of(self, headers: Mapping[str, str]) -> str:
        """Take x-api-key, or the bearer token of an OAuth client."""
        bearer = headers.get("authorization", "").removeprefix("Bearer ").strip()
        return headers.get("x-api-key", "") or bearer

    def problem_of(self, body: Mapping[str, Json], headers: Mapping[str, str]) -> Problem | None:
        """Give the first thing Anthropic would refuse."""
        return next(message_problems(body, headers), None)

    def asked_of(self, body: Mapping[str, Json]) -> Asked:
        """Parse a Messages request."""
        choice = body.get("tool_choice") or {"type": "auto"}
        return Asked(
            api=self.api,
            model=body["model"],
            body=body,
            messages=tuple(body["messages"]),
            turns=tuple(turn for message in body["messages"] for turn in _turns_of(message)),
            tools=() if choice["type"] == "none" else _tools_of(body),
            forced=_forced(choice),
            parallel=not choice.get("disable_parallel_tool_use"),
            schema=_schema_of(body),
            max_tokens=body["max_tokens"],
        )

    def prompt_of(self, asked: Asked) -> Prompt:
        """Count tools, system and messages, in the order in which Anthropic caches them."""
        body, model = asked.body, asked.model
        blocks = [_cached(tool, _json_tokens(tool, model)) for tool in body.get("tools") or ()]
        blocks += [_cached(b, _block_tokens(b, model)) for b in blocks_of(body.get("system"))]
        for message in asked.messages:
            start = 3
            for block in blocks_of(message.get("content")):
                marked = {"role": message["role"], **block}
                blocks.append(_cached(marked, start + _block_tokens(block, model)))
                start = 0
        if body.get("cache_control") and blocks:
            last = blocks[-1]
            blocks[-1] = Block(last.text, last.tokens, _ttl_of(body))
        return Prompt(tuple(blocks), model=model)

    def prompt_billed(self, memory: PromptMemory, key: str, prompt: Prompt) -> Usage:
        """Bill a prompt with the breakpoints that the request sets."""
        return memory.marked(key, prompt)

    def usage_of(self, answer: Answer) -> dict[str, Json]:
        """Write the usage; ``input_tokens`` leaves out what was read from or written to caches."""
        usage = {**_start_usage(answer), "output_tokens": answer.billed.output_tokens}
        if answer.billed.reasoning_tokens:
            thinking = {"thinking_tokens": answer.billed.reasoning_tokens}
            usage["output_tokens_details"] = thinking
        return {**usage, **answer.override}

    def reply_of(self, asked: Asked, answer: Answer) -> Json:
        """Write the whole message."""
        content = [
            {**start, **_filled(kind, body)} for start, kind, body in _blocks_of(answer.choices[0])
        ]
        return {
            **_envelope(asked, answer),
            "content": content,
            "stop_reason": self.finish_of(answer),
            "usage": self.usage_of(answer),
        }

    def events_of(self, asked: Asked, answer: Answer) -> Iterator[Event]:
        """Write the events: the first has the input tokens, the last but one all of the output."""
        message = {**_envelope(asked, answer), "usage": _start_usage(answer)}
        yield named_event({"type": "message_start", "message": message})
        for index, (start, kind, body) in enumerate(_blocks_of(answer.choices[0])):
            opening = {"type": "content_block_start", "index": index, "content_block": start}
            yield named_event(opening, str(start.get("name", "")))
            if index == 0:
                yield named_event({"type": "ping"})
            for delta, said in _deltas_of(kind, body):
                event = {"type": "content_block_delta", "index": index, "delta": delta}
                yield named_event(event, said)
            yield named_event({"type": "content_block_stop", "index": index})
        usage = {
            key: value
            for key, value in self.usage_of(answer).items()
            if key not in {"cache_creation", "service_tier", "inference_geo"}
        }
        ending = {"stop_reason": self.finish_of(answer), "stop_sequence": None}
        yield named_event({"type": "message_delta", "delta": ending, "usage": usage})
        yield named_event({"type": "message_stop"})

    def finish_of(self, answer: Answer) -> str:
        """Name the stop_reason."""
        finish = answer.choices[0].finish
        return _STOP_REASONS.get(finish, finish)

    def fault_of(self, status: int) -> Problem:
        """Give Anthropic's words for a failing status."""
        return anthropic_fault(status)

    def unauthorised(self, key: str) -> Problem:
        """Refuse an API key."""
        text = "invalid x-api-key" if key else "x-api-key header is required"
        return Problem(401, text, "authentication_error")

    def unknown_model(self, model: str) -> Problem:
        """Refuse a model that does not exist."""
        return Problem(404, f"model: {model}", "not_found_error")

    def error_of(self, problem: Problem, request_id: str) -> Json:
        """Write a refusal's body."""
        return anthropic_error(problem, request_id)


def _turns_of(message: Mapping[str, Json]) -> Iterator[Turn]:
    """Split a message: the results it brings answer the turn before, its text opens a new one."""
    blocks = blocks_of(message.get("content"))
    results = tuple(b["tool_use_id"] for b in blocks if b.get("type") == "tool_result")
    calls = tuple((b["id"], b["name"]) for b in blocks if b.get("type") == "tool_use")
    text = "".join(b["text"] for b in blocks if b.get("type") == "text")
    if results:
        yield Turn("tool", results=results)
    if text or calls:
        yield Turn(message["role"], text, calls=calls)


def _tools_of(body: Mapping[str, Json]) -> tuple[Tool, ...]:
    tools = [tool for tool in body.get("tools") or () if "input_schema" in tool]
    return tuple(Tool(tool["name"], tool["input_schema"]) for tool in tools)


def _forced(choice: Mapping[str, Json]) -> str:
    match choice["type"]:
        case "any":
            return "any"
        case "tool":
            return str(choice["name"])
        case _:
            return ""


def _schema_of(body: Mapping[str, Json]) -> Mapping[str, Json] | None:
    config = object_in(body.get("output_config"))
    wanted = object_in(config.get("format") or body.get("output_format"))
    return wanted.get("schema") if wanted.get("type") == "json_schema" else None


def _cached(block: Mapping[str, Json], tokens: int) -> Block:
    bare = {key: value for key, value in block.items() if key != "cache_control"}
    return Block(compact(bare), tokens, _ttl_of(block))


def _ttl_of(block: Mapping[str, Json]) -> str:
    control = block.get("cache_control")
    return str(control.get("ttl", "5m")) if control else ""


def _json_tokens(value: Mapping[str, Json], model: str) -> int:
    bare = {key: part for key, part in value.items() if key != "cache_control"}
    return count_text(compact(bare), model)


def _block_tokens(block: Mapping[str, Json], model: str) -> int:
    match block.get("type"):
        case "text":
            return count_text(block["text"], model)
        case "thinking":
            return count_text(block["thinking"], model)
        case "tool_use":
            return count_text(block["name"], model) + _json_tokens(block["input"], model)
        case "tool_result":
            parts = blocks_of(block.get("content"))
            return 3 + sum(_block_tokens(part, model) for part in parts)
        case _:
            return MEDIA_TOKENS


def _start_usage(answer: Answer) -> dict[str, Json]:
    billed = answer.billed
    written = billed.cache_write_5m_tokens + billed.cache_write_1h_tokens
    return {
        "input_tokens": billed.input_tokens - billed.cache_read_tokens - written,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": billed.cache_read_tokens,
        "cache_creation": {
            "ephemeral_5m_input_tokens": billed.cache_write_5m_tokens,
            "ephemeral_1h_input_tokens": billed.cache_write_1h_tokens,
        },
        "output_tokens": 1,
        "service_tier": "standard",
        "inference_geo": "not_available",
    }


def _envelope(asked: Asked, answer: Answer) -> dict[str, Json]:
    return {
        "model": asked.model,
        "id": id_of("msg_01", answer.serial),
        "type": "message",
        "role": "assistant",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }


def _blocks_of(spoken: Spoken) -> Iterator[tuple[dict[str, Json], str, str]]:
    """Give (block as it starts, kind, what fills it) of one answer."""
    if spoken.reasoning:
        yield {"type": "thinking", "thinking": "", "signature": ""}, "thinking", spoken.reasoning
    if spoken.text:
        yield {"type": "text", "text": ""}, "text", spoken.text
    for call in spoken.calls:
        start: dict[str, Json] = {"type": "tool_use", "id": call.id, "name": call.name, "input": {}}
        yield start, "tool_use", call.text


def _filled(kind: str, body: str) -> dict[str, Json]:
    match kind:
        case "thinking":
            return {"thinking": body, "signature": _SIGNATURE}
        case "text":
            return {"text": body}
        case _:
            return {"input": json.loads(body)}


def _deltas_of(kind: str, body: str) -> Iterator[tuple[dict[str, Json], str]]:
    if kind == "tool_use":
        yield {"type": "input_json_delta", "partial_json": ""}, ""
    field = {"thinking": "thinking", "text": "text", "tool_use": "partial_json"}[kind]
    name = {"thinking": "thinking_delta", "text": "text_delta"}.get(kind, "input_json_delta")
    for piece in pieces_of(body):
        yield {"type": name, field: piece}, piece
    if kind == "thinking":
        yield {"type": "signature_delta", "signature": _SIGNATURE}, ""
