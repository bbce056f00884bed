"""What a provider billed for an answer, as far as CrewAI lets us see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentfuse.usage import BilledUsage, Usage, UsageReport
from agentfuse.usages import plain_body, report_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from agentfuse.messages import Request

_USAGE_FIELDS = ("usage", "usage_metadata")
# The totals in CrewAI's own words (crewai.types.usage_metrics), cached tokens included.
_OWN_WORDS = frozenset({"cached_prompt_tokens", "cache_creation_tokens", "reasoning_tokens"})


def bill_in(answer: Any) -> Mapping[str, Any] | None:
    """Give an SDK's answer without what it says: its usage, and the terms it was given on."""
    for field in _USAGE_FIELDS:
        usage = getattr(answer, field, None)
        if usage:
            told: dict[str, Any] = {field: plain_body(usage)}
            # Google's word is looked for last: an SDK's object is slow to say that it has none.
            model = getattr(answer, "model", None) or getattr(answer, "model_version", None)
            if isinstance(model, str):
                told["model"] = model
            tier = getattr(answer, "service_tier", None)
            if isinstance(tier, str):
                told["service_tier"] = tier
            return told
    return None


def report_of_bills(bills: Iterable[Any], request: Request) -> UsageReport | None:
    """Read what one call billed, each bill in JSON's own types: CrewAI may ask twice in a call."""
    reports = [found for found in (_report_of(bill, request) for bill in bills) if found]
    if not reports:
        return None
    if len(reports) == 1:
        return reports[0]
    return UsageReport(
        items=tuple(item for report in reports for item in report.items),
        approximate=any(report.approximate for report in reports),
    )


def _report_of(body: Any, request: Request) -> UsageReport | None:
    if isinstance(body, list):
        return None
    if body.keys() & _OWN_WORDS:
        return UsageReport(items=(BilledUsage(model=request.model, usage=_own_usage(body)),))
    return report_of(body, provider=request.provider, model=request.model)


def _own_usage(counts: Mapping[str, Any]) -> Usage:
    return Usage(
        input_tokens=_count(counts, "prompt_tokens", "input_tokens"),
        output_tokens=_count(counts, "completion_tokens", "output_tokens"),
        cache_read_tokens=_count(counts, "cached_prompt_tokens"),
        cache_write_5m_tokens=_count(counts, "cache_creation_tokens"),
        reasoning_tokens=_count(counts, "reasoning_tokens"),
    )


def _count(counts: Mapping[str, Any], *names: str) -> int:
    found = next((counts[name] for name in names if name in counts), 0)
    return int(found) if isinstance(found, int | float) else 0
