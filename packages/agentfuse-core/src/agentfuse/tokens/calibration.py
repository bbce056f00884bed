"""What was learned from true usages: how far the rules were off for a model and its tools.

Hidden prompts and unknown tokenizers hardly change between calls with the same model, tools and
output schema, so the previous answer's usage says what the next one needs.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from hashlib import blake2b
from threading import Lock
from typing import TYPE_CHECKING, Any

from agentfuse.by_content import ByContent
from agentfuse.tokens.contents import compact
from agentfuse.tokens.estimates import TokenEstimate

if TYPE_CHECKING:
    from agentfuse.messages import Request

# Offsets are held within these multiples of the estimate: server-side state (a stored
# conversation) would otherwise blow up the next, unrelated request. Measured on recorded usages.
_LEAST, _MOST = -0.5, 2.0
_SIZE = 4096
# How far 95 of 100 calibrated estimates were exceeded at most, in thousandths and tokens.
_FACTOR, _CUSHION = 1100, 40
_SHAPES = ("response_format", "response_schema", "output_format", "output_config", "text")
_SHAPING = frozenset(_SHAPES)


class Calibration:
    """A bounded table of the offset last seen for each model and set of tools and schemas."""

    def __init__(self, size: int = _SIZE) -> None:
        self._size = size
        self._offsets: OrderedDict[bytes, tuple[int, int]] = OrderedDict()
        self._lock = Lock()

    def observe(self, estimate: TokenEstimate, actual: int) -> None:
        """Learn from one true usage; exact counts have nothing to learn."""
        if estimate.method == "exact" or not estimate.key or actual <= 0 or estimate.cold <= 0:
            return
        with self._lock:
            self._offsets[estimate.key] = (actual - estimate.cold, estimate.cold)
            self._offsets.move_to_end(estimate.key)
            if len(self._offsets) > self._size:
                self._offsets.popitem(last=False)

    def calibrated(self, estimate: TokenEstimate, key: bytes) -> TokenEstimate:
        """Move an estimate by what was learned under a key; it is given that key to learn by."""
        if estimate.method == "exact" or not key:
            return estimate
        with self._lock:
            known = self._offsets.get(key)
        if known is None:
            return replace(estimate, key=key)
        tokens = estimate.cold + _offset_for(estimate.cold, *known)
        spread = estimate.high - estimate.cold
        doubt = min(spread, tokens * (_FACTOR - 1000) // 1000 + _CUSHION)
        return TokenEstimate(
            tokens=tokens,
            low=max(tokens - doubt, 0),
            high=tokens + doubt,
            method="calibrated",
            key=key,
            cold=estimate.cold,
            doubt=estimate.doubt,
        )


def key_of(request: Request, estimate: TokenEstimate) -> bytes:
    """Name what hidden overheads hang on: the model, its dialect, tools and output schema.

    Empty where nothing would be learned: plain requests of families with rules of their own, whose
    errors lie in the text, and media, which are of every size. What cannot be read learns apart.
    """
    params = request.params
    plain = _SHAPING.isdisjoint(params)
    shapes = [] if plain else [params[name] for name in _SHAPES if params.get(name)]
    hidden = request.tools or shapes or estimate.method == "heuristic"
    if not hidden or estimate.doubt == "media":
        return b""
    names = (request.provider, request.api, request.model, estimate.doubt)
    return _digest([request.tools, shapes] if shapes else request.tools, *names)


def _digest_of(given: Any, *names: str) -> bytes:
    named = "\0".join([*names, compact(given)])
    return blake2b(named.encode("utf-8", "surrogatepass"), digest_size=16).digest()


_digest = ByContent(_digest_of)


def _offset_for(cold: int, offset: int, seen: int) -> int:
    """Scale what was learned on a larger request down to a smaller one, and keep it in bounds."""
    scaled = offset * min(cold / seen, 1.0)
    return round(max(_LEAST * cold, min(scaled, _MOST * cold)))
