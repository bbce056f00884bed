"""The end of a chaos run: the provider's own count against the ledger's, call by call."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from agentfuse.runtime.now import run_now
from agentfuse.tickets import Amounts, Limit

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from plan import Plan


@dataclass
class Known:
    """All that is known of one call: from its worker's log, and from the provider."""

    worker: int
    round: int
    amount: int
    estimate: int
    began: float
    fate: str = ""
    billed: int | None = None
    seconds: float | None = None
    ended: float | None = None


@dataclass(frozen=True)
class Stop:
    """A time in which a worker was stopped, or the store was away (None)."""

    worker: int | None
    began: float
    ended: float


@dataclass
class Round:
    """What became of one limit, in nanodollars.

    ``spent`` is what the ledger said once every lease had ended; ``corrected`` what settling each
    call at the provider's count, and releasing what was never billed, has changed; ``lost`` what
    was billed to leases that an emptied store had forgotten. ``beyond`` sums up what calls were
    billed above what was held or booked for them at the time: the only way past a limit. ``causes``
    says of that why:

    - overrun: the provider billed more than its own maximum;
    - forgotten, outlived: nobody settled, or long after the lease's end, as chance had said;
    - killed: nobody settled, since the process was killed or the store did not answer in time;
    - stopped: the process was stopped meanwhile, so that it could neither settle nor renew;
    - held up: another process, which may have had the file's lock, or the store was;
    - late: none of these.
    """

    round: int
    limit: int
    calls: int = 0
    billed: int = 0
    spent: int = 0
    held: int = 0
    corrected: int = 0
    after: int = 0
    lost: int = 0
    beyond: int = 0
    causes: dict[str, int] = field(default_factory=dict[str, int])
    expired: int = 0
    misbooked: int = 0
    faults: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Give plain data."""
        return asdict(self)


def calls_of(logs: Iterable[Path], bills: Path) -> dict[str, Known]:
    """Read what the workers and the provider have written down."""
    calls: dict[str, Known] = {}
    for log in logs:
        for line in log.read_text().splitlines():
            what, name, *rest = line.split()
            if what == "try":
                terms = map(int, (name.partition("-")[0], *rest[:3]))
                calls[name] = Known(*terms, began=float(rest[3]))
            elif what == "fate":
                calls[name].fate = rest[0]
            elif what == "took":
                calls[name].seconds, calls[name].ended = map(float, rest)
    for line in bills.read_text().splitlines():
        name, amount = line.split()
        calls[name].billed = int(amount)
    return calls


def rounds_of(
    plan: Plan, ledger: Any, calls: dict[str, Known], stops: list[Stop], *, emptied: list[int]
) -> list[Round]:
    """Compare, round by round; ``emptied`` are the rounds in which the store lost everything."""
    rounds = [Round(number, plan.limit) for number in range(plan.rounds)]
    for row in rounds:
        row.spent, row.held = _account(ledger, row)
    for name, call in calls.items():
        _sum_up(rounds[call.round], call, plan.life, stops)
        if not plan.sliced:
            _reconcile(ledger, rounds[call.round], name, call)
    for row in rounds:
        row.after, _ = _account(ledger, row)
        row.corrected = row.after - row.spent
        row.faults = _faults(row, emptied=emptied, sliced=plan.sliced)
    return rounds


def _account(ledger: Any, row: Round) -> tuple[int, int]:
    limit = Limit("run", f"round-{row.round}", row.limit)
    (balance,) = run_now(ledger.balances([limit.key]))
    return balance.spent, balance.held


def _sum_up(row: Round, call: Known, life: float, stops: list[Stop]) -> None:
    if call.billed is None:
        return
    row.calls += 1
    row.billed += call.billed
    in_time = call.seconds is not None and call.seconds < life
    beyond = call.billed - (call.amount if in_time else call.estimate)
    if beyond > 0:
        row.beyond += beyond
        cause = "overrun" if in_time else _cause_of(call, stops)
        row.causes[cause] = row.causes.get(cause, 0) + beyond


def _cause_of(call: Known, stops: list[Stop]) -> str:
    """Say why a call was not settled while it had its lease."""
    if call.fate in {"forgotten", "outlived"}:
        return call.fate
    if call.ended is None:
        return "killed"
    meanwhile = {
        stop.worker for stop in stops if stop.began < call.ended and stop.ended > call.began
    }
    if call.worker in meanwhile:
        return "stopped"
    return "held up" if meanwhile else "late"


def _reconcile(ledger: Any, row: Round, name: str, call: Known) -> None:
    """Settle a call at the provider's count, whatever the ledger knows of it."""
    if call.billed is None:
        run_now(ledger.release(name))
        return
    settlement = run_now(ledger.settle(name, Amounts(call.billed, requests=1)))
    if settlement.repeated and not settlement.spent:
        row.lost += call.billed
    elif not settlement.repeated:
        row.expired += 1
    elif settlement.booked.nanodollars != call.billed:
        row.misbooked += 1


def _faults(row: Round, *, emptied: list[int], sliced: bool) -> list[str]:
    """Name what must not be: a limit begins anew in an emptied store, and what it held is lost."""
    found: list[str] = []
    if row.billed > row.limit * (1 + emptied.count(row.round)) + row.beyond:
        found.append("over the limit by more than bills above their leases explain")
    if row.held:
        found.append(f"{row.held} still held")
    if row.misbooked:
        found.append(f"{row.misbooked} calls booked at another sum than was billed")
    forgotten = any(round_ >= row.round for round_ in emptied)
    if row.lost and not forgotten:
        found.append("leases lost in a store that was not emptied")
    if sliced:
        if row.spent < row.billed - row.beyond and not forgotten:
            found.append("under-booked")
    elif row.after + row.lost != row.billed:
        found.append(f"off by {row.after + row.lost - row.billed}")
    return found
