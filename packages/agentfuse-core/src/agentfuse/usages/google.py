"""Usage in the words of Google's Gemini API, in camel case or the client's snake case.

https://ai.google.dev/api/generate-content#UsageMetadata.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from agentfuse.usage import BilledUsage, PriceContext, Usage
from agentfuse.usages.fields import count_at, list_at, word_at
from agentfuse.usages.served_tools import grounding_requests

if TYPE_CHECKING:
    from collections.abc import Mapping

# The numbers of google.cloud.aiplatform.v1.Modality and of TrafficType in protocol buffers.
_MODALITIES = {1: "TEXT", 2: "IMAGE", 3: "VIDEO", 4: "AUDIO", 5: "DOCUMENT"}
_TRAFFIC = {1: "on_demand", 2: "provisioned_throughput"}


def gemini_item(body: Mapping[str, Any], usage: Mapping[str, Any], model: str) -> BilledUsage:
    """Read ``usageMetadata``: what tools put into the prompt is input, thoughts are output."""
    told = {_camel(key): value for key, value in usage.items()}
    thoughts = count_at(told, "thoughtsTokenCount")
    prompt = count_at(told, "promptTokenCount") + count_at(told, "toolUsePromptTokenCount")
    output = count_at(told, "candidatesTokenCount", "responseTokenCount") + thoughts
    gap = max(count_at(told, "totalTokenCount") - prompt - output, 0)
    counted = Usage(
        input_tokens=prompt or count_at(told, "totalTokens"),
        output_tokens=output + gap,
        cache_read_tokens=count_at(told, "cachedContentTokenCount"),
        cache_read_audio_tokens=_kind(told, "cacheTokensDetails", "AUDIO"),
        reasoning_tokens=thoughts,
        input_audio_tokens=_anew(told, "AUDIO"),
        input_image_tokens=_anew(told, "IMAGE"),
        input_video_tokens=_anew(told, "VIDEO"),
        output_audio_tokens=_said(told, "AUDIO"),
        output_image_tokens=_said(told, "IMAGE"),
        tool_requests=grounding_requests(body, model),
    )
    return BilledUsage(model=model, usage=counted, context=_context(body, told))


def _context(body: Mapping[str, Any], usage: Mapping[str, Any]) -> PriceContext:
    """Read the tier: ``serviceTier``, or Vertex' ``trafficType`` (ON_DEMAND_FLEX)."""
    number = usage.get("trafficType")
    tier = word_at(usage, "serviceTier", "trafficType") or word_at(body, "serviceTier")
    if isinstance(number, int) and not tier:
        tier = _TRAFFIC.get(number, "")
    tier = tier.lower()
    for known in ("priority", "flex", "batch"):
        if known in tier:
            return PriceContext(service_tier=known)
    return PriceContext(service_tier="provisioned" if "provisioned" in tier else "")


def _camel(key: str) -> str:
    return re.sub(r"_([a-z])", lambda found: found[1].upper(), key)


def _anew(usage: Mapping[str, Any], kind: str) -> int:
    heard = _kind(usage, "promptTokensDetails", kind)
    heard += _kind(usage, "toolUsePromptTokensDetails", kind)
    return max(heard - _kind(usage, "cacheTokensDetails", kind), 0)


def _said(usage: Mapping[str, Any], kind: str) -> int:
    return _kind(usage, "candidatesTokensDetails", kind) or _kind(
        usage, "responseTokensDetails", kind
    )


def _kind(usage: Mapping[str, Any], key: str, kind: str) -> int:
    return sum(
        count_at(each, "tokenCount", "token_count")
        for each in list_at(usage, key)
        if _modality(each) == kind
    )


def _modality(detail: Mapping[str, Any]) -> str:
    number = detail.get("modality")
    known = _MODALITIES.get(number, "") if isinstance(number, int) else ""
    return known or word_at(detail, "modality")
