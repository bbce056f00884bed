"""SDK clients, kept and shared: one for each provider, address, key and timeout.

An SDK client costs tens of milliseconds to make and owns a connection pool. Blocking ones belong to
one process; awaited ones to one event loop, since a connection cannot change loops.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from agentfuse.errors import ConfigurationError

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import AsyncGenerator

    from agentfuse.providers.names import Access

DEFAULT_TIMEOUT = 600.0
"""Seconds, as in both SDKs (openai and anthropic ``_constants.DEFAULT_TIMEOUT``)."""

_Place = tuple["Access", float]


class ClientPool:
    """Hands out SDK clients; the SDKs' own retries are off, since each would go unaccounted."""

    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        """Start empty, as a forked child must: its parent's sockets and lock are not its own."""
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._clients: dict[_Place, Any] = {}
        self._by_loop: WeakKeyDictionary[AbstractEventLoop, dict[_Place, Any]]
        self._by_loop = WeakKeyDictionary()
        self._guards: WeakKeyDictionary[AbstractEventLoop, Any] = WeakKeyDictionary()

    def client(self, access: Access, timeout: float = DEFAULT_TIMEOUT) -> Any:
        """Give the blocking client; ``timeout`` in seconds.

        Raises ConfigurationError where the SDK is not installed.
        """
        if self._pid != os.getpid():
            self._forget()
        place = (access, timeout)
        found = self._clients.get(place)
        if found is None:
            with self._lock:
                found = self._clients.get(place)
                if found is None:
                    found = self._clients[place] = _made(access, timeout, awaited=False)
        return found

    def aclient(self, access: Access, timeout: float = DEFAULT_TIMEOUT) -> Any:
        """Give the awaited client of the running loop; it is closed when the loop shuts down."""
        import asyncio  # 20 ms that blocking callers never need

        if self._pid != os.getpid():
            self._forget()
        loop = asyncio.get_running_loop()
        clients = self._by_loop.get(loop)
        if clients is None:
            clients = self._enter(loop)
        place = (access, timeout)
        if place not in clients:
            clients[place] = _made(access, timeout, awaited=True)
        return clients[place]

    def _enter(self, loop: AbstractEventLoop) -> dict[_Place, Any]:
        """Begin to serve a loop, and let go of loops that are closed."""
        clients: dict[_Place, Any] = {}
        guard = _closing(clients)
        # Its first step registers the generator with the running loop, which closes it in
        # ``shutdown_asyncgens`` (asyncio.run does so), while connections can still be closed.
        with suppress(StopIteration):
            guard.__anext__().send(None)
        with self._lock:
            for old in [known for known in self._by_loop if known.is_closed()]:
                del self._by_loop[old]
                self._guards.pop(old, None)
            self._by_loop[loop] = clients
            self._guards[loop] = guard
        return clients

    def close(self) -> None:
        """Close the blocking clients; awaited ones are closed with their loops or by ``aclose``."""
        with self._lock:
            clients, self._clients = self._clients, {}
        for client in clients.values():
            client.close()

    async def aclose(self) -> None:
        """Close the awaited clients of the running loop."""
        import asyncio

        loop = asyncio.get_running_loop()
        self._by_loop.pop(loop, None)
        guard = self._guards.pop(loop, None)
        if guard is not None:
            await guard.aclose()


async def _closing(clients: dict[_Place, Any]) -> AsyncGenerator[None, None]:
    """Close the clients when this generator is closed."""
    try:
        yield
    finally:
        for client in clients.values():
            await client.close()
        clients.clear()


def _made(access: Access, timeout: float, *, awaited: bool) -> Any:
    make = _anthropic if access.api == "anthropic.messages" else _openai
    return make(access, timeout, awaited=awaited)


def _anthropic(access: Access, timeout: float, *, awaited: bool) -> Any:
    try:
        import anthropic  # heavy, and optional
    except ImportError as error:
        raise _not_installed("anthropic") from error
    kind = anthropic.AsyncAnthropic if awaited else anthropic.Anthropic
    client = kind(api_key=access.key, base_url=access.base_url, timeout=timeout, max_retries=0)
    client.auth_token = None  # older SDKs take ANTHROPIC_AUTH_TOKEN beside the key
    return client


def _openai(access: Access, timeout: float, *, awaited: bool) -> Any:
    try:
        import openai  # heavy, and optional
    except ImportError as error:
        raise _not_installed("openai") from error
    common: dict[str, Any] = {"api_key": access.key, "timeout": timeout, "max_retries": 0}
    if access.provider == "azure":
        azure = openai.AsyncAzureOpenAI if awaited else openai.AzureOpenAI
        return azure(azure_endpoint=access.base_url, api_version=access.api_version, **common)
    kind = openai.AsyncOpenAI if awaited else openai.OpenAI
    client = kind(base_url=access.base_url, **common)
    if access.provider != "openai":
        _keep_to_oneself(client)
    return client


def _keep_to_oneself(client: Any) -> None:
    """Drop what the SDK read from OPENAI_* variables: another provider must not see it.

    The SDK sends OPENAI_ORG_ID, OPENAI_PROJECT_ID and OPENAI_CUSTOM_HEADERS to any address.
    """
    client.organization = None
    client.project = None
    client._custom_headers = {}  # noqa: SLF001 - no public way to forget them


def _not_installed(sdk: str) -> ConfigurationError:
    return ConfigurationError(
        f"this model is reached through the {sdk} SDK: pip install 'agentfuse-core[{sdk}]'"
    )
