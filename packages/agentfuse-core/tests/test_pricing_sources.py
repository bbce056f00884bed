"""Prices are read again when their file or their source changes, and kept out if they look off."""

from __future__ import annotations

import gc
import json
import logging
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from agentfuse import ConfigurationError, Fuse
from agentfuse.pricing import PriceBook, PriceSource
from agentfuse.pricing import sources as sources_module

LIST = {"gpt-4o": {"input": 2, "output": 9}, "my-model": {"input": 1, "output": 1}}


class PriceServer:
    """A server of one list on a loopback address, with an ETag as real ones have."""

    def __init__(self) -> None:
        self.body = json.dumps(LIST)
        self.etag = '"1"'
        self.statuses: list[int] = []
        server = self

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                known = self.headers.get("If-None-Match") == server.etag
                status = 304 if known else 200
                server.statuses.append(status)
                self.send_response(status)
                self.send_header("ETag", server.etag)
                self.end_headers()
                if not known:
                    self.wfile.write(server.body.encode())

            def log_message(self, *args: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self.http.server_port}/prices.json"
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def publish(self, prices: dict[str, Any] | str) -> None:
        self.body = prices if isinstance(prices, str) else json.dumps(prices)
        self.etag = f'"{len(self.statuses)}-{hash(self.body)}"'

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


@pytest.fixture
def server():
    server = PriceServer()
    yield server
    server.close()


@pytest.fixture(autouse=True)
def heard():
    """Undo what a tool's own logging set-up, in another test, does to every logger there is."""
    for name in ("sources", "watching"):
        logging.getLogger(f"agentfuse.pricing.{name}").disabled = False


class Hand:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.time = 1_780_000_000.0

    def __call__(self) -> float:
        return self.time


def rate(source: PriceSource, model: str = "gpt-4o") -> int:
    return source.entries[model].card.rates.input


def test_a_list_is_fetched_over_http(server):
    source = PriceSource(server.url)
    assert source.refresh()
    assert rate(source) == 2_000_000


def test_a_list_that_has_not_changed_is_not_sent_again(server):
    source = PriceSource(server.url)
    assert source.refresh()
    assert not source.refresh()
    assert server.statuses == [200, 304]
    assert rate(source) == 2_000_000


def test_a_book_takes_up_what_its_source_has_fetched(server):
    now = Hand()
    source = PriceSource(server.url)
    book = PriceBook(source=source, now=now)
    book.card("gpt-4o")
    for _ in range(200):
        if source.entries:
            break
        time.sleep(0.02)
    now.time += 3
    card = book.card("gpt-4o", "openai")
    assert (card.id, card.rates.input) == ("gpt-4o@source", 2_000_000)
    assert book.card("my-model").rates.output == 1_000_000


def test_the_callers_own_prices_win_over_a_source(server):
    source = PriceSource(server.url)
    source.refresh()
    book = PriceBook({"gpt-4o": {"input": 7, "output": 7}}, source=source)
    assert book.card("gpt-4o").rates.input == 7_000_000


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({**LIST, "gpt-4o": {"input": 21, "output": 9}}, "gpt-4o changes more than 10 times"),
        ({**LIST, "gpt-4o": {"input": 0.19, "output": 9}}, "gpt-4o changes more than 10 times"),
        ({**LIST, "gpt-4o": {"input": 0, "output": 9}}, "gpt-4o changes more than 10 times"),
        ({"gpt-4o": LIST["gpt-4o"]}, "my-model"),
        ({**LIST, "gpt-4o": {"input": 2}}, "'output' is missing"),
        ("<html>maintenance</html>", "neither TOML nor JSON"),
        ({"schema": 2, "prices": LIST}, "schema 2"),
    ],
)
def test_a_version_that_looks_wrong_is_refused_and_said_once(server, caplog, changed, words):
    source = PriceSource(server.url)
    source.refresh()
    PriceBook(source=source).card("my-model")
    server.publish(changed)
    with caplog.at_level(logging.WARNING):
        assert not source.refresh()
        assert not source.refresh()
    assert (rate(source), rate(source, "my-model")) == (2_000_000, 1_000_000)
    assert [words in record.message for record in caplog.records] == [True]


def test_a_jump_that_is_meant_can_be_allowed(server):
    source = PriceSource(server.url, allow_jumps=True)
    source.refresh()
    server.publish({"gpt-4o": {"input": 200, "output": 9}})
    assert source.refresh()
    assert rate(source) == 200_000_000


def test_a_first_version_is_held_against_the_bundled_list(server):
    server.publish({"gpt-4o": {"input": 2500, "output": 10000}})
    source = PriceSource(server.url)
    assert not source.refresh()
    assert source.entries == {}


