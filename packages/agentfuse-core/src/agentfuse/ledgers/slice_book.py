"""What the calls of one process hold and have spent, against the slices it has been cut."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agentfuse.ledgers.memory import MemoryLedger
from agentfuse.ledgers.rules import booked_keys, refusal_of
from agentfuse.tickets import Balance, Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from agentfuse.ports import Clock
    from agentfuse.tickets import Amounts, Lease, Limit, Stop

# Decisions are made without the ledger for so many seconds after it was last heard: a kill switch
# pulled elsewhere is felt within them.
FRESH_SECONDS = 1.0

# How long a refused call waits for other processes to give back what they do not use: their next
# beat tells them to, and comes within half a second.
PATIENT_SECONDS = 1.2

# The next slice is asked for once this part of one is left, so that calls need not wait for it.
_LOW = 4


class LedgerTime:
    """The ledger's own time: its last word's, and what has passed here since."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ahead = 0.0
        self.heard = float("-inf")

    def now(self) -> float:
        """Give the time in seconds since the epoch."""
        return self._clock.now() + self._ahead

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await self._clock.sleep(seconds)

    def hear(self, now: float) -> None:
        """Take the ledger's time."""
        self.heard = self._clock.now()
        self._ahead = now - self.heard

    def is_fresh(self) -> bool:
        """Say whether the ledger's last word is young enough to decide by."""
        return self._clock.now() - self.heard < FRESH_SECONDS


@dataclass(slots=True)
class Piece:
    """What this process has of one limit.

    ``ids`` are its slices in the ledger: one, none, or several where a turn went unanswered. Of
    what the book says is spent on the account, ``reported`` is in the ledger, and ``granted`` held
    there beyond that; so spent and held may reach ``allowed`` here, which is less than both by what
    is spent above the limit. The rest is the ledger's last word: what the account had ``spent`` and
    ``held`` there, the ``room`` left, what ``others`` hold as slices, and since how many seconds
    somebody has been ``pressed`` for it (-1: nobody). Where less than ``low`` is free, the next
    slice is asked for ahead (-1: never).
    """

    limit: Limit
    reported: int
    ids: list[str] = field(default_factory=list[str])
    granted: int = 0
    allowed: int = 0
    spent: int = 0
    held: int = 0
    room: int = 0
    others: int = 0
    pressed: float = -1.0
    low: int = -1
    seen: tuple[int, int] = (0, 0)
    quiet: int = 0

    @property
    def overdraft(self) -> int:
        """What the account was above its limit: so much of the slice is nobody's to spend."""
        return max(self.spent + self.held - self.limit.amount, 0)


@dataclass(frozen=True, slots=True)
class Turn:
    """What a turn tells the ledger about a piece.

    ``held`` is what calls hold, with the ``free`` rest of the last slice where that is kept;
    ``asked`` what is wanted beyond it; ``unreported`` what was spent since the last turn.
    """

    held: int
    free: int
    asked: int
    unreported: int
    ids: tuple[str, ...]


