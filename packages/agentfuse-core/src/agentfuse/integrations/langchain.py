"""A signpost to agentfuse-langchain: AgentFuse for LangChain."""

from agentfuse.integrations import point_to

try:
    from agentfuse_langchain import *  # noqa: F403 # pyright: ignore[reportWildcardImportFromLibrary]
    from agentfuse_langchain import __all__  # noqa: F401 - a signpost shows what is there
except ModuleNotFoundError as error:
    point_to("agentfuse-langchain", error)
