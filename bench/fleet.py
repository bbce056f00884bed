"""What sharing a cache costs: exact answers, entries by meaning, and the second engines.

    python bench/fleet.py [--json FILE] [--entries 50000]

Exact answers in Redis beside bare GET and SET; an entry of the semantic cache until another process
has it; the replay of a stream. Wall time (a store does half the work), ours and the bare client in
turns, on servers of their own on loopback; only ratios say something about another machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import redis
import redis.asyncio

from agentfuse.caches.fleet.addresses import semantic_store_at
from agentfuse.caches.fleet.streamed import StreamedSemanticStore
from agentfuse.caches.packing import packed, unpacked
from agentfuse.caches.redis import RedisCache
from agentfuse.messages import Choice, Reply, Text
from agentfuse.runtime.now import run_now
from agentfuse.semantics import Question, SemanticEntry
from agentfuse.testing.postgres_server import PostgresServer
from agentfuse.testing.redis_server import RedisServer, redis_binaries
from agentfuse.testing.redis_stack import SearchServer, why_no_search
from agentfuse.usage import BilledUsage, Usage, UsageReport

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

DIM = 384
ENTRIES = 50_000
SCOPES = 20
ENGINE_ENTRIES = 10_000
WRITES = 300
ROUNDS = 7
OPERATIONS = 300
P95 = 0.95

keys = (f"{number:064x}" for number in count())
words = np.random.default_rng(7)


def figures(entries: int = ENTRIES) -> dict[str, Any]:
    """Measure all of it: microseconds and milliseconds of wall time, and ratios."""
    name, binary = list(redis_binaries().items())[-1]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="agentfuse-bench-")))
        options = {"appendonly": "no"}
        server = stack.enter_context(RedisServer(binary, folder / "redis", options))
        return {
            "server": name,
            "exact, microseconds": _exact(server.url),
            "semantic over a stream": _streamed(server.url, entries),
            "engines, milliseconds": _engines(folder),
        }


def _exact(url: str) -> dict[str, Any]:
    cache = RedisCache(url, "bench", hold=0)
    bare: Any = redis.Redis.from_url(url)
    reply = a_reply(200)
    data, key = packed(reply, time.time()), next(keys)
    run_now(cache.keep(key, reply))
    bare.set("bare", data)
    blocking = {
        "bare GET": lambda: bare.get("bare"),
        "find": lambda: run_now(cache.find(key)),
        "a miss": lambda: run_now(cache.find("nothing")),
        "bare SET": lambda: bare.set("bare", data, px=60_000),
        "keep": lambda: run_now(cache.keep(key, reply)),
        "reading an answer alone": lambda: unpacked(data),
        "writing one alone": lambda: packed(reply, 0.0),
    }
    found = {"blocking": _in_turns(blocking), "awaited": asyncio.run(_awaited(url, reply))}
    cache.close()
    bare.close()
    return {"bytes of an answer": len(data), **found}


async def _awaited(url: str, reply: Reply) -> dict[str, float]:
    cache = RedisCache(url, "bench", hold=0).awaited()
    bare: Any = redis.asyncio.Redis.from_url(url)
    data, key = packed(reply, time.time()), next(keys)
    await cache.keep(key, reply)
    works: dict[str, Callable[[], Awaitable[object]]] = {
        "bare GET": lambda: bare.get("bare"),
        "find": lambda: cache.find(key),
        "bare SET": lambda: bare.set("bare", data, px=60_000),
        "keep": lambda: cache.keep(key, reply),
    }
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(ROUNDS):
        for name, work in works.items():
            start = time.perf_counter()
            for _ in range(OPERATIONS):
                await work()
            taken[name].append((time.perf_counter() - start) / OPERATIONS * 1e6)
    await bare.aclose()
    return {name: round(statistics.median(each), 1) for name, each in taken.items()}


def _in_turns(works: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Give the median of rounds in which each has its turn."""
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(ROUNDS):
        for name, work in works.items():
            start = time.perf_counter()
            for _ in range(OPERATIONS):
                work()
            taken[name].append((time.perf_counter() - start) / OPERATIONS * 1e6)
    return {name: round(statistics.median(each), 1) for name, each in taken.items()}


def _streamed(url: str, entries: int) -> dict[str, Any]:
    store = StreamedSemanticStore(f"{url}?patience=10", DIM, fingerprint="bench")
    found: dict[str, Any] = _visible(url, store)
    client: Any = redis.Redis.from_url(url)
    before = client.info("memory")["used_memory"]
    _fill(store, entries)
    used = client.info("memory")["used_memory"] - before
    found["bytes in Redis per entry, answer included"] = round(used / entries)
    start, busy = time.perf_counter(), time.process_time()
    late = StreamedSemanticStore(f"{url}?patience=60", DIM, fingerprint="bench")
    while not (len(late) >= entries and late._feed.is_read):  # noqa: SLF001 - what is measured
        time.sleep(0.05)
    found[f"replay of {entries} entries"] = {
        "seconds": round(time.perf_counter() - start, 2),
        "CPU seconds": round(time.process_time() - busy, 2),
    }
    found |= _lookups(late)
    for each in (store, late, client):
        each.close()
    return found


