"""One model's prices as integers, and the arithmetic of a bill.

Prices are picodollars per token: every list price is a whole number of them, so that a bill is a
sum of products of integers, exact and the same in every order.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Literal

from agentfuse.nothing import NOTHING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentfuse.usage import Usage

Caching = Literal["", "5m", "1h", "12h"]
"""How long a request asks the provider to cache its prompt; empty where it does not ask."""

Media = frozenset[Literal["audio", "image", "video"]]
"""What besides text a request holds or asks for, where that has prices of its own."""

NO_MEDIA: Media = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Picodollars for one token of each kind."""

    input: int
    output: int
    cache_read: int
    cache_read_audio: int
    cache_write_5m: int
    cache_write_1h: int
    cache_write_12h: int
    input_audio: int
    output_audio: int
    input_image: int
    input_video: int
    output_image: int
    reasoning: int


KINDS = tuple(rate.name for rate in fields(Rates))
FREE = Rates(**dict.fromkeys(KINDS, 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceCard:
    """What one model costs on given terms.

    ``tiers`` are (threshold, rates), the highest threshold first: above a threshold of total input
    tokens *all* tokens are billed at its rates, as Anthropic, Google and OpenAI do. ``tool_fees``
    and ``request_fee`` are picodollars per request. ``writes_unasked`` says that the provider
    bills cache writes nobody asked for. ``approximate`` marks terms no price list states: priced
    at the dearest that is known. ``id`` names the entry and the list it came from.
    """

    id: str
    rates: Rates
    tiers: tuple[tuple[int, Rates], ...] = ()
    tool_fees: Mapping[str, int] = NOTHING
    request_fee: int = 0
    context_window: int = 0
    max_output_tokens: int = 0
    valid_on: str = ""
    writes_unasked: bool = False
    approximate: bool = False

    def cost(self, usage: Usage) -> int:
        """Price a usage in picodollars.

        Every token is billed as exactly one kind. Where the parts exceed their total, the total is
        read as leaving them out, the dearest reading, since some providers report it that way.
        """
        rates = self.rates_at(usage.input_tokens) if self.tiers else self.rates
        pico = _input_cost(usage, rates) + _output_cost(usage, rates) + self.request_fee
        if usage.tool_requests:
            pico += self._fees(usage.tool_requests)
        return max(pico, 0)

    def worst(
        self,
        input_tokens: int,
        output_tokens: int,
        *,
        caching: Caching = "",
        media: Media = NO_MEDIA,
    ) -> int:
        """Price token counts in picodollars as the dearest kinds they may turn out to be."""
        rates = self.rates_at(input_tokens)
        per_input = self.dearest_input(rates, caching, media)
        per_output = self.dearest_output(rates, media)
        return input_tokens * per_input + output_tokens * per_output + self.request_fee

    def rates_at(self, input_tokens: int) -> Rates:
        """Give the rates for a prompt of this length."""
        for threshold, rates in self.tiers:
            if input_tokens > threshold:
                return rates
        return self.rates

    def dearest_input(self, rates: Rates, caching: Caching = "", media: Media = NO_MEDIA) -> int:
        """Give the most that one input token can cost in a request that asks for ``caching``."""
        if not (caching or media or self.writes_unasked):
            return max(rates.input, rates.cache_read)
        candidates = [rates.input, rates.cache_read]
        if caching or self.writes_unasked:
            candidates.append(rates.cache_write_5m)
        if caching in {"1h", "12h"}:
            candidates.append(rates.cache_write_1h)
        if caching == "12h":
            candidates.append(rates.cache_write_12h)
        if media:
            candidates += [getattr(rates, f"input_{kind}") for kind in media]
            candidates.append(rates.cache_read_audio)
        return max(candidates)

    def dearest_output(self, rates: Rates, media: Media = NO_MEDIA) -> int:
        """Give the most that one output token can cost; who can draw may do so unasked."""
        spoken = rates.output_audio if "audio" in media else 0
        return max(rates.output, rates.reasoning, rates.output_image, spoken)

    def _fees(self, requests: Mapping[str, int]) -> int:
        return sum(count * self.tool_fees.get(tool, 0) for tool, count in requests.items())


def _input_cost(usage: Usage, rates: Rates) -> int:
    total, parts = usage.input_tokens, usage.cache_read_tokens
    heard_before = usage.cache_read_audio_tokens
    pico = (parts - heard_before if heard_before <= parts else parts) * rates.cache_read
    pico += heard_before * rates.cache_read_audio
    for count, rate in (
        (usage.cache_write_5m_tokens, rates.cache_write_5m),
        (usage.cache_write_1h_tokens, rates.cache_write_1h),
        (usage.cache_write_12h_tokens, rates.cache_write_12h),
        (usage.input_audio_tokens, rates.input_audio),
        (usage.input_image_tokens, rates.input_image),
        (usage.input_video_tokens, rates.input_video),
    ):
        if count:
            parts += count
            pico += count * rate
    return pico + (total - parts if parts <= total else total) * rates.input


def _output_cost(usage: Usage, rates: Rates) -> int:
    total, parts, pico = usage.output_tokens, 0, 0
    for count, rate in (
        (usage.reasoning_tokens, rates.reasoning),
        (usage.output_audio_tokens, rates.output_audio),
        (usage.output_image_tokens, rates.output_image),
    ):
        if count:
            parts += count
            pico += count * rate
    return pico + (total - parts if parts <= total else total) * rates.output
