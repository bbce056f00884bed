"""Usage in the words of Amazon Bedrock, Cohere and Ollama, none of which speak OpenAI's.

Converse: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html;
Cohere bills fewer tokens than it counts: https://docs.cohere.com/reference/chat; Ollama:
https://github.com/ollama/ollama/blob/main/docs/api.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentfuse.usage import PriceContext, Usage
from agentfuse.usages.fields import count_at, list_at, mapping_at, word_at
from agentfuse.usages.served_tools import without_zeros

if TYPE_CHECKING:
    from collections.abc import Mapping


def converse_usage(usage: Mapping[str, Any]) -> Usage:
    """Read Converse's ``usage``, or a streamed invocation's metrics.

    Input counts leave out what was cached, unless the total is input and output alone: models that
    count their cache inside are told apart by it.
    """
    reads = count_at(usage, "cacheReadInputTokens", "cacheReadInputTokenCount")
    writes = count_at(usage, "cacheWriteInputTokens", "cacheWriteInputTokenCount")
    inputs = count_at(usage, "inputTokens", "inputTokenCount")
    outputs = count_at(usage, "outputTokens", "outputTokenCount")
    if "totalTokens" in usage and "inputTokens" not in usage and "outputTokens" not in usage:
        inputs = count_at(usage, "totalTokens")
    inside = reads + writes <= inputs and count_at(usage, "totalTokens") == inputs + outputs
    longest = min(_lasting(usage, "12h"), writes)
    long = min(_lasting(usage, "1h"), writes - longest)
    return Usage(
        input_tokens=inputs if inside else inputs + reads + writes,
        output_tokens=outputs,
        cache_read_tokens=reads,
        cache_write_5m_tokens=writes - long - longest,
        cache_write_1h_tokens=long,
        cache_write_12h_tokens=longest,
    )


def converse_context(body: Mapping[str, Any]) -> PriceContext:
    """Read Converse's service tier, and whether it was served for speed."""
    latency = word_at(mapping_at(body, "performanceConfig"), "latency").lower()
    tier = word_at(mapping_at(body, "serviceTier"), "type") or word_at(body, "serviceTier")
    return PriceContext(service_tier=tier.lower(), speed="" if latency == "standard" else latency)


def cohere_usage(usage: Mapping[str, Any]) -> Usage:
    """Read Cohere's billed units, fewer than the tokens it counts; searches of a rerank too."""
    billed = mapping_at(usage, "billed_units")
    images = count_at(billed, "image_tokens")
    return Usage(
        input_tokens=count_at(billed, "input_tokens") + images,
        output_tokens=count_at(billed, "output_tokens"),
        input_image_tokens=images,
        tool_requests=without_zeros({"rerank_search": count_at(billed, "search_units")}),
    )


def ollama_usage(body: Mapping[str, Any]) -> Usage:
    """Read Ollama's native counts, or those of Llama's native answers on Bedrock."""
    return Usage(
        input_tokens=count_at(body, "prompt_eval_count", "prompt_token_count"),
        output_tokens=count_at(body, "eval_count", "generation_token_count"),
    )


def titan_usage(body: Mapping[str, Any]) -> Usage:
    """Read Amazon Titan's native answers and embeddings."""
    results = list_at(body, "results")
    return Usage(
        input_tokens=count_at(body, "inputTextTokenCount"),
        output_tokens=sum(count_at(each, "tokenCount") for each in results),
    )


def _lasting(usage: Mapping[str, Any], ttl: str) -> int:
    return sum(
        count_at(each, "inputTokens")
        for each in list_at(usage, "cacheDetails")
        if word_at(each, "ttl") == ttl
    )
