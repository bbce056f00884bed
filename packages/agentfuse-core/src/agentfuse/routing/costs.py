"""What one request would cost with each candidate, by a count that takes no time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agentfuse.messages import Media, Reasoning, Text
from agentfuse.money import nano_of_pico
from agentfuse.pricing.quotes import EXPECTED_OUTPUT, choices_of

if TYPE_CHECKING:
    from agentfuse.messages import Part, Request
    from agentfuse.pricing import PriceCard

# A choice among models needs the ratio of input to output, not the bill: four characters of English
# are about a token (platform.openai.com/tokenizer), and a picture about a thousand.
_CHARS_PER_TOKEN = 4
_TOKENS_PER_MEDIUM = 1_000
_TOKENS_PER_MESSAGE = 4


@dataclass(frozen=True, slots=True)
class Mix:
    """Tokens thought to go in and come out; ``cached`` of the input were sent before."""

    input: int
    output: int
    cached: int = 0


def mix_of(request: Request, usual_output: float = 0.0, *, cached: int = 0) -> Mix:
    """Guess a request's tokens; ``usual_output`` is what its kind was answered with so far."""
    tokens = sum(_tokens_of(part) for message in request.messages for part in message.parts)
    calls = sum(len(c.arguments) for m in request.messages for c in m.tool_calls)
    tools = sum(len(str(tool)) for tool in request.tools)
    tokens += (calls + tools) // _CHARS_PER_TOKEN + _TOKENS_PER_MESSAGE * len(request.messages)
    output = round(usual_output) or EXPECTED_OUTPUT
    if request.max_output_tokens is not None:
        output = min(output, request.max_output_tokens)
    return Mix(tokens, output * choices_of(request), min(cached, tokens))


def price_of(card: PriceCard, mix: Mix, *, warm: bool = False) -> int:
    """Price a mix in nanodollars; a model that is ``warm`` reads the cached part from its cache.

    That is what a switch throws away: the prefix is paid again, at the full price of input.
    """
    rates = card.rates_at(mix.input)
    cached = mix.cached if warm else 0
    pico = (mix.input - cached) * rates.input + cached * rates.cache_read
    return nano_of_pico(pico + mix.output * rates.output + card.request_fee)


def _tokens_of(part: Part) -> int:
    if isinstance(part, Text | Reasoning):
        return len(part.text) // _CHARS_PER_TOKEN
    return _TOKENS_PER_MEDIUM if isinstance(part, Media) else len(str(part)) // _CHARS_PER_TOKEN
