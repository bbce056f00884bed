"""A call that costs far more than its agent's calls do is told; a habit is not."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from long_talks import Heard

from agentfuse import ConfigurationError, Fuse, completion, scope
from agentfuse.conduct import Anomaly
from agentfuse.observe.logging import line_of
from agentfuse.policy.anomalies import LEAST, is_outlier
from agentfuse.testing import Upstream

if TYPE_CHECKING:
    from collections.abc import Iterator

USUAL = "word " * 100


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream(answer_tokens=20) as provider:
        yield provider


@pytest.fixture
def heard() -> Heard:
    return Heard()


def ask(fuse: Fuse, upstream: Upstream, text: str, agent: str = "writer") -> None:
    with scope(tags=(agent,)):
        completion(
            model="gpt-4o",
            messages=[{"role": "user", "content": text}],
            fuse=fuse,
            base_url=upstream.openai_url,
            api_key="sk-upstream",
        )


def test_a_call_far_dearer_than_usual_is_told(upstream: Upstream, heard: Heard) -> None:
    told: list[Any] = []
    fuse = Fuse("$5", spend_book=False, listeners=[heard], on_alert=told.append, alert_at=())
    for number in range(LEAST):
        ask(fuse, upstream, f"{number} {USUAL}")
    ask(fuse, upstream, USUAL * 30)
    (event,) = heard.of(Anomaly)
    assert told == [event]
    assert event.scope.tags == ("writer",)
    assert event.cost > 4 * event.usual > 0
    assert event.times == pytest.approx(event.cost / event.usual)
    assert "times the usual" in line_of(event)
    assert fuse.receipt().anomalies == 1


def test_each_agent_has_a_history_of_its_own(upstream: Upstream, heard: Heard) -> None:
    fuse = Fuse("$5", spend_book=False, listeners=[heard])
    for number in range(LEAST):
        ask(fuse, upstream, f"{number} {USUAL}", "writer")
        ask(fuse, upstream, f"{number} {USUAL * 30}", "reader")
    ask(fuse, upstream, USUAL * 31, "reader")
    ask(fuse, upstream, USUAL * 31, "newcomer")
    assert heard.of(Anomaly) == []


def test_a_dearer_habit_is_told_once(upstream: Upstream, heard: Heard) -> None:
    fuse = Fuse("$5", spend_book=False, listeners=[heard])
    for number in range(LEAST):
        ask(fuse, upstream, f"{number} {USUAL}")
    for number in range(5):
        ask(fuse, upstream, f"{number} {USUAL * 30}")
    assert len(heard.of(Anomaly)) == 1
    ask(fuse, upstream, USUAL * 90)
    assert len(heard.of(Anomaly)) == 2


def test_nobody_is_told_where_nobody_wants_to_know(upstream: Upstream, heard: Heard) -> None:
    fuse = Fuse("$5", spend_book=False, listeners=[heard], anomaly_at=None)
    for number in range(LEAST):
        ask(fuse, upstream, f"{number} {USUAL}")
    ask(fuse, upstream, USUAL * 30)
    assert heard.of(Anomaly) == []
    with pytest.raises(ConfigurationError):
        Fuse("$1", spend_book=False, anomaly_at=1.0)


def test_a_webhook_is_told_of_dear_calls_and_of_loops(upstream: Upstream) -> None:
    posted: list[dict[str, Any]] = []
    both = threading.Event()

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            posted.append(json.loads(body))
            self.send_response(200)
            self.end_headers()
            if len(posted) == 2:
                both.set()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_port}"
        fuse = Fuse("$5", spend_book=False, alert_webhook=url, alert_at=())
        for number in range(LEAST):
            ask(fuse, upstream, f"{number} {USUAL}")
        ask(fuse, upstream, USUAL * 30)
        for _ in range(5):
            ask(fuse, upstream, "Why?")
        assert both.wait(10)
    finally:
        server.shutdown()
        server.server_close()
    dear, loop = posted
    assert dear["times"] > 4
    assert dear["cost"] > dear["usual"] > 0
    assert (loop["loop"], loop["times"], loop["action"]) == ("requests", 4, "warn")
    assert all(each["model"] == "gpt-4o" and each["text"] for each in posted)


@given(st.lists(st.integers(1, 10**9), max_size=LEAST - 1), st.integers(1, 10**12))
def test_a_short_history_says_nothing(history: list[int], cost: int) -> None:
    assert not is_outlier(cost, tuple(history), 4.0)


@given(st.integers(1, 10**9), st.integers(LEAST, 64))
def test_what_is_usual_is_never_told(cost: int, length: int) -> None:
    assert not is_outlier(cost, (cost,) * length, 4.0)
    assert not is_outlier(3 * cost, (cost,) * length, 4.0)
    assert is_outlier(5 * cost, (cost,) * length, 4.0)


def test_costs_that_vary_widely_need_more_to_stand_out() -> None:
    history = tuple(10 ** (3 + number % 4) for number in range(40))
    assert not is_outlier(5 * 10**6, history, 4.0)
