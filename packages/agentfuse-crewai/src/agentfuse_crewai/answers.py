"""Whole answers: what a CrewAI LLM returns, as JSON text and as a neutral reply, and back."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from agentfuse.messages import Choice, Reply, Text, ToolCall
from agentfuse.providers.chat_requests import call_body
from agentfuse.providers.wire_json import list_of, object_of
from agentfuse.usages import plain_body

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentfuse.messages import Json
    from agentfuse.usage import UsageReport

SHAPE = "crewai"

OTHER = "other"
"""Why an answer ended that is settled but never kept: a tool's result, or an unknown form."""

_written = json.JSONEncoder(ensure_ascii=False, default=str).encode

# The words of the providers' own ends (OpenAI's two APIs, Anthropic, Bedrock, Gemini), lower-cased.
_ENDS: Mapping[str, str] = {
    **dict.fromkeys(("stop", "end_turn", "stop_sequence", "completed"), "stop"),
    **dict.fromkeys(("tool_calls", "tool_use", "function_call"), "tool_calls"),
    **dict.fromkeys(("length", "max_tokens", "incomplete"), "length"),
    "model_context_window_exceeded": "length",
    **dict.fromkeys(("content_filter", "content_filtered", "safety"), "content_filter"),
    **dict.fromkeys(("guardrail_intervened", "recitation", "blocklist"), "content_filter"),
}


def end_of(told: str | None, *, calls: bool) -> str:
    """Read why an answer ended; one that does not say came whole, or CrewAI had raised."""
    word = str(told or "").rsplit(".", 1)[-1].lower()
    end = _ENDS.get(word, word) or "stop"
    return "tool_calls" if calls and end == "stop" else end


def reply_of_result(
    result: Any, *, finish: str | None, answer_id: str | None, report: UsageReport | None
) -> Reply:
    """Read what a call returned: a text, a parsed object, or a list of tool calls."""
    calls = calls_in(result)
    text = _text_of(result)
    known = bool(calls) or text is not None
    choice = Choice(
        parts=(Text(text),) if text else (),
        tool_calls=calls,
        finish_reason=end_of(finish, calls=bool(calls)) if known else OTHER,
    )
    return Reply(
        choices=(choice,),
        report=report,
        model=report.items[0].model if report and report.items else "",
        id=answer_id or "",
        shape=SHAPE,
        raw=_written({"calls": [plain_body(call) for call in result]} if calls else text),
    )


def _text_of(result: Any) -> str | None:
    if isinstance(result, str):
        return result
    if isinstance(result, BaseModel):
        return result.model_dump_json()
    return None


def calls_in(result: Any) -> tuple[ToolCall, ...]:
    """Read a list of tool calls in any provider's form; empty for whatever else it is."""
    if not isinstance(result, list) or not result:
        return ()
    calls = [_call_of(object_of(plain_body(call))) for call in list_of(result)]
    return tuple(call for call in calls if call) if all(calls) else ()


def _call_of(fields: Mapping[str, Any]) -> ToolCall | None:
    """Read one call as ``crewai.utilities.agent_utils.extract_tool_call_info`` does."""
    if fields.get("function_call"):
        return None  # Gemini's parts carry signatures that a copy would lose
    inner = object_of(fields.get("function") or fields)
    name, arguments = inner.get("name"), inner.get("arguments", inner.get("input"))
    if not isinstance(name, str) or not name:
        return None
    call_id = fields.get("call_id") or fields.get("id") or fields.get("toolUseId") or ""
    written = arguments if isinstance(arguments, str) else json.dumps(arguments or {})
    return ToolCall(str(call_id), name, written)


def said_in(reply: Reply, *, schema: Any = None) -> Any:
    """Give a remembered reply's text as a call would have returned it, CrewAI's own or another's.

    Where ``schema`` is a pydantic class, the text becomes an object of it.
    """
    text = reply.text
    if isinstance(schema, type) and issubclass(schema, BaseModel):
        try:
            return schema.model_validate_json(text)
        except ValidationError:
            return text  # as CrewAI does with an answer that it cannot parse
    return text


def form_of(llm: Any, *, streaming: bool) -> str:
    """Name how an LLM's class returns tool calls: anthropic, dict, indexed or object."""
    kinds = _names_above(llm.__class__)
    if "AnthropicCompletion" in kinds:
        return "anthropic"
    if "OpenAICompletion" in kinds and llm._effective_api() == "responses":  # noqa: SLF001
        return "flat"
    if "BedrockCompletion" in kinds:
        return "bedrock"
    return "indexed" if streaming else "object"


@lru_cache(maxsize=256)
def _names_above(kind: Any) -> frozenset[str]:
    return frozenset(each.__name__ for each in kind.__mro__)


def calls_of(reply: Reply, *, form: str) -> list[Any]:
    """Give a remembered reply's tool calls as an LLM writes them (see ``form_of``)."""
    calls = reply.choices[0].tool_calls
    match form:
        case "anthropic":
            return [_use_of(call) for call in calls]
        case "bedrock":
            return [
                {"toolUseId": call.id, "name": call.name, "input": _arguments_of(call)}
                for call in calls
            ]
        case "flat":
            return _flat_in(reply) or [
                {"id": call.id, "name": call.name, "arguments": call.arguments} for call in calls
            ]
        case "indexed":
            return [{**call_body(call), "index": place} for place, call in enumerate(calls)]
        case _:
            return [_object_of(call_body(call)) for call in calls]


def _flat_in(reply: Reply) -> list[Any]:
    """Give the calls as the Responses API had written them, where it was asked."""
    kept = list_of(object_of(json.loads(reply.raw)).get("calls")) if reply.shape == SHAPE else []
    return [each for each in kept if "arguments" in object_of(each)]


def _use_of(call: ToolCall) -> Any:
    from anthropic.types import ToolUseBlock

    return ToolUseBlock(id=call.id, name=call.name, input=_arguments_of(call), type="tool_use")


def _object_of(body: dict[str, Json]) -> Any:
    from openai.types.chat import ChatCompletionMessageFunctionToolCall

    return ChatCompletionMessageFunctionToolCall.model_validate(body)


def _arguments_of(call: ToolCall) -> dict[str, Json]:
    try:
        return object_of(json.loads(call.arguments or "{}"))
    except ValueError:
        return {}
