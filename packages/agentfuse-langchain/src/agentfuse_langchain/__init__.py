"""AgentFuse for LangChain: your own chat model, with a hard budget and a memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentfuse_langchain.chat_model import AgentFuseChatModel
from agentfuse_langchain.errors import BudgetStop

if TYPE_CHECKING:
    from agentfuse_langchain.middleware import AgentFuseMiddleware

__all__ = ["AgentFuseChatModel", "AgentFuseMiddleware", "BudgetStop"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import the middleware when it is asked for: chat models need no ``langchain``."""
    if name != "AgentFuseMiddleware":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from agentfuse_langchain.middleware import AgentFuseMiddleware

    return AgentFuseMiddleware


def __dir__() -> list[str]:
    """List the public names."""
    return __all__
