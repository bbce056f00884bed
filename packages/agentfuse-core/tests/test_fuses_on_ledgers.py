"""A whole fuse over each ledger, named by its address: shared by fuses, kept across restarts."""

from __future__ import annotations

import asyncio
import os
from itertools import count
from typing import TYPE_CHECKING

import pytest

from agentfuse import (
    BudgetExceeded,
    ConfigurationError,
    Fuse,
    Killed,
    StoreUnavailable,
    acompletion,
    completion,
    limit,
    scope,
)
from agentfuse.testing import Upstream
from agentfuse.testing.postgres_server import PostgresServer
from agentfuse.testing.redis_server import RedisServer, redis_binaries

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GIVEN_REDIS = os.environ.get("AGENTFUSE_TEST_REDIS_URL", "")
GIVEN_POSTGRES = os.environ.get("AGENTFUSE_TEST_POSTGRES_URL", "")
numbers = count()


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if GIVEN_REDIS:
        yield GIVEN_REDIS
        return
    binary = next(iter(redis_binaries().values()))
    with RedisServer(binary, tmp_path_factory.mktemp("redis")) as server:
        yield server.url


@pytest.fixture(scope="module")
def postgres_url() -> Iterator[str]:
    if GIVEN_POSTGRES:
        yield GIVEN_POSTGRES
        return
    with PostgresServer() as server:
        yield server.url


@pytest.fixture(params=["path", "sqlite", "redis", "slices", "postgres"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    kind, name = request.param, f"fuses_{os.getpid()}_{next(numbers)}"
    match kind:
        case "path":
            return str(tmp_path / "budgets.db")
        case "sqlite":
            return f"sqlite:///{tmp_path / 'budgets.db'}"
        case "redis":
            return f"{request.getfixturevalue('redis_url')}?namespace={name}"
        case "slices":
            return f"{request.getfixturevalue('redis_url')}?namespace={name}&slices=1"
        case _:
            url = request.getfixturevalue("postgres_url")
            return f"{url}{'&' if '?' in url else '?'}schema={name}"


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream(answer_tokens=20) as provider:
        yield provider


def asked(fuse: Fuse, upstream: Upstream, question: str) -> dict[str, object]:
    return {
        "model": "gpt-4o",
        "messages": [{"role": "user", "content": question}],
        "max_tokens": 100,
        "fuse": fuse,
        "base_url": upstream.openai_url,
        "api_key": "sk-upstream",
    }


def opened(address: str, budget: str = "$1") -> Fuse:
    return Fuse(budget, name="shared", ledger=address, cache=False, spend_book=False)


def test_two_fuses_at_one_address_share_a_budget(address: str, upstream: Upstream) -> None:
    with opened(address) as first, opened(address) as second:
        completion(**asked(first, upstream, "One?"))
        asyncio.run(acompletion(**asked(second, upstream, "Two?")))
        first.charge_tool_call("search", "$0.9988")
        with pytest.raises(BudgetExceeded):
            completion(**asked(second, upstream, "Three?"))
    assert upstream.calls == 2


def test_what_is_spent_outlives_the_fuse(address: str, upstream: Upstream) -> None:
    with opened(address) as before:
        completion(**asked(before, upstream, "One?"))
        before.record_tool_call("search", "$0.9998")
    with opened(address) as after:
        with pytest.raises(BudgetExceeded):
            completion(**asked(after, upstream, "Two?"))
        after.allow("$2")
        completion(**asked(after, upstream, "Two?"))
        assert after.open_leases() == ()


def test_windows_switches_and_streams_hold_over_every_ledger(
    address: str, upstream: Upstream
) -> None:
    fuse = Fuse(
        "$1",
        name="shared",
        ledger=address,
        cache=False,
        spend_book=False,
        limits=[limit("user", requests=2, per="day"), limit("user", tokens=10_000)],
    )
    with fuse, scope(user="ann"):
        for chunk in completion(**asked(fuse, upstream, "One?"), stream=True):
            assert chunk.choices is not None
        completion(**asked(fuse, upstream, "Two?"))
        with pytest.raises(BudgetExceeded, match="of 2 requests"):
            completion(**asked(fuse, upstream, "Three?"))
        fuse.kill("user:ann", "enough")
        with pytest.raises(Killed, match="enough"):
            completion(**asked(fuse, upstream, "Three?"))
        fuse.resume("user:ann")
        what = [entry.what for entry in asyncio.run(trail_of(fuse))]
        assert what.count("stop") == what.count("resume") == 1
    assert upstream.calls == 2


async def trail_of(fuse: Fuse) -> tuple[object, ...]:
    return await fuse.ledger.trail()  # type: ignore[return-value]


def test_a_ledger_nobody_knows_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no ledger is known at carrier-pigeon://"):
        Fuse("$1", ledger="carrier-pigeon://loft")


@pytest.mark.parametrize(
    "address", ["redis://127.0.0.1:1/0?patience=0.3", "postgresql://me@127.0.0.1:1/money"]
)
def test_a_store_out_of_reach_is_named_without_its_password(
    address: str, upstream: Upstream
) -> None:
    secret = address.replace("//", "//:hush@" if "redis" in address else "//", 1)
    fuse = Fuse("$1", ledger=secret, cache=False, spend_book=False)
    with fuse, pytest.raises(StoreUnavailable, match=r"127\.0\.0\.1") as trouble:
        completion(**asked(fuse, upstream, "One?"))
    assert "hush" not in str(trouble.value)
    assert upstream.calls == 0