def _visible(url: str, store: StreamedSemanticStore) -> dict[str, Any]:
    """Measure how long a write takes, and from its start until another process has it."""
    kept, seen = [], []
    with _follower(url) as other:
        for number in range(WRITES):
            entry, vector = an_entry(f"visible {number}", "a" * 64), a_vector()
            print(entry.id, file=other.stdin, flush=True)
            other.stdout.readline()
            time.sleep(0.002)
            start = time.time()
            store.keep(entry, vector, a_reply(20))
            kept.append(time.time() - start)
            seen.append(float(other.stdout.readline()) - start)
    return {
        "a write, milliseconds": _spread(kept),
        "until another process has it, milliseconds": _spread(seen),
    }


@contextmanager
def _follower(url: str) -> Iterator[Any]:
    script = str(Path(__file__).with_name("fleet_follower.py"))
    pipe = subprocess.PIPE
    command = [sys.executable, script, url, str(DIM)]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:  # noqa: S603 - ours
        other: Any = process
        other.stdout.readline()
        try:
            yield other
        finally:
            process.kill()


def _lookups(store: Any) -> dict[str, Any]:
    """Look for the nearest, and get an answer."""
    known = store.nearest(f"{0:064x}", a_vector(), 1)[0].entry
    looks, answers = [], []
    for _ in range(OPERATIONS):
        vector = a_vector()
        start = time.perf_counter()
        store.nearest(known.scope, vector, 5)
        looked = time.perf_counter()
        store.answer(known.id)
        looks.append(looked - start)
        answers.append(time.perf_counter() - looked)
    return {
        "the nearest of a scope, milliseconds": _spread(looks),
        "an answer, milliseconds": _spread(answers),
    }


def _engines(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = {"entries": ENGINE_ENTRIES, "scopes": SCOPES}
    why = why_no_search()
    if why:
        found["redis+search"] = f"not measured: {why}"
    else:
        with SearchServer(folder / "search") as server:
            found["redis+search"] = _engine(server.url.replace("redis:", "redis+search:"))
    with PostgresServer() as server:
        found["postgresql"] = _engine(server.url)
    return found


def _engine(url: str) -> dict[str, Any]:
    store = semantic_store_at(url, DIM, fingerprint="bench")
    taken = _fill(store, ENGINE_ENTRIES)
    found = {"a write, milliseconds": _spread(taken), **_lookups(store)}
    store.close()
    return found


def _fill(store: Any, entries: int) -> list[float]:
    taken = []
    for number in range(entries):
        entry = an_entry(f"question {number}", f"{number % SCOPES:064x}")
        vector = a_vector()
        start = time.perf_counter()
        store.keep(entry, vector, a_reply(20))
        taken.append(time.perf_counter() - start)
        if number % 10_000 == 0:
            print(f"  {number} of {entries} entries kept", file=sys.stderr, flush=True)
    return taken


def _spread(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(1_000 * each for each in seconds)
    return {
        "median": round(statistics.median(ordered), 3),
        "p95": round(ordered[int(P95 * len(ordered))], 3),
    }


def a_reply(tokens: int) -> Reply:
    """Write an answer as the providers' are: text, usage, and the provider's own JSON."""
    text = " ".join(f"word{number % 50}" for number in range(tokens))
    usage = Usage(input_tokens=40, output_tokens=tokens)
    return Reply(
        choices=(Choice(parts=(Text(text),), finish_reason="stop"),),
        report=UsageReport(items=(BilledUsage(model="gpt-4o", usage=usage),)),
        model="gpt-4o",
        id="chatcmpl-1",
        shape="chat.completions",
        raw=json.dumps({"id": "chatcmpl-1", "choices": [{"message": {"content": text}}]}),
    )


def an_entry(prompt: str, scope: str) -> SemanticEntry:
    """Write an entry as the semantic cache does."""
    now = time.time()
    return SemanticEntry(
        id=Question(scope=scope, text=prompt).entry_id,
        scope=scope,
        prompt=prompt,
        kept=now,
        expires=now + 86_400,
        key=next(keys),
        tags=("user:ann", "model:gpt-4o"),
    )


def a_vector() -> Any:
    """Draw a vector of length 1."""
    drawn = words.standard_normal(DIM, dtype=np.float32)
    return drawn / np.linalg.norm(drawn)


def main() -> None:
    """Print the figures, and keep them in FILE if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="keep every figure in this file")
    parser.add_argument("--entries", type=int, default=ENTRIES, help="how many are replayed")
    args = parser.parse_args()
    found = figures(args.entries)
    print(json.dumps(found, indent=1))
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
