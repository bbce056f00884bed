"""The ``agentfuse`` command."""
