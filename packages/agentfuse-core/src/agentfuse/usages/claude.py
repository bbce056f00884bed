"""Usage in the words of Anthropic's Messages API, where input counts leave out what was cached.

https://docs.anthropic.com/en/api/messages; iterations (compaction, advisor):
https://docs.anthropic.com/en/docs/build-with-claude/compaction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentfuse.usage import BilledUsage, Usage
from agentfuse.usages.fields import count_at, list_at, mapping_at, word_at
from agentfuse.usages.served_tools import anthropic_requests

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentfuse.usage import PriceContext


def anthropic_items(
    usage: Mapping[str, Any], model: str, context: PriceContext
) -> tuple[BilledUsage, ...]:
    """Read one item for each iteration, or one in all.

    Iterations are billed though the top-level counts leave some out (252 times under the bill in a
    recorded compaction), and an adviser's run under its own model.
    """
    top = BilledUsage(model=model, usage=anthropic_usage(usage), context=context)
    rounds = [
        (word_at(each, "model"), anthropic_usage(each)) for each in list_at(usage, "iterations")
    ]
    own = [each for other, each in rounds if other in ("", model)]
    if not own or not _covers(sum(own, Usage()), top.usage):
        own = [top.usage]
    elif top.usage.tool_requests and not any(each.tool_requests for each in own):
        own = [own[0] + Usage(tool_requests=top.usage.tool_requests), *own[1:]]
    others = [
        BilledUsage(model=other, usage=each, context=context)
        for other, each in rounds
        if other not in ("", model)
    ]
    return (*(BilledUsage(model=model, usage=each, context=context) for each in own), *others)


def _covers(sum_of_rounds: Usage, top: Usage) -> bool:
    return (
        sum_of_rounds.input_tokens >= top.input_tokens
        and sum_of_rounds.output_tokens >= top.output_tokens
    )


def anthropic_usage(usage: Mapping[str, Any]) -> Usage:
    """Read one set of counts; writes of unstated duration count as five minutes."""
    reads = count_at(usage, "cache_read_input_tokens")
    lasting = mapping_at(usage, "cache_creation")
    long = count_at(lasting, "ephemeral_1h_input_tokens")
    longest = count_at(lasting, "ephemeral_12h_input_tokens")
    short = count_at(lasting, "ephemeral_5m_input_tokens")
    short = max(short, count_at(usage, "cache_creation_input_tokens") - long - longest)
    outputs = count_at(usage, "output_tokens")
    return Usage(
        input_tokens=count_at(usage, "input_tokens") + reads + short + long + longest,
        output_tokens=outputs,
        cache_read_tokens=reads,
        cache_write_5m_tokens=short,
        cache_write_1h_tokens=long,
        cache_write_12h_tokens=longest,
        reasoning_tokens=count_at(mapping_at(usage, "output_tokens_details"), "thinking_tokens"),
        tool_requests=anthropic_requests(usage),
    )
