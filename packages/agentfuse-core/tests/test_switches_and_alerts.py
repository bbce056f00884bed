"""Kill switches, alerts, compression, tools, allotments, renewals, and a ledger that is down."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from agentfuse import (
    BudgetExceeded,
    ConfigurationError,
    Fuse,
    Killed,
    StoreUnavailable,
    acompletion,
    completion,
    scope,
)
from agentfuse.ledgers.memory import MemoryLedger
from agentfuse.lengths import Compressed
from agentfuse.money import budget_of
from agentfuse.runtime import renewal
from agentfuse.testing import FrozenClock, Upstream
from agentfuse.tickets import Alert, Refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentfuse.messages import Request
    from agentfuse.tickets import Amounts, Event, Lease, Refusal, Settlement, Stop


class Heard:
    def __init__(self) -> None:
        self.events: list[Event] = []

    def hear(self, event: Event) -> None:
        self.events.append(event)

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream(answer_tokens=20) as provider:
        yield provider


def asked(fuse: Fuse, upstream: Upstream, question: str = "Why?", **options: Any) -> dict[str, Any]:
    return {
        "model": "gpt-4o",
        "messages": [{"role": "user", "content": question}],
        "fuse": fuse,
        "base_url": upstream.openai_url,
        "api_key": "sk-upstream",
        "max_tokens": 50,
        **options,
    }


def ask(fuse: Fuse, upstream: Upstream, question: str = "Why?", **options: Any) -> str:
    answer = completion(**asked(fuse, upstream, question, **options))
    return answer.choices[0].message.content or ""


def test_a_killed_run_stops_even_where_the_cache_could_answer(upstream: Upstream) -> None:
    heard = Heard()
    fuse = Fuse("$1", spend_book=False, name="loop", listeners=[heard])
    ask(fuse, upstream)
    fuse.kill(reason="it loops")
    with pytest.raises(Killed, match=r"'run:loop' is pulled \(it loops\)") as stop:
        ask(fuse, upstream)
    assert stop.value.receipt.answers == 1
    assert len(heard.of(Refused)) == 1
    fuse.resume()
    ask(fuse, upstream)
    assert upstream.calls == 1


def test_a_switch_stops_one_user_one_model_or_all(upstream: Upstream) -> None:
    ledger = MemoryLedger()
    fuse = Fuse("$1", spend_book=False, cache=False, ledger=ledger)
    other = Fuse("$1", spend_book=False, cache=False, ledger=ledger)
    fuse.kill("user:ann")
    with scope(user="ann"), pytest.raises(Killed, match="user:ann"):
        ask(fuse, upstream)
    with scope(user="ann"), pytest.raises(Killed):
        ask(other, upstream)
    with scope(user="bob"):
        ask(fuse, upstream)
    fuse.kill("model:gpt-4o")
    with pytest.raises(Killed):
        ask(fuse, upstream)
    ask(fuse, upstream, model="gpt-4o-mini")
    fuse.kill("*", "everybody out")
    with pytest.raises(Killed, match="everybody out"):
        ask(other, upstream, model="gpt-4o-mini")
    assert upstream.calls == 2


def test_a_run_without_a_budget_can_be_killed(upstream: Upstream) -> None:
    fuse = Fuse(spend_book=False, cache=False)
    ask(fuse, upstream)
    fuse.kill()
    with pytest.raises(Killed):
        ask(fuse, upstream)


def test_a_child_stops_with_its_parent(upstream: Upstream) -> None:
    fuse = Fuse("$1", spend_book=False, cache=False)
    child = fuse.session("child")
    fuse.kill()
    with pytest.raises(Killed):
        ask(child, upstream)


def test_each_share_of_a_limit_is_told_once() -> None:
    told: list[Alert] = []
    heard = Heard()
    fuse = Fuse("$1", spend_book=False, name="night", on_alert=told.append, listeners=[heard])
    for _ in range(11):
        fuse.record_tool_call("search", "$0.10")
    assert [alert.threshold for alert in told] == [600, 800, 900, 1000]
    assert [alert.spent for alert in told] == [budget_of(f"$0.{n}") for n in (6, 8, 9)] + [10**9]
    assert told == heard.of(Alert)
    assert fuse.receipt().alerts == 4
    fuse.top_up("$1")
    fuse.record_tool_call("search", "$0.10")
    assert [alert.limit.amount for alert in told[4:]] == [2 * 10**9]


def test_fifty_threads_tell_each_alert_once(upstream: Upstream) -> None:
    told: list[Alert] = []
    ledger = MemoryLedger()
    fuses = [
        Fuse("$1", spend_book=False, name="shared", on_alert=told.append, ledger=ledger)
        for _ in range(2)
    ]
    threads = [
        threading.Thread(target=fuses[n % 2].record_tool_call, args=("search", "$0.05"))
        for n in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(alert.threshold for alert in told) == [600, 800, 900, 1000]


def test_a_call_that_passes_a_line_is_told(upstream: Upstream) -> None:
    told: list[Alert] = []
    fuse = Fuse("$0.001", spend_book=False, cache=False, on_alert=told.append, alert_at=(0.2,))
    ask(fuse, upstream)
    assert [alert.threshold for alert in told] == [200]
    ask(fuse, upstream)
    assert len(told) == 1


def test_alerts_are_posted_to_a_webhook() -> None:
    posted: list[dict[str, Any]] = []
    arrived = threading.Event()

    class Chat(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()
            arrived.set()

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    server = HTTPServer(("127.0.0.1", 0), Chat)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/alerts"
        fuse = Fuse("$1", spend_book=False, name="night", alert_webhook=url)
        fuse.record_tool_call("search", "$0.65")
        assert arrived.wait(10)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert posted == [
        {
            "text": "run 'night' has spent $0.65 of $1.00: past 60 %",
            "limit": "run:night",
            "threshold": 0.6,
            "spent": 650_000_000,
            "amount": 1_000_000_000,
            "unit": "nanodollars",
        }
    ]


def test_requests_are_shortened_near_the_end(upstream: Upstream) -> None:
    def last_message_only(request: Request) -> Request:
        from dataclasses import replace

        return replace(request, messages=request.messages[-1:])

    heard = Heard()
    fuse = Fuse("$1", spend_book=False, compress=last_message_only, listeners=[heard])
    messages = [
        {"role": "user", "content": "One?"},
        {"role": "assistant", "content": "Two."},
        {"role": "user", "content": "Three?"},
    ]
    ask(fuse, upstream, messages=messages)
    fuse.record_tool_call("search", "$0.90")
    ask(fuse, upstream, messages=[*messages[:2], {"role": "user", "content": "Four?"}])
    first, second = (request.body["messages"] for request in upstream.requests)
    assert (len(first), len(second)) == (3, 1)
    assert len(heard.of(Compressed)) == 1
    assert fuse.receipt().compressions == 1


def test_a_tool_is_charged_before_it_runs() -> None:
    fuse = Fuse("$0.025", spend_book=False)
    ran: list[str] = []

    @fuse.tool("$0.01")
    def search(word: str) -> str:
        ran.append(word)
        return word.upper()

    assert [search("a"), search("b")] == ["A", "B"]
    with pytest.raises(BudgetExceeded, match="tool search costs"):
        search("c")
    assert ran == ["a", "b"]
    assert fuse.receipt().tool_calls == 2
    assert fuse.receipt().spent == budget_of("$0.02")


def test_an_awaited_tool_is_charged_too() -> None:
    fuse = Fuse("$0.015", spend_book=False)

    @fuse.tool("$0.01", name="web_search")
    async def search(word: str) -> str:
        return word.upper()

    async def twice() -> str:
        first = await search("a")
        with pytest.raises(BudgetExceeded, match="web_search"):
            await search("b")
        return first

    assert asyncio.run(twice()) == "A"


def test_a_tools_cost_is_checked_when_it_is_written() -> None:
    with pytest.raises(ConfigurationError):
        Fuse("$1", spend_book=False).tool("minus one")


def test_a_killed_runs_tools_stop_as_well() -> None:
    fuse = Fuse("$1", spend_book=False)
    fuse.kill()
    with pytest.raises(Killed):
        fuse.charge_tool_call("search", "$0.01")


def test_an_allotment_is_taken_from_the_parent_and_given_back(upstream: Upstream) -> None:
    fuse = Fuse("$1", spend_book=False, name="parent")
    with fuse.session("child", "$0.60", allotted=True) as child:
        with pytest.raises(BudgetExceeded, match="parent"):
            fuse.session("greedy", "$0.50", allotted=True)
        with pytest.raises(BudgetExceeded):
            fuse.charge_tool_call("search", "$0.50")
        child.charge_tool_call("search", "$0.10")
        with pytest.raises(BudgetExceeded, match="child"):
            child.charge_tool_call("search", "$0.51")
    fuse.charge_tool_call("search", "$0.90")
    with pytest.raises(BudgetExceeded):
        fuse.charge_tool_call("search", "$0.01")
    assert fuse.open_leases() == ()


def test_an_allotment_needs_a_budget() -> None:
    with pytest.raises(ConfigurationError, match="needs a budget"):
        Fuse("$1", spend_book=False).session("child", allotted=True)


def test_a_slow_call_keeps_its_lease(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that outlives its lease is not booked at its estimate while it is alive."""
    ledger = MemoryLedger()
    fuse = Fuse("$1", spend_book=False, ledger=ledger, lease_ttl=1.5)
    upstream.slow(latency=2.5)
    ask(fuse, upstream)
    trail = [entry.what for entry in asyncio.run(ledger.trail())]
    assert trail == ["reserve", "settle"]


