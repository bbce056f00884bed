"""What a way of asking can reach: the policy may name another provider's model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentfuse.errors import ConfigurationError

if TYPE_CHECKING:
    from agentfuse.messages import Request


def require_reach(asked: Request, handed: Request, way: str) -> None:
    """Raise ConfigurationError where ``way`` speaks to the asked provider and to no other."""
    if handed.provider != asked.provider:
        raise ConfigurationError(
            f"{way} speaks to {asked.provider}, and cannot ask {handed.provider} for"
            f" {handed.model}: name a model of {asked.provider} in `downgrade`"
        )
