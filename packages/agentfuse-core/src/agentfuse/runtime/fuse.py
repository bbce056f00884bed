"""The face of the product: begin, finish, fail and meter, and the four call shapes on them."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Self, TypeVar, Unpack, cast

from agentfuse.errors import BudgetExceeded, ConfigurationError
from agentfuse.money import budget_of, cost_of
from agentfuse.observe.dispatch import Dispatch
from agentfuse.policy.pipeline import Policy
from agentfuse.runtime.cascading import acascaded, cascaded
from agentfuse.runtime.charging import charged
from agentfuse.runtime.ids import new_id
from agentfuse.runtime.journal import spend_book_of
from agentfuse.runtime.listening import listeners_of
from agentfuse.runtime.now import run_now
from agentfuse.runtime.remembering import Remembering
from agentfuse.runtime.repeating import arepeated, repeated
from agentfuse.runtime.routed import RoutedCalls
from agentfuse.runtime.run import Run
from agentfuse.runtime.sending import aanswer_for, answer_for
from agentfuse.runtime.settings import Options, Settings
from agentfuse.runtime.streams import aopened_stream, opened_stream
from agentfuse.runtime.warming import warm_up
from agentfuse.runtime.wiring import closers_of, limits_of, rules_of, shared_of, wire
from agentfuse.scopes import current_scope
from agentfuse.tickets import Admitted, Amounts

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
    from types import TracebackType

    from agentfuse.messages import Delta, Reply, Request
    from agentfuse.money import Dollars
    from agentfuse.observe.run_receipt import RunReceipt
    from agentfuse.policy.retrying import RetryRules
    from agentfuse.ports import Clock, Codec, Ledger, Listener
    from agentfuse.pricing import PriceBook
    from agentfuse.runtime.keyrings import KeyRings
    from agentfuse.runtime.repeating import Repeat
    from agentfuse.runtime.streams import AsyncMeteredStream, MeteredStream
    from agentfuse.runtime.wiring import Shared
    from agentfuse.tickets import Lease, Ticket
    from agentfuse.tokens import TokenCounter

Result = TypeVar("Result")
Chunk = TypeVar("Chunk")
Answer = TypeVar("Answer")
Shown = TypeVar("Shown")
Handed = TypeVar("Handed", bound="Ticket | None")


class Fuse(Remembering, RoutedCalls):
    """A hard budget, a cache and a receipt for every call that passes through.

    ``Fuse("$5.00")`` holds a run to five dollars (any of ``"$5.00"``, ``Decimal("5")``, ``5``);
    without a budget calls are remembered and priced, not limited. The options are those of
    ``Settings``. Safe for threads, tasks and event loops. Raises ConfigurationError for words or
    amounts that are off.
    """

    def __init__(self, budget: Dollars | None = None, **options: Unpack[Options]) -> None:
        settings = Settings.of(options)
        allowance = None if budget is None else budget_of(budget)
        rules = limits_of(settings)
        run = Run(settings.name or f"run-{new_id()[-8:]}", allowance, rules=rules)
        book = spend_book_of(settings)
        self._open(shared_of(settings), run, listeners_of(settings, book))
        self._closers = closers_of(self._shared, book)
        if allowance is not None or rules:
            warm_up()

    _closers: tuple[Callable[[], object], ...] = ()  # what puts its stores away
    _allotment = ""  # the lease of an allotted session,
    _before = 0  # and what its account had spent when it was opened

    def _open(self, shared: Shared, run: Run, listeners: tuple[Listener, ...]) -> None:
        self._shared = shared
        self._rules = rules_of(shared.settings)
        self._run = run
        self._listeners = (run.tally, *listeners)
        self._tell = Dispatch(self._listeners).tell

    @property
    def name(self) -> str:
        """The run's name, as refusals and receipts print it."""
        return self._run.name

    @property
    def ledger(self) -> Ledger:
        """Where this fuse's money is kept."""
        return self._shared.ledger

    @property
    def book(self) -> PriceBook:
        """The prices that hold for this fuse."""
        return self._shared.book

    @property
    def counter(self) -> TokenCounter:
        """What counts its requests."""
        return self._shared.counter

    @property
    def retries(self) -> RetryRules:
        """What may follow a failed attempt."""
        return self._rules.retry

    @property
    def keyrings(self) -> KeyRings:
        """The keys that take turns."""
        return self._shared.keys

    @property
    def policy(self) -> Policy:
        """The law as blocking callers ask it."""
        return self._blocking

    @property
    def apolicy(self) -> Policy:
        """The law as awaited callers ask it."""
        return self._awaited

    @property
    def clock(self) -> Clock:
        """The time this fuse goes by."""
        return self._shared.clock

    def session(self, name: str, budget: Dollars | None = None, *, allotted: bool = False) -> Fuse:
        """Open a run inside this one: same cache and ledger, its own receipt, both budgets hold.

        ``allotted`` takes the budget out of this run's at once, so that nobody else can use it up,
        and ``close()`` (or the end of ``with``) gives back what is left of it. Raises
        BudgetExceeded where it does not fit.
        """
        inner = object.__new__(type(self))
        allowance = None if budget is None else budget_of(budget)
        run = Run(name, allowance, self._run, allotted=allotted)
        if allotted:
            if allowance is None:
                raise ConfigurationError("an allotted session needs a budget")
            inner._allotment = run_now(self._blocking.tools.allot(name, allowance))
            inner._before = run_now(self.ledger.balances([run.key]))[0].spent
        inner._open(self._shared, run, self._listeners)
        return inner

    def close(self) -> None:
        """Give back what is left of an allotment, and close the stores that were opened by address.

        The spend book and a semantic cache with a store are written down, and no file is touched
        any more until a call opens it again: one asked afterwards, or one still under way.
        """
        lease_id, self._allotment = self._allotment, ""
        if lease_id:
            spent = run_now(self.ledger.balances([self._run.key]))[0].spent
            run_now(self.ledger.settle(lease_id, Amounts(spent - self._before)))
        for close in self._closers:
            close()
        if self.semantic is not None:
            self.semantic.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the run; its receipt can still be read."""
        self.close()

    def kill(self, mark: str = "", reason: str = "") -> None:
        """Pull a kill switch: refuse every further call that carries ``mark``, with Killed.

        ``mark`` is ``run:<name>``, ``user:<id>`` (or session, team, tenant), ``tag:<tag>``,
        ``model:<name>``, or ``*`` for everything on this ledger; empty is this run. It holds for
        all who share the ledger: at once for what reserves money, within a second for the rest.
        """
        run_now(self.ledger.stop(mark or f"run:{self.name}", reason))
        self._shared.switches.look_at = 0.0

    def resume(self, mark: str = "") -> None:
        """Put a kill switch back."""
        run_now(self.ledger.resume(mark or f"run:{self.name}"))
        self._shared.switches.look_at = 0.0

    def top_up(self, amount: Dollars) -> None:
        """Raise the budget, so that a stopped run can go on."""
        self._run.top_up(budget_of(amount))

    def allow(self, budget: Dollars) -> None:
        """Set the budget; what is spent stays spent."""
        self._run.allow(budget_of(budget))

    def receipt(self) -> RunReceipt:
        """Sum up the run: spent, saved, of what budget, how many answers from the cache."""
        return self._run.receipt()

    def open_leases(self) -> tuple[Lease, ...]:
        """List the money set aside for calls that are under way."""
        return run_now(self.ledger.open_leases())

    def record_tool_call(self, name: str, cost: Dollars) -> None:
        """Book what a tool has cost on the same budget; it has happened, so it is never refused."""
        run_now(self._blocking.tools.record(name, cost_of(cost)))

    def charge_tool_call(self, name: str, cost: Dollars) -> None:
        """Book what a tool is about to cost; raises BudgetExceeded, and books nothing, if too much.

        A tool that fails afterwards may have been billed all the same, so its cost stays booked.
        """
        run_now(self._blocking.tools.charge(name, cost_of(cost)))

    async def acharge_tool_call(self, name: str, cost: Dollars) -> None:
        """Do as ``charge_tool_call``, awaited."""
        await self._awaited.tools.charge(name, cost_of(cost))

    def tool(
        self, cost: Dollars, name: str = ""
    ) -> Callable[[Callable[..., Result]], Callable[..., Result]]:
        """Charge each call of a function before it runs: ``@fuse.tool("$0.01")``.

        For plain functions and coroutine functions; ``name`` is the function's own by default.
        """
        return charged(self, cost, name)

    def used(self) -> float:
        """Give the share spent of the limit nearest its end: the run's, its parents', the scope's.

        Above 1 if a limit was passed by what had already happened; 0 where none holds.
        """
        return run_now(self._blocking.used())

    def begin(self, request: Request) -> Ticket:
        """Answer from memory, or set the money aside; raises BudgetExceeded or UnknownPrice."""
        return self._watched(run_now(self._blocking.begin(self._named(request))))

    def finish(self, ticket: Admitted, reply: Reply, error: BaseException | None = None) -> Reply:
        """Settle the true cost and keep the answer; an ``error`` that broke it off hears of it."""
        self._shared.renewals.drop(ticket)
        return run_now(self._blocking.finish(ticket, reply, error))

    def fail(
        self, ticket: Admitted, error: BaseException, *, final: bool = False
    ) -> Admitted | None:
        """Give the money back; a new ticket says that it is worth another try (never if final)."""
        self._shared.renewals.drop(ticket)
        return self._watched(run_now(self._blocking.fail(ticket, error, final=final)))

    def meter(self, ticket: Admitted, delta: Delta) -> None:
        """Count what a chunk added; raises BudgetExceeded when the lease runs out."""
        try:
            self._blocking.meter(ticket, delta)
        except BudgetExceeded as stop:
            raise self._run.completed(stop) from None

    def stopped(self, stop: BudgetExceeded) -> BudgetExceeded:
        """Bring a stop's receipt and results up to date, once its stream is settled."""
        return self._run.completed(stop)

    async def abegin(self, request: Request) -> Ticket:
        """Do as ``begin``, awaited."""
        return self._watched(await self._awaited.begin(self._named(request)))

    async def afinish(
        self, ticket: Admitted, reply: Reply, error: BaseException | None = None
    ) -> Reply:
        """Do as ``finish``, awaited."""
        self._shared.renewals.drop(ticket)
        return await self._awaited.finish(ticket, reply, error)

    async def afail(
        self, ticket: Admitted, error: BaseException, *, final: bool = False
    ) -> Admitted | None:
        """Do as ``fail``, awaited."""
        self._shared.renewals.drop(ticket)
        return self._watched(await self._awaited.fail(ticket, error, final=final))

    def call(
        self,
        request: Request,
        send: Callable[[Request], Result],
        codec: Codec[Result, Chunk, Answer, Shown],
        repeat: Repeat[Answer] | None = None,
    ) -> Answer:
        """Ask once: ``send`` asks the provider, unless the answer is known.

        ``repeat`` is a framework's own way to ask again: it does what it is given, a call each
        time, until that does not fail. What is remembered is given without it.
        """
        if repeat is not None:
            return repeated(self, request, send, codec, repeat)
        course = self._course(request, codec, answer_for, blocking=True)
        if course is not None:
            return cast("Answer", cascaded(course, send))
        return answer_for(self, self.begin(request), send, codec)

    async def acall(
        self,
        request: Request,
        send: Callable[[Request], Awaitable[Result]],
        codec: Codec[Result, Chunk, Answer, Shown],
        repeat: Repeat[Awaitable[Answer]] | None = None,
    ) -> Answer:
        """Do as ``call``, awaited."""
        if repeat is not None:
            return await arepeated(self, request, send, codec, repeat)
        course = self._course(request, codec, aanswer_for, blocking=False)
        if course is not None:
            return cast("Answer", await acascaded(course, send))
        return await aanswer_for(self, await self.abegin(request), send, codec)

    def stream(
        self,
        request: Request,
        send: Callable[[Request], Iterable[Chunk]],
        codec: Codec[Result, Chunk, Answer, Shown],
        whole: Callable[[Request], Result] | None = None,
    ) -> MeteredStream[Chunk, Shown]:
        """Open a stream; use it up or close it, and it is settled.

        ``whole`` asks for a whole answer: what a cascade asks its cheap models for.
        """
        course = self._streamed_course(request, codec, send, blocking=True) if whole else None
        if course is not None and whole is not None:
            return cast("MeteredStream[Chunk, Shown]", cascaded(course, whole))
        return opened_stream(self.begin(request), send, codec, self)

    async def astream(
        self,
        request: Request,
        send: Callable[[Request], Awaitable[AsyncIterable[Chunk]]],
        codec: Codec[Result, Chunk, Answer, Shown],
        whole: Callable[[Request], Awaitable[Result]] | None = None,
    ) -> AsyncMeteredStream[Chunk, Shown]:
        """Do as ``stream``, awaited."""
        course = self._streamed_course(request, codec, send, blocking=False) if whole else None
        if course is not None and whole is not None:
            return cast("AsyncMeteredStream[Chunk, Shown]", await acascaded(course, whole))
        return await aopened_stream(await self.abegin(request), send, codec, self)

    @cached_property
    def _blocking(self) -> Policy:
        ports = wire(self._shared, self._tell, blocking=True, guide=self._guide(blocking=True))
        return Policy(ports, self._rules, self._run, self._shared.switches)

    @cached_property
    def _awaited(self) -> Policy:
        ports = wire(self._shared, self._tell, blocking=False, guide=self._guide(blocking=False))
        return Policy(ports, self._rules, self._run, self._shared.switches)

    def _watched(self, ticket: Handed) -> Handed:
        """Keep a ticket's lease alive as long as its call is."""
        if isinstance(ticket, Admitted) and ticket.lease is not None:
            self._shared.renewals.add(ticket)
        return ticket

    def _named(self, request: Request) -> Request:
        """Give a request without a tenant the scope's, or the fuse's own."""
        tenant = current_scope().tenant or self._shared.settings.tenant
        if tenant is None or request.tenant is not None:
            return request
        return replace(request, tenant=tenant)
