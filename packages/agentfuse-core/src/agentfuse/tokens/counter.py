"""Count requests: the rules of each family, and what earlier answers taught."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING, Any

from agentfuse.tokens.calibration import Calibration, key_of
from agentfuse.tokens.claude_rules import claude_estimate
from agentfuse.tokens.counters import Counters
from agentfuse.tokens.embeddings import embedding_estimate
from agentfuse.tokens.families import family_of
from agentfuse.tokens.gemini_rules import gemini_estimate
from agentfuse.tokens.histories import Histories
from agentfuse.tokens.openai_rules import openai_estimate
from agentfuse.tokens.ratio_rules import ratio_estimate
from agentfuse.tokens.text import count_text
from agentfuse.tokens.wires import request_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from agentfuse.messages import Request
    from agentfuse.tokens.counters import RequestCounter, Tell
    from agentfuse.tokens.estimates import TokenEstimate

_RULES: dict[str, Callable[[Request], TokenEstimate]] = {
    "openai": openai_estimate,
    "claude": claude_estimate,
    "gemini": gemini_estimate,
}

# Estimates kept for calls whose answer is still to come.
_OPEN_CALLS = 256


class TokenCounter:
    """Counts texts and requests in the terms of their model, and learns from true usages.

    ``counters`` are asked for each request before the rules, the first answer holds; what they
    answer is taken as it is, so nothing is learned about it.
    """

    def __init__(self, counters: Sequence[RequestCounter] = ()) -> None:
        self.counters = Counters(counters)
        self._calibration = Calibration()
        self._histories = Histories()
        self._latest: tuple[Request, TokenEstimate] | None = None
        self._open: OrderedDict[int, tuple[Request, TokenEstimate]] = OrderedDict()
        self._lock = Lock()

    def count_text(self, text: str, model: str = "gpt-4o") -> int:
        """Count the tokens of a text; see ``agentfuse.tokens.count_text``."""
        return count_text(text, model)

    def count_request(
        self, body: Mapping[str, Any], model: str, api: str, provider: str = ""
    ) -> TokenEstimate:
        """Estimate all input tokens of a body as it goes over the wire.

        ``api`` names its dialect (see ``agentfuse.tokens.wires.Api``); bounds as in ``count``.
        Never raises on any JSON value.
        """
        if api == "embeddings":
            return embedding_estimate(body, model)
        request = request_of(body, model, api, provider)
        return self.counters.count(request) or self.by_rules(request)

    def count(self, request: Request, tell: Tell | None = None) -> TokenEstimate:
        """Estimate all input tokens of a request: messages, tools, schema, history and media.

        ``high`` is meant to hold: it is what a budget sets aside. For plain text to OpenAI it
        equals ``tokens``; elsewhere it rests on what recorded requests of the kind were billed.
        A counter that fails is told to ``tell`` (or the log, without one) and passed over.
        """
        known = self.counters.count(request, tell)
        if known is not None:
            return known
        estimate = self._histories.with_unseen(request, self.by_rules)
        if estimate.method != "exact":
            with self._lock:
                self._open[id(request)] = (request, estimate)
                if len(self._open) > _OPEN_CALLS:
                    self._open.popitem(last=False)
        return estimate

    def observe(self, estimate: TokenEstimate, actual: int) -> None:
        """Learn that a request so estimated was billed ``actual`` input tokens, cached included."""
        self._calibration.observe(estimate, actual)
        self._latest = None

    def settle(self, request: Request, actual: int) -> None:
        """Learn from the true usage of a request given to ``count``; others teach nothing."""
        with self._lock:
            known = self._open.pop(id(request), None)
        if known is not None and known[0] is request:
            self.observe(known[1], actual)

    def remember(self, response_id: str, tokens: int) -> None:
        """Note what a response came to, in and out, for those that will be asked to follow it."""
        self._histories.remember(response_id, tokens)

    def by_rules(self, request: Request) -> TokenEstimate:
        """Estimate by the family's rules and what was learned alone; takes microseconds.

        The request that was last counted is not counted again: a call may ask twice for its own.
        """
        latest = self._latest
        if latest is None or latest[0] is not request:
            latest = self._latest = (request, self._ruled(request))
        return latest[1]

    def _ruled(self, request: Request) -> TokenEstimate:
        if request.api == "embeddings":  # what is embedded is no message: it stands in the params
            return embedding_estimate(request.params, request.model)
        rules = family_of(request.model, request.provider).rules
        estimate = _RULES.get(rules, ratio_estimate)(request)
        if estimate.method == "exact":
            return estimate
        return self._calibration.calibrated(estimate, key_of(request, estimate))
