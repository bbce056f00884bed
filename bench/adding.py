"""What a fuse adds to a framework: to a call of its model, and to a whole run of its agent.

A provider that answers at once stands in the SDK's HTTP client, so that the framework and the SDK
do all their work, and none of it waits: it asks ``Upstream`` once for each kind of question and
gives that body again. Bare and fused take turns over it, call by call, each question a new one, and
what is added is the median of the pairs' differences. Its share is of the bare CPU over loopback,
and so is a hit's: both take their turns too, so that whatever else the machine does falls on all.
So does a minimum written by hand, which tells what no fuse in Python could save. That provider is
a process of its own: a framework's threads are counted, and the provider's not.
"""

from __future__ import annotations

import asyncio
import gc
import json
import multiprocessing
import statistics
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import httpx
from by_hand import ByHand

from agentfuse import Fuse
from agentfuse.testing import Upstream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection

    Asking = Callable[[], Any]
    # Who answers at once, within the process; None for loopback.
    Provider: TypeAlias = "Instant | ByHand | None"
    Make = Callable[[str, "Provider", Fuse | None, "Questions"], Asking]

KEY = "sk-upstream"
# How many calls, and runs, are paired; and how many go before them.
CALLS, AGENT_RUNS, WARM = 300, 60, 10
# How many questions are asked again, each for the first time before anything is measured.
FEW = 10
# An agent under way: its tools, and the rounds of a call and its result that lie behind it.
TOOLS, ROUNDS = 20, 20
LATE = f"of a model call with {TOOLS} tools after {ROUNDS} rounds"
MOST_OF_A_MISS, LEAST_OF_A_HIT = 0.03, 5.0


@dataclass(slots=True)
class Instant:
    """An HTTP handler that answers at once: what ``url`` said to a question as long as this one."""

    url: str
    known: dict[tuple[str, int], httpx.Response] = field(default_factory=dict)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer."""
        asked = json.loads(request.content)
        place = (request.url.path, len(asked.get("messages") or asked.get("input")))
        if place not in self.known:
            headers = {"authorization": request.headers["authorization"]}
            self.known[place] = httpx.post(request.url, json=asked, headers=headers)
        said = self.known[place]
        return httpx.Response(said.status_code, headers=said.headers, content=said.content)

    @property
    def transport(self) -> httpx.MockTransport:
        """It, as an HTTP client of either kind takes it."""
        return httpx.MockTransport(self)


@dataclass(slots=True)
class Questions:
    """Questions that were never asked, or, ``again``, a few over and over.

    One alone would be an agent in a loop, which each answer is a warning of.
    """

    again: bool = False
    asked: int = 0

    def __str__(self) -> str:
        self.asked += 1
        return f"What is the weather in 'Place {self.asked % FEW if self.again else self.asked}'?"


@dataclass(frozen=True, slots=True)
class Round:
    """A tool that the model called, and what came back."""

    id: str
    tool: str
    arguments: dict[str, Any]
    result: str = "It is sunny, 24 degrees, and the wind comes from the west. " * 10


def rounds() -> list[Round]:
    """Give what an agent has done so far; its tools take a city and a number of days."""
    return [
        Round(f"call_{place}", f"tool_{place % TOOLS}", {"city": f"Town {place}", "days": place})
        for place in range(ROUNDS)
    ]


def tools_made(make: Callable[..., Any]) -> list[Any]:
    """Make the tools of an agent out of plain functions with a signature and a docstring."""
    return [make(_named(place)) for place in range(TOOLS)]


def _named(place: int) -> Callable[..., str]:
    def tell(city: str, days: int = 1, unit: str = "celsius") -> str:
        """Tell what the weather in a city will be like, for so many days and in this unit."""
        return f"sunny in {city} for {days} days in {unit}"

    tell.__name__ = f"tool_{place}"
    return tell


@contextmanager
def upstream_elsewhere(answer_tokens: int = 200) -> Iterator[str]:
    """Start a simulated provider in a process of its own, and give its OpenAI address."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, answer_tokens), daemon=True)
    process.start()
    try:
        yield ours.recv()
    finally:
        ours.send(None)
        process.join()


