"""A signpost to agentfuse-openai-agents: AgentFuse for the OpenAI Agents SDK."""

from agentfuse.integrations import point_to

try:
    from agentfuse_openai_agents import *  # noqa: F403 # pyright: ignore[reportWildcardImportFromLibrary]
    from agentfuse_openai_agents import __all__  # noqa: F401 - a signpost shows what is there
except ModuleNotFoundError as error:
    point_to("agentfuse-openai-agents", error)
