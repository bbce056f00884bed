"""What a request may cost before it is sent, and how much output a sum can buy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from agentfuse.messages import Media, Text
from agentfuse.money import PICO_PER_NANO, nano_of_pico
from agentfuse.pricing.cards import NO_MEDIA
from agentfuse.tickets import Quote
from agentfuse.usage import STANDARD, PriceContext
from agentfuse.usages.fields import mapping_at

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentfuse.messages import Request
    from agentfuse.pricing.cards import Caching, PriceCard
    from agentfuse.pricing.cards import Media as Kinds
    from agentfuse.tokens import TokenEstimate

# What is booked for the output of a call that never came back: nobody settled it, so nobody knows.
# A chosen figure, between a tool call (tens of tokens) and a long answer (thousands).
EXPECTED_OUTPUT = 500

# The parameters that ask for other terms than the standard ones.
_TERMS = frozenset({"service_tier", "speed", "inference_geo"})

# Words for OpenAI's shorter retention, which is billed as plain input.
_SHORT = frozenset({None, "", "in_memory", "in-memory"})

# How often a provider's own tool may run in one request that sets no maximum itself.
_TOOL_USES = 10


def quote_of(request: Request, card: PriceCard, estimate: TokenEstimate) -> Quote:
    """Quote a request in nanodollars.

    ``worst`` holds for ``estimate.high`` input tokens and the longest answer the request allows
    (else the model's longest), for each of ``n`` or ``best_of`` choices, at the dearest rates the
    card has for such a request: the tier of the high count, cache writes where caching is asked
    for, audio where there is any. ``floor`` is that worst case without any output, and
    ``max_output_tokens`` and ``per_output_token`` count the tokens of all choices together.
    """
    high = _fitting(estimate, card)
    kinds, beside = _looked_through(request)
    caching = _caching_in(request, beside)
    media = _media_of(request, kinds)
    choices = choices_of(request)
    most = _per_choice(request, card) * choices
    rates = card.rates_at(high)
    per_output = card.dearest_output(rates, media)
    floor = high * card.dearest_input(rates, caching, media) + card.request_fee
    if card.tool_fees:
        floor += _tool_allowance(request, card)
    worst = floor + most * per_output
    expected = card.worst(estimate.tokens, min(most, EXPECTED_OUTPUT * choices))
    return Quote(
        expected=nano_of_pico(min(expected, worst)),
        worst=nano_of_pico(worst),
        floor=nano_of_pico(floor),
        per_output_token=per_output,
        input_tokens=estimate.tokens,
        max_output_tokens=most,
        card_id=card.id,
    )


def affordable_output(quote: Quote, left: int) -> int:
    """Say how many output tokens, over all choices, fit into ``left`` nanodollars.

    0 where not even the input fits; the quote's maximum where output costs nothing.
    """
    room = (left - quote.floor) * PICO_PER_NANO
    if room < 0:
        return 0
    if quote.per_output_token == 0:
        return quote.max_output_tokens
    return min(room // quote.per_output_token, quote.max_output_tokens)


def context_of(request: Request) -> PriceContext:
    """Read the terms a request asks for: its service tier, speed and region."""
    params = request.params
    if _TERMS.isdisjoint(params):
        return STANDARD
    return PriceContext(
        service_tier=_word(params.get("service_tier")),
        speed=_word(params.get("speed")),
        region=_word(params.get("inference_geo")),
    )


def caching_of(request: Request) -> Caching:
    """Say how long a request asks for its prompt to be cached.

    By ``cache_control`` anywhere (Anthropic's word, ``ttl`` in it), by the policy's own marks, or
    by OpenAI's ``prompt_cache_retention``, whose long kinds are billed as writes of twelve hours.
    """
    return _caching_in(request, _looked_through(request)[1])


def _caching_in(request: Request, beside: list[Mapping[str, Any]]) -> Caching:
    """Do as ``caching_of``, with what stands beside the words."""
    if request.params.get("prompt_cache_retention") not in _SHORT:
        return "12h"
    caching = request.caching
    found: Caching = caching.ttl if caching is not None and caching.marks else ""
    if found == "1h":
        return found
    for fields in beside:
        if fields.get("cache_control"):
            if mapping_at(fields, "cache_control").get("ttl") == "1h":
                return "1h"
            found = "5m"
    return found


def choices_of(request: Request) -> int:
    """Count the answers a request asks for: ``n``, or ``best_of`` where more are billed."""
    params = request.params
    if "n" not in params and "best_of" not in params:
        return 1
    asked = [params.get(word) for word in ("n", "best_of")]
    return max([1, *(count for count in asked if isinstance(count, int))])


def _fitting(estimate: TokenEstimate, card: PriceCard) -> int:
    """Cap the high count at the context window, above which a provider refuses unbilled."""
    window = max(card.context_window, estimate.tokens)
    return min(estimate.high, window) if card.context_window else estimate.high


def _per_choice(request: Request, card: PriceCard) -> int:
    asked = request.max_output_tokens
    if asked is None:
        asked = request.output_ceiling
    return card.max_output_tokens if asked is None else max(asked, 0)


def _tool_allowance(request: Request, card: PriceCard) -> int:
    """Set aside the fees of the provider's own tools for as often as they may run."""
    params = request.params
    if not request.tools and "web_search_options" not in params:
        return 0
    general = params.get("max_tool_calls")
    allowance = 0
    for tool in request.tools:
        kind = str(tool.get("type", ""))
        if kind == "function":  # the caller's own, as nearly all are
            continue
        fee = next((fee for name, fee in card.tool_fees.items() if kind.startswith(name)), 0)
        uses = tool.get("max_uses") or general
        allowance += fee * (uses if isinstance(uses, int) else _TOOL_USES)
    if params.get("web_search_options") is not None:
        allowance += card.tool_fees.get("web_search", 0)
    return allowance


def _media_of(request: Request, held: set[str]) -> Kinds:
    """Say whether sound or pictures may be billed; a video holds both."""
    if not held and "modalities" not in request.params:
        return NO_MEDIA
    modalities = request.params.get("modalities")
    heard = isinstance(modalities, list | tuple) and "audio" in modalities
    found: set[Literal["audio", "image", "video"]] = set()
    if heard or held & {"audio", "video"}:
        found.add("audio")
    if held & {"image", "video"}:
        found.add("image")
    if "video" in held:
        found.add("video")
    return frozenset(found)


def _looked_through(request: Request) -> tuple[set[str], list[Mapping[str, Any]]]:
    """Gather the kinds of media in a request, and what stands beside its words."""
    kinds: set[str] = set()
    beside = [request.params, *request.tools]
    for message in request.messages:
        if message.extra:
            beside.append(message.extra)
        for part in message.parts:
            if isinstance(part, Text):
                if part.extra:
                    beside.append(part.extra)
                continue
            beside.append(part.block)
            if isinstance(part, Media):
                kinds.add(part.kind)
        if message.tool_calls:
            beside += [call.extra for call in message.tool_calls if call.extra]
    return kinds, beside


def _word(value: object) -> str:
    return value if isinstance(value, str) else ""
