"""AgentFuse for the OpenAI Agents SDK: models and a model provider with a hard budget and a memory."""

__all__: list[str] = []
__version__ = "0.1.0"
