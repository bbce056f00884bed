"""The way of a call: remembered, joined, or quoted, reserved, asked, settled, kept and told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from agentfuse.copies import changed
from agentfuse.errors import BudgetExceeded
from agentfuse.policy.admission import Admission
from agentfuse.policy.alerts import Alerts
from agentfuse.policy.anomalies import Anomalies
from agentfuse.policy.brevity import Brevity
from agentfuse.policy.deferring import Deferring
from agentfuse.policy.ending import Ending, attempt_of
from agentfuse.policy.gate import Gate
from agentfuse.policy.loops import Loops
from agentfuse.policy.memory import Memory
from agentfuse.policy.metering import meter
from agentfuse.policy.prompts import Prompts
from agentfuse.policy.resilience import Resilience
from agentfuse.policy.settling import Settling
from agentfuse.policy.steering import Steering
from agentfuse.policy.thrift import Thrift
from agentfuse.policy.tools import ToolBooks
from agentfuse.scopes import current_scope
from agentfuse.tickets import Admitted, Answered, Failed, Receipt

if TYPE_CHECKING:
    from agentfuse.conduct import Loop
    from agentfuse.messages import Delta, Reply, Request
    from agentfuse.policy.gate import Switches
    from agentfuse.policy.given import Ports, Rules
    from agentfuse.ports import Run
    from agentfuse.semantics import SemanticHit
    from agentfuse.tickets import Ticket

Source = Literal["exact", "semantic", "coalesced"]
_EXACT: Source = "exact"
_COALESCED: Source = "coalesced"

OUTRUN = "outrun"
"""The kind of an attempt that was answered after another one had won."""

# A waiter whose leader came back empty may lead itself once; after that it asks alone, so that a
# consumer of an open stream who asks the same again can never wait for itself.
ROUNDS = 2


class Policy:
    """The law for the calls of one run."""

    __slots__ = (
        *("_admission", "_anomalies", "_ending", "_gate", "_loops", "_memory", "_ports"),
        *("_prompts", "_resilience", "_rules", "_run", "_settling", "_steering", "_thrift"),
        *("deferring", "tools"),
    )

    def __init__(self, ports: Ports, rules: Rules, run: Run, switches: Switches) -> None:
        self._ports = ports
        self._rules = rules
        self._run = run
        self._admission = Admission(ports, rules, run)
        self._ending = Ending(ports)
        self._gate = Gate(ports, switches)
        self._memory = Memory(ports, rules)
        alerts = Alerts(ports, rules)
        self._settling = Settling(ports, alerts)
        self.deferring = Deferring(ports, rules, run, self._settling)
        self.tools = ToolBooks(ports, rules, run, alerts)
        self._steering = Steering(ports)
        brevity = Brevity(ports, rules, self._ask)
        self._thrift = Thrift(ports, rules, brevity)
        self._loops = Loops(ports, rules, run)
        self._anomalies = Anomalies(ports, rules)
        self._resilience = Resilience(ports, rules, brevity)
        self._prompts = Prompts(ports, rules.prompt_caching)

    async def begin(self, request: Request) -> Ticket:
        """Answer from memory, or give leave to ask; raises BudgetExceeded or UnknownPrice.

        A kill switch stops what the cache could answer too: a loop on remembered answers is one.
        What is remembered of the model that was asked for is better than any thrift, so thrift
        comes after it; a cheaper model's answer is remembered as its own.
        """
        ticket = self._ticket_for(request)
        try:
            stop = await self._gate.stop_for(self._run, request.model)
            if stop is not None:
                self._admission.refuse(ticket, stop)
            aside = self._loops.takes_time
            loop = await self._loops.checked_aside(ticket) if aside else self._loops.checked(ticket)
            known = await self._known(ticket)
            if isinstance(known, Admitted):
                known = await self._eased(known, loop)
            if isinstance(known, Answered):
                return known
            if known.key is None:
                return await self._admit(known)
            return await self._join(known, known.key)
        except BaseException as error:
            self._ending.given_up(ticket, error)
            raise

    async def finish(
        self, ticket: Admitted, reply: Reply, error: BaseException | None = None
    ) -> Reply:
        """Settle the true cost, keep the answer if it is whole, and write the receipt.

        ``error`` is what the caller gets where the answer broke off, or could not be read.
        """
        if reply.finish_reason:  # an answer that was cut off says nothing for its model
            self._resilience.succeeded(ticket)
        try:
            cost = await self._settling.settle(ticket, reply)
            if error is not None:
                self._ending.broken(ticket, error, cost)
            self._steering.answered(ticket, reply)
            self._loops.note(ticket, reply, cost)
            self._anomalies.watch(ticket, cost)
            await self._memory.keep(ticket, reply)
        finally:
            self._land(ticket, reply if self._memory.may_keep(ticket, reply) else None)
        return reply

    async def fail(
        self, ticket: Admitted, error: BaseException, *, final: bool = False
    ) -> Admitted | None:
        """Give the money back, or book what was likely billed.

        A new ticket says that another attempt is worth it, and has its money set aside; ``final``
        rules that out. Otherwise the call is over: its receipt is told, and left with the error.
        """
        failure = self._ports.failure_of(error)
        self._resilience.failed(ticket, failure)
        failed = ticket.failed
        try:
            cost = await self._settling.abandon(ticket, billed=failure.billed)
            self._tell_failed(ticket, failure.kind, cost)
            failed = (*failed, attempt_of(ticket, failure.kind, cost))
            again = None if final else await self._resilience.again(ticket, failure, failed)
            if again is not None:
                return await self._admission.admit(self._marked(again))
        except BaseException as stop:
            self._land(ticket, None)
            self._ending.given_up(ticket, stop, failed)
            raise
        self._land(ticket, None)
        self._ending.given_up(ticket, error, failed)
        return None

    async def lose(self, ticket: Admitted, error: BaseException) -> None:
        """Give the money of a failed attempt back, or book it.

        Its call is not over with it: somebody else answers it, or asks again.
        """
        failure = self._ports.failure_of(error)
        self._resilience.failed(ticket, failure)
        try:
            cost = await self._settling.abandon(ticket, billed=failure.billed)
            self._tell_failed(ticket, failure.kind, cost)
            self._ending.broken(ticket, error, cost)
        finally:
            self._land(ticket, None)

    async def release(self, ticket: Admitted) -> None:
        """Give the money back for a call that was not made after all."""
        try:
            await self._settling.abandon(ticket, billed=False)
        finally:
            self._land(ticket, None)

    async def hedge(self, ticket: Admitted) -> Admitted | None:
        """Set the money aside for a second, identical request; None where it does not fit."""
        twin = self._resilience.twin(ticket)
        if twin is None:
            return None
        try:
            twin = await self._admission.admit(twin)
        except BudgetExceeded:
            return None
        self._resilience.hedged(twin)
        return twin

    async def outrun(self, ticket: Admitted, reply: Reply) -> None:
        """Book an answer that came second, which nobody is given."""
        cost = await self._settling.outrun(ticket, reply)
        self._tell_failed(ticket, OUTRUN, cost)

    def _tell_failed(self, ticket: Admitted, kind: str, cost: int) -> None:
        request = ticket.request
        self._ports.tell(
            Failed(
                id=ticket.id,
                model=request.model,
                provider=request.provider,
                kind=kind,
                attempt=ticket.attempt,
                cost=cost,
            )
        )

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

    async def _ask(self, request: Request, api_key: str) -> Reply:
        """Ask a model for the policy itself: on the same budget, and with a receipt of its own."""
        ticket = changed(self._ticket_for(self._ports.aimed(request)), move=None)
        reply = await self._memory.exact(ticket.key)
        if reply is not None:
            return self._answered(ticket, reply, "exact").reply
        whose = ticket.request.provider
        ticket = await self._admit(ticket)
        while True:
            try:
                own = ticket.request.provider == whose
                reply = await self._ports.send(ticket.request, api_key if own else "")
                break
            except BaseException as error:
                again = await self.fail(ticket, error)
                if again is None:
                    raise
                ticket = again
        return await self.finish(ticket, reply)

    def _ticket_for(self, request: Request) -> Admitted:
        scope = current_scope()
        key = self._memory.key_of(request, scope)
        return Admitted(
            id=self._ports.new_id(),
            asked=request,
            request=request,
            started=self._ports.clock.now(),
            key=key,
            scope=scope,
            move=self._loops.move_of(request, key, scope.tags),
        )

    async def _eased(self, ticket: Admitted, loop: Loop | None) -> Ticket:
        """Ask what a router, and then thrift, choose in place of what was asked."""
        eased, limits = ticket, self._run.limits(ticket.request.model, ticket.started)
        if self._steering.applies(ticket):
            eased = await self._steering.steered(ticket, limits)
        if loop is not None:
            eased = self._thrift.downgraded(eased, loop)
        fitted = await self._thrift.fitted(eased, limits)
        return ticket if fitted is ticket else await self._known(self._asking(fitted))

    def _asking(self, ticket: Admitted) -> Admitted:
        """Name anew what is asked in place of the first request."""
        key = self._memory.key_of(ticket.asked, ticket.scope)
        return changed(ticket, key=key, lookup=None)

    async def _known(self, ticket: Admitted) -> Ticket:
        """Answer exactly, or by meaning, or note on the ticket what was looked up."""
        reply = await self._memory.exact(ticket.key)
        if reply is not None:
            return self._answered(ticket, reply, "exact")
        lookup = await self._memory.by_meaning(ticket)
        if lookup is not None and lookup.match is not None:
            return self._answered(ticket, lookup.match.reply, "semantic", lookup.match.hit)
        return ticket if lookup is ticket.lookup else changed(ticket, lookup=lookup)

    async def _join(self, ticket: Admitted, key: str) -> Ticket:
        """Wait for an identical call in the air, or lead one."""
        for _ in range(ROUNDS):
            flight = self._ports.flights.join(key)
            if flight is None:
                return await self._lead(changed(ticket, leading=True), key)
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
        return changed(ticket, asked=marked, request=marked)

    async def _lead(self, ticket: Admitted, key: str) -> Ticket:
        """Ask on behalf of all who wait; the last leader may have landed a moment ago."""
        try:
            reply, source = await self._memory.exact(key), _EXACT
            if reply is None:
                reply, source = await self._ports.flights.lead(key), _COALESCED
            if reply is None:
                return await self._admit(ticket)
        except BaseException:
            self._land(ticket, None)
            raise
        self._land(ticket, reply)
        return self._answered(ticket, reply, source)

    def _answered(
        self, ticket: Admitted, reply: Reply, source: Source, hit: SemanticHit | None = None
    ) -> Answered:
        request = ticket.request
        self._loops.note(ticket, reply, 0)
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
                key=ticket.key or "",
                hit=hit,
            )
        )
        return Answered(id=ticket.id, reply=reply, source=source, hit=hit)

    def _land(self, ticket: Admitted, reply: Reply | None) -> None:
        flight = ticket.flight or ticket.key
        if ticket.leading and flight is not None:
            self._ports.flights.land(flight, reply)
