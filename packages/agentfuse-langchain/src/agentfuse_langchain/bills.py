"""What LangChain says of an answer's end and its tokens, in neutral words and back."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from agentfuse.nothing import NOTHING
from agentfuse.providers.wire_json import object_of
from agentfuse.usage import STANDARD, BilledUsage, PriceContext, Usage, UsageReport

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentfuse.messages import Json

# The words of the providers' own ends (OpenAI, Anthropic, Google, Bedrock, Cohere, Mistral,
# Ollama), lower-cased; one that is not here stays as it is.
_ENDS = {
    **dict.fromkeys(("stop", "end_turn", "stop_sequence", "complete", "completed", "eos"), "stop"),
    **dict.fromkeys(("eos_token", "finish_reason_stop"), "stop"),
    **dict.fromkeys(("tool_calls", "tool_use", "tool_call", "function_call"), "tool_calls"),
    **dict.fromkeys(("length", "max_tokens", "max_output_tokens", "model_length"), "length"),
    "model_context_window_exceeded": "length",
    **dict.fromkeys(
        ("content_filter", "content_filtered", "safety", "recitation"), "content_filter"
    ),
    **dict.fromkeys(("blocklist", "prohibited_content", "guardrail_intervened"), "content_filter"),
    "refusal": "refusal",
}
# Where each integration leaves it: langchain-openai, -anthropic, -aws, -ollama.
_END_FIELDS = ("finish_reason", "stop_reason", "stopReason", "done_reason")

# langchain-openai writes the details of such a tier as `priority_cache_read` and so on.
_TIERS = ("", "priority_", "flex_")

# Integrations whose streams always say how they ended: one without an end was cut.
SAY_THEIR_END = frozenset({"openai", "anthropic", "google_genai", "mistralai", "groq"})


def finish_reason_of(metadata: Mapping[str, Any], *, calls: bool, refused: bool = False) -> str:
    """Read why an answer ended from all its metadata; empty where nothing is said of it."""
    if refused:
        return "refusal"
    for field in _END_FIELDS:
        end = metadata.get(field)
        if isinstance(end, str) and end:
            return _ENDS.get(end.lower(), end)
    match metadata.get("status"):  # OpenAI's Responses API
        case "completed":
            return "tool_calls" if calls else "stop"
        case "incomplete":
            details = object_of(metadata.get("incomplete_details"))
            return _ENDS.get(str(details.get("reason")), "length")
        case _:
            return ""


def model_of(metadata: Mapping[str, Any]) -> str:
    """Give the name the provider answered under; empty where it told none."""
    name = metadata.get("model_name") or metadata.get("model")
    return name if isinstance(name, str) else ""


def report_of(usage: Mapping[str, Any] | None, metadata: Mapping[str, Any]) -> UsageReport | None:
    """Read LangChain's ``usage_metadata``: input with cached tokens, output with reasoning."""
    if not usage:
        return None
    ins = _told(usage.get("input_token_details"))
    outs = _told(usage.get("output_token_details"))
    inner = object_of(metadata.get("usage"))
    counts = Usage(
        input_tokens=_count(usage, "input_tokens"),
        output_tokens=_count(usage, "output_tokens"),
        tool_requests=_tool_requests_of(inner) if inner else NOTHING,
        **_details_of(ins, outs) if ins or outs else {},
    )
    settled = _consistent(counts)
    item = BilledUsage(model=model_of(metadata), usage=settled, context=_terms_of(metadata, inner))
    return UsageReport(items=(item,), approximate=settled is not counts)


def _details_of(ins: Mapping[str, Any], outs: Mapping[str, Any]) -> dict[str, int]:
    """Read the kinds of tokens that not all are of, as words of ``Usage``."""
    return {
        "cache_read_tokens": _tiered(ins, "cache_read"),
        "cache_write_5m_tokens": _tiered(ins, "cache_creation")
        + _count(ins, "ephemeral_5m_input_tokens"),
        "cache_write_1h_tokens": _count(ins, "ephemeral_1h_input_tokens"),
        "reasoning_tokens": _tiered(outs, "reasoning"),
        "input_audio_tokens": _count(ins, "audio"),
        "output_audio_tokens": _count(outs, "audio"),
    }


def _consistent(usage: Usage) -> Usage:
    """Read a usage whose parts exceed its totals at its dearest: the totals are raised."""
    cached = usage.cache_read_tokens + usage.cache_write_5m_tokens + usage.cache_write_1h_tokens
    said = usage.reasoning_tokens + usage.output_audio_tokens
    if usage.input_tokens >= cached and usage.output_tokens >= said:
        return usage
    return replace(
        usage,
        input_tokens=max(usage.input_tokens, cached),
        output_tokens=max(usage.output_tokens, said),
    )


def _told(details: Any) -> Mapping[str, Any]:
    """Leave the zeros out, which mostly are all there is."""
    return {name: count for name, count in object_of(details).items() if count}


def _count(counts: Mapping[str, Any], name: str) -> int:
    value = counts.get(name)
    if value is None:
        return 0
    return max(int(value), 0) if isinstance(value, (int, float)) else 0


def _tiered(counts: Mapping[str, Any], name: str) -> int:
    return sum([_count(counts, f"{tier}{name}") for tier in _TIERS]) if counts else 0


def _tool_requests_of(usage: Mapping[str, Any]) -> Mapping[str, int]:
    """Count the provider's own tools (Anthropic's ``usage.server_tool_use``)."""
    used = object_of(usage.get("server_tool_use"))
    requests = {
        name.removesuffix("_requests"): count
        for name, count in used.items()
        if name.endswith("_requests") and isinstance(count, int) and count
    }
    return requests or NOTHING


def _terms_of(metadata: Mapping[str, Any], usage: Mapping[str, Any]) -> PriceContext:
    tier = metadata.get("service_tier") or usage.get("service_tier")
    region = usage.get("inference_geo")
    if not tier and not region:
        return STANDARD
    return PriceContext(
        service_tier=tier if isinstance(tier, str) else "",
        region=region if isinstance(region, str) else "",
    )


def usage_metadata_of(report: UsageReport) -> dict[str, Json]:
    """Write a report as LangChain's ``usage_metadata``; details of zero are left out."""
    usage = report.usage
    ins = {
        "audio": usage.input_audio_tokens,
        "cache_read": usage.cache_read_tokens,
        "ephemeral_5m_input_tokens": usage.cache_write_5m_tokens,
        "ephemeral_1h_input_tokens": usage.cache_write_1h_tokens,
    }
    outs = {"audio": usage.output_audio_tokens, "reasoning": usage.reasoning_tokens}
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "input_token_details": {name: count for name, count in ins.items() if count},
        "output_token_details": {name: count for name, count in outs.items() if count},
    }
