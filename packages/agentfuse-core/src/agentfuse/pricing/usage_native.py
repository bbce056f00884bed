"""Usage in the words of Google's Gemini API and of Amazon Bedrock's Converse.

https://ai.google.dev/api/generate-content#UsageMetadata and
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentfuse.pricing.usage_fields import count_at, list_at, word_at
from agentfuse.usage import PriceContext, Usage

if TYPE_CHECKING:
    from collections.abc import Mapping


def gemini_usage(usage: Mapping[str, Any]) -> Usage:
    """Read ``usageMetadata``: what tools put into the prompt is input, thoughts are output."""
    thoughts = count_at(usage, "thoughtsTokenCount")
    heard = _audio(usage, "promptTokensDetails") - _audio(usage, "cacheTokensDetails")
    return Usage(
        input_tokens=count_at(usage, "promptTokenCount")
        + count_at(usage, "toolUsePromptTokenCount"),
        output_tokens=count_at(usage, "candidatesTokenCount") + thoughts,
        cache_read_tokens=count_at(usage, "cachedContentTokenCount"),
        reasoning_tokens=thoughts,
        input_audio_tokens=max(heard, 0),
        output_audio_tokens=_audio(usage, "candidatesTokensDetails"),
    )


def gemini_context(usage: Mapping[str, Any]) -> PriceContext:
    """Read the tier: ``serviceTier``, or Vertex' ``trafficType`` (ON_DEMAND_FLEX)."""
    tier = word_at(usage, "serviceTier", "trafficType").lower()
    for known in ("priority", "flex"):
        if known in tier:
            return PriceContext(service_tier=known)
    return PriceContext(service_tier="provisioned" if "provisioned" in tier else "")


def converse_usage(usage: Mapping[str, Any]) -> Usage:
    """Read Converse's ``usage``, whose input counts leave out what was cached."""
    reads = count_at(usage, "cacheReadInputTokens", "cacheReadInputTokenCount")
    writes = count_at(usage, "cacheWriteInputTokens", "cacheWriteInputTokenCount")
    long = sum(
        count_at(each, "inputTokens")
        for each in list_at(usage, "cacheDetails")
        if word_at(each, "ttl") == "1h"
    )
    return Usage(
        input_tokens=count_at(usage, "inputTokens") + reads + writes,
        output_tokens=count_at(usage, "outputTokens"),
        cache_read_tokens=reads,
        cache_write_5m_tokens=max(writes - long, 0),
        cache_write_1h_tokens=min(long, writes),
    )


def _audio(usage: Mapping[str, Any], key: str) -> int:
    return sum(
        count_at(each, "tokenCount")
        for each in list_at(usage, key)
        if word_at(each, "modality") == "AUDIO"
    )
