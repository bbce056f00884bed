"""Usage in the words of OpenAI's APIs, and of the many that speak them.

Chat: https://platform.openai.com/docs/api-reference/chat/object; responses:
https://platform.openai.com/docs/api-reference/responses/object; DeepSeek's cache hits:
https://api-docs.deepseek.com/guides/kv_cache; OpenRouter's cost:
https://openrouter.ai/docs/use-cases/usage-accounting; xAI's ticks:
https://docs.x.ai/developers/cost-tracking.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from agentfuse.usage import Usage
from agentfuse.usages.fields import amount_at, count_at, mapping_at
from agentfuse.usages.served_tools import requests_of

if TYPE_CHECKING:
    from collections.abc import Mapping

_PARTS = frozenset({"prompt_tokens", "completion_tokens", "input_tokens", "output_tokens"})

# The details of input and output; Writer spells its own without the s.
_HEARD = ("prompt_tokens_details", "input_tokens_details", "prompt_token_details")
_SAID = ("completion_tokens_details", "output_tokens_details", "completion_token_details")

# xAI charges in ticks of which ten thousand million make a dollar.
_TICKS_EXPONENT = -10


def openai_usage(body: Mapping[str, Any], usage: Mapping[str, Any]) -> Usage:
    """Read a usage with ``prompt_tokens`` or ``input_tokens`` that include what was cached.

    Where the total exceeds prompt and completion, the gap is output: reasoning that Gemini's
    compatible endpoint and xAI leave out of the completion.
    """
    prompt = count_at(usage, "prompt_tokens", "input_tokens")
    completion = count_at(usage, "completion_tokens", "output_tokens")
    gap = max(count_at(usage, "total_tokens") - prompt - completion, 0)
    if _PARTS.isdisjoint(usage):  # embeddings of some providers tell the total alone
        prompt, gap = gap, 0
    heard, said = mapping_at(usage, *_HEARD), mapping_at(usage, *_SAID)
    drawn = count_at(usage, "image_tokens") if "prompt_tokens" not in usage else 0
    kept = mapping_at(heard, "cached_tokens_details") if heard else heard
    return Usage(
        input_tokens=prompt + drawn,  # Cohere's image embeddings count beside the text
        output_tokens=completion + gap,
        cache_read_tokens=_reads(usage, heard),
        cache_write_5m_tokens=count_at(heard, "cache_write_tokens", "cache_creation_tokens")
        or count_at(usage, "cache_creation_input_tokens"),
        cache_read_audio_tokens=count_at(kept, "audio_tokens"),
        reasoning_tokens=count_at(said, "reasoning_tokens"),
        input_audio_tokens=_anew(heard, kept, "audio_tokens"),
        input_image_tokens=_anew(heard, kept, "image_tokens") + drawn,
        input_video_tokens=_anew(heard, kept, "video_tokens"),
        output_audio_tokens=count_at(said, "audio_tokens"),
        output_image_tokens=count_at(said, "image_tokens"),
        tool_requests=requests_of(body, usage),
    )


def _reads(usage: Mapping[str, Any], heard: Mapping[str, Any]) -> int:
    # Mistral counts num_cached_tokens, Together and Moonshot cached_tokens beside the totals;
    # gateways pass Anthropic's words on.
    places = ("prompt_cache_hit_tokens", "cached_tokens", "num_cached_tokens")
    return count_at(heard, "cached_tokens") or count_at(usage, *places, "cache_read_input_tokens")


def _anew(heard: Mapping[str, Any], kept: Mapping[str, Any], kind: str) -> int:
    """Count what of a kind did not come from a cache."""
    count = count_at(heard, kind)
    return max(count - count_at(kept, kind), 0) if count else 0


def reported_cost(usage: Mapping[str, Any]) -> Decimal | None:
    """Read what the provider says it charged, in dollars: OpenRouter, xAI, Perplexity.

    With the caller's own provider key OpenRouter's ``cost`` is its fee alone; the provider's bill
    comes on top.
    """
    if ticks := count_at(usage, "cost_in_usd_ticks"):
        return Decimal(ticks).scaleb(_TICKS_EXPONENT)
    itemised = mapping_at(usage, "cost")
    if itemised:
        return amount_at(itemised, "total_cost")
    cost = amount_at(usage, "cost")
    if cost is None or usage.get("is_byok") is not True:
        return cost
    upstream = amount_at(mapping_at(usage, "cost_details"), "upstream_inference_cost")
    return None if upstream is None else cost + upstream


def disagrees(usage: Mapping[str, Any]) -> bool:
    """Say whether a stated total is less than its parts."""
    prompt = count_at(usage, "prompt_tokens", "input_tokens")
    completion = count_at(usage, "completion_tokens", "output_tokens")
    total = count_at(usage, "total_tokens")
    return 0 < total < prompt + completion
