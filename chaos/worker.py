"""A process of a chaos run: threads that reserve, ask the provider and settle, with every fault.

    python chaos/worker.py PLAN

What it is about to do goes into its log first, so that a ``kill -9`` hides nothing:
``try id round amount estimate time``, ``fate id word`` where the call will not be settled as soon
as it was billed, and ``took id seconds time`` once the settlement was answered: so long after the
lease was last known to be open.
"""

from __future__ import annotations

import os
import random
import socket
import sys
import time
from dataclasses import dataclass
from threading import Thread
from typing import TYPE_CHECKING, Any

from plan import Plan, ledger_at

from agentfuse.errors import StoreUnavailable
from agentfuse.messages import Request
from agentfuse.runtime.now import run_now
from agentfuse.runtime.renewal import Renewals
from agentfuse.tickets import Admitted, Amounts, Lease, Limit

if TYPE_CHECKING:
    from collections.abc import Callable

REPEATED = 0.20
FORGOTTEN = 0.05
OUTLIVED = 0.05
SLOW = 0.05
FREE = 0.05
FAILED = 0.05
OVERRUN = 0.01

FATES = (FAILED, FORGOTTEN, OUTLIVED, SLOW, 1 - FAILED - FORGOTTEN - OUTLIVED - SLOW)

SLOW_LIVES = 2.5
LARGEST = 20_000_000  # two cents
REFUSED_PAUSE = 0.02


@dataclass(frozen=True)
class Call:
    """One call to come: what is set aside, what is expected, and what it will be billed."""

    id: str
    round: int
    amount: int
    estimate: int
    actual: int


class Worker:
    """One thread's way: a connection to the provider, and luck of its own."""

    def __init__(self, plan: Plan, ledger: Any, renewals: Renewals, thread: int, log: int) -> None:
        self._plan = plan
        self._ledger = ledger
        self._renewals = renewals
        self._name = f"{plan.worker}-{thread}"
        self._log = log
        self._random = random.Random(f"{plan.seed}/{self._name}")  # noqa: S311 - faults, not secrets
        self._provider = socket.create_connection(("127.0.0.1", plan.provider_port))
        self._answers = self._provider.makefile("rb")

    def work(self) -> None:
        """Make calls until the last round is over."""
        plan, number = self._plan, 0
        while (round_ := plan.round_at(time.time())) < plan.rounds:
            number += 1
            call = self._call_of(f"{self._name}-{number}", round_)
            try:
                self._make(call)
            except StoreUnavailable:
                self._write(f"away {call.id}")
        self._provider.close()

    def _call_of(self, name: str, round_: int) -> Call:
        chance = self._random
        if chance.random() < FREE:
            return Call(name, round_, 0, 0, 0)
        amount = chance.randrange(1, LARGEST)
        estimate = chance.randrange(0, amount + 1)
        most = 2 * amount if chance.random() < OVERRUN else amount
        return Call(name, round_, amount, estimate, chance.randrange(0, most + 1))

    def _make(self, call: Call) -> None:
        start = time.monotonic()
        limit = Limit("run", f"round-{call.round}", self._plan.limit)
        lease = Lease(
            id=call.id,
            amount=Amounts(call.amount, requests=1),
            estimate=Amounts(call.estimate, requests=1),
            limits=(limit,),
            ttl=self._plan.life,
            marks=("*",),
        )
        terms = f"{call.round} {call.amount} {call.estimate}"
        self._write(f"try {call.id} {terms} {time.time():.6f}")
        answer = self._often(lambda: run_now(self._ledger.reserve(lease)))
        if not isinstance(answer, Lease):
            time.sleep(REFUSED_PAUSE)
            return
        self._go_on(call, answer, start)

    def _go_on(self, call: Call, lease: Lease, start: float) -> None:
        """Do with a lease what chance says: most are settled as soon as the call was billed."""
        fate = self._random.choices(("failed", "forgotten", "outlived", "slow", ""), FATES)[0]
        time.sleep(self._random.random() * 0.01)
        if fate == "failed":
            self._often(lambda: run_now(self._ledger.release(call.id)))
            return
        if fate:
            self._write(f"fate {call.id} {fate}")
        if fate == "slow":
            start = self._wait(lease, start)
        self._ask(call)
        if fate == "forgotten":
            return
        if fate == "outlived":
            time.sleep(1.5 * self._plan.life)
        actual = Amounts(call.actual, requests=1)
        settlement = self._often(lambda: run_now(self._ledger.settle(call.id, actual)))
        if settlement.booked == actual:
            self._write(f"took {call.id} {time.monotonic() - start:.6f} {time.time():.6f}")

    def _wait(self, lease: Lease, start: float) -> float:
        """Let a call last for several lives of its lease; give when that was open last."""
        request = Request(provider="any", model="any", messages=())
        ticket = Admitted(id=lease.id, asked=request, request=request, started=start, lease=lease)
        self._renewals.add(ticket)
        time.sleep(SLOW_LIVES * self._plan.life)
        self._renewals.drop(ticket)
        asked = time.monotonic()
        return asked if run_now(self._ledger.renew(lease.id, self._plan.life)) else start

    def _ask(self, call: Call) -> None:
        self._provider.sendall(f"{call.id} {call.actual}\n".encode())
        if self._answers.readline() != b"ok\n":
            raise SystemExit("the provider has gone")

    def _often(self, command: Callable[[], Any]) -> Any:
        """Give a command, and now and then give it again; the first answer counts."""
        answer = command()
        if self._random.random() < REPEATED:
            command()
        return answer

    def _write(self, line: str) -> None:
        os.write(self._log, f"{line}\n".encode())


def work(plan: Plan) -> None:
    """Run a process's threads."""
    ledger: Any = ledger_at(plan.ledger)
    log = os.open(plan.log, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    renewals = Renewals(ledger, plan.life)
    workers = [Worker(plan, ledger, renewals, thread, log) for thread in range(plan.threads)]
    threads = [Thread(target=worker.work) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    getattr(ledger, "close", lambda: None)()
    os.close(log)


if __name__ == "__main__":
    work(Plan.read(sys.argv[1]))
