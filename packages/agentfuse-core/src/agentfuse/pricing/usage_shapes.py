"""Read what an answer billed, by the shape of its JSON: any provider's, and any nonsense."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentfuse.nothing import NOTHING
from agentfuse.pricing.usage_anthropic import anthropic_items
from agentfuse.pricing.usage_fields import context_at, is_consistent, mapping_at, word_at
from agentfuse.pricing.usage_native import converse_usage, gemini_context, gemini_usage
from agentfuse.pricing.usage_openai import disagrees, openai_usage, reported_cost
from agentfuse.usage import BilledUsage, UsageReport

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_ANTHROPIC_WORDS = frozenset(
    {"cache_creation_input_tokens", "cache_read_input_tokens", "cache_creation", "iterations"}
)
_ENDINGS = frozenset({"response.completed", "response.incomplete", "response.failed"})


def report_of(
    body: Mapping[str, Any], *, provider: str = "", model: str = ""
) -> UsageReport | None:
    """Read an answer's usage: chat completions, responses, Anthropic, Gemini, Bedrock Converse.

    ``model`` stands in where the body names none; ``provider`` (``anthropic``) tells apart what
    the shape leaves open. ``approximate`` marks
    counts that contradict each other, which are priced at their dearest. None where the body has
    no usage. Never raises, whatever JSON ``body`` is.
    """
    outer = mapping_at(body, "response", "message") if "usage" not in body else NOTHING
    body = outer if mapping_at(outer, "usage") else body
    model = word_at(body, "model", "modelVersion") or model
    native = mapping_at(body, "usageMetadata")
    if native:
        item = BilledUsage(model=model, usage=gemini_usage(native), context=gemini_context(native))
        return _report((item,))
    usage = mapping_at(body, "usage") or mapping_at(mapping_at(body, "x_groq"), "usage")
    if not usage:
        return None
    if "inputTokens" in usage or "outputTokens" in usage:
        return _report((BilledUsage(model=model, usage=converse_usage(usage)),))
    context = context_at(body, usage)
    if _is_anthropic(body, usage, provider):
        return _report(anthropic_items(usage, model, context))
    item = BilledUsage(model=model, usage=openai_usage(body, usage), context=context)
    return UsageReport(
        items=(item,),
        reported_cost=reported_cost(usage),
        approximate=disagrees(usage) or not is_consistent(item.usage),
    )


def stream_usage(events: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Make of a stream's events a body that ``report_of`` reads; None where none told a usage.

    Chat completions: the last chunk with a usage. Anthropic: message_start with the later
    message_delta's counts in place of its own (they are totals, not additions). Responses: the
    response of the closing event.
    """
    body: dict[str, Any] = {}
    usage: dict[str, Any] = {}
    for event in events:
        kind = word_at(event, "type")
        if kind in _ENDINGS:
            return mapping_at(event, "response") or None
        if kind == "message_start":
            body = dict(mapping_at(event, "message"))
            usage = dict(mapping_at(body, "usage"))
        elif kind == "message_delta":
            told = mapping_at(event, "usage")
            usage.update({key: value for key, value in told.items() if value is not None})
            body.setdefault("type", "message")
        elif _tells(event):
            body, usage = dict(event), dict(mapping_at(event, "usage", "usageMetadata"))
    if not usage:
        return body if mapping_at(body, "x_groq") else None
    return body if "usageMetadata" in body else {**body, "usage": usage}


def _is_anthropic(body: Mapping[str, Any], usage: Mapping[str, Any], provider: str) -> bool:
    if "prompt_tokens" in usage:  # a gateway that adds Anthropic's words to OpenAI's
        return False
    spoken = body.get("type") == "message" or provider == "anthropic"
    return spoken or bool(usage.keys() & _ANTHROPIC_WORDS)


def _tells(event: Mapping[str, Any]) -> bool:
    groq = mapping_at(mapping_at(event, "x_groq"), "usage")
    return bool(mapping_at(event, "usage", "usageMetadata") or groq)


def _report(items: tuple[BilledUsage, ...]) -> UsageReport:
    consistent = all(is_consistent(item.usage) for item in items)
    return UsageReport(items=items, approximate=not consistent)
