"""The one thread by which a process speaks with the ledger about its slices."""

from __future__ import annotations

import logging
import os
import time
from concurrent.futures import Future
from itertools import count
from threading import Condition, Thread
from typing import TYPE_CHECKING

from agentfuse.connections.redis_words import bytes_of
from agentfuse.errors import AgentFuseError, StoreUnavailable
from agentfuse.ledgers import redis_wire as wire
from agentfuse.ledgers.rules import MICRO

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Mapping
    from typing import Any

    from agentfuse.ledgers.redis import RedisLedger
    from agentfuse.ledgers.redis_wire import Reply
    from agentfuse.ledgers.slice_book import Piece, SliceBook
    from agentfuse.tickets import Limit

_log = logging.getLogger("agentfuse")

# Every so many seconds the ledger is told that this process lives, and what it must know is heard.
BEAT_SECONDS = 0.5

# A slice that nobody speaks for is booked as spent after so many seconds.
SLICE_SECONDS = 10.0

# A piece that did not move for so many beats is given back.
QUIET_BEATS = 4

# The largest slice of a limit that is not in money is this share of it.
_SHARE = 100

_WORDS_OF_BEAT = 4


class SliceRounds:
    """Asks the ledger for slices, gives them back, and keeps them alive.

    One thread does it for all callers, so that what many ask for at once is one slice. It ends with
    ``close``; the next question begins another.
    """

    def __init__(
        self, ledger: RedisLedger, book: SliceBook, *, processes: int, largest: int
    ) -> None:
        self._ledger = ledger
        self._book = book
        self._processes = processes
        self._largest = largest
        self._member = f"{os.getpid():x}-{os.urandom(6).hex()}"
        self._numbers = count(1)
        self._news = Condition()
        self._asked: list[tuple[Mapping[Limit, int], Future[None]]] = []
        self._ahead: set[Limit] = set()
        self._thread: Thread | None = None
        self._closing = False
        self._beaten = float("-inf")

    def ask(self, needs: Mapping[Limit, int]) -> Future[None]:
        """Ask for slices of limits, large enough for ``needs``; without any, for the ledger's word.

        The future ends when the ledger has answered, and raises what it raised.
        """
        answer: Future[None] = Future()
        with self._news:
            self._asked.append((needs, answer))
            self._awake()
        return answer

    def ask_ahead(self, limits: Iterable[Limit]) -> None:
        """Ask for the next slices of limits whose last are nearly used up; nobody waits."""
        with self._news:
            self._ahead.update(limits)
            self._awake()

    def _awake(self) -> None:
        if self._thread is None:
            self._closing = False
            self._thread = Thread(target=self._live, name="agentfuse-slices", daemon=True)
            self._thread.start()
        self._news.notify()

    def close(self) -> None:
        """Give back what calls do not hold, and end the thread."""
        with self._news:
            thread, self._closing = self._thread, True
            self._news.notify()
        if thread is not None:
            thread.join()

    def _live(self) -> None:
        while True:
            with self._news:
                self._news.wait_for(self._is_wanted, self._patience())
                asked, self._asked = self._asked, []
                ahead, self._ahead = self._ahead, set()
                if self._closing and not asked:
                    self._thread = None
                    break
            self._serve([each for each in asked if each[1].set_running_or_notify_cancel()], ahead)
        self._try(self._give_all_back)

    def _patience(self) -> float | None:
        """Say how long to wait for a question: for ever, where there is nothing to keep alive."""
        if not self._book.pieces:
            return None
        return max(self._beaten + BEAT_SECONDS - time.monotonic(), 0.0)

    def _is_wanted(self) -> bool:
        return bool(self._asked or self._ahead or self._closing)

    def _serve(
        self, asked: list[tuple[Mapping[Limit, int], Future[None]]], ahead: set[Limit]
    ) -> None:
        needs: dict[Limit, int] = {}
        for limits, _ in asked:
            for limit, needed in limits.items():
                needs[limit] = needs.get(limit, 0) + needed
        beat = any(not limits for limits, _ in asked)
        if self._book.time.is_fresh():
            # Whoever asked while the last slice was cut may be served by it.
            needs = {each: sum_ for each, sum_ in needs.items() if not self._book.fits(each, sum_)}
        needs = dict.fromkeys(ahead, 1) | needs
        error = self._try(lambda: self._turns(needs, beat=beat))
        for _, answer in asked:
            if error is None:
                answer.set_result(None)
            else:
                answer.set_exception(error)

    def _try(self, work: Callable[[], None]) -> Exception | None:
        try:
            work()
        except AgentFuseError as error:
            return error
        except Exception as error:  # noqa: BLE001 - callers wait for this thread: they are told
            _log.exception("slices of the ledger at %s failed", self._ledger.address)
            return StoreUnavailable(f"the ledger's slices failed: {error!r}")
        return None

    def _turns(self, needs: Mapping[Limit, int], *, beat: bool) -> None:
        for limit, needed in needs.items():
            self._turn(limit, needed)
        if beat or time.monotonic() - self._beaten >= BEAT_SECONDS:
            self._beat()

    def _turn(self, limit: Limit, needed: int) -> None:
        """Tell the ledger what is spent of a limit, and have the next slice cut."""
        turn = self._book.begin_turn(limit, needed)
        new = f"slice:{self._member}:{next(self._numbers)}"
        largest = self._largest
        if limit.unit != "nanodollars":
            largest = max(limit.amount // _SHARE, 1)
        words: list[wire.Word] = [
            *(self._member.encode(), wire.micros_of(SLICE_SECONDS), new.encode()),
            *(turn.held, turn.asked, max(largest - turn.free, 0), self._processes),
            turn.unreported,
            wire.text_of((limit,), note=f"slice of process {self._member}"),
            len(turn.ids),
            *(each.encode() for each in turn.ids),
            *wire.limit_words((limit,)),
        ]
        try:
            reply = _stepped(self._ledger.cut_slice(words, turn.ids))
        except AgentFuseError:
            self._book.lose_turn(limit.key, new)
            raise
        self._book.time.hear(int(reply[1]) / MICRO)
        self._book.end_turn(limit.key, turn, new, tuple(map(int, reply[2:8])))
        self._book.learn_stops(wire.stops_of(reply[8:]))

    def _beat(self) -> None:
        """Keep slices alive, hear what must be known, and give back what is spare."""
        self._beaten = time.monotonic()
        pieces = self._book.held_pieces()
        words: list[wire.Word] = [self._member.encode(), wire.micros_of(SLICE_SECONDS)]
        for key, piece in pieces:
            words += [piece.ids[-1].encode(), bytes_of(key)]
        self._book.is_dated = False
        reply = _stepped(self._ledger.beat(words))
        self._book.time.hear(int(reply[1]) / MICRO)
        end = 2 + _WORDS_OF_BEAT * len(pieces)
        self._book.learn_stops(wire.stops_of(reply[end:]))
        returned = self._book.unsettled()
        for number, (key, piece) in enumerate(pieces):
            start = 2 + _WORDS_OF_BEAT * number
            returned += self._heard(key, piece, reply[start : start + _WORDS_OF_BEAT])
        for limit in returned:
            self._turn(limit, 0)
        self._book.forget_unused()

    def _heard(self, key: str, piece: Piece, words: list[bytes]) -> list[Limit]:
        """Take what a beat says of a piece; name its limit if it is to be given back."""
        is_open, spent, held, pressed = map(int, words)
        self._book.hear(key, spent, held)
        spare = self._book.is_spare(key, 0 if pressed else QUIET_BEATS)
        return [piece.limit] if spare or not is_open or len(piece.ids) > 1 else []

    def _give_all_back(self) -> None:
        for _, piece in self._book.held_pieces():
            self._turn(piece.limit, 0)
        for limit in self._book.unsettled():
            self._turn(limit, 0)


def _stepped(step: Coroutine[Any, Any, Reply]) -> Reply:
    """Give the result of a blocking face's coroutine, which never suspends."""
    try:
        step.send(None)
    except StopIteration as done:
        reply: Reply = done.value
        return reply
    raise RuntimeError("a blocking ledger suspended")
