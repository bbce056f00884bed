"""Load vocabularies and prices in the background, before the first call has to wait for them."""

from __future__ import annotations

import os
import sys
import threading
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec

# Loading takes half a second to one, and with ten times too much to do more than five. A fork that
# waits longer than this goes on without it: its child may then wait for ever for an import.
_PATIENCE = 60.0


def warm_up() -> None:
    """Let a thread load what counting and pricing need: once per process, and never at import.

    A fork waits for it, since a child of a half-done import could never finish that import.
    """
    _warming()


@lru_cache(maxsize=1)
def _warming() -> threading.Thread:
    # Its hooks around forks must not appear between the two halves of a fork that waits for us.
    import_module("concurrent.futures.thread")
    _import_httpx2()

    thread = threading.Thread(target=_load, name="agentfuse-warming", daemon=True)
    if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
        os.register_at_fork(before=lambda: thread.join(_PATIENCE))
    thread.start()
    return thread


def _import_httpx2() -> None:
    """Import what pricing needs and openai 2 looks for in ``sys.modules``, without waiting for it.

    A client that is made while a thread is importing httpx2 would meet the half of it
    (openai._httpx2.normalize_httpx_url, 2.54). After openai this takes some 30 ms, once.
    """
    if "openai" in sys.modules and find_spec("httpx2") is not None:
        import_module("httpx2")


def _load() -> None:
    """Count a word and price a model; what fails here will say so in the call that needs it."""
    from contextlib import suppress

    from agentfuse.errors import AgentFuseError
    from agentfuse.pricing import PriceBook
    from agentfuse.tokens import count_text

    with suppress(AgentFuseError, ImportError, OSError):
        count_text("warm", "gpt-4o")
        PriceBook().card("gpt-4o", "openai")
