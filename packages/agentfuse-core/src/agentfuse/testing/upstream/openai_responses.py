"""OpenAI's Responses API: requests read, answers written.

Shapes: platform.openai.com/docs/api-reference/responses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentfuse.testing.upstream.answering import id_of
from agentfuse.testing.upstream.counting import MEDIA_TOKENS, Block, Prompt
from agentfuse.testing.upstream.openai_chat import text_of
from agentfuse.testing.upstream.openai_words import OpenAIWords
from agentfuse.testing.upstream.responses_events import response_events
from agentfuse.testing.upstream.responses_rules import response_problems
from agentfuse.testing.upstream.said import Asked, Tool, Turn, compact, list_in, object_in
from agentfuse.tokens import count_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from agentfuse.testing.upstream.problems import Problem
    from agentfuse.testing.upstream.said import Answer, Event, Json, Spoken

_ECHOED: Mapping[str, Json] = {
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "safety_identifier": None,
    "store": True,
    "temperature": 1.0,
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
    "metadata": {},
}


class Responses(OpenAIWords):
    """POST /v1/responses; answers are kept for ``previous_response_id``."""

    api = "responses"

    def __init__(self) -> None:
        self._kept: dict[str, tuple[Mapping[str, Json], ...]] = {}

    def problem_of(self, body: Mapping[str, Json], headers: Mapping[str, str]) -> Problem | None:
        """Give the first thing OpenAI would refuse."""
        del headers
        known = self._kept.get(body.get("previous_response_id") or "")
        return next(response_problems(body, known), None)

    def asked_of(self, body: Mapping[str, Json]) -> Asked:
        """Parse a Responses request, with what came before it."""
        earlier = self._kept.get(body.get("previous_response_id") or "", ())
        items = (*earlier, *items_of(body.get("input")))
        choice = body.get("tool_choice") or "auto"
        return Asked(
            api=self.api,
            model=body["model"],
            body=body,
            messages=items,
            turns=tuple(_turn_of(item) for item in items),
            tools=() if choice == "none" else _tools_of(body),
            forced=_forced(choice),
            parallel=body.get("parallel_tool_calls") is not False,
            schema=_schema_of(_format_of(body)),
            max_tokens=body.get("max_output_tokens"),
        )

    def prompt_of(self, asked: Asked) -> Prompt:
        """Count as for chat: 3 and the role for each item, 3 for the answer's start."""
        body, model = asked.body, asked.model
        named = [part for part in (body.get("tools"), _format_of(body)) if part]
        blocks = [Block(compact(part), count_text(compact(part), model)) for part in named]
        if body.get("instructions"):
            text = text_of(body["instructions"])
            blocks.append(Block(text, 4 + count_text(text, model)))
        blocks += [Block(compact(item), _item_tokens(item, model)) for item in asked.messages]
        return Prompt(tuple(blocks))

    def usage_of(self, answer: Answer) -> dict[str, Json]:
        """Write the usage with its details."""
        billed = answer.billed
        return {
            "input_tokens": billed.input_tokens,
            "input_tokens_details": {
                "cached_tokens": billed.cache_read_tokens,
                "cache_write_tokens": 0,
            },
            "output_tokens": billed.output_tokens,
            "output_tokens_details": {"reasoning_tokens": billed.reasoning_tokens},
            "total_tokens": billed.input_tokens + billed.output_tokens,
            **answer.override,
        }

    def reply_of(self, asked: Asked, answer: Answer) -> Json:
        """Write the whole response and keep it."""
        output = _output_of(answer)
        reply = self._finished(asked, answer, output)
        if asked.body.get("store") is not False:
            self._kept[reply["id"]] = (*asked.messages, *output)
        return reply

    def events_of(self, asked: Asked, answer: Answer) -> Iterator[Event]:
        """Write the events around the finished response."""
        finished = self.reply_of(asked, answer)
        started = _envelope(asked, answer)
        return response_events(started, finished)

    def finish_of(self, answer: Answer) -> str:
        """Name the response's status."""
        return "incomplete" if answer.choices[0].finish == "length" else "completed"

    def _finished(self, asked: Asked, answer: Answer, output: list[dict[str, Json]]) -> Json:
        short = answer.choices[0].finish == "length"
        return {
            **_envelope(asked, answer),
            "status": self.finish_of(answer),
            "completed_at": None if short else answer.created,
            "incomplete_details": {"reason": "max_output_tokens"} if short else None,
            "output": output,
            "service_tier": "default",
            "usage": self.usage_of(answer),
        }


