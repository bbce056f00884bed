"""Break everything but the budget: processes, holds, connections and the store itself.

    nox -s chaos -- --ledger URL --seconds N --seed K --json FILE

Four processes of sixteen threads share one limit at a time over the ledger that URL names:
``redis`` (a server of its own, which is then killed, restarted and emptied as well),
``redis://...``, ``sqlite:///FILE`` or ``memory:`` (one process, and nothing is killed); behind a
Redis URL ``slices=1`` takes slices. At the end every call is settled at what the simulated provider
says it billed, and the ledger must then agree to the nanodollar. The seed chooses the faults; when
they meet which call is the machine's to decide.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from books import Round, Stop, calls_of, rounds_of
from plan import NANO, Plan, ledger_at
from worker import work

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.process import BaseProcess

    from agentfuse.testing.cutting_proxy import CuttingProxy
    from agentfuse.testing.redis_server import RedisServer

HERE = Path(__file__).parent
# Workers are forked from a process that has imported everything: a dead one is soon replaced.
SPAWN = multiprocessing.get_context("forkserver")
PROCESSES = 4
THREADS = 16
ROUND_SECONDS = 5.0
LIFE = 0.5
LIMIT = 4 * NANO
CUTS = 0.01
SLICE_SECONDS = 12.0


@dataclass
class Counts:
    """How often each fault was done, and in which rounds the store was emptied."""

    kills: int = 0
    stops: int = 0
    restarts: int = 0
    cuts: int = 0
    emptied: list[int] = field(default_factory=list[int])


class Run:
    """The processes of one run, and what is done to them."""

    def __init__(self, plan: Plan, folder: Path, server: RedisServer | None, seed: int) -> None:
        self._plan = plan
        self._folder = folder
        self._server = server
        self._random = random.Random(seed)  # noqa: S311 - faults, not secrets
        self._started = 0
        self._workers: list[BaseProcess] = []
        self._stopped: list[tuple[float, BaseProcess]] = []
        self._numbers: dict[BaseProcess, int] = {}
        self.stops: list[Stop] = []
        self.counts = Counts()

    def conduct(self) -> None:
        """Start the workers, harm them until the last round is over, and wait for the living."""
        for _ in range(PROCESSES):
            self._start()
        end = self._plan.start + self._plan.rounds * self._plan.round_seconds
        for pause, harm in self._harms():
            if time.time() + pause >= end - 1:
                break
            time.sleep(pause)
            self._wake()
            harm()
        time.sleep(max(end - time.time(), 0))
        self._wake(everyone=True)
        for worker in self._workers:
            worker.join(timeout=60)
            if worker.exitcode:
                raise SystemExit(f"a worker ended with {worker.exitcode}")

    def _harms(self) -> Iterator[tuple[float, Callable[[], None]]]:
        """Say what to do next, and in how many seconds; the store is emptied once, early on."""
        while True:
            harm = self._random.choices(
                (self._kill, self._stop, self._restart), weights=(6, 2, 1 if self._server else 0)
            )[0]
            passed = (time.time() - self._plan.start) / self._plan.round_seconds
            if self._server and 4 * passed >= self._plan.rounds and not self.counts.emptied:
                harm = self._empty
            yield self._random.uniform(0.2, 0.8), harm

    def _start(self) -> None:
        self._started += 1
        log = self._folder / f"worker-{self._started}.log"
        plan = replace(self._plan, worker=self._started, log=str(log))
        worker = SPAWN.Process(target=work, args=(plan,))
        worker.start()
        self._workers.append(worker)
        self._numbers[worker] = self._started

    def _kill(self) -> None:
        worker = self._workers.pop(self._random.randrange(len(self._workers)))
        worker.kill()
        worker.join()
        for until, each in self._stopped:
            if each is worker:
                self._note_stop(until - 1.5 * self._plan.life, worker)
        self._stopped = [each for each in self._stopped if each[1] is not worker]
        self.counts.kills += 1
        self._start()

    def _stop(self) -> None:
        """Hold a worker for longer than a lease lives."""
        worker = self._random.choice(self._workers)
        _signal(worker, signal.SIGSTOP)
        self._stopped.append((time.time() + 1.5 * self._plan.life, worker))
        self.counts.stops += 1

    def _wake(self, *, everyone: bool = False) -> None:
        now = time.time()
        for until, worker in list(self._stopped):
            if everyone or until <= now:
                _signal(worker, signal.SIGCONT)
                self._stopped.remove((until, worker))
                self._note_stop(until - 1.5 * self._plan.life, worker)

    def _note_stop(self, began: float, worker: BaseProcess | None = None) -> None:
        number = self._numbers[worker] if worker else None
        self.stops.append(Stop(number, began, time.time()))

    def _restart(self) -> None:
        """Kill the store and start it with what it had written down."""
        if self._server is not None:
            began = time.time()
            self._server.kill()
            time.sleep(self._random.uniform(0.0, 0.5))
            self._server.start()
            self._note_stop(began)
            self.counts.restarts += 1

    def _empty(self) -> None:
        """Kill the store and start it with nothing."""
        if self._server is not None:
            began = time.time()
            self._server.lose()
            self._server.start()
            self._note_stop(began)
            self.counts.emptied.append(self._plan.round_at(time.time()))


def _signal(worker: BaseProcess, number: signal.Signals) -> None:
    if worker.pid is not None:
        os.kill(worker.pid, number)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ledger", default="redis", help="redis, redis://, sqlite:/// or memory:")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to go on")
    parser.add_argument("--seed", type=int, default=0, help="which faults")
    parser.add_argument("--json", type=Path, help="keep every figure in this file")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="agentfuse-chaos-") as folder:
        rounds, counts = run(args.ledger, args.seconds, args.seed, Path(folder))
    print_table(rounds, counts)
    if args.json:
        kept = {"ledger": args.ledger, "seconds": args.seconds, "seed": args.seed}
        kept |= {"faults": asdict(counts), "rounds": [row.as_dict() for row in rounds]}
        args.json.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    if any(row.faults for row in rounds):
        sys.exit("the books do not agree")


def run(url: str, seconds: float, seed: int, folder: Path) -> tuple[list[Round], Counts]:
    """Make a run, and compare the books."""
    with ExitStack() as stack:
        SPAWN.set_forkserver_preload(["worker", *_MODULES])
        _warm()
        port = _provider(folder / "bills", stack)
        store = _store(url, stack, folder, seed)
        plan = Plan(
            ledger=store.url,
            provider_port=port,
            start=time.time(),
            rounds=max(round(seconds / ROUND_SECONDS), 1),
            round_seconds=ROUND_SECONDS,
            limit=LIMIT,
            life=LIFE,
            threads=THREADS,
            seed=seed,
        )
        counts, stops = _conducted(plan, folder, store.server, seed)
        counts.cuts = store.proxy.cut if store.proxy else 0
        # Until what nobody settled has expired, and the slices of the dead.
        time.sleep(2 * LIFE + (SLICE_SECONDS if plan.sliced else 0))
        ledger: Any = ledger_at(store.straight)
        calls = calls_of(folder.glob("worker-*.log"), folder / "bills")
        rounds = rounds_of(plan, ledger, calls, stops, emptied=counts.emptied)
        getattr(ledger, "close", lambda: None)()
    return rounds, counts


_MODULES = ("agentfuse.ledgers.redis", "agentfuse.ledgers.slices", "redis", "sqlite3")


def _warm() -> None:
    """Have the workers' parent import what they need."""
    first = SPAWN.Process(target=time.time)
    first.start()
    first.join()


