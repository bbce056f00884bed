"""What the pipeline hands out: limits, leases, tickets, quotes, receipts and the events told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from agentfuse.scopes import NO_SCOPE

if TYPE_CHECKING:
    from agentfuse.messages import Reply, Request
    from agentfuse.scopes import Scope
    from agentfuse.usage import Usage


@dataclass(frozen=True, slots=True)
class Limit:
    """A budget in ``nanodollars`` on what ``id`` of a ``scope`` (run, session, user ...) spends."""

    scope: str
    id: str
    nanodollars: int

    @property
    def key(self) -> str:
        """The account this limit is kept under."""
        return f"{self.scope}:{self.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """One account: what is spent, and what open leases hold, in nanodollars."""

    spent: int = 0
    held: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Money set aside for one call on every account in ``limits``, until ``deadline``.

    ``estimate`` (nanodollars, at most ``amount``) is what is booked if nobody settles in time.
    """

    id: str
    amount: int
    estimate: int
    limits: tuple[Limit, ...]
    deadline: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A reservation that did not fit: ``limit`` had ``left``, and ``needed`` was asked."""

    limit: Limit
    needed: int
    left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What settling a lease changed.

    ``booked`` is what this lease has cost in all (nanodollars); ``overrun`` how far that is above
    what was set aside; ``repeated`` is True when it had been settled before.
    """

    booked: int
    overrun: int = 0
    repeated: bool = False


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
    """How far a stream has come: ``counted`` tokens, then ``unread`` bytes, of ``allowed`` tokens.

    ``allowed`` is None where no lease sets an end.
    """

    allowed: int | None = None
    counted: int = 0
    unread: int = 0
    texts: list[str] = field(default_factory=list[str])


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """Leave to ask the provider: send ``request``, which may differ from what was ``asked``.

    ``key`` is None for what is never remembered; ``quote`` and ``lease`` where no limit applies.
    ``leading`` says that identical calls wait for this one; ``scope`` on whose behalf it is made.
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
    progress: Progress = field(default_factory=Progress)


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
    whose behalf it was made.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A call that was not sent, since ``refusal`` says it would have passed a limit."""

    model: str
    refusal: Refusal


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
    """A call for ``model`` that goes ``to`` a cheaper one, since ``limit`` is nearly used up."""

    id: str
    model: str
    to: str
    limit: Limit


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


Event = Receipt | Refused | Failed | Downgraded | Overrun | StoreTrouble