def test_a_model_nobody_used_may_vanish(server):
    source = PriceSource(server.url)
    source.refresh()
    server.publish({"gpt-4o": LIST["gpt-4o"]})
    assert source.refresh()


def test_the_last_good_version_survives_a_restart_without_the_server(server, tmp_path):
    PriceSource(server.url, home=tmp_path).refresh()
    server.publish("nonsense")
    again = PriceSource(server.url, home=tmp_path)
    assert rate(again) == 2_000_000
    assert not again.refresh()
    assert rate(again) == 2_000_000


def test_a_kept_copy_that_is_broken_is_passed_over(server, tmp_path):
    PriceSource(server.url, home=tmp_path).refresh()
    (kept,) = (tmp_path / "prices").iterdir()
    kept.write_text("{")
    again = PriceSource(server.url, home=tmp_path)
    assert again.entries == {}
    assert again.refresh()


def test_a_server_that_is_gone_changes_nothing(server, caplog):
    source = PriceSource(server.url)
    source.refresh()
    source.location = "http://127.0.0.1:9/prices.json"
    with caplog.at_level(logging.WARNING):
        assert not source.refresh()
    assert len(caplog.records) == 1
    assert rate(source) == 2_000_000


def test_a_path_may_be_a_source_too(tmp_path):
    path = tmp_path / "prices.toml"
    path.write_text('schema = 1\n[prices."gpt-4o"]\ninput = 2\noutput = 9\n')
    source = PriceSource(path)
    assert source.refresh()
    assert not source.refresh()
    assert rate(source) == 2_000_000


def test_a_fuse_takes_a_source_and_its_interval_from_the_environment(server, monkeypatch, tmp_path):
    monkeypatch.setenv("AGENTFUSE_HOME", str(tmp_path))
    monkeypatch.setenv("AGENTFUSE_REGISTRY_REFRESH_HOURS", "6")
    fuse = Fuse(price_source=server.url, allow_price_jumps=True)
    source = fuse.book._source
    assert source is not None
    assert (source.location, source._seconds, source._allow_jumps) == (server.url, 21_600, True)
    monkeypatch.setenv("AGENTFUSE_REGISTRY_REFRESH_HOURS", "soon")
    with pytest.raises(ConfigurationError, match="AGENTFUSE_REGISTRY_REFRESH_HOURS"):
        Fuse(price_source=server.url)


def test_nothing_is_fetched_unless_a_source_was_named():
    assert Fuse().book._source is None


@pytest.mark.parametrize("location", ["ftp://example.org/x", "file:" + "//localhost/x"])
def test_other_addresses_are_no_sources(location):
    with pytest.raises(ConfigurationError, match="http"):
        PriceSource(location)


def test_a_source_that_nobody_holds_stops_its_thread(server):
    source = PriceSource(server.url)
    source.keep_fresh()
    thread = source._thread
    assert thread is not None
    source.keep_fresh()
    assert source._thread is thread
    del source
    gc.collect()
    thread.join(10)
    assert not thread.is_alive()


def test_a_price_file_that_changes_is_read_again(tmp_path):
    path, now = tmp_path / "prices.toml", Hand()
    path.write_text('["m"]\ninput = 1\noutput = 1\n')
    book = PriceBook(path, now=now)
    assert book.card("m").rates.input == 1_000_000
    path.write_text('["m"]\ninput = 25\noutput = 1\n')
    assert book.card("m").rates.input == 1_000_000
    now.time += 3
    assert book.card("m").rates.input == 25_000_000


def test_a_price_file_that_breaks_keeps_its_last_good_version_and_says_so_once(tmp_path, caplog):
    path, now = tmp_path / "prices.json", Hand()
    path.write_text(json.dumps({"m": {"input": 1, "output": 1}}))
    book = PriceBook(path, now=now)
    path.write_text('{"m": {"input"')
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            now.time += 3
            assert book.card("m").rates.input == 1_000_000
    assert len(caplog.records) == 1
    assert "prices.json" in caplog.text
    path.unlink()
    now.time += 3
    assert book.card("m").rates.input == 1_000_000


def test_a_warm_card_costs_no_look_at_the_disk(tmp_path, monkeypatch):
    path, now = tmp_path / "prices.toml", Hand()
    path.write_text('["m"]\ninput = 1\noutput = 1\n')
    book = PriceBook(path, now=now)
    book.card("m")
    looks: list[object] = []
    monkeypatch.setattr(book._own, "look_again", lambda: looks.append(1))
    for _ in range(100):
        book.card("m")
    assert looks == []


def test_the_longest_answer_a_list_may_have_is_bounded(server, monkeypatch):
    monkeypatch.setattr(sources_module, "_LARGEST", 10)
    assert not PriceSource(server.url).refresh()
