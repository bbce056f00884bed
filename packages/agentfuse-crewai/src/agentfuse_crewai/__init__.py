"""AgentFuse for CrewAI: hooks and an LLM with a hard budget and a memory."""

from agentfuse_crewai.crews import register_agentfuse, unregister_agentfuse
from agentfuse_crewai.errors import BudgetStop
from agentfuse_crewai.hooks import create_agentfuse_hooks
from agentfuse_crewai.llm import AgentFuseLLM
from agentfuse_crewai.outputs import partial_output

__all__ = [
    "AgentFuseLLM",
    "BudgetStop",
    "create_agentfuse_hooks",
    "partial_output",
    "register_agentfuse",
    "unregister_agentfuse",
]
__version__ = "0.1.0"
