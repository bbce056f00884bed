"""AgentFuse for LangChain: your own chat model, with a hard budget and a memory."""

from agentfuse_langchain.chat_model import AgentFuseChatModel
from agentfuse_langchain.errors import BudgetStop

__all__ = ["AgentFuseChatModel", "BudgetStop"]
__version__ = "0.1.0"