def test_a_lost_ticket_is_not_renewed(upstream: Upstream) -> None:
    """A caller that crashed between begin and finish holds its money no longer than one lease."""
    from agentfuse.messages import Message, Request, Text

    clock = FrozenClock()
    fuse = Fuse("$1", spend_book=False, clock=clock, lease_ttl=60)
    ticket = fuse.begin(
        Request(
            provider="openai",
            model="gpt-4o",
            messages=(Message("user", (Text("Why?"),)),),
            max_output_tokens=50,
        )
    )
    renewals = fuse._shared.renewals
    clock.advance(50)
    assert renewals.renew()
    clock.advance(50)
    assert len(fuse.open_leases()) == 1
    del ticket
    gc.collect()
    assert not renewals.renew()
    clock.advance(61)
    assert fuse.open_leases() == ()


def test_the_renewing_thread_ends_with_its_work(monkeypatch: pytest.MonkeyPatch) -> None:
    assert renewal.SHARE == 3
    fuse = Fuse("$1", spend_book=False, lease_ttl=0.3)
    thread_of = fuse._shared.renewals
    fuse.charge_tool_call("search", "$0.01")  # settled at once: nothing to renew
    assert thread_of._thread is None


class MovingLedger(MemoryLedger):
    """A ledger whose store can be out of reach."""

    down = False

    def look(self) -> None:
        if self.down:
            raise StoreUnavailable("the ledger at test://store cannot be reached")

    async def reserve(self, lease: Lease) -> Lease | Refusal | Stop:
        self.look()
        return await super().reserve(lease)

    async def settle(self, lease_id: str, actual: Amounts) -> Settlement:
        self.look()
        return await super().settle(lease_id, actual)

    async def spend(self, limits: Any, amount: Amounts, note: str = "") -> None:
        self.look()
        await super().spend(limits, amount, note)

    async def release(self, lease_id: str) -> None:
        self.look()
        await super().release(lease_id)


