"""OpenAI's Chat Completions API: requests read, answers and streams written.

Shapes: platform.openai.com/docs/api-reference/chat and .../chat-streaming.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentfuse.testing.upstream.answering import id_of
from agentfuse.testing.upstream.counting import MEDIA_TOKENS, Block, Prompt
from agentfuse.testing.upstream.openai_rules import chat_problems
from agentfuse.testing.upstream.openai_words import OpenAIWords
from agentfuse.testing.upstream.said import Asked, Event, Tool, Turn, compact, list_in, object_in
from agentfuse.testing.upstream.sse import DONE, data_event, pieces_of
from agentfuse.tokens import count_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from agentfuse.testing.upstream.problems import Problem
    from agentfuse.testing.upstream.said import Answer, Call, Json, Spoken

FINGERPRINT = "fp_upstream01"


class ChatCompletions(OpenAIWords):
    """POST /v1/chat/completions."""

    api = "chat.completions"

    def problem_of(self, body: Mapping[str, Json], headers: Mapping[str, str]) -> Problem | None:
        """Give the first thing OpenAI would refuse."""
        del headers
        return next(chat_problems(body), None)

    def asked_of(self, body: Mapping[str, Json]) -> Asked:
        """Parse a chat request."""
        limit = body.get("max_completion_tokens")
        choice = body.get("tool_choice") or "auto"
        return Asked(
            api=self.api,
            model=body["model"],
            body=body,
            messages=tuple(body["messages"]),
            turns=tuple(_turn_of(message) for message in body["messages"]),
            tools=() if choice == "none" else _tools_of(body),
            forced=_forced(choice),
            parallel=body.get("parallel_tool_calls") is not False,
            schema=_schema_of(object_in(body.get("response_format"))),
            max_tokens=body.get("max_tokens") if limit is None else limit,
            n=body.get("n") or 1,
        )

    def prompt_of(self, asked: Asked) -> Prompt:
        """Count by OpenAI's rule: 3 and the role for each message, 3 for the answer's start.

        Source: cookbook.openai.com, "How to count tokens with tiktoken". Tools and the answer's
        schema are counted as compact JSON.
        """
        body, model = asked.body, asked.model
        blocks: list[Block] = []
        for part in ("tools", "response_format"):
            if body.get(part):
                text = compact(body[part])
                blocks.append(Block(text, count_text(text, model)))
        blocks += [
            Block(compact(message), _message_tokens(message, model)) for message in asked.messages
        ]
        return Prompt(tuple(blocks))

    def usage_of(self, answer: Answer) -> dict[str, Json]:
        """Write the usage with all its details."""
        billed = answer.billed
        return {
            "prompt_tokens": billed.input_tokens,
            "completion_tokens": billed.output_tokens,
            "total_tokens": billed.input_tokens + billed.output_tokens,
            "prompt_tokens_details": {
                "cached_tokens": billed.cache_read_tokens,
                "audio_tokens": 0,
            },
            "completion_tokens_details": {
                "reasoning_tokens": billed.reasoning_tokens,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
            **answer.override,
        }

    def reply_of(self, asked: Asked, answer: Answer) -> Json:
        """Write the whole completion."""
        choices = [
            {
                "index": index,
                "message": _message_of(spoken),
                "logprobs": None,
                "finish_reason": spoken.finish,
            }
            for index, spoken in enumerate(answer.choices)
        ]
        return {
            "id": id_of("chatcmpl-", answer.serial),
            "object": "chat.completion",
            "created": answer.created,
            "model": asked.model,
            "choices": choices,
            "usage": self.usage_of(answer),
            "service_tier": "default",
            "system_fingerprint": FINGERPRINT,
        }

    def events_of(self, asked: Asked, answer: Answer) -> Iterator[Event]:
        """Write the chunks; only ``include_usage`` puts the usage into one of its own, last."""
        wants_usage = bool(object_in(asked.body.get("stream_options")).get("include_usage"))
        frame: dict[str, Json] = {
            "id": id_of("chatcmpl-", answer.serial),
            "object": "chat.completion.chunk",
            "created": answer.created,
            "model": asked.model,
            "service_tier": "default",
            "system_fingerprint": FINGERPRINT,
        }
        no_usage = {"usage": None} if wants_usage else {}
        for index, spoken in enumerate(answer.choices):
            for delta, finish, said in _deltas_of(spoken):
                choice = {
                    "index": index,
                    "delta": delta,
                    "logprobs": None,
                    "finish_reason": finish,
                }
                yield data_event({**frame, "choices": [choice], **no_usage}, said)
        if wants_usage:
            yield data_event({**frame, "choices": [], "usage": self.usage_of(answer)})
        yield DONE

    def finish_of(self, answer: Answer) -> str:
        """Name the first choice's finish_reason."""
        return answer.choices[0].finish


