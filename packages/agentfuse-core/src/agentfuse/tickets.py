"""What the pipeline hands out: limits, leases, tickets, quotes, receipts and the events told."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Literal

from agentfuse.scopes import NO_SCOPE, SCOPES

if TYPE_CHECKING:
    from agentfuse.messages import Reply, Request
    from agentfuse.scopes import Scope
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One call as an agent's doing: the whole question's ``key``, and what is ``newest`` in it.

    ``agent`` are the tags of who asks; ``newest`` is a role and the texts of the last messages.
    """

    key: str
    agent: tuple[str, ...]
    newest: tuple[str, ...]


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
    ``owed`` are the limits of a call that went out while the ledger was down; ``move`` is
    the call as its agent's doing; ``left_out`` is how many input tokens compression has saved.
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
    move: Move | None = None
    left_out: int = 0
    progress: Progress = field(default_factory=Progress)

    @property
    def note(self) -> str:
        """Who made the call and what for, for a ledger's trail."""
        scope = self.scope
        ids = [f"{name}={getattr(scope, name)}" for name in SCOPES if getattr(scope, name)]
        tags = [f"tag={tag}" for tag in scope.tags]
        return " ".join([self.request.model, *ids, *tags])


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """An answer that needs no provider: from the cache, or from an identical call in flight."""

    id: str
    reply: Reply
    source: Literal["exact", "coalesced"]


Ticket = Admitted | Answered


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What one call cost and why; money in nanodollars, ``seconds`` from begin to end.

    ``source`` is provider, exact (cache), coalesced (joined an identical call) or tool.
    ``estimated`` marks a cost that no provider usage stands behind: a cut stream, a lost answer.
    ``priced`` is False where no price is known (possible without a budget only). ``scope`` says on
    whose behalf it was made. ``left_out`` is how many input tokens compression left out.
    """

    id: str
    model: str
    provider: str
    source: Literal["provider", "exact", "coalesced", "tool"]
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
    left_out: int = 0


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
class Pressure:
    """What may make a request too long.

    ``limit`` is nearly used up; ``room`` is how many tokens the model's window leaves for input (0
    where it is not known); a cut is wanted ``above`` so many tokens, or ``after`` so many steps.
    """

    limit: Limit | None = None
    room: int = 0
    above: int | None = None
    after: int | None = None


Why = Literal["budget", "window", "tokens", "steps", "held"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortened:
    """A request made shorter: its input tokens ``before`` and ``after``, and ``why``.

    ``held`` says that it is cut where an earlier request of the conversation was; ``left_out`` is
    how many messages are left out.
    """

    request: Request
    before: int
    after: int
    why: Why
    left_out: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Compressed:
    """A call that goes out with a shorter request: input tokens ``before`` and ``after``.

    ``why`` is budget (``limit`` is nearly used up), window, tokens, steps, or held (cut where an
    earlier request of the conversation was); ``left_out`` messages are not in it.
    """

    id: str
    model: str
    limit: Limit | None = None
    why: Why = "budget"
    before: int = 0
    after: int = 0
    left_out: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """Repeats without progress: the latest ``actions``, over and over, ``times`` in all.

    ``what`` says what is repeated: tools (the same calls with the same results), requests (the
    very same question), or answers (the same answer to the same input). ``cost`` is what the
    repeats have cost so far, without the first round, in nanodollars; ``agents`` are the names of
    those who go round, where scopes tell them.
    """

    what: Literal["tools", "requests", "answers"]
    actions: tuple[str, ...]
    times: int
    cost: int = 0
    agents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Looping:
    """A call that goes on with a loop, and what was done: it was ``warn``, downgrade or stop."""

    id: str
    model: str
    loop: Loop
    action: Literal["warn", "downgrade", "stop"]
    scope: Scope = NO_SCOPE


@dataclass(frozen=True, slots=True, kw_only=True)
class Anomaly:
    """A call that cost many ``times`` what is ``usual`` for its agent and model (nanodollars)."""

    id: str
    model: str
    cost: int
    usual: int
    times: float
    scope: Scope = NO_SCOPE


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


Event = (
    Receipt
    | Refused
    | Failed
    | Downgraded
    | Compressed
    | Looping
    | Anomaly
    | Alert
    | Overrun
    | StoreTrouble
)
