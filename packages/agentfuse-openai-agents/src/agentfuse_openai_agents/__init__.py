"""AgentFuse for the OpenAI Agents SDK: models and a provider with a hard budget and a memory."""

from agentfuse_openai_agents.errors import BudgetStop
from agentfuse_openai_agents.model import AgentFuseModel
from agentfuse_openai_agents.provider import AgentFuseModelProvider

__all__ = ["AgentFuseModel", "AgentFuseModelProvider", "BudgetStop"]
__version__ = "0.1.0"