def _turn_of(message: Mapping[str, Json]) -> Turn:
    role = message["role"]
    if role == "tool":
        return Turn(role, text_of(message.get("content")), results=(message["tool_call_id"],))
    calls = message.get("tool_calls") or ()
    named = tuple((call["id"], _called(call).get("name", "")) for call in calls)
    return Turn(role, text_of(message.get("content")), calls=named)


def _called(call: Mapping[str, Json]) -> Mapping[str, Json]:
    return call.get("function") or call.get("custom") or {}


def text_of(content: Json) -> str:
    """Join the text of a content, be it a string or a list of parts."""
    if isinstance(content, list):
        return "".join(
            str(part.get("text") or part.get("refusal") or "") for part in list_in(content)
        )
    return content or ""


def _tools_of(body: Mapping[str, Json]) -> tuple[Tool, ...]:
    functions = [tool["function"] for tool in body.get("tools") or () if "function" in tool]
    return tuple(Tool(f["name"], f.get("parameters") or {"type": "object"}) for f in functions)


def _forced(choice: Json) -> str:
    if isinstance(choice, dict):
        return str(_called(object_in(choice)).get("name", "any"))
    return "any" if choice == "required" else ""


def _schema_of(wanted: Mapping[str, Json]) -> Mapping[str, Json] | None:
    match wanted.get("type"):
        case "json_schema":
            schema: Mapping[str, Json] = wanted["json_schema"].get("schema") or {}
            return schema
        case "json_object":
            return {}
        case _:
            return None


def _message_tokens(message: Mapping[str, Json], model: str) -> int:
    content = message.get("content")
    media = [part for part in list_in(content) if "text" not in part]
    count = 4 + count_text(text_of(content), model) + MEDIA_TOKENS * len(media)
    if message.get("name"):
        count += 1 + count_text(message["name"], model)
    for call in message.get("tool_calls") or ():
        called = _called(call)
        count += count_text(called.get("name", ""), model)
        count += count_text(called.get("arguments") or called.get("input") or "", model)
    return count


def _message_of(spoken: Spoken) -> dict[str, Json]:
    message: dict[str, Json] = {
        "role": "assistant",
        "content": spoken.text if spoken.text or not spoken.calls else None,
        "refusal": None,
        "annotations": [],
    }
    if spoken.reasoning:
        message["reasoning_content"] = spoken.reasoning
    if spoken.calls:
        message["tool_calls"] = [_call_of(call, call.text) for call in spoken.calls]
    return message


def _call_of(call: Call, arguments: str) -> dict[str, Json]:
    function = {"name": call.name, "arguments": arguments}
    return {"id": call.id, "type": "function", "function": function}


def _deltas_of(spoken: Spoken) -> Iterator[tuple[dict[str, Json], str | None, str]]:
    """Give (delta, finish_reason, billed text) of one choice's chunks."""
    content = None if spoken.calls and not spoken.text else ""
    yield {"role": "assistant", "content": content, "refusal": None}, None, ""
    for piece in pieces_of(spoken.reasoning):
        yield {"reasoning_content": piece}, None, piece
    for piece in pieces_of(spoken.text):
        yield {"content": piece}, None, piece
    for index, call in enumerate(spoken.calls):
        yield {"tool_calls": [{"index": index, **_call_of(call, "")}]}, None, call.name
        for piece in pieces_of(call.text):
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}, None, piece
    yield {}, spoken.finish, ""
