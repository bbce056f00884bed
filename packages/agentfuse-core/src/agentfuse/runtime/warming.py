"""Load vocabularies and prices in the background, before the first call has to wait for them."""

from __future__ import annotations

import os
import threading
from functools import lru_cache
from importlib import import_module

# Loading takes half a second to one; a fork that waits longer than this goes on without.
_PATIENCE = 5.0


def warm_up() -> None:
    """Let a thread load what counting and pricing need: once per process, and never at import.

    A fork waits for it, since a child of a half-done import could never finish that import.
    """
    _warming()


@lru_cache(maxsize=1)
def _warming() -> threading.Thread:
    # Its hooks around forks must not appear between the two halves of a fork that waits for us.
    import_module("concurrent.futures.thread")

    thread = threading.Thread(target=_load, name="agentfuse-warming", daemon=True)
    if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
        os.register_at_fork(before=lambda: thread.join(_PATIENCE))
    thread.start()
    return thread


def _load() -> None:
    """Count a word and price a model; what fails here will say so in the call that needs it."""
    from contextlib import suppress

    from agentfuse.errors import AgentFuseError
    from agentfuse.pricing import PriceBook
    from agentfuse.tokens import count_text

    with suppress(AgentFuseError, ImportError, OSError):
        count_text("warm", "gpt-4o")
        PriceBook().card("gpt-4o", "openai")
