"""Answers of OpenAI's Responses API: read from their body, and made of any reply.

Source: https://platform.openai.com/docs/api-reference/responses/object
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from agentfuse.messages import Choice, Other, Reasoning, Reply, Text
from agentfuse.providers.responses_bodies import call_item, call_of, parts_of, thoughts_in
from agentfuse.providers.wire_json import list_of, object_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from agentfuse.messages import Json, Part
    from agentfuse.usage import UsageReport

SHAPE = "openai.responses"
_CALLS = frozenset({"function_call", "custom_tool_call"})
_CUT_SHORT = {"max_output_tokens": "length", "max_tokens": "length"}
_RUNNING = frozenset({"queued", "in_progress"})

# What a response repeats of its request, with what it says where the request was silent.
_ECHOED: Mapping[str, Json] = {
    "instructions": None,
    "max_output_tokens": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "reasoning": {"effort": None, "summary": None},
    "service_tier": "default",
    "store": True,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}


def reply_of_response(
    body: Mapping[str, Json], *, provider: str, model: str, raw: str = ""
) -> Reply:
    """Read a response's body; one that still runs, or was cut, has no finish_reason."""
    from agentfuse.usages import report_of

    output = [object_of(item) for item in list_of(body.get("output"))]
    choice = Choice(
        parts=tuple(part for item in output for part in _parts_in(item)),
        tool_calls=tuple(call_of(item) for item in output if item.get("type") in _CALLS),
        finish_reason=_finish_of(body, output),
    )
    return Reply(
        choices=(choice,),
        report=report_of(body, provider=provider, model=model, api="responses"),
        model=str(body.get("model") or model),
        id=str(body.get("id") or ""),
        shape=SHAPE,
        raw=raw or json.dumps(body, ensure_ascii=False, separators=(",", ":")),
    )


def _parts_in(item: Mapping[str, Json]) -> Iterator[Part]:
    match item.get("type"):
        case "message":
            yield from parts_of(item.get("content"))
        case "reasoning":
            yield Reasoning(thoughts_in(item), item)
        case kind if kind not in _CALLS:
            yield Other(item)
        case _:
            pass


def _finish_of(body: Mapping[str, Json], output: list[dict[str, Json]]) -> str:
    status = str(body.get("status") or "")
    if status == "incomplete":
        reason = str(object_of(body.get("incomplete_details")).get("reason") or status)
        return _CUT_SHORT.get(reason, reason)
    if status != "completed":
        return "" if status in _RUNNING else status
    blocks = (object_of(each) for item in output for each in list_of(item.get("content")))
    if any(block.get("type") == "refusal" for block in blocks):
        return "refusal"
    return "tool_calls" if any(item.get("type") in _CALLS for item in output) else "stop"


def response_body(reply: Reply, asked: Mapping[str, Json]) -> Mapping[str, Json]:
    """Give any reply as the response to the body ``asked``."""
    if reply.shape == SHAPE:
        body: dict[str, Json] = json.loads(reply.raw)
        return body
    choice = reply.choices[0]
    short = choice.finish_reason == "length"
    echoed = {word: asked.get(word, default) for word, default in _ECHOED.items()}
    return {
        "id": reply.id,
        "object": "response",
        "created_at": int(time.time()),
        "status": "incomplete" if short else "completed",
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if short else None,
        "model": reply.model,
        "output": list(_output_of(choice, reply.id)),
        **echoed,
        "usage": _usage_body(reply.report),
    }


def _output_of(choice: Choice, name: str) -> Iterator[dict[str, Json]]:
    """Write what was said as output items; ids are made of the reply's own."""
    thoughts = [part.text for part in choice.parts if isinstance(part, Reasoning) and part.text]
    if thoughts:
        summary = [{"type": "summary_text", "text": text} for text in thoughts]
        yield {"id": f"rs_{name}", "type": "reasoning", "summary": summary}
    content = [block for part in choice.parts if (block := _block_of(part)) is not None]
    if content:
        yield {
            "id": f"msg_{name}",
            "type": "message",
            "status": "completed",
            "role": "assistant",
            "content": content,
        }
    for number, call in enumerate(choice.tool_calls):
        yield {"id": f"fc_{name}_{number}", "status": "completed", **call_item(call)}


def _block_of(part: Part) -> dict[str, Json] | None:
    match part:
        case Text(text):
            return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
        case Other(block) if block.get("type") == "refusal":
            return {"type": "refusal", "refusal": block["refusal"]}
        case _:
            return None


def _usage_body(report: UsageReport | None) -> dict[str, Json] | None:
    if report is None:
        return None
    usage = report.usage
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cache_read_tokens,
            "cache_write_tokens": usage.cache_write_5m_tokens,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
