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

Caching = Literal["", "5m", "1h"]
"""How long a request asks the provider to cache its prompt; empty where it does not ask."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Picodollars for one token of each kind."""

    input: int
    output: int
    cache_read: int
    cache_write_5m: int
    cache_write_1h: int
    input_audio: int
    output_audio: int
    reasoning: int


FREE = Rates(**dict.fromkeys((rate.name for rate in fields(Rates)), 0))


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
        inputs = usage.input_tokens
        reads = usage.cache_read_tokens
        short = usage.cache_write_5m_tokens
        long = usage.cache_write_1h_tokens
        heard = usage.input_audio_tokens
        outputs = usage.output_tokens
        spoken = usage.output_audio_tokens
        thought = usage.reasoning_tokens
        rates = self.rates_at(inputs) if self.tiers else self.rates
        plain_in = inputs - reads - short - long - heard
        plain_out = outputs - spoken - thought
        pico = (
            (plain_in if plain_in >= 0 else inputs) * rates.input
            + reads * rates.cache_read
            + short * rates.cache_write_5m
            + long * rates.cache_write_1h
            + heard * rates.input_audio
            + (plain_out if plain_out >= 0 else outputs) * rates.output
            + spoken * rates.output_audio
            + thought * rates.reasoning
            + self.request_fee
        )
        if usage.tool_requests:
            pico += self._fees(usage.tool_requests)
        return max(pico, 0)

    def worst(
        self, input_tokens: int, output_tokens: int, *, caching: Caching = "", audio: bool = False
    ) -> int:
        """Price token counts in picodollars as the dearest kinds they may turn out to be."""
        rates = self.rates_at(input_tokens)
        per_input = self.dearest_input(rates, caching, audio=audio)
        per_output = self.dearest_output(rates, audio=audio)
        return input_tokens * per_input + output_tokens * per_output + self.request_fee

    def rates_at(self, input_tokens: int) -> Rates:
        """Give the rates for a prompt of this length."""
        for threshold, rates in self.tiers:
            if input_tokens > threshold:
                return rates
        return self.rates

    def dearest_input(self, rates: Rates, caching: Caching = "", *, audio: bool = False) -> int:
        """Give the most that one input token can cost in a request that asks for ``caching``."""
        candidates = [rates.input, rates.cache_read]
        if caching or self.writes_unasked:
            candidates.append(rates.cache_write_5m)
        if caching == "1h":
            candidates.append(rates.cache_write_1h)
        if audio:
            candidates.append(rates.input_audio)
        return max(candidates)

    def dearest_output(self, rates: Rates, *, audio: bool = False) -> int:
        """Give the most that one output token can cost."""
        spoken = rates.output_audio if audio else 0
        return max(rates.output, rates.reasoning, spoken)

    def _fees(self, requests: Mapping[str, int]) -> int:
        return sum(count * self.tool_fees.get(tool, 0) for tool, count in requests.items())