def steady(**options: Any) -> tuple[Fuse, MovingLedger]:
    from agentfuse.ledgers.steady import SteadyLedger

    ledger = MovingLedger()
    fuse = Fuse("$1", spend_book=False, cache=False, ledger=SteadyLedger(ledger), **options)
    return fuse, ledger


def test_a_ledger_that_is_down_refuses_by_default(upstream: Upstream) -> None:
    fuse, ledger = steady()
    ledger.down = True
    with pytest.raises(StoreUnavailable, match="test://store"):
        ask(fuse, upstream)
    assert upstream.calls == 0
    ledger.down = False
    assert ask(fuse, upstream)


def test_calls_go_on_by_choice_and_are_booked_once_the_ledger_is_back(upstream: Upstream) -> None:
    fuse, ledger = steady(on_store_error="open")
    ledger.down = True
    ask(fuse, upstream)
    ask(fuse, upstream)
    assert upstream.calls == 2
    assert fuse.receipt().store_troubles >= 2
    assert fuse.ledger.owed == 2
    ledger.down = False
    ask(fuse, upstream)
    spent = asyncio.run(fuse.ledger.balances([f"run:{fuse.name}"]))[0].spent
    assert spent == fuse.receipt().spent
    assert fuse.ledger.owed == 0


@pytest.mark.parametrize("way", ["blocking", "awaited"])
def test_an_outage_between_reserve_and_settle_loses_no_money(upstream: Upstream, way: str) -> None:
    fuse, ledger = steady()
    upstream.slow(latency=0.3)
    timer = threading.Timer(0.1, lambda: setattr(ledger, "down", True))
    timer.start()
    if way == "blocking":
        assert ask(fuse, upstream)
    else:
        assert asyncio.run(acompletion(**asked(fuse, upstream))).choices
    timer.join()
    assert fuse.ledger.owed == 1
    ledger.down = False
    assert fuse.open_leases() == ()
    spent = asyncio.run(fuse.ledger.balances([f"run:{fuse.name}"]))[0].spent
    assert spent == fuse.receipt().spent > 0
