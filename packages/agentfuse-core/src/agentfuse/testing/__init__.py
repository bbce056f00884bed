"""What proves an extension of AgentFuse: contracts to subclass, a local provider, a frozen clock.

Each name is imported when it is first asked for, so that the clock needs no pytest and the
contracts no provider.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentfuse.testing.adapter_contract import AdapterContract
    from agentfuse.testing.cache_contract import CacheContract
    from agentfuse.testing.clock import FrozenClock
    from agentfuse.testing.ledger_contract import LedgerContract
    from agentfuse.testing.semantic_contract import SemanticCacheContract
    from agentfuse.testing.upstream import Upstream

__all__ = [
    "AdapterContract",
    "CacheContract",
    "FrozenClock",
    "LedgerContract",
    "SemanticCacheContract",
    "Upstream",
]

_ROOMS = {
    "AdapterContract": "agentfuse.testing.adapter_contract",
    "CacheContract": "agentfuse.testing.cache_contract",
    "FrozenClock": "agentfuse.testing.clock",
    "LedgerContract": "agentfuse.testing.ledger_contract",
    "SemanticCacheContract": "agentfuse.testing.semantic_contract",
    "Upstream": "agentfuse.testing.upstream",
}


def __getattr__(name: str) -> Any:
    """Import a public name from its module when it is first used."""
    room = _ROOMS.get(name)
    if room is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(room), name)


def __dir__() -> list[str]:
    """List the public names."""
    return __all__
