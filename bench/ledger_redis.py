"""What a call costs over Redis, beside bare EVALSHA calls of the same payload, and in slices.

Ours and the bare client take turns in one run, on a server of its own on loopback. Of both, wall
time (the store does half the work) and the CPU time of the calling thread, which a busy machine
disturbs less; only ratios say something.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import tempfile
import time
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, NoReturn

import redis
import redis.asyncio

from agentfuse.connections.redis_links import BlockingLink
from agentfuse.ledgers.redis import RedisFace, RedisLedger
from agentfuse.ledgers.redis_links import PatientLink
from agentfuse.ledgers.slices import SlicedLedger
from agentfuse.runtime.now import run_now
from agentfuse.testing.redis_server import RedisServer, redis_binaries
from agentfuse.tickets import Amounts, Lease, Limit

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator, Sequence

    from agentfuse.ledgers import redis_wire as wire
    from agentfuse.ledgers.redis_scripts import Script

ROUNDS = 7
PAIRS = 300
TASKS = 32
WORKERS = 16
SECONDS = 1.0
LIMITS = (Limit("run", "nightly", 2**52), Limit("user", "ann", 2**52))
# A call of gpt-4o with at most 900 tokens of output, of which 400 came: ten dollars a million.
WORST, TRUE = Amounts(9_000_000, 900, 1), Amounts(4_000_000, 400, 1)
NAMESPACE = "bench"

numbers = count()


def figures() -> dict[str, object]:
    """Measure one reserve and settle: microseconds, and ratios to the bare client."""
    name, binary = next(iter(redis_binaries().items()))
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="agentfuse-bench-"))
        server = stack.enter_context(RedisServer(binary, Path(folder), {"appendonly": "no"}))
        ledger = stack.enter_context(RedisLedger(server.url, NAMESPACE))
        return {
            "server": name,
            "blocking": _blocking(ledger, server.url),
            "awaited": asyncio.run(_awaited(ledger, server.url)),
            "slices": _sliced(ledger, server.url),
        }


def a_lease() -> Lease:
    """Write a lease as the policy does: two limits, three marks and a note."""
    return Lease(
        id=f"{next(numbers):032x}",
        amount=WORST,
        estimate=WORST,
        limits=LIMITS,
        ttl=900.0,
        marks=("*", "run:nightly", "user:ann"),
        note="user=ann gpt-4o",
    )


def _nowhere() -> NoReturn:
    raise NotImplementedError


class Recorder(PatientLink):
    """A way to nowhere that keeps what would have been sent."""

    def __init__(self) -> None:
        super().__init__(BlockingLink(_nowhere, "nowhere"), 1.0)
        self.commands: list[tuple[Any, ...]] = []

    async def call(
        self, script: Script, keys: Sequence[bytes], args: Sequence[wire.Word]
    ) -> wire.Reply:
        """Keep a command."""
        self.commands.append(("EVALSHA", script.sha, len(keys), *keys, *args))
        return [b"0", b"held" if len(self.commands) % 2 else b"unknown", b"0"]


def _commands(pairs: int) -> list[tuple[Any, ...]]:
    """Write the very commands that as many reservations and settlements send."""
    recorder = Recorder()
    face = RedisFace(recorder, NAMESPACE)
    for _ in range(pairs):
        lease = a_lease()
        run_now(face.reserve(lease))
        run_now(face.settle(lease.id, TRUE))
    return recorder.commands


def _blocking(ledger: RedisLedger, url: str) -> dict[str, float]:
    def ours() -> None:
        for lease in leases:
            run_now(ledger.reserve(lease))
            run_now(ledger.settle(lease.id, TRUE))

    def bare() -> None:
        for command in commands:
            client.execute_command(*command)

    client: Any = redis.Redis.from_url(url)
    leases = [a_lease() for _ in range(PAIRS)]
    ours()
    taken = Taken()
    for _ in range(ROUNDS):
        leases, commands = [a_lease() for _ in range(PAIRS)], _commands(PAIRS)
        with taken.timed("ours"):
            ours()
        with taken.timed("bare"):
            bare()
    client.close()
    return taken.compared()


async def _awaited(ledger: RedisLedger, url: str) -> dict[str, float]:
    face = ledger.awaited()

    async def our_pair(lease: Lease) -> None:
        await face.reserve(lease)
        await face.settle(lease.id, TRUE)

    async def bare_pair(reserve: tuple[Any, ...], settle: tuple[Any, ...]) -> None:
        await client.execute_command(*reserve)
        await client.execute_command(*settle)

    client: Any = redis.asyncio.Redis.from_url(url)
    await our_pair(a_lease())
    taken = Taken()
    for _ in range(ROUNDS):
        ours = [our_pair(a_lease()) for _ in range(PAIRS)]
        commands = iter(_commands(PAIRS))
        bare = [bare_pair(*pair) for pair in zip(commands, commands, strict=True)]
        with taken.timed("ours"):
            await _together(ours)
        with taken.timed("bare"):
            await _together(bare)
    await client.aclose()
    return taken.compared()


async def _together(pairs: list[Coroutine[Any, Any, None]]) -> None:
    """Run pairs with TASKS in flight."""

    async def work(left: Iterator[Coroutine[Any, Any, None]]) -> None:
        for pair in left:
            await pair

    left = iter(pairs)
    await asyncio.gather(*(work(left) for _ in range(TASKS)))


def _sliced(ledger: RedisLedger, url: str) -> dict[str, float]:
    """Compare how many pairs WORKERS threads make in a second, exact and in slices."""
    rates: dict[str, list[float]] = {"exact": [], "slices": []}
    with SlicedLedger(RedisLedger(url, NAMESPACE), processes=4) as sliced:
        for _ in range(3):
            rates["exact"].append(_rate(ledger))
            rates["slices"].append(_rate(sliced))
    exact, slices = (statistics.median(each) for each in rates.values())
    return {
        "workers": WORKERS,
        "exact_pairs_per_second": exact,
        "slices_pairs_per_second": slices,
        "slices_of_exact": slices / exact,
    }


def _rate(ledger: RedisLedger | SlicedLedger) -> float:
    done = [0] * WORKERS
    end = time.perf_counter() + SECONDS

    def work(worker: int) -> None:
        while time.perf_counter() < end:
            lease = a_lease()
            run_now(ledger.reserve(lease))
            run_now(ledger.settle(lease.id, TRUE))
            done[worker] += 1

    threads = [Thread(target=work, args=(worker,)) for worker in range(WORKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done) / SECONDS


class Taken:
    """Microseconds of a pair, round by round: wall time, and CPU time of the calling thread."""

    def __init__(self) -> None:
        self._wall: dict[str, list[float]] = {"ours": [], "bare": []}
        self._cpu: dict[str, list[float]] = {"ours": [], "bare": []}

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        """Time PAIRS pairs."""
        gc.collect()
        wall, cpu = time.perf_counter(), time.thread_time()
        yield
        self._cpu[what].append((time.thread_time() - cpu) / PAIRS * 1e6)
        self._wall[what].append((time.perf_counter() - wall) / PAIRS * 1e6)

    def compared(self) -> dict[str, float]:
        """Give medians, and what share of the bare rate is reached: the median of the rounds'."""
        found: dict[str, float] = {}
        for name, taken in (("wall", self._wall), ("cpu", self._cpu)):
            shares = [bare / ours for ours, bare in zip(taken["ours"], taken["bare"], strict=True)]
            found[f"{name}_us"] = statistics.median(taken["ours"])
            found[f"bare_{name}_us"] = statistics.median(taken["bare"])
            found[f"{name}_of_bare_rate"] = statistics.median(shares)
        return found


if __name__ == "__main__":
    import json

    print(json.dumps(figures(), indent=1))
