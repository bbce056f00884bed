"""AgentFuse for LlamaIndex: your own LLM, with a hard budget and a memory."""

from agentfuse_llama_index.errors import BudgetStop
from agentfuse_llama_index.llm import AgentFuseLLM

__all__ = ["AgentFuseLLM", "BudgetStop"]
__version__ = "0.1.0"