@dataclass(frozen=True)
class Store:
    """The ledger's store: ``url`` as workers reach it, ``straight`` without the proxy."""

    url: str
    straight: str
    server: RedisServer | None = None
    proxy: CuttingProxy | None = None


def _provider(bills: Path, stack: ExitStack) -> int:
    """Start the provider, and give its port."""
    command = [sys.executable, str(HERE / "provider.py"), str(bills)]
    process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE))  # noqa: S603
    stack.callback(process.kill)
    if process.stdout is None:
        raise SystemExit("the provider did not start")
    return int(process.stdout.readline())


def _store(url: str, stack: ExitStack, folder: Path, seed: int) -> Store:
    """Start what the URL does not name, with a proxy before it that cuts connections."""
    server = None
    if url.partition("?")[0] == "redis":
        from agentfuse.testing.redis_server import RedisServer, redis_binaries

        binary = next(iter(redis_binaries().values()))
        server = stack.enter_context(RedisServer(binary, folder / "redis"))
        url = server.url + url.removeprefix("redis")
    parts = urlsplit(url)
    if parts.scheme != "redis" or parts.hostname not in {"127.0.0.1", "localhost"}:
        return Store(url, url)
    from agentfuse.testing.cutting_proxy import CuttingProxy

    luck = random.Random(seed)  # noqa: S311 - faults, not secrets
    proxy = CuttingProxy(parts.port or 6379, lambda data: b"EVAL" in data and luck.random() < CUTS)
    stack.enter_context(proxy)
    user, at, _ = parts.netloc.rpartition("@")
    proxied = urlunsplit(parts._replace(netloc=f"{user}{at}127.0.0.1:{proxy.port}"))
    return Store(proxied, url, server, proxy)


def _conducted(
    plan: Plan, folder: Path, server: RedisServer | None, seed: int
) -> tuple[Counts, list[Stop]]:
    if urlsplit(plan.ledger).scheme == "memory":
        work(replace(plan, log=str(folder / "worker-0.log")))
        return Counts(), []
    conductor = Run(plan, folder, server, seed)
    conductor.conduct()
    return conductor.counts, conductor.stops


def print_table(rounds: list[Round], counts: Counts) -> None:
    """Print what was billed and what was booked, in dollars, a line a round."""
    print(", ".join(f"{name}: {number}" for name, number in asdict(counts).items()))
    columns = ("limit", "billed", "spent", "corrected", "after", "lost", "beyond")
    print(f"{'round':>5}{'calls':>7}" + "".join(f"{name:>15}" for name in columns))
    for row in rounds:
        money = "".join(f"{getattr(row, name) / NANO:15.9f}" for name in columns)
        print(f"{row.round:5}{row.calls:7}{money}  {'; '.join(row.faults) or 'agrees'}")
    print("beyond what was held or booked for them, calls were billed in all:")
    for cause in sorted({cause for row in rounds for cause in row.causes}):
        beyond = sum(row.causes.get(cause, 0) for row in rounds)
        print(f"{cause:>12}{beyond / NANO:15.9f}")


if __name__ == "__main__":
    main()
