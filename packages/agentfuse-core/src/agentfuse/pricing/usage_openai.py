"""Usage in the words of OpenAI's APIs, and of the many that speak them.

Chat: https://platform.openai.com/docs/api-reference/chat/object; responses:
https://platform.openai.com/docs/api-reference/responses/object; DeepSeek's cache hits:
https://api-docs.deepseek.com/guides/kv_cache; OpenRouter's cost:
https://openrouter.ai/docs/use-cases/usage-accounting.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentfuse.nothing import NOTHING
from agentfuse.pricing.usage_fields import amount_at, count_at, list_at, mapping_at, word_at
from agentfuse.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

_PARTS = frozenset({"prompt_tokens", "completion_tokens", "input_tokens", "output_tokens"})

# Output items of the responses API that are billed for each call.
_CALLS = {"web_search_call": "web_search", "file_search_call": "file_search"}
# A web search call that only opens or reads a page is no search.
_NO_SEARCH = frozenset({"open_page", "find_in_page", "find"})


def openai_usage(body: Mapping[str, Any], usage: Mapping[str, Any]) -> Usage:
    """Read a usage with ``prompt_tokens`` or ``input_tokens`` that include what was cached.

    Where the total exceeds prompt and completion, the gap is output: reasoning that Gemini's
    compatible endpoint and xAI leave out of the completion.
    """
    prompt = count_at(usage, "prompt_tokens", "input_tokens")
    completion = count_at(usage, "completion_tokens", "output_tokens")
    gap = max(count_at(usage, "total_tokens") - prompt - completion, 0)
    if not usage.keys() & _PARTS:  # embeddings of some providers tell the total alone
        prompt, gap = gap, 0
    heard = mapping_at(usage, "prompt_tokens_details", "input_tokens_details")
    said = mapping_at(usage, "completion_tokens_details", "output_tokens_details")
    return Usage(
        input_tokens=prompt,
        output_tokens=completion + gap,
        cache_read_tokens=count_at(heard, "cached_tokens")
        or count_at(usage, "prompt_cache_hit_tokens", "cached_tokens"),
        cache_write_5m_tokens=count_at(heard, "cache_write_tokens"),
        reasoning_tokens=count_at(said, "reasoning_tokens"),
        input_audio_tokens=count_at(heard, "audio_tokens"),
        output_audio_tokens=count_at(said, "audio_tokens"),
        tool_requests=_tool_requests(body, usage),
    )


def reported_cost(usage: Mapping[str, Any]) -> Decimal | None:
    """Read what OpenRouter says it charged, in dollars.

    With the caller's own provider key ``cost`` is its fee alone; the provider's bill comes on top.
    """
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


def _tool_requests(body: Mapping[str, Any], usage: Mapping[str, Any]) -> Mapping[str, int]:
    requests: dict[str, int] = {}
    for item in list_at(body, "output"):
        tool = _CALLS.get(word_at(item, "type"))
        if tool and word_at(mapping_at(item, "action"), "type") not in _NO_SEARCH:
            requests[tool] = requests.get(tool, 0) + 1
    searches = count_at(
        mapping_at(usage, "server_tool_use", "server_tool_use_details"), "web_search_requests"
    )
    if searches:
        requests["web_search"] = max(searches, requests.get("web_search", 0))
    return requests or NOTHING
