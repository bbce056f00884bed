"""Count requests: the rules of each family, and a ratio where there are none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentfuse.tokens.claude_rules import claude_estimate
from agentfuse.tokens.contents import contents_of, json_tokens
from agentfuse.tokens.estimates import TokenEstimate, estimate_of
from agentfuse.tokens.families import family_of
from agentfuse.tokens.openai_rules import openai_estimate
from agentfuse.tokens.text import count_text

if TYPE_CHECKING:
    from agentfuse.messages import Request

_PER_MESSAGE = 5
_PER_TOOL = 25
# Hidden prompts of the families without rules: gpt-oss +67, tools of Llama and Nova some hundred.
_CUSHION = 100
_TOOL_CUSHION = 700


class TokenCounter:
    """Counts texts and requests in the terms of their model."""

    def count_text(self, text: str, model: str = "gpt-4o") -> int:
        """Count the tokens of a text; see ``agentfuse.tokens.count_text``."""
        return count_text(text, model)

    def count_request(self, request: Request) -> TokenEstimate:
        """Estimate all input tokens of a request: messages, tools, schema, history and media.

        ``high`` is meant to hold: it is what a budget sets aside. For plain text to OpenAI it
        equals ``tokens``; elsewhere it rests on what recorded requests of the kind were billed.
        """
        rules = family_of(request.model, request.provider).rules
        if rules == "openai":
            return openai_estimate(request)
        if rules == "claude":
            return claude_estimate(request)
        return ratio_estimate(request)


def ratio_estimate(request: Request) -> TokenEstimate:
    """Count a request by its family's ratio and a general allowance for frames and tools."""
    contents = contents_of(request)
    family = contents.family
    tokens = family.frame + contents.text + contents.calls + contents.media
    tokens += _PER_MESSAGE * (len(request.messages) + contents.call_count + contents.results)
    schema = request.params.get("response_format") or request.params.get("response_schema")
    for given in (list(request.tools), schema):
        tokens += json_tokens(family, given) if given else 0
    tokens += _PER_TOOL * len(request.tools)
    factor = 2000 if contents.opaque or request.tools else family.high
    cushion = contents.spare + (_TOOL_CUSHION if request.tools else _CUSHION)
    return estimate_of(tokens, factor=factor, cushion=cushion, method="heuristic")
