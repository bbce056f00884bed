"""What the pipeline hands out: limits, leases, tickets, quotes, receipts and the events told."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Literal

from agentfuse.conduct import Anomaly, Looping
from agentfuse.courses import BreakerOpened, FailureReceipt, FellBack, Hedged, Retried
from agentfuse.decisions import Routed
from agentfuse.lengths import Compressed
from agentfuse.scopes import NO_SCOPE, SCOPES

if TYPE_CHECKING:
    from agentfuse.conduct import Move
    from agentfuse.courses import Attempt, Course
    from agentfuse.decisions import Decision
    from agentfuse.messages import Reply, Request
    from agentfuse.scopes import Scope
    from agentfuse.semantics import Lookup, SemanticHit
    from agentfuse.tokens import StreamCounter
    from agentfuse.usage import Usage


Unit = Literal["nanodollars", "tokens", "requests"]


@dataclass(frozen=True, slots=True)
class Amounts:
    """What a call uses up, in each unit that a limit may be in."""

    nanodollars: int = 0
    tokens: int = 0
    requests: int = 0

    def of(self, unit: Unit) -> int:
        """Give the amount in one unit."""
        if unit == "nanodollars":
            return self.nanodollars
        return self.tokens if unit == "tokens" else self.requests


NOTHING_USED = Amounts()


@dataclass(frozen=True, slots=True)
class Limit:
    """How much (``amount``, in ``unit``) ``id`` of a ``scope`` may use up.

    ``window`` names the span of time it holds for (a day, an hour; empty: for ever), which
    ``resets`` at a Unix time (0: never). A sliding window is booked on its latest part, while the
    accounts in ``counted`` count as well. With a ``pace`` it is a rate instead: a unit comes back
    every so many microseconds, and ``amount`` may come at once (GCRA, the generic cell rate
    algorithm of ITU-T I.371).
    """

    scope: str
    id: str
    amount: int
    _: KW_ONLY
    unit: Unit = "nanodollars"
    window: str = ""
    resets: float = 0.0
    counted: tuple[str, ...] = ()
    pace: int = 0
    key: str = field(init=False, compare=False, repr=False)
    """The account this limit is booked on: ``user:ann``, ``user:ann/tokens/2026-11-25``."""

    def __post_init__(self) -> None:
        """Name the account once: it is read many times."""
        unit = "" if self.unit == "nanodollars" else f"/{self.unit}"
        pace = f"/pace-{self.pace}" if self.pace else ""
        window = f"/{self.window}" if self.window else ""
        object.__setattr__(self, "key", f"{self.scope}:{self.id}{unit}{pace}{window}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """One account: what is spent, and what open leases hold, in its limit's unit."""

    spent: int = 0
    held: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """What is set aside for one call on every account in ``limits``, for ``ttl`` seconds.

    ``estimate`` (at most ``amount``) is what is booked if nobody settles in time. ``deadline`` is
    set by the ledger, by its own clock (Unix time); 0 before. ``marks`` are the names under which
    the call can be stopped (``*``, ``run:nightly``, ``user:ann``); ``note`` says in the trail who
    made it and what for.
    """

    id: str
    amount: Amounts
    estimate: Amounts
    limits: tuple[Limit, ...]
    ttl: float
    deadline: float = 0.0
    marks: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A reservation that did not fit: ``limit`` had ``left``, and ``needed`` was asked.

    Both are in the limit's unit. ``wait`` says in how many seconds it may fit: when the window
    resets, or the rate allows it; 0 where no waiting helps.
    """

    limit: Limit
    needed: int
    left: int
    wait: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """A reservation refused since somebody pulled the kill switch named ``mark``."""

    mark: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What settling a lease changed.

    ``booked`` is what this lease has cost in all; ``overrun`` how many nanodollars that is above
    what was set aside; ``repeated`` is True when it had been settled before. ``spent`` is what each
    of its limits has spent after it, in their order (empty where the lease is unknown).
    """

    booked: Amounts
    overrun: int = 0
    repeated: bool = False
    spent: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of a ledger's trail: ``what`` happened to a lease at a Unix time, and how much.

    ``what`` is reserve, settle, release, expire, spend, stop or resume.
    """

    at: float
    what: str
    lease: str
    amount: Amounts
    keys: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What a request will cost, in nanodollars: ``expected``, and at most ``worst``.

    ``floor`` is the worst case of the input alone and ``per_output_token`` the dearest price of one
    more output token in picodollars: together they say how many tokens a given sum can buy.
    """

    expected: int
    worst: int
    floor: int
    per_output_token: int
    input_tokens: int
    max_output_tokens: int
    card_id: str = ""


@dataclass(slots=True, kw_only=True)
class Progress:
    """How far a stream has come: what it ``said``, of ``allowed`` output tokens.

    ``said`` is None before the first chunk, ``allowed`` where no lease sets an end.
    """

    allowed: int | None = None
    said: StreamCounter | None = None


