"""Another model in place of the one that was asked: looked up, and asked the same."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from agentfuse.tokens.families import bare

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentfuse.messages import Request
    from agentfuse.policy.given import Substitute

Found = TypeVar("Found")


def entry_of(table: Mapping[str, Found], model: str) -> Found | None:
    """Look a model up by its name as it was asked, then by the bare name within it."""
    if not table:
        return None
    return table.get(model) or table.get(bare(model))


def asked_of(request: Request, substitute: Substitute) -> Request:
    """Ask another model the same; another provider is reached at its own address.

    What one way sends where nobody set an output maximum says nothing about another way, so the
    model's own maximum is reserved there.
    """
    if substitute.provider in {"", request.provider}:
        return replace(request, model=substitute.model, caching=None)
    return replace(
        request,
        caching=None,
        model=substitute.model,
        provider=substitute.provider,
        base_url="",
        output_ceiling=None,
    )


def is_within_reach(request: Request, substitute: Substitute) -> bool:
    """Say whether the way a request is asked can ask this model."""
    return request.reach == "any" or substitute.provider in {"", request.provider}
