"""Count what the provider's own tools did, where each use has a fee.

OpenAI: https://platform.openai.com/docs/pricing (searches by the call, code interpreter by the
container); xAI: https://docs.x.ai/developers/pricing; Google's grounding:
https://ai.google.dev/gemini-api/docs/pricing (by the search query since Gemini 3, by the grounded
answer before); Perplexity: https://docs.perplexity.ai/getting-started/pricing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

from agentfuse.nothing import NOTHING
from agentfuse.usages.fields import count_at, list_at, mapping_at, word_at

if TYPE_CHECKING:
    from collections.abc import Mapping

# Output items of the responses API that are billed for each call.
_CALLS = {
    "web_search_call": "web_search",
    "file_search_call": "file_search",
    "x_search_call": "social_search",
}
# A web search call that only opens or reads a page is no search.
_NO_SEARCH = frozenset({"open_page", "find_in_page", "find"})

# Where usages count searches themselves: OpenRouter and Anthropic, xAI, Perplexity.
_COUNTERS = ("server_tool_use", "server_tool_use_details", "server_side_tool_usage_details")
_COUNTED = {
    "web_search": ("web_search_requests", "web_search_calls"),
    "web_fetch": ("web_fetch_requests",),
    "social_search": ("x_search_calls",),
    "file_search": ("file_search_calls", "document_search_calls"),
    "code_execution": ("code_interpreter_calls", "code_execution_requests"),
}
_SEARCHES = frozenset({"num_search_queries", "num_sources_used"})
_BY_QUERY_SINCE = 3


def requests_of(body: Mapping[str, Any], usage: Mapping[str, Any]) -> Mapping[str, int]:
    """Count an answer's billed tool requests in the APIs that speak OpenAI's words."""
    counters = mapping_at(usage, *_COUNTERS)
    if not counters and not body.get("output") and _SEARCHES.isdisjoint(usage):
        return NOTHING
    requests = _listed(body)
    if counters:
        for tool, words in _COUNTED.items():
            requests[tool] = max(count_at(counters, *words), requests.get(tool, 0))
    if searches := count_at(usage, "num_search_queries"):
        requests["web_search"] = max(searches, requests.get("web_search", 0))
    requests["live_search_source"] = count_at(usage, "num_sources_used")
    if requests.get("code_execution"):  # xAI bills the calls, not the containers
        requests["code_interpreter"] = 0
    return without_zeros(requests)


def anthropic_requests(usage: Mapping[str, Any]) -> Mapping[str, int]:
    """Count what Anthropic's ``server_tool_use`` tells."""
    served = mapping_at(usage, "server_tool_use")
    tools = ("web_search", "web_fetch", "code_execution")
    return without_zeros({tool: count_at(served, f"{tool}_requests") for tool in tools})


def grounding_requests(body: Mapping[str, Any], model: str) -> Mapping[str, int]:
    """Count the searches and maps that grounded a Gemini answer."""
    queries, maps = set[str](), 0
    for candidate in list_at(body, "candidates"):
        grounding = mapping_at(candidate, "groundingMetadata", "grounding_metadata")
        found = grounding.get("webSearchQueries") or grounding.get("web_search_queries")
        if isinstance(found, list | tuple):
            queries.update(str(query) for query in cast("list[object]", found) if query)
        chunks = list_at(grounding, "groundingChunks", "grounding_chunks")
        maps = max(maps, int(any(mapping_at(chunk, "maps") for chunk in chunks)))
    generation = re.search(r"gemini-(\d+)", model)
    by_query = generation is None or int(generation[1]) >= _BY_QUERY_SINCE
    searches = len(queries) if by_query else min(len(queries), 1)
    return without_zeros({"web_search": searches, "maps_grounding": maps})


def without_zeros(requests: Mapping[str, int]) -> Mapping[str, int]:
    """Keep the tools that were used."""
    return {tool: count for tool, count in requests.items() if count} or NOTHING


def _listed(body: Mapping[str, Any]) -> dict[str, int]:
    requests: dict[str, int] = {}
    containers: set[str] = set()
    for item in list_at(body, "output"):
        kind = word_at(item, "type")
        tool = _CALLS.get(kind)
        if tool and word_at(mapping_at(item, "action"), "type") not in _NO_SEARCH:
            requests[tool] = requests.get(tool, 0) + 1
        elif kind == "code_interpreter_call":
            containers.add(word_at(item, "container_id"))
    requests["code_interpreter"] = len(containers)
    return requests
