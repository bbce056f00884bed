"""The face of the product: begin, finish, fail and meter, and the four call shapes on them."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar, Unpack

from agentfuse.errors import BudgetExceeded
from agentfuse.messages import Reply
from agentfuse.money import budget_of, cost_of
from agentfuse.observe.dispatch import Dispatch
from agentfuse.policy.pipeline import Policy
from agentfuse.runtime.ids import new_id
from agentfuse.runtime.journal import spend_book_of
from agentfuse.runtime.now import run_now
from agentfuse.runtime.run import Run
from agentfuse.runtime.settings import Options, Settings
from agentfuse.runtime.streams import AsyncMeteredStream, MeteredStream
from agentfuse.runtime.warming import warm_up
from agentfuse.runtime.wiring import limits_of, rules_of, shared_of, wire
from agentfuse.scopes import current_scope
from agentfuse.tickets import Admitted, Answered, Receipt

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Awaitable, Callable, Iterable

    from agentfuse.messages import Delta, Request
    from agentfuse.money import Dollars
    from agentfuse.observe.run_receipt import RunReceipt
    from agentfuse.ports import Codec, Ledger, Listener
    from agentfuse.pricing import PriceBook
    from agentfuse.runtime.wiring import Shared
    from agentfuse.tickets import Lease, Ticket
    from agentfuse.tokens import TokenCounter

Result = TypeVar("Result")
Chunk = TypeVar("Chunk")
Answer = TypeVar("Answer")
Shown = TypeVar("Shown")

# What is settled for an answer that was paid but cannot be read: no usage, no text.
UNREADABLE = Reply(choices=())


class Fuse:
    """A hard budget, a cache and a receipt for every call that passes through.

    ``Fuse("$5.00")`` holds a run to five dollars (any of ``"$5.00"``, ``Decimal("5")``, ``5``);
    without a budget calls are remembered and priced, not limited. The options are those of
    ``Settings``. Safe for threads, tasks and event loops. Raises ConfigurationError for words or
    amounts that are off.
    """

    def __init__(self, budget: Dollars | None = None, **options: Unpack[Options]) -> None:
        settings = Settings.of(options)
        allowance = None if budget is None else budget_of(budget)
        each = limits_of(settings)
        run = Run(settings.name or f"run-{new_id()[:8]}", allowance, each=each)
        book = spend_book_of(settings)
        listeners = (*settings.listeners, *((book,) if book is not None else ()))
        self._open(shared_of(settings), run, listeners)
        if allowance is not None or each:
            warm_up()

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

    def session(self, name: str, budget: Dollars | None = None) -> Fuse:
        """Open a run inside this one: same cache and ledger, its own receipt, both budgets hold."""
        inner = object.__new__(type(self))
        allowance = None if budget is None else budget_of(budget)
        inner._open(self._shared, Run(name, allowance, self._run), self._listeners)
        return inner

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
        nanodollars = cost_of(cost)
        run_now(self.ledger.spend(self._run.limits, nanodollars))
        self._tell(
            Receipt(
                id=new_id(),
                model=name,
                provider="tool",
                source="tool",
                cost=nanodollars,
                scope=current_scope(),
            )
        )

    def begin(self, request: Request) -> Ticket:
        """Answer from memory, or set the money aside; raises BudgetExceeded or UnknownPrice."""
        return run_now(self._blocking.begin(self._named(request)))

    def finish(self, ticket: Admitted, reply: Reply) -> Reply:
        """Settle the true cost and keep the answer."""
        return run_now(self._blocking.finish(ticket, reply))

    def fail(
        self, ticket: Admitted, error: BaseException, *, final: bool = False
    ) -> Admitted | None:
        """Give the money back; a new ticket says that it is worth another try (never if final)."""
        return run_now(self._blocking.fail(ticket, error, final=final))

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
        return await self._awaited.begin(self._named(request))

    async def afinish(self, ticket: Admitted, reply: Reply) -> Reply:
        """Do as ``finish``, awaited."""
        return await self._awaited.finish(ticket, reply)

    async def afail(
        self, ticket: Admitted, error: BaseException, *, final: bool = False
    ) -> Admitted | None:
        """Do as ``fail``, awaited."""
        return await self._awaited.fail(ticket, error, final=final)

    def call(
        self,
        request: Request,
        send: Callable[[Request], Result],
        codec: Codec[Result, Chunk, Answer, Shown],
    ) -> Answer:
        """Ask once: ``send`` asks the provider, unless the answer is known."""
        outcome = self._ask(request, send)
        if isinstance(outcome, Answered):
            return codec.result_of(outcome.reply)
        ticket, result = outcome
        try:
            reply = codec.reply_of(result)
        except BaseException:
            self.finish(ticket, UNREADABLE)
            raise
        self.finish(ticket, reply)
        return codec.answer_of(result)

    async def acall(
        self,
        request: Request,
        send: Callable[[Request], Awaitable[Result]],
        codec: Codec[Result, Chunk, Answer, Shown],
    ) -> Answer:
        """Do as ``call``, awaited."""
        outcome = await self._aask(request, send)
        if isinstance(outcome, Answered):
            return codec.result_of(outcome.reply)
        ticket, result = outcome
        try:
            reply = codec.reply_of(result)
        except BaseException:
            await self.afinish(ticket, UNREADABLE)
            raise
        await self.afinish(ticket, reply)
        return codec.answer_of(result)

    def stream(
        self,
        request: Request,
        send: Callable[[Request], Iterable[Chunk]],
        codec: Codec[Result, Chunk, Answer, Shown],
    ) -> MeteredStream[Chunk, Shown]:
        """Open a stream; use it up or close it, and it is settled."""
        outcome = self._ask(request, send)
        if isinstance(outcome, Answered):
            return MeteredStream[Chunk, Shown].replayed(codec.chunks_of(outcome.reply))
        ticket, wire = outcome
        return MeteredStream(self, ticket, wire, codec)

    async def astream(
        self,
        request: Request,
        send: Callable[[Request], Awaitable[AsyncIterable[Chunk]]],
        codec: Codec[Result, Chunk, Answer, Shown],
    ) -> AsyncMeteredStream[Chunk, Shown]:
        """Do as ``stream``, awaited."""
        outcome = await self._aask(request, send)
        if isinstance(outcome, Answered):
            return AsyncMeteredStream[Chunk, Shown].replayed(codec.chunks_of(outcome.reply))
        ticket, wire = outcome
        return AsyncMeteredStream(self, ticket, wire, codec)

    def _ask(
        self, request: Request, send: Callable[[Request], Result]
    ) -> tuple[Admitted, Result] | Answered:
        """Begin, and send until it works or no further attempt is worth it."""
        ticket: Ticket = self.begin(request)
        while isinstance(ticket, Admitted):
            try:
                return ticket, send(ticket.request)
            except BaseException as error:
                again = self.fail(ticket, error)
                if again is None:
                    raise
                ticket = again
        return ticket

    async def _aask(
        self, request: Request, send: Callable[[Request], Awaitable[Result]]
    ) -> tuple[Admitted, Result] | Answered:
        """Do as ``_ask``, awaited."""
        ticket: Ticket = await self.abegin(request)
        while isinstance(ticket, Admitted):
            try:
                return ticket, await send(ticket.request)
            except BaseException as error:
                again = await self.afail(ticket, error)
                if again is None:
                    raise
                ticket = again
        return ticket

    @cached_property
    def _blocking(self) -> Policy:
        ports = wire(self._shared, self._tell, blocking=True)
        return Policy(ports, self._rules, self._run)

    @cached_property
    def _awaited(self) -> Policy:
        ports = wire(self._shared, self._tell, blocking=False)
        return Policy(ports, self._rules, self._run)

    def _named(self, request: Request) -> Request:
        """Give a request without a tenant the scope's, or the fuse's own."""
        tenant = current_scope().tenant or self._shared.settings.tenant
        if tenant is None or request.tenant is not None:
            return request
        return replace(request, tenant=tenant)
