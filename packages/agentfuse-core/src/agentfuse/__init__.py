"""AgentFuse: hard budgets, honest caches and true prices between an agent and its model.

Each name is imported when it is first asked for: what only wants the errors, or the version, does
not pay for the pipeline.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentfuse.completions import acompletion, completion
    from agentfuse.compression import Compressor
    from agentfuse.errors import (
        AgentFuseError,
        BudgetExceeded,
        ConfigurationError,
        Killed,
        LoopDetected,
        ProviderFailed,
        RateLimited,
        StoreUnavailable,
        UnknownPrice,
        WouldSuspend,
    )
    from agentfuse.estimates import Estimate, estimate_cost
    from agentfuse.patches import unwrap, wrap_anthropic, wrap_openai
    from agentfuse.policy.limits import limit
    from agentfuse.policy.loops import LoopRules
    from agentfuse.runtime.fuse import Fuse
    from agentfuse.runtime.semantic import SemanticCache
    from agentfuse.scopes import scope
    from agentfuse.session import AgentSession, get_spend_report

__all__ = [
    "AgentFuseError",
    "AgentSession",
    "BudgetExceeded",
    "Compressor",
    "ConfigurationError",
    "Estimate",
    "Fuse",
    "Killed",
    "LoopDetected",
    "LoopRules",
    "ProviderFailed",
    "RateLimited",
    "SemanticCache",
    "StoreUnavailable",
    "UnknownPrice",
    "WouldSuspend",
    "acompletion",
    "completion",
    "estimate_cost",
    "get_spend_report",
    "limit",
    "scope",
    "unwrap",
    "wrap_anthropic",
    "wrap_openai",
]
__version__ = "0.1.0"

_ROOMS = {
    "AgentSession": "agentfuse.session",
    "Compressor": "agentfuse.compression",
    "Estimate": "agentfuse.estimates",
    "Fuse": "agentfuse.runtime.fuse",
    "SemanticCache": "agentfuse.runtime.semantic",
    "LoopRules": "agentfuse.policy.loops",
    "acompletion": "agentfuse.completions",
    "completion": "agentfuse.completions",
    "estimate_cost": "agentfuse.estimates",
    "get_spend_report": "agentfuse.session",
    "limit": "agentfuse.policy.limits",
    "scope": "agentfuse.scopes",
    "unwrap": "agentfuse.patches",
    "wrap_anthropic": "agentfuse.patches",
    "wrap_openai": "agentfuse.patches",
}


def __getattr__(name: str) -> Any:
    """Import a public name from its module when it is first used, and keep it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_ROOMS.get(name, "agentfuse.errors")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names."""
    return [*__all__, "__version__"]
