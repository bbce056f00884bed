"""AgentFuse: hard budgets, honest caches and true prices between an agent and its model."""

from agentfuse.completions import acompletion, completion
from agentfuse.errors import (
    AgentFuseError,
    BudgetExceeded,
    ConfigurationError,
    ProviderFailed,
    StoreUnavailable,
    UnknownPrice,
    WouldSuspend,
)
from agentfuse.runtime.fuse import Fuse
from agentfuse.session import AgentSession, get_spend_report

__all__ = [
    "AgentFuseError",
    "AgentSession",
    "BudgetExceeded",
    "ConfigurationError",
    "Fuse",
    "ProviderFailed",
    "StoreUnavailable",
    "UnknownPrice",
    "WouldSuspend",
    "acompletion",
    "completion",
    "get_spend_report",
]
__version__ = "0.1.0"
