"""Read what an answer billed, by the shape of its JSON: any provider's, and any nonsense."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from agentfuse.nothing import NOTHING
from agentfuse.usage import BilledUsage, PriceContext, UsageReport
from agentfuse.usages import native
from agentfuse.usages.chat import disagrees, openai_usage, reported_cost
from agentfuse.usages.claude import anthropic_items
from agentfuse.usages.consistency import is_consistent, settled
from agentfuse.usages.fields import context_at, mapping_at, word_at
from agentfuse.usages.google import gemini_item
from agentfuse.usages.plain import plain_body
from agentfuse.usages.streams import stream_usage

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal


_ANTHROPIC_WORDS = frozenset(
    {"cache_creation_input_tokens", "cache_read_input_tokens", "cache_creation", "iterations"}
)
_CONVERSE_WORDS = frozenset({"inputTokens", "outputTokens", "inputTokenCount", "outputTokenCount"})
_GEMINI_WORDS = frozenset(
    {"promptTokenCount", "totalTokenCount", "prompt_token_count", "total_token_count"}
)
_OLLAMA_WORDS = frozenset({"prompt_eval_count", "eval_count", "generation_token_count"})
# By these a usage is known that stands alone, without the answer it belongs to.
_BARE_WORDS = frozenset({"prompt_tokens", "input_tokens", "total_tokens", "totalTokens"})
_PLACES = ("usage", "usageMetadata", "usage_metadata", "amazon-bedrock-invocationMetrics", "meta")

# Where an answer stands inside an event, a batch's line or a stream's closing words.
_WRAPPERS: Final = (
    ("response", "body"),
    ("result", "message"),
    ("response",),
    ("message",),
    ("metadata",),
    ("delta",),
    ("x_groq",),
)


def told_report(body: object, api: str | None, provider: str | None) -> UsageReport:
    """Read any answer, a client's object too, or a stream's events; an empty report where none is.

    An answer that tells no usage gives no items and is ``approximate``. Never raises.
    """
    plain = plain_body(body)
    merged = stream_usage(plain) or NOTHING if isinstance(plain, list) else plain
    report = report_of(merged, provider=provider or "", api=api or "")
    return report or UsageReport(items=(), approximate=True)


def report_of(
    body: Mapping[str, Any], *, provider: str = "", model: str = "", api: str = ""
) -> UsageReport | None:
    """Read an answer's usage from its JSON, or from the usage alone.

    ``model`` stands in where the body names none; ``provider`` (``anthropic``) and ``api``
    (``anthropic.messages``) tell apart what the shape leaves open. ``approximate`` marks counts
    that contradict each other, which a price card reads at their dearest. None where the body has
    no usage. Never raises, whatever JSON ``body`` is.
    """
    body, in_batch = _answer_in(body)
    model = word_at(body, "model", "modelVersion", "model_version") or model
    usage = mapping_at(body, *_PLACES)
    if usage:
        spoken = provider == "anthropic" or api.startswith("anthropic")
        report = _read(body, usage, model, spoken=spoken)
    elif not _OLLAMA_WORDS.isdisjoint(body):
        report = _checked((BilledUsage(model=model, usage=native.ollama_usage(body)),))
    elif "inputTextTokenCount" in body:
        report = _checked((BilledUsage(model=model, usage=native.titan_usage(body)),))
    else:
        return None
    return _batched(report) if in_batch else report


def _answer_in(body: Mapping[str, Any]) -> tuple[Mapping[str, Any], bool]:
    """Find the object that tells the usage, and say whether it stood in a batch's line."""
    if mapping_at(body, *_PLACES) or not _OLLAMA_WORDS.isdisjoint(body):
        return body, False
    for path in _WRAPPERS:
        inner = body
        for key in path:
            inner = mapping_at(inner, key)
        if mapping_at(inner, *_PLACES):
            named = inner if word_at(inner, "model") else {**inner, "model": body.get("model")}
            return named, len(path) > 1
    alone = _BARE_WORDS | _CONVERSE_WORDS | _GEMINI_WORDS | {"billed_units"}
    return ({**body, "usage": body} if body.keys() & alone else body), False


def _read(
    body: Mapping[str, Any], usage: Mapping[str, Any], model: str, *, spoken: bool
) -> UsageReport:
    """Read a usage by the words in it."""
    if "prompt_tokens" not in usage and not _GEMINI_WORDS.isdisjoint(usage):
        return _checked((gemini_item(body, usage, model),))
    if "billed_units" in usage:
        return _checked((BilledUsage(model=model, usage=native.cohere_usage(usage)),))
    converses = "totalTokens" in usage and "total_tokens" not in usage
    if converses or not _CONVERSE_WORDS.isdisjoint(usage):
        terms = native.converse_context(body)
        item = BilledUsage(model=model, usage=native.converse_usage(usage), context=terms)
        return _checked((item,))
    context = context_at(body, usage)
    if _is_anthropic(body, usage, spoken=spoken):
        return _checked(anthropic_items(usage, model, context))
    item = BilledUsage(model=model, usage=openai_usage(body, usage), context=context)
    return _checked((item,), cost=reported_cost(usage), doubtful=disagrees(usage))


def _is_anthropic(body: Mapping[str, Any], usage: Mapping[str, Any], *, spoken: bool) -> bool:
    if "prompt_tokens" in usage:  # a gateway that adds Anthropic's words to OpenAI's
        return False
    return spoken or body.get("type") == "message" or not _ANTHROPIC_WORDS.isdisjoint(usage)


def _checked(
    items: tuple[BilledUsage, ...], *, cost: Decimal | None = None, doubtful: bool = False
) -> UsageReport:
    """Tell every item's parts apart, and mark a report whose counts contradict each other."""
    items = tuple([_settled(item) for item in items])
    consistent = all(is_consistent(item.usage) for item in items)
    return UsageReport(items=items, reported_cost=cost, approximate=doubtful or not consistent)


def _settled(item: BilledUsage) -> BilledUsage:
    usage = settled(item.usage)
    return item if usage is item.usage else replace(item, usage=usage)


def _batched(report: UsageReport) -> UsageReport:
    def of(context: PriceContext) -> PriceContext:
        return replace(context, batch=True)

    items = tuple(replace(item, context=of(item.context)) for item in report.items)
    return replace(report, items=items)
