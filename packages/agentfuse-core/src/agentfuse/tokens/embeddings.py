"""What texts to embed are billed: their tokens and nothing around them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentfuse.tokens.contents import text_tokens
from agentfuse.tokens.estimates import estimate_of
from agentfuse.tokens.families import family_of
from agentfuse.tokens.json_shapes import items_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentfuse.tokens.estimates import TokenEstimate
    from agentfuse.tokens.families import Family

_CUSHION = 20


def embedding_estimate(body: Mapping[str, Any], model: str) -> TokenEstimate:
    """Count the texts (or lists of token numbers) of an embeddings body; exact for OpenAI."""
    family = family_of(model or str(body.get("model") or ""))
    tokens = _weight_of(body.get("input", body.get("texts")), family)
    if family.name.startswith("openai-old"):
        return estimate_of(tokens, factor=1000, method="exact")
    return estimate_of(tokens, factor=family.high, cushion=_CUSHION, method="heuristic")


def _weight_of(given: Any, family: Family) -> int:
    if isinstance(given, str):
        return text_tokens(family, given)
    if isinstance(given, int):
        return 1
    return sum(_weight_of(each, family) for each in items_of(given))
