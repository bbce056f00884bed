"""Whole answers: the SDK's output items as a neutral reply, and any reply as output items."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any, get_args

from agents import ModelResponse, Usage
from agents.models.chatcmpl_converter import Converter
from openai.types.responses import ResponseOutputItem
from pydantic import BaseModel, ValidationError

from agentfuse.messages import Choice, Other, Reply
from agentfuse.providers.chat_replies import completion_of
from agentfuse.providers.wire_json import list_of, object_of
from agentfuse.usages import report_of
from agentfuse_openai_agents.items import call_of, content_of, reasoning_of
from agentfuse_openai_agents.json_values import plain_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from agentfuse.messages import Json, Part, ToolCall
    from agentfuse.usage import UsageReport
    from agentfuse_openai_agents.places import Flavour

SHAPE = "openai.agents"

_written = json.JSONEncoder(ensure_ascii=False).encode


def reply_of_output(
    output: Iterable[Any],
    *,
    finish_reason: str = "",
    report: UsageReport | None = None,
    model: str = "",
    response_id: str | None = None,
) -> Reply:
    """Read a whole answer; ``finish_reason`` is the provider's, where it is known."""
    items = [_fields_of(item) for item in output]
    return Reply(
        choices=(_choice_of(items, finish_reason),),
        report=report,
        model=model,
        id=response_id or "",
        shape=SHAPE,
        raw=_written({"response_id": response_id, "output": items}),
    )


def _fields_of(item: Any) -> dict[str, Json]:
    """Write an output item as JSON, with the fields that were set."""
    if isinstance(item, dict):
        return object_of(item)
    return object_of(item.model_dump(mode="json", exclude_unset=True, warnings=False))


def _choice_of(items: Sequence[Mapping[str, Json]], finish: str) -> Choice:
    parts: list[Part] = []
    calls: list[ToolCall] = []
    for item in items:
        match item.get("type"):
            case "function_call":
                calls.append(call_of(item))
            case "reasoning":
                parts.append(reasoning_of(item))
            case "message":
                parts += content_of(item.get("content"))
            case _:
                parts.append(Other(item))
    return Choice(
        parts=tuple(parts),
        tool_calls=tuple(calls),
        finish_reason=_end_of(items, parts, finish, calls=bool(calls)),
    )


def _end_of(
    items: Sequence[Mapping[str, Json]], parts: Sequence[Part], finish: str, *, calls: bool
) -> str:
    """Say why an answer ended: refused, cut, with calls, or by itself."""
    if any(isinstance(part, Other) and part.block.get("type") == "refusal" for part in parts):
        return "refusal"
    if finish in {"", "stop", "tool_calls", "function_call"}:
        if any(item.get("status") == "incomplete" for item in items):
            return "length"
        return "tool_calls" if calls else "stop"
    return finish


def report_of_usage(usage: Usage, *, provider: str, model: str) -> UsageReport | None:
    """Read the SDK's own count, where nothing better was heard; none where it counted nothing."""
    if not usage.total_tokens and not usage.input_tokens and not usage.output_tokens:
        return None
    body = {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "input_tokens_details": plain_of(usage.input_tokens_details),
        "output_tokens_details": plain_of(usage.output_tokens_details),
    }
    return report_of({"usage": body}, provider=provider, model=model)


def response_of_reply(reply: Reply, flavour: Flavour) -> ModelResponse:
    """Make a fresh answer of a remembered reply: its items and ids as they were, and no usage.

    No request was made, so it has no ``request_id``. A chat model's answers have no
    ``response_id`` either.
    """
    output, response_id = output_of_reply(reply, flavour)
    return ModelResponse(
        output=output,
        usage=Usage(),
        response_id=response_id if flavour == "responses" else None,
    )


def output_of_reply(reply: Reply, flavour: Flavour) -> tuple[list[Any], str | None]:
    """Make output items of a reply, the SDK's own or another framework's, and give its id."""
    if reply.shape == SHAPE:
        kept: dict[str, Any] = json.loads(reply.raw)
        return [_item_of(fields) for fields in list_of(kept["output"])], kept["response_id"]
    # Marked as from elsewhere, as the SDK marks what its chat models say: with that, and with its
    # placeholder for ids, an item is cleaned before the Responses API gets it back.
    origin = {"model": reply.model, **({"response_id": reply.id} if reply.id else {})}
    message = completion_of(reply).choices[0].message
    items = Converter.message_to_output_items(message, provider_data=origin)
    if flavour == "responses":
        items = [item for item in items if item.type != "reasoning"]
    return items, None


@lru_cache(maxsize=1)
def _kinds() -> Mapping[Json, type[BaseModel]]:
    """Give the SDK's classes of output items by their ``type``: trying each takes 40 us an item."""
    kinds: tuple[type[BaseModel], ...] = get_args(get_args(ResponseOutputItem)[0])
    return {name: kind for kind in kinds for name in get_args(kind.model_fields["type"].annotation)}


def _item_of(fields: Mapping[str, Json]) -> Any:
    """Read an output item; what the installed SDK does not know stays a dict, as runs take it."""
    kind = _kinds().get(fields.get("type"))
    if kind is None:
        return dict(fields)
    try:
        return kind.model_validate(fields)
    except ValidationError:
        return dict(fields)
