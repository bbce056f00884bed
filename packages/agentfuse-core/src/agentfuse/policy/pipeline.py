"""The way of a call: remembered, joined, or quoted, reserved, asked, settled, kept and told."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from agentfuse.errors import StoreUnavailable
from agentfuse.policy.admission import Admission
from agentfuse.policy.alerts import Alerts
from agentfuse.policy.cacheable import may_be_kept, may_be_remembered
from agentfuse.policy.gate import Gate
from agentfuse.policy.keys import key_of
from agentfuse.policy.metering import meter
from agentfuse.policy.prompts import Prompts
from agentfuse.policy.resilience import Resilience
from agentfuse.policy.settling import Settling
from agentfuse.policy.steering import Steering
from agentfuse.policy.thrift import Thrift
from agentfuse.policy.tools import ToolBooks
from agentfuse.scopes import current_scope
from agentfuse.tickets import Admitted, Answered, Failed, Receipt, StoreTrouble

if TYPE_CHECKING:
    from agentfuse.messages import Delta, Reply, Request
    from agentfuse.policy.gate import Switches
    from agentfuse.policy.given import Ports, Rules
    from agentfuse.ports import Run
    from agentfuse.tickets import Ticket

Source = Literal["exact", "coalesced"]

# A waiter whose leader came back empty may lead itself once; after that it asks alone, so that a
# consumer of an open stream who asks the same again can never wait for itself.
ROUNDS = 2


class Policy:
    """The law for the calls of one run."""

    __slots__ = (
        "_admission",
        "_gate",
        "_ports",
        "_prompts",
        "_resilience",
        "_rules",
        "_run",
        "_settling",
        "_steering",
        "_thrift",
        "tools",
    )

    def __init__(self, ports: Ports, rules: Rules, run: Run, switches: Switches) -> None:
        self._ports = ports
        self._rules = rules
        self._run = run
        self._admission = Admission(ports, rules, run)
        self._gate = Gate(ports, switches)
        alerts = Alerts(ports, rules)
        self._settling = Settling(ports, alerts)
        self.tools = ToolBooks(ports, rules, run, alerts)
        self._steering = Steering(ports)
        self._thrift = Thrift(ports, rules)
        self._resilience = Resilience(ports, rules)
        self._prompts = Prompts(ports, rules.prompt_caching)

    async def begin(self, request: Request) -> Ticket:
        """Answer from memory, or give leave to ask; raises BudgetExceeded or UnknownPrice.

        A kill switch stops what the cache could answer too: a loop on remembered answers is one.
        What is remembered of the model that was asked for is better than any thrift, so thrift
        comes after it; a cheaper model's answer is remembered as its own.
        """
        ticket = self._ticket_for(request)
        stop = await self._gate.stop_for(self._run, request.model)
        if stop is not None:
            self._admission.refuse(ticket, stop)
        reply = await self._known(ticket)
        if reply is None:
            limits = self._run.limits(request.model, ticket.started)
            ticket = await self._steering.steered(ticket, limits)
            fitted = await self._thrift.fitted(ticket.asked, limits, ticket.id)
            if fitted is not request:
                ticket = replace(ticket, asked=fitted, request=fitted, key=self._key_of(fitted))
                reply = await self._known(ticket)
        if reply is not None:
            return self._answered(ticket, reply, "exact")
        if ticket.key is None:
            return await self._admit(ticket)
        return await self._join(ticket, ticket.key)

    async def finish(self, ticket: Admitted, reply: Reply) -> Reply:
        """Settle the true cost, keep the answer if it is whole, and write the receipt."""
        self._resilience.succeeded(ticket)
        keep = ticket.key is not None and may_be_kept(reply, self._rules.cache)
        try:
            await self._settling.settle(ticket, reply)
            self._steering.answered(ticket, reply)
            if keep and ticket.key is not None:
                await self._keep(ticket.key, reply)
        finally:
            self._land(ticket, reply if keep else None)
        return reply

    async def fail(
        self, ticket: Admitted, error: BaseException, *, final: bool = False
    ) -> Admitted | None:
        """Give the money back, or book what was likely billed.

        A new ticket says that another attempt is worth it, and has its money set aside; ``final``
        rules that out.
        """
        failure = self._ports.failure_of(error)
        self._resilience.failed(ticket, failure)
        try:
            cost = await self._settling.abandon(ticket, billed=failure.billed)
            self._ports.tell(
                Failed(
                    id=ticket.id,
                    model=ticket.request.model,
                    provider=ticket.request.provider,
                    kind=failure.kind,
                    attempt=ticket.attempt,
                    cost=cost,
                )
            )
            again = None if final else await self._resilience.again(ticket, failure, cost)
            if again is not None:
                return await self._admission.admit(self._marked(again))
        except BaseException:
            self._land(ticket, None)
            raise
        self._land(ticket, None)
        return None

    async def release(self, ticket: Admitted) -> None:
        """Give the money back for a call that was not made after all."""
        try:
            await self._settling.abandon(ticket, billed=False)
        finally:
            self._land(ticket, None)

    async def used(self) -> float:
        """Give the share spent of the limit that is nearest its end; 0 without a limit."""
        limits = [
            limit for limit in self._run.limits("", self._ports.clock.now()) if not limit.pace
        ]
        balances = await self._ports.ledger.balances([limit.key for limit in limits])
        shares = (
            balance.spent / limit.amount if limit.amount else 1.0
            for limit, balance in zip(limits, balances, strict=True)
        )
        return max(shares, default=0.0)

    def meter(self, ticket: Admitted, delta: Delta) -> None:
        """Count what a chunk added; raises BudgetExceeded when the lease runs out."""
        meter(ticket, delta)

    def _ticket_for(self, request: Request) -> Admitted:
        return Admitted(
            id=self._ports.new_id(),
            asked=request,
            request=request,
            started=self._ports.clock.now(),
            key=self._key_of(request),
            scope=current_scope(),
        )

    async def _known(self, ticket: Admitted) -> Reply | None:
        return None if ticket.key is None else await self._find(ticket.key)

    def _key_of(self, request: Request) -> str | None:
        """Name the answer; None for a request that may not be answered from memory."""
        if self._ports.cache is None or not may_be_remembered(request, self._rules.cache):
            return None
        return key_of(request)

    async def _join(self, ticket: Admitted, key: str) -> Ticket:
        """Wait for an identical call in the air, or lead one."""
        for _ in range(ROUNDS):
            flight = self._ports.flights.join(key)
            if flight is None:
                return await self._lead(replace(ticket, leading=True), key)
            reply = await self._ports.flights.wait(flight)
            if reply is not None:
                return self._answered(ticket, reply, "coalesced")
        return await self._admit(ticket)

    async def _admit(self, ticket: Admitted) -> Admitted:
        """Set the money aside for the model that is asked, or the one in place of an ill one."""
        return await self._admission.admit(self._marked(self._resilience.opened(ticket)))

    def _marked(self, ticket: Admitted) -> Admitted:
        """Ask the provider's own cache for what it may keep; our key is made, and stays."""
        marked = self._prompts.marked(ticket.asked)
        if marked is ticket.asked:
            return ticket
        return replace(ticket, asked=marked, request=marked)

    async def _lead(self, ticket: Admitted, key: str) -> Ticket:
        """Ask on behalf of all who wait; the last leader may have landed a moment ago."""
        try:
            reply = await self._find(key)
            if reply is None:
                return await self._admit(ticket)
        except BaseException:
            self._land(ticket, None)
            raise
        self._land(ticket, reply)
        return self._answered(ticket, reply, "exact")

    def _answered(self, ticket: Admitted, reply: Reply, source: Source) -> Answered:
        request = ticket.request
        price = self._settling.price_of(request, reply)
        self._ports.tell(
            Receipt(
                id=ticket.id,
                model=request.model,
                provider=request.provider,
                source=source,
                saved=price.nanodollars if price else 0,
                usage=reply.report.usage if reply.report else None,
                finish_reason=reply.finish_reason,
                card_id=price.card_id if price else "",
                priced=price is not None,
                seconds=self._ports.clock.now() - ticket.started,
                text=reply.text,
                scope=ticket.scope,
                decision=ticket.decision,
            )
        )
        return Answered(id=ticket.id, reply=reply, source=source)

    def _land(self, ticket: Admitted, reply: Reply | None) -> None:
        flight = ticket.flight or ticket.key
        if ticket.leading and flight is not None:
            self._ports.flights.land(flight, reply)

    async def _find(self, key: str) -> Reply | None:
        """Look in the cache; one that cannot be read is a miss, and is told."""
        if self._ports.cache is None:
            return None
        try:
            return await self._ports.cache.find(key)
        except StoreUnavailable as error:
            self._ports.tell(StoreTrouble(store="cache", error=str(error)))
            return None

    async def _keep(self, key: str, reply: Reply) -> None:
        """Keep an answer; a cache that cannot be written costs a hit, not a call."""
        if self._ports.cache is None:
            return
        try:
            await self._ports.cache.keep(key, reply)
        except StoreUnavailable as error:
            self._ports.tell(StoreTrouble(store="cache", error=str(error)))
