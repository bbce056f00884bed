"""AgentFuse for LangChain: your own chat model, with a hard budget and a memory."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from agentfuse_langchain.chat_model import AgentFuseChatModel
from agentfuse_langchain.errors import BudgetStop

if TYPE_CHECKING:
    from agentfuse_langchain.cache import AgentFuseCache
    from agentfuse_langchain.middleware import AgentFuseMiddleware

__all__ = ["AgentFuseCache", "AgentFuseChatModel", "AgentFuseMiddleware", "BudgetStop"]
__version__ = "0.1.0"


_ROOMS = {"AgentFuseCache": "cache", "AgentFuseMiddleware": "middleware"}


def __getattr__(name: str) -> Any:
    """Import the middleware and the cache when they are asked for.

    Chat models need no ``langchain``, and no numpy.
    """
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)


def __dir__() -> list[str]:
    """List the public names."""
    return __all__
