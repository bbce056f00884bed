"""LlamaIndex's own answers in neutral words and back, for LLMs that are metered as a whole."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    TextBlock,
)

from agentfuse.messages import Choice, Delta, Reply, Text
from agentfuse.providers.wire_json import list_of, object_of
from agentfuse.usages import plain_body, report_of
from agentfuse_llama_index.messages import calls_of, chat_message_of, parts_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from agentfuse.messages import Json, Request
    from agentfuse.usage import UsageReport

    Response = ChatResponse | CompletionResponse

SHAPE = "llama_index"
NOTHING_SAID = Reply(choices=(Choice(),))

_WORD = re.compile(r"\s*\S+(?:\s+\Z)?|\s+")
# Where the integrations' raw answers say why they ended (OpenAI, Anthropic, Ollama), and the words.
_END_FIELDS = ("finish_reason", "stop_reason", "done_reason")
_ENDS = {
    **dict.fromkeys(("stop", "end_turn", "stop_sequence", "completed", "eos", "complete"), "stop"),
    **dict.fromkeys(("length", "max_tokens", "max_output_tokens", "model_length"), "length"),
    **dict.fromkeys(("tool_calls", "tool_use", "function_call"), "tool_calls"),
    **dict.fromkeys(
        ("content_filter", "safety", "recitation", "prohibited_content"), "content_filter"
    ),
}


class ResponseCodec:
    """Reads and makes ChatResponse, or CompletionResponse where ``chats`` is False, for one call.

    ``ended`` is set once the LLM's stream has come to its end by itself; ``remembered`` once the
    answer was found to come from memory.
    """

    __slots__ = ("_chats", "_request", "_said", "ended", "remembered")

    def __init__(self, request: Request, *, chats: bool) -> None:
        self._request = request
        self._chats = chats
        self._said: ChatMessage | None = None
        self.ended = False
        self.remembered = False

    def reply_of(self, result: Response) -> Reply:
        """Read a whole answer."""
        return self._reply_of(result, "stop")

    def answer_of(self, result: Response) -> Response:
        """Give the live answer as it is."""
        return result

    def result_of(self, reply: Reply) -> Response:
        """Make a fresh response of any reply."""
        self.remembered = True
        return self._response_of(reply)

    def delta_of(self, chunk: Response) -> Delta:
        """Read what a chunk added; tool calls are counted at the end, when they are whole."""
        thought = _beside(chunk).get("thinking_delta")
        return Delta(f"{thought or ''}{chunk.delta or ''}")

    def shown(self, chunk: Response) -> Sequence[Response]:
        """Give each chunk as it is, and keep what it said: the caller may change it."""
        if isinstance(chunk, ChatResponse):
            held = chunk.message
            changes = {"blocks": [*held.blocks], "additional_kwargs": {**held.additional_kwargs}}
            self._said = held.model_copy(update=changes)
        return (chunk,)

    def joined(self, chunks: Sequence[Response]) -> Reply:
        """Read a stream: its last response holds all before it, and any of them may hold usage."""
        if not chunks:
            return NOTHING_SAID
        last = chunks[-1]
        if self._said is not None:
            last = last.model_copy(update={"message": self._said})
        reply = self._reply_of(last, "stop" if self.ended else "")
        report = reply.report or next(filter(None, map(self._report_of, reversed(chunks))), None)
        return replace(reply, report=report)

    def chunks_of(self, reply: Reply) -> Iterator[Response]:
        """Replay a reply as a true stream: each response holds all that was said so far."""
        self.remembered = True
        return self._replayed(reply)

    def _replayed(self, reply: Reply) -> Iterator[Response]:
        whole = self._response_of(reply)
        text = (whole.message.content or "") if isinstance(whole, ChatResponse) else whole.text
        said = ""
        for piece in _WORD.findall(text):
            said += piece
            yield self._partial(said, piece)
        yield whole.model_copy(update={"delta": ""})

    def _partial(self, said: str, piece: str) -> Response:
        if not self._chats:
            return CompletionResponse(text=said, delta=piece)
        message = ChatMessage(role="assistant", blocks=[TextBlock(text=said)])
        return ChatResponse(message=message, delta=piece)

    def _reply_of(self, result: Response, assumed_end: str) -> Reply:
        raw = object_of(plain_body(result.raw)) if result.raw else {}
        blocks = result.message.blocks if isinstance(result, ChatResponse) else ()
        text = () if isinstance(result, ChatResponse) else (Text(result.text),)
        calls = calls_of(blocks)
        end = _end_of(raw) or assumed_end
        choice = Choice(
            parts=(*text, *parts_of(blocks)),
            tool_calls=calls,
            finish_reason="tool_calls" if calls and end == "stop" else end,
        )
        return Reply(
            choices=(choice,),
            report=self._report_of(result),
            model=str(raw.get("model") or ""),
            id=str(raw.get("id") or ""),
            shape=SHAPE,
            raw=json.dumps(_fields_of(result, raw), ensure_ascii=False, default=str),
        )

    def _report_of(self, result: Response) -> UsageReport | None:
        provider, model = self._request.provider, self._request.model
        for told in (result.raw, _beside(result)):
            body = object_of(plain_body(told)) if told else {}
            report = report_of(body, provider=provider, model=model) if body else None
            if report is not None:
                return report
        return None

    def _response_of(self, reply: Reply) -> Response:
        ours = reply.shape == SHAPE
        fields: dict[str, Any] = json.loads(reply.raw) if ours else {"raw": _raw_of(reply)}
        choice = reply.choices[0] if reply.choices else Choice()
        told: dict[str, Any] = {
            "raw": fields.get("raw") or None,
            "additional_kwargs": object_of(fields.get("additional_kwargs")),
        }
        if not self._chats:
            return CompletionResponse(text=choice.text, **told)
        message: Any = fields.get("message") or chat_message_of(choice)
        return ChatResponse(message=message, logprobs=fields.get("logprobs"), **told)


def _beside(result: Any) -> dict[str, Any]:
    """Give what an integration tells beside an answer, in its own words."""
    told: dict[str, Any] = result.additional_kwargs
    return told


def _end_of(raw: Mapping[str, Json]) -> str:
    """Read why an answer ended from its raw form; empty where nothing is said of it."""
    choices = list_of(raw.get("choices"))
    for told in (object_of(choices[0]) if choices else {}, raw, object_of(raw.get("message"))):
        for field in _END_FIELDS:
            end = told.get(field)
            if isinstance(end, str) and end:
                return _ENDS.get(end.lower(), end)
    return "length" if raw.get("status") == "incomplete" else ""


def _fields_of(result: Response, raw: Mapping[str, Json]) -> dict[str, Json]:
    """Give what is kept of a response, its SDK's objects as JSON."""
    beside = object_of(plain_body(_beside(result)))
    fields: dict[str, Json] = {"raw": raw, "additional_kwargs": beside}
    if isinstance(result, ChatResponse):
        message = result.message
        fields["message"] = {
            "role": message.role.value,
            "blocks": [block.model_dump(mode="json") for block in message.blocks],
            "additional_kwargs": object_of(plain_body(message.additional_kwargs)),
        }
        fields["logprobs"] = [
            [each.model_dump() for each in row] for row in result.logprobs or ()
        ] or None
    return fields


def _raw_of(reply: Reply) -> dict[str, Json]:
    """Tell another framework's answer as a raw one: token counters read its usage."""
    from agentfuse.providers.chat_replies import completion_body

    return completion_body(reply)