def _serve(line: Connection, answer_tokens: int) -> None:
    with Upstream(answer_tokens=answer_tokens) as upstream:
        line.send(upstream.openai_url)
        line.recv()


@contextmanager
def default_fuse() -> Iterator[Fuse]:
    """Open a fuse with a budget and all its defaults, the spend book in a folder that goes away."""
    with tempfile.TemporaryDirectory() as folder:
        fuse = Fuse("$1000000", spend_book=Path(folder) / "spend.sqlite3")
        yield fuse
        fuse.close()


def added_shares(call: Make, late: Make, run: Make) -> dict[str, Any]:
    """Measure what a miss adds to a model call, an early and a late one, and to an agent's run.

    And what a hit costs.
    """
    return {
        "of the bare model call": added_to(call, CALLS),
        LATE: added_to(late, CALLS),
        "of the framework's whole agent run": added_to(run, AGENT_RUNS),
    }


def added_to(make: Make, times: int) -> dict[str, Any]:
    """Measure what is added to what ``make`` gives: a call, or a run.

    ``make`` takes an address, who answers at once (or None for loopback), the fuse (or None for the
    bare framework) and where the questions come from. It gives a function, or a coroutine function.
    """
    with upstream_elsewhere() as url, default_fuse() as fuse, default_fuse() as remembering:
        new, instant = Questions(), Instant(url)
        askings = (
            make(url, instant, None, new),
            make(url, instant, fuse, new),
            make(url, None, None, new),
            make(url, None, remembering, Questions(again=True)),
            make(url, ByHand(instant), None, new),
        )
        found = _in_turn(askings, times)
    adds, least = (statistics.median([turn[n] - turn[0] for turn in found]) for n in (1, 4))
    _, _, loopback, hit, _ = map(statistics.median, zip(*found, strict=True))
    return _told(adds, loopback, hit, least)


def _told(adds: float, bare: float, hit: float, least: float) -> dict[str, Any]:
    share, factor = adds / bare, bare / hit
    return {
        "bare over loopback, us": bare,
        "a miss adds, us": adds,
        "a miss adds, % of bare": 100 * share,
        "a minimum by hand adds, us": least,
        "a minimum by hand adds, % of bare": 100 * least / bare,
        "a miss adds at most 3 %": _word(holds=share <= MOST_OF_A_MISS),
        "a hit, us": hit,
        "a hit is cheaper, times": factor,
        "a hit is at least 5 times cheaper": _word(holds=factor >= LEAST_OF_A_HIT),
    }


def _word(*, holds: bool) -> str:
    return "holds" if holds else "does not hold"


def _in_turn(askings: tuple[Asking, ...], times: int) -> list[list[float]]:
    """Let all take turns, now from one end and now from the other, and give what each took."""
    for asking in askings * WARM:
        _taken(asking)
    gc.collect()
    found: list[list[float]] = []
    for number in range(times):
        taken = [0.0] * len(askings)
        places = range(len(askings))
        for place in places if number % 2 else reversed(places):
            taken[place] = _taken(askings[place])
        found.append(taken)
    return found


def _taken(asking: Asking) -> float:
    """Give the CPU microseconds of one, those of the process's other threads too."""
    if asyncio.iscoroutinefunction(asking):
        return _LOOP.run(_awaited(asking))
    start = time.process_time_ns()
    asking()
    return (time.process_time_ns() - start) / 1000


async def _awaited(asking: Asking) -> float:
    start = time.process_time_ns()
    await asking()
    return (time.process_time_ns() - start) / 1000


# One loop for all rounds: a client's connections belong to the loop they were opened in.
_LOOP = asyncio.Runner()


def client_words(instant: Provider, *, awaited: bool = False) -> dict[str, Any]:
    """Give the HTTP client of an SDK that is answered at once; none for the SDK's own."""
    if instant is None:
        return {}
    kind = httpx.AsyncClient if awaited else httpx.Client
    return {"http_client": kind(transport=instant.transport)}
