"""What a provider says it billed: token counts by kind, one item for each model that worked.

Names follow the OpenTelemetry GenAI conventions where those have one. ``input_tokens`` is always
the total, cached tokens included; ``output_tokens`` is always the total, reasoning included.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from agentfuse.nothing import NOTHING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of one billed answer.

    Kinds do not overlap, but for one: cache reads, the three writes, and audio, image and video
    that were not read from a cache fit together into ``input_tokens``; reasoning, audio and image
    into ``output_tokens``. ``cache_read_audio_tokens`` is the part of ``cache_read_tokens`` that
    is sound.
    ``tool_requests`` counts what the provider's own tools billed, such as ``{"web_search": 2}``.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_5m_tokens: int = 0
    cache_write_1h_tokens: int = 0
    cache_write_12h_tokens: int = 0
    cache_read_audio_tokens: int = 0
    reasoning_tokens: int = 0
    input_audio_tokens: int = 0
    input_image_tokens: int = 0
    input_video_tokens: int = 0
    output_audio_tokens: int = 0
    output_image_tokens: int = 0
    tool_requests: Mapping[str, int] = NOTHING

    @classmethod
    def from_response(
        cls, body: object, api: str | None = None, provider: str | None = None
    ) -> UsageReport:
        """Read what any provider's answer billed, by the shape of it.

        ``body`` is a JSON object, its text, a client library's object, or the list of a stream's
        events, which are merged and not summed. ``api`` (``anthropic.messages``) and ``provider``
        (``anthropic``) tell apart what the shape leaves open. An answer without usage gives no
        items. Never raises: counts that contradict each other stay as told, make the report
        ``approximate``, and are priced at their dearest reading.
        """
        from agentfuse.usages import told_report  # the reader makes usages of this class

        return told_report(body, api, provider)

    def __add__(self, other: Usage) -> Usage:
        """Add two usages, kind by kind."""
        counts = {
            f.name: getattr(self, f.name) + getattr(other, f.name)
            for f in fields(self)
            if f.name != "tool_requests"
        }
        requests = dict(self.tool_requests)
        for tool, count in other.tool_requests.items():
            requests[tool] = requests.get(tool, 0) + count
        return Usage(**counts, tool_requests=requests or NOTHING)


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceContext:
    """What besides the tokens decides a price; empty means the provider's standard terms."""

    service_tier: str = ""
    batch: bool = False
    speed: str = ""
    region: str = ""


STANDARD = PriceContext()


@dataclass(frozen=True, slots=True, kw_only=True)
class BilledUsage:
    """One model's share of an answer; ``model`` is the name the provider answered under."""

    model: str
    usage: Usage
    context: PriceContext = STANDARD


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageReport:
    """All that one answer billed.

    ``reported_cost`` is what the provider says it charged, in dollars, and wins over any price
    list. ``approximate`` marks a usage that was inconsistent and read at its dearest.
    """

    items: tuple[BilledUsage, ...]
    reported_cost: Decimal | None = None
    approximate: bool = False

    @property
    def usage(self) -> Usage:
        """The sum over all models."""
        if len(self.items) == 1:
            return self.items[0].usage
        return sum((item.usage for item in self.items), Usage())
