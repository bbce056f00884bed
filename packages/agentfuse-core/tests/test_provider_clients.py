"""Clients are shared where they can be, and tell no provider another's secrets."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from agentfuse.errors import ConfigurationError
from agentfuse.providers.clients import ClientPool
from agentfuse.providers.names import Access, access_of, target_of

KEYS = {
    "OPENAI_API_KEY": "sk-openai",
    "ANTHROPIC_API_KEY": "sk-anthropic",
    "GROQ_API_KEY": "sk-groq",
    "AZURE_OPENAI_API_KEY": "sk-azure",
    "AZURE_OPENAI_ENDPOINT": "https://us.openai.azure.com",
    "OPENAI_API_VERSION": "2024-10-21",
}


def access(model: str) -> Access:
    return access_of(target_of(model), KEYS)


@pytest.fixture
def pool() -> Any:
    pool = ClientPool()
    yield pool
    pool.close()


def test_the_same_place_is_reached_through_the_same_client(pool: ClientPool) -> None:
    assert pool.client(access("gpt-5")) is pool.client(access("gpt-5-mini"))
    assert pool.client(access("gpt-5")) is not pool.client(access("gpt-5"), 5.0)
    assert pool.client(access("gpt-5")) is not pool.client(access("groq/m"))


def test_threads_that_ask_at_once_share_one_client(pool: ClientPool) -> None:
    place = access("gpt-5")
    with ThreadPoolExecutor(8) as threads:
        clients = list(threads.map(lambda _: pool.client(place), range(32)))
    assert len({id(client) for client in clients}) == 1


@pytest.mark.parametrize("model", ["gpt-5", "claude-sonnet-4-6", "groq/m", "azure/d"])
def test_an_sdk_never_retries_by_itself(pool: ClientPool, model: str) -> None:
    assert pool.client(access(model)).max_retries == 0


@pytest.mark.parametrize("model", ["gpt-5", "claude-sonnet-4-6", "groq/m", "azure/d"])
def test_a_client_holds_the_key_meant_for_its_provider(pool: ClientPool, model: str) -> None:
    place = access(model)
    assert pool.client(place).api_key == place.key


def test_another_provider_sees_nothing_of_the_openai_account(
    pool: ClientPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-secret")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-secret")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "Authorization: Bearer sk-secret\nX-Me: secret")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    client = pool.client(access("groq/m"))
    sent = {k: v for k, v in client.default_headers.items() if isinstance(v, str)}
    assert "secret" not in str(sent)
    assert client.auth_headers == {"Authorization": "Bearer sk-groq"}


def test_the_environments_anthropic_token_does_not_ride_along(
    pool: ClientPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "secret")
    assert "secret" not in str(pool.client(access("claude-sonnet-4-6")).auth_headers)


def test_an_awaited_client_belongs_to_one_loop() -> None:
    pool = ClientPool()
    seen: list[Any] = []

    async def twice() -> None:
        seen.extend([pool.aclient(access("gpt-5")), pool.aclient(access("gpt-5"))])

    asyncio.run(twice())
    asyncio.run(twice())
    assert seen[0] is seen[1]
    assert seen[1] is not seen[2]


def test_a_loop_that_ends_closes_its_clients() -> None:
    pool = ClientPool()
    seen: list[Any] = []

    async def once() -> None:
        seen.append(pool.aclient(access("gpt-5")))
        seen.append(pool.aclient(access("claude-sonnet-4-6")))
        assert not any(client.is_closed() for client in seen)

    asyncio.run(once())
    assert all(client.is_closed() for client in seen)
    seen.clear()
    gc.collect()


async def test_clients_of_the_running_loop_can_be_closed_early() -> None:
    pool = ClientPool()
    client = pool.aclient(access("gpt-5"))
    await pool.aclose()
    assert client.is_closed()
    again = pool.aclient(access("gpt-5"))
    assert again is not client
    await pool.aclose()


def test_closing_closes_what_was_handed_out() -> None:
    pool = ClientPool()
    client = pool.client(access("gpt-5"))
    pool.close()
    assert client.is_closed()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_a_forked_child_makes_clients_of_its_own(pool: ClientPool) -> None:
    client = pool.client(access("gpt-5"))
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, b"own" if pool.client(access("gpt-5")) is not client else b"shared")
        os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading, "rb") as told:
        assert told.read() == b"own"


@pytest.mark.parametrize(("model", "sdk"), [("gpt-5", "openai"), ("claude-x", "anthropic")])
def test_a_missing_sdk_is_named_with_its_extra(
    pool: ClientPool, monkeypatch: pytest.MonkeyPatch, model: str, sdk: str
) -> None:
    monkeypatch.setitem(sys.modules, sdk, None)
    with pytest.raises(ConfigurationError, match=rf"agentfuse-core\[{sdk}\]"):
        pool.client(access(model))