class SliceBook(MemoryLedger):
    """A ledger in memory whose limits are this process's pieces of the true ones."""

    def __init__(self, time: LedgerTime) -> None:
        super().__init__(time)
        self.time = time
        self.pieces: dict[str, Piece] = {}
        # Set where this process spoke past its slices: what it saw of accounts is then out of date.
        self.is_dated = False
        self._urgent: dict[str, Limit] = {}
        self._low: set[Limit] = set()

    def knows(self, lease_id: str) -> bool:
        """Say whether a lease is held here, or was."""
        return lease_id in self._open or lease_id in self._closed

    def lacking(self, lease: Lease) -> dict[Limit, int]:
        """Name the limits whose piece is too small for a lease, with what it needs of them."""
        with self._lock:
            return {
                limit: needed
                for limit in lease.limits
                if (needed := lease.amount.of(limit.unit)) > self._free(limit)
                or limit.key not in self.pieces
            }

    def fits(self, limit: Limit, needed: int) -> bool:
        """Say whether what is asked for is here by now, cut for those who asked before."""
        with self._lock:
            return limit.key in self.pieces and 0 < needed <= self._free(limit)

    def verdict(self, refusal: Refusal, lease: Lease) -> tuple[Refusal | None, bool]:
        """Say, by the ledger's last word, whether a refusal stands, or is worth waiting for others.

        (None, False) says that another turn may bring what is missing.
        """
        with self._lock:
            limit = refusal.limit
            piece = self.pieces.get(limit.key)
            left = max(self._free(limit), 0) + (0 if piece is None else piece.room)
            if piece is None or refusal.needed <= left:
                return None, False
            waits = 0 <= piece.pressed < PATIENT_SECONDS
            if waits and refusal.needed <= left + piece.others:
                return None, True
        used, now = limit.amount - left, self._now()
        return refusal_of(limit, lease.amount, used=used, due=0, now=now) or refusal, False

    def begin_turn(self, limit: Limit, needed: int) -> Turn:
        """Say what the ledger is to be told of a limit of which ``needed`` is asked for.

        Where nothing is, the rest of the slice goes back, and nothing can be held until the answer.
        """
        with self._lock:
            account = self._account(limit)
            piece = self._piece(limit, account.spent)
            used = account.spent + account.held
            # Kept where the ledger is known to hold it, under the same amount of the limit.
            keeps = needed and len(piece.ids) == 1 and piece.limit.amount == limit.amount
            free = max(piece.allowed - used, 0) if keeps else 0
            piece.limit, piece.low = limit, -1
            piece.allowed = used + free
            unreported = account.spent - piece.reported
            asked = max(needed - free, min(needed, 1))
            return Turn(account.held + free, free, asked, unreported, tuple(piece.ids))

    def end_turn(self, key: str, turn: Turn, new: str, words: Sequence[int]) -> None:
        """Take the ledger's answer: granted, spent, held, others, room, microseconds pressed."""
        with self._lock:
            piece = self.pieces[key]
            piece.reported += turn.unreported
            piece.granted, piece.spent, piece.held, piece.others, piece.room, pressed = words
            piece.pressed = pressed / 1e6 if pressed >= 0 else -1.0
            piece.ids = [new] if piece.granted else []
            piece.allowed = piece.reported + piece.granted - piece.overdraft
            free = piece.granted - turn.held
            piece.low = (turn.free + free) // _LOW if free > turn.asked else -1

    def lose_turn(self, key: str, new: str) -> None:
        """Note that a turn went unanswered: the slice it asked for may be there or not."""
        with self._lock:
            piece, account = self.pieces[key], self._accounts[key]
            piece.ids.append(new)
            piece.allowed = min(piece.allowed, account.spent + account.held)

    def hear(self, key: str, spent: int, held: int) -> None:
        """Take what the ledger says about an account."""
        with self._lock:
            piece = self.pieces[key]
            piece.spent, piece.held = spent, held
            covered = piece.reported + piece.granted - piece.overdraft
            piece.allowed = min(piece.allowed, covered)

    def learn_stops(self, stops: Iterable[Stop]) -> None:
        """Take the ledger's kill switches."""
        with self._lock:
            self._stops = {stop.mark: stop.reason for stop in stops}

    def unsettled(self) -> list[Limit]:
        """Name limits of whose spending the ledger has not heard and has no slice to cover it."""
        with self._lock:
            self._reap()
            return [
                piece.limit
                for key, piece in self.pieces.items()
                if not piece.ids and self._accounts[key].spent != piece.reported
            ]

    def held_pieces(self) -> list[tuple[str, Piece]]:
        """List the pieces that have a slice."""
        with self._lock:
            return [(key, piece) for key, piece in self.pieces.items() if piece.ids]

    def is_spare(self, key: str, quiet_beats: int) -> bool:
        """Say whether a piece has something unused, and has not moved for so many beats."""
        with self._lock:
            piece, account = self.pieces[key], self._accounts[key]
            now = (account.spent, account.held)
            piece.quiet = piece.quiet + 1 if piece.seen == now else 0
            piece.seen = now
            free = piece.allowed - account.spent - account.held
            return piece.quiet >= quiet_beats and (free > 0 or not account.held)

    def forget_unused(self) -> None:
        """Forget pieces that hold nothing and have nothing to tell."""
        with self._lock:
            for key, piece in list(self.pieces.items()):
                account = self._accounts[key]
                if not piece.ids and not account.held and account.spent == piece.reported:
                    del self.pieces[key]

    def take_urgent(self) -> dict[Limit, int]:
        """Name, once, the limits of which the ledger must hear now: no slice covers them."""
        with self._lock:
            urgent, self._urgent = self._urgent, {}
        return dict.fromkeys(urgent.values(), 0)

    def take_low(self) -> set[Limit]:
        """Name, once, the limits whose slices are nearly used up."""
        with self._lock:
            low, self._low = self._low, set()
        return low

    @property
    def is_low(self) -> bool:
        """Whether ``take_low`` has something to give."""
        return bool(self._low)

    @property
    def is_urgent(self) -> bool:
        """Whether ``take_urgent`` has something to give."""
        return bool(self._urgent)

    def seen_balances(self, keys: Sequence[str]) -> tuple[Balance, ...] | None:
        """Give accounts by the ledger's last word and what has happened here since.

        None where that is too old, or no slice of one of them is held.
        """
        if self.is_dated or not self.time.is_fresh():
            return None
        with self._lock:
            self._reap()
            pieces = [self.pieces.get(key) for key in keys]
            if any(piece is None or not piece.ids for piece in pieces):
                return None
            held = [piece for piece in pieces if piece is not None]
            return tuple(
                self._seen(key, piece.spent, piece.held)
                for key, piece in zip(keys, held, strict=True)
            )

    def corrected(self, key: str, balance: Balance) -> Balance:
        """Give an account that the ledger was just asked for, with what it has not heard yet."""
        with self._lock:
            if key not in self.pieces:
                return balance
            return self._seen(key, balance.spent, balance.held)

    def _seen(self, key: str, spent: int, held: int) -> Balance:
        piece, account = self.pieces[key], self._accounts[key]
        return Balance(
            spent=spent + account.spent - piece.reported,
            held=held + account.held - piece.granted,
        )

    def _free(self, limit: Limit) -> int:
        """Say how much of a limit can be held here; another amount of it must be asked for."""
        piece = self.pieces.get(limit.key)
        if piece is None or piece.limit.amount != limit.amount:
            return 0
        account = self._accounts[limit.key]
        return piece.allowed - account.spent - account.held

    def _piece(self, limit: Limit, reported: int) -> Piece:
        piece = self.pieces.get(limit.key)
        if piece is None:
            piece = self.pieces[limit.key] = Piece(limit, reported, allowed=reported)
        return piece

    def _admit(self, lease: Lease, now: float) -> Lease | Refusal:
        refusal = self._refusal_of(lease)
        return refusal or self._hold(lease, booked_keys(lease.limits), now)

    def _refusal_of(self, lease: Lease) -> Refusal | None:
        accounts = self._accounts
        for limit in lease.limits:
            key, needed, free = limit.key, lease.amount.of(limit.unit), 0
            piece = self.pieces.get(key)
            if piece is not None and piece.limit.amount == limit.amount:
                account = accounts[key]
                free = piece.allowed - account.spent - account.held
            if piece is None or needed > free:
                return Refusal(limit=limit, needed=needed, left=max(free, 0))
            if free - needed < piece.low:
                piece.low = -1
                self._low.add(limit)
        return None

    def _spent(self, lease: Lease) -> tuple[int, ...]:
        spent: list[int] = []
        for limit in lease.limits:
            piece, own = self.pieces.get(limit.key), self._account(limit).spent
            spent.append(own if piece is None else piece.spent + own - piece.reported)
        return tuple(spent)

    def _is_in_use(self, key: str) -> bool:
        return key in self.pieces or super()._is_in_use(key)

    def _close(self, lease: Lease, booked: Amounts, what: str) -> tuple[int, ...]:
        for limit in lease.limits:
            # What holds nothing is no reason to keep a piece, and is to be told of all the same.
            self._piece(limit, self._account(limit).spent)
        super()._close(lease, booked, what)
        self._notice_overdrawn(lease, booked, lease.amount)
        return self._spent(lease)

    def _rebook(self, closed: Any, booked: Amounts, what: str) -> None:
        for key, limit in booked_keys(closed.lease.limits).items():
            if not self._piece(limit, self._account(limit).spent).ids:
                self._urgent[key] = limit
        before = closed.booked
        super()._rebook(closed, booked, what)
        self._notice_overdrawn(closed.lease, booked, before)

    def _notice_overdrawn(self, lease: Lease, booked: Amounts, covered: Amounts) -> None:
        for limit in lease.limits:
            if booked.of(limit.unit) > covered.of(limit.unit) and self._free(limit) < 0:
                self._urgent[limit.key] = limit