@dataclass(frozen=True, slots=True, kw_only=True, weakref_slot=True)
class Admitted:
    """Leave to ask the provider: send ``request``, which may differ from what was ``asked``.

    ``key`` is None for what is never remembered; ``quote`` and ``lease`` where no limit applies.
    ``leading`` says that identical calls wait for this one; ``scope`` on whose behalf it is made.
    ``owed`` are the limits of a call that went out while the ledger was down. ``flight`` is what
    others wait for where that is not ``key``; ``course`` tells of the attempts before this one;
    ``lookup`` is what the semantic cache keeps the answer with, if it may. ``move`` is the call as
    its agent's doing; ``left_out`` is how many input tokens compression has saved; ``decision`` is
    the router's, where one chose the model.
    """

    id: str
    asked: Request
    request: Request
    started: float
    key: str | None = None
    quote: Quote | None = None
    lease: Lease | None = None
    attempt: int = 1
    leading: bool = False
    scope: Scope = NO_SCOPE
    owed: tuple[Limit, ...] = ()
    decision: Decision | None = None
    lookup: Lookup | None = None
    move: Move | None = None
    left_out: int = 0
    progress: Progress = field(default_factory=Progress)
    flight: str | None = None
    course: Course | None = None

    @property
    def failed(self) -> tuple[Attempt, ...]:
        """The attempts of this call that failed, oldest first."""
        return self.course.failed if self.course else ()

    @property
    def note(self) -> str:
        """Who made the call and what for, for a ledger's trail."""
        scope = self.scope
        if scope is NO_SCOPE:
            return self.request.model
        ids = [f"{name}={getattr(scope, name)}" for name in SCOPES if getattr(scope, name)]
        tags = [f"tag={tag}" for tag in scope.tags]
        return " ".join([self.request.model, *ids, *tags])


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """An answer that needs no provider: from a cache, or from an identical call in flight.

    ``hit`` says why a semantic answer was taken for one.
    """

    id: str
    reply: Reply
    source: Literal["exact", "semantic", "coalesced"]
    hit: SemanticHit | None = None


Ticket = Admitted | Answered


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What one call cost and why; money in nanodollars, ``seconds`` from begin to end.

    ``source`` is provider, exact or semantic (cache), coalesced (joined an identical call) or tool.
    ``key`` names the answer in the exact cache; ``hit`` says why a semantic one was taken for one.
    ``estimated`` marks a cost that no provider usage stands behind: a cut stream, a lost answer.
    ``priced`` is False where no price is known (possible without a budget only). ``scope`` says on
    whose behalf it was made. ``failed`` are the attempts that failed before this one, each with its
    reason and what is booked for it (not in ``cost``). ``prompt_cache_saved`` is what the
    provider's own cache of prompts took off ``cost``, less what writing to it added: below zero for
    a write that nobody has read yet. ``left_out`` is how many input tokens compression left out.
    """

    id: str
    model: str
    provider: str
    source: Literal["provider", "exact", "semantic", "coalesced", "tool"]
    cost: int = 0
    saved: int = 0
    usage: Usage | None = None
    finish_reason: str = ""
    card_id: str = ""
    attempt: int = 1
    estimated: bool = False
    priced: bool = True
    seconds: float = 0.0
    text: str = ""
    scope: Scope = NO_SCOPE
    decision: Decision | None = None
    key: str = ""
    hit: SemanticHit | None = None
    left_out: int = 0
    failed: tuple[Attempt, ...] = ()
    prompt_cache_saved: int = 0

    @property
    def attempts(self) -> int:
        """How many times a provider was asked for this answer."""
        return len(self.failed) + (self.source == "provider")


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A call that was not sent: it would have passed a limit, or a kill switch is pulled."""

    model: str
    refusal: Refusal | Stop


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """An attempt that the provider, or the way to it, failed; ``cost`` is what is booked for it."""

    id: str
    model: str
    provider: str
    kind: str
    attempt: int
    cost: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Downgraded:
    """A call for ``model`` that goes ``to`` a cheaper one.

    ``limit`` is nearly used up; None where it is since a loop goes on.
    """

    id: str
    model: str
    to: str
    limit: Limit | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """A share of a limit (``threshold``, in thousandths) is spent; told once for each window.

    ``spent`` is in the limit's unit.
    """

    limit: Limit
    threshold: int
    spent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrun:
    """A call billed more than had been set aside for it: ``nanodollars`` above its lease."""

    id: str
    model: str
    nanodollars: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreTrouble:
    """A store that only serves comfort (cache, spend book) failed, and the call went on."""

    store: str
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shadowed:
    """A call whose mode was shadow: what memory would have said, and whether that was ``right``.

    ``veto`` says why the match would not have been served; empty: it would have been.
    """

    id: str
    model: str
    hit: SemanticHit
    right: bool
    veto: str = ""


Event = (
    Receipt
    | Refused
    | Failed
    | FailureReceipt
    | Retried
    | FellBack
    | Hedged
    | BreakerOpened
    | Routed
    | Downgraded
    | Compressed
    | Looping
    | Anomaly
    | Alert
    | Overrun
    | Shadowed
    | StoreTrouble
)
