"""A signpost to agentfuse-llama-index: AgentFuse for LlamaIndex."""

from agentfuse.integrations import point_to

try:
    from agentfuse_llama_index import *  # noqa: F403 # pyright: ignore[reportWildcardImportFromLibrary]
    from agentfuse_llama_index import __all__  # noqa: F401 - a signpost shows what is there
except ModuleNotFoundError as error:
    point_to("agentfuse-llama-index", error)
