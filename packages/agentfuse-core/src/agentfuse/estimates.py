"""``estimate_cost()``: what a call would cost, before anybody is asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agentfuse.errors import ConfigurationError
from agentfuse.money import dollars_of
from agentfuse.pricing import context_of, quote_of
from agentfuse.providers.names import target_of
from agentfuse.runtime.default import default_fuse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from decimal import Decimal

    from agentfuse.messages import Json, Request
    from agentfuse.providers.names import Target
    from agentfuse.runtime.fuse import Fuse

    Messages = Sequence[Mapping[str, Json]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a call will cost in dollars: ``expected``, and at most ``worst``, which is reserved.

    ``input_tokens`` is the likely count of the prompt, ``max_output_tokens`` the longest answer
    that was reckoned with. ``card_id`` names the entry of the price list; ``approximate`` says that
    it was not quite the model or the terms that were asked for.
    """

    expected: Decimal
    worst: Decimal
    input_tokens: int
    max_output_tokens: int
    card_id: str
    approximate: bool = False


def estimate_cost(
    model: str,
    messages: Messages,
    tools: Sequence[Mapping[str, Json]] | None = None,
    max_output_tokens: int | None = None,
    **params: Any,
) -> Estimate:
    """Reckon what a call of ``completion`` with these arguments would cost; nothing is sent.

    ``expected`` assumes an answer of 500 tokens, or of the maximum where that is less; ``worst``
    the dearest reading of the request and the longest answer it allows. ``params`` are further
    options of the call (``n``, ``service_tier``, ``response_format`` ...), and ``fuse`` whose
    prices hold in place of the process's own. Raises UnknownPrice for a model without a price and
    ConfigurationError for what cannot be asked.
    """
    if not messages:
        raise ConfigurationError("messages is empty: there is nothing to ask")
    fuse: Fuse = params.pop("fuse", None) or default_fuse().run(None, None)
    body: dict[str, Any] = {"messages": messages, **params}
    if tools:
        body["tools"] = tools
    if max_output_tokens is not None:
        body["max_tokens"] = max_output_tokens
    request = _request_of(target_of(model), body)
    book, counter = fuse.book, fuse.counter
    card = book.card(request.model, request.provider, context_of(request))
    quote = quote_of(request, card, counter.count(request))
    return Estimate(
        expected=dollars_of(quote.expected),
        worst=dollars_of(quote.worst),
        input_tokens=quote.input_tokens,
        max_output_tokens=quote.max_output_tokens,
        card_id=quote.card_id,
        approximate=card.approximate,
    )


def _request_of(target: Target, body: dict[str, Any]) -> Request:
    """Read the call as the dialect that would speak it does."""
    if target.api == "anthropic.messages":
        from agentfuse.providers import anthropic_messages

        return anthropic_messages.request_of(target, body)
    from agentfuse.providers import chat_requests

    return chat_requests.request_of(target, body)
