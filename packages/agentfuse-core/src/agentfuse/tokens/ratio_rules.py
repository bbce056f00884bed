"""Families without rules of their own: their ratio, and a general allowance for the frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentfuse.tokens.contents import contents_of, json_tokens
from agentfuse.tokens.estimates import estimate_of

if TYPE_CHECKING:
    from agentfuse.messages import Request
    from agentfuse.tokens.estimates import TokenEstimate

_PER_MESSAGE = 5
_PER_TOOL = 25
# Hidden prompts of the families without rules: gpt-oss +67, tools of Llama and Nova some hundred.
_CUSHION = 100
_TOOL_CUSHION = 700


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
