"""What memory does for a call: answers it exactly or by meaning, and keeps what was said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agentfuse.errors import ConfigurationError, StoreUnavailable
from agentfuse.policy.cacheable import may_be_kept, may_be_remembered
from agentfuse.policy.keys import key_of
from agentfuse.policy.meaning import may_be_kept_by_meaning, question_of, tags_of
from agentfuse.tickets import Shadowed, StoreTrouble

if TYPE_CHECKING:
    from agentfuse.messages import Reply, Request
    from agentfuse.policy.given import Ports, Rules
    from agentfuse.scopes import Scope
    from agentfuse.semantics import Lookup
    from agentfuse.tickets import Admitted


@dataclass(frozen=True, slots=True)
class Memory:
    """The exact and the semantic cache, as a run may use them; a cache in trouble is a miss."""

    ports: Ports
    rules: Rules

    def key_of(self, request: Request, scope: Scope) -> str | None:
        """Name the answer; None for a request that may not be answered from memory."""
        if self.ports.cache is None or scope.cache == "off":
            return None
        return key_of(request) if may_be_remembered(request, self.rules.cache) else None

    async def exact(self, key: str | None) -> Reply | None:
        """Give the answer kept under a key."""
        if self.ports.cache is None or key is None:
            return None
        try:
            return await self.ports.cache.find(key)
        except StoreUnavailable as error:
            self.ports.tell(StoreTrouble(store="cache", error=str(error)))
            return None

    async def by_meaning(self, ticket: Admitted) -> Lookup | None:
        """Look for the answer to a question that means the same; None where none may be given.

        Raises ConfigurationError for a call that asks for a semantic cache where there is none.
        """
        mode, semantic = ticket.scope.cache, self.ports.semantic
        if semantic is None:
            if mode in {"semantic", "shadow"}:
                raise ConfigurationError(
                    f"cache={mode!r} needs a semantic cache: make the fuse with Fuse(semantic=True)"
                )
            return None
        if mode in {"off", "exact"}:
            return None
        asked = ticket.asked
        question = question_of(asked, semantic.meanings, self.rules.cache, ticket.scope, ticket.key)
        if question is None:
            return None
        try:
            return await semantic.find(question)
        except StoreUnavailable as error:
            self.ports.tell(StoreTrouble(store="semantic cache", error=str(error)))
            return None

    def may_keep(self, ticket: Admitted, reply: Reply) -> bool:
        """Say whether the exact cache, and those who wait for this answer, may have it."""
        return ticket.key is not None and may_be_kept(reply, self.rules.cache)

    async def keep(self, ticket: Admitted, reply: Reply) -> None:
        """Keep an answer wherever it may be kept; that costs a hit, not a call, if it fails."""
        if self.may_keep(ticket, reply):
            await self._keep_exactly(ticket, reply)
        if ticket.lookup is not None:
            await self._keep_by_meaning(ticket, ticket.lookup, reply)

    async def _keep_exactly(self, ticket: Admitted, reply: Reply) -> None:
        if self.ports.cache is None or ticket.key is None:
            return
        try:
            await self.ports.cache.keep(ticket.key, reply, tags_of(ticket.asked, ticket.scope))
        except StoreUnavailable as error:
            self.ports.tell(StoreTrouble(store="cache", error=str(error)))

    async def _keep_by_meaning(self, ticket: Admitted, lookup: Lookup, reply: Reply) -> None:
        """Keep an answer of the model that was asked for, and judge one that is on trial by it."""
        semantic, question = self.ports.semantic, lookup.question
        if semantic is None or ticket.request.model != question.model:
            return
        if not may_be_kept_by_meaning(question, reply, self.rules.cache):
            return
        try:
            if lookup.trial is not None:
                right = await semantic.compare(lookup, reply)
                self.ports.tell(
                    Shadowed(
                        id=ticket.id,
                        model=ticket.request.model,
                        hit=lookup.trial.match.hit,
                        right=right,
                        veto=lookup.trial.veto,
                    )
                )
            await semantic.keep(lookup, reply)
        except StoreUnavailable as error:
            self.ports.tell(StoreTrouble(store="semantic cache", error=str(error)))
