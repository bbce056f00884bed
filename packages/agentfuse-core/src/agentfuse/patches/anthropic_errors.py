"""The stop of a budget in the Anthropic SDK's own terms; imported where that SDK is in use."""

from __future__ import annotations

from anthropic import AnthropicError

from agentfuse.errors import BudgetExceeded


class BudgetStop(BudgetExceeded, AnthropicError):  # noqa: N818 - the product's published name
    """A call would pass a limit, so it was stopped: nothing was sent, or its stream was cut.

    It is a BudgetExceeded with all that one carries, and an AnthropicError: what is raised by the
    SDK is caught as one, and is not tried again.
    """
