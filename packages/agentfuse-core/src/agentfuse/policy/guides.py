"""Who chooses models for the policy, as a Protocol: the routers stand behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from agentfuse.decisions import Decision
    from agentfuse.messages import Reply, Request
    from agentfuse.scopes import Scope
    from agentfuse.tickets import Admitted


class Guide(Protocol):
    """Chooses the model of a call, and learns from how it went."""

    def applies(self, request: Request) -> bool:
        """Say whether there is a choice to make."""
        ...

    async def decide(self, request: Request, scope: Scope, used: float) -> Decision:
        """Choose; ``used`` is the share spent of the limit nearest its end."""
        ...

    def answered(self, ticket: Admitted, reply: Reply, seconds: float) -> None:
        """Look at the provider's answer to a call that was routed."""
        ...
