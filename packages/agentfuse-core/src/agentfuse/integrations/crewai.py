"""A signpost to agentfuse-crewai: AgentFuse for CrewAI."""

from agentfuse.integrations import point_to

try:
    from agentfuse_crewai import *  # noqa: F403 # pyright: ignore[reportWildcardImportFromLibrary]
    from agentfuse_crewai import __all__  # noqa: F401 - a signpost shows what is there
except ModuleNotFoundError as error:
    point_to("agentfuse-crewai", error)
