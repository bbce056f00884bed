"""AgentFuse: hard budgets, honest caches and true prices between an agent and its model."""

__version__ = "0.1.0"