def items_of(given: Json) -> tuple[Mapping[str, Json], ...]:
    """Give an input as items; a string is one user message."""
    if isinstance(given, str):
        return ({"type": "message", "role": "user", "content": given},)
    return tuple(given or ())


def _turn_of(item: Mapping[str, Json]) -> Turn:
    match item.get("type", "message"):
        case "message":
            return Turn(item["role"], text_of(item.get("content")))
        case "function_call":
            return Turn("assistant", calls=((item["call_id"], item["name"]),))
        case "function_call_output":
            return Turn("tool", results=(item["call_id"],))
        case kind:
            return Turn(str(kind))


def _tools_of(body: Mapping[str, Json]) -> tuple[Tool, ...]:
    functions = [tool for tool in body.get("tools") or () if tool.get("type") == "function"]
    return tuple(Tool(f["name"], f.get("parameters") or {"type": "object"}) for f in functions)


def _forced(choice: Json) -> str:
    named = object_in(choice)
    if named:
        return str(named.get("name", "any")) if named.get("type") == "function" else ""
    return "any" if choice == "required" else ""


def _format_of(body: Mapping[str, Json]) -> Mapping[str, Json]:
    return object_in(object_in(body.get("text")).get("format"))


def _schema_of(wanted: Mapping[str, Json]) -> Mapping[str, Json] | None:
    match wanted.get("type"):
        case "json_schema":
            schema: Mapping[str, Json] = wanted.get("schema") or {}
            return schema
        case "json_object":
            return {}
        case _:
            return None


def _item_tokens(item: Mapping[str, Json], model: str) -> int:
    match item.get("type", "message"):
        case "message":
            content = item.get("content")
            media = [
                part for part in list_in(content) if "text" not in part and "refusal" not in part
            ]
            return 4 + count_text(text_of(content), model) + MEDIA_TOKENS * len(media)
        case "function_call":
            return 4 + count_text(item["name"], model) + count_text(item["arguments"], model)
        case "function_call_output":
            return 4 + count_text(text_of(item["output"]), model)
        case _:
            return 0


def _output_of(answer: Answer) -> list[dict[str, Json]]:
    spoken, serial = answer.choices[0], answer.serial
    output: list[dict[str, Json]] = []
    if answer.billed.reasoning_tokens:
        shown = [{"type": "summary_text", "text": spoken.reasoning}] if spoken.reasoning else []
        output.append({"id": id_of("rs_", serial), "type": "reasoning", "summary": shown})
    if spoken.text or not (spoken.calls or spoken.finish == "length"):
        output.append(_message_item(spoken, serial))
    for index, call in enumerate(spoken.calls):
        item = {
            "id": id_of("fc_", serial, index),
            "type": "function_call",
            "status": "completed",
            "arguments": call.text,
            "call_id": call.id,
            "name": call.name,
        }
        output.append(item)
    return output


def _message_item(spoken: Spoken, serial: int) -> dict[str, Json]:
    part: dict[str, Json] = {
        "type": "output_text",
        "annotations": [],
        "logprobs": [],
        "text": spoken.text,
    }
    return {
        "id": id_of("msg_", serial),
        "type": "message",
        "status": "incomplete" if spoken.finish == "length" else "completed",
        "content": [part],
        "role": "assistant",
    }


def _envelope(asked: Asked, answer: Answer) -> dict[str, Json]:
    """Write the response as it starts, with the parameters it was asked with."""
    body = asked.body
    return {
        "id": id_of("resp_", answer.serial),
        "object": "response",
        "created_at": answer.created,
        "status": "in_progress",
        "background": False,
        "completed_at": None,
        "error": None,
        "incomplete_details": None,
        "model": asked.model,
        "output": [],
        **{name: body.get(name, default) for name, default in _ECHOED.items()},
        "reasoning": {"effort": None, "summary": None, **(body.get("reasoning") or {})},
        "text": {"format": {"type": "text"}, "verbosity": "medium", **(body.get("text") or {})},
        "service_tier": "auto",
        "usage": None,
    }
