"""Input that a request does not show: what the provider kept of a conversation, or of a prompt.

https://platform.openai.com/docs/guides/conversation-state: all earlier tokens of a chain of
responses are billed as input again.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentfuse.messages import Request
    from agentfuse.tokens.estimates import TokenEstimate

# No window is longer (gpt-4.1's has 1,047,576 tokens); a card's own window cuts this down.
_MOST = 1_050_000
_SIZE = 4096
_UNSEEN = ("conversation", "prompt")
_PREVIOUS = "previous_response_id"
_KEPT_ELSEWHERE = frozenset({*_UNSEEN, _PREVIOUS})


class Histories:
    """A bounded table of what each response came to, and what that makes of a request's count."""

    def __init__(self, size: int = _SIZE) -> None:
        self._size = size
        self._tokens: OrderedDict[str, int] = OrderedDict()
        self._lock = Lock()

    def remember(self, response_id: str, tokens: int) -> None:
        """Note all tokens of a response, in and out: the most that its successor inherits."""
        with self._lock:
            self._tokens[response_id] = tokens
            if len(self._tokens) > self._size:
                self._tokens.popitem(last=False)

    def with_unseen(
        self, request: Request, count: Callable[[Request], TokenEstimate]
    ) -> TokenEstimate:
        """Count a request with what it inherits; unknown, that may fill the model's window.

        ``count`` counts what is shown. A count with an inheritance teaches nothing about the next
        one, so it goes without a key.
        """
        if _KEPT_ELSEWHERE.isdisjoint(request.params):
            return count(request)
        previous = request.params.get(_PREVIOUS)
        unseen = any(request.params.get(word) for word in _UNSEEN)
        if not previous and not unseen:
            return count(request)
        with self._lock:
            known = self._tokens.get(previous) if isinstance(previous, str) else None
        if known is None or unseen:
            estimate = count(request)
            return replace(estimate, high=max(_MOST, estimate.high), method="heuristic", key=b"")
        shown = {name: value for name, value in request.params.items() if name != _PREVIOUS}
        estimate = count(replace(request, params=shown))
        tokens, high = estimate.tokens + known, estimate.high + known
        return replace(estimate, tokens=tokens, high=high, method="rules", key=b"")
