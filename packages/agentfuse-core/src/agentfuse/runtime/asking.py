"""Which model a fuse is asking right now, so that no second fuse on the way meters it again.

An adapter's call may go through an SDK client that is wrapped as well. The call is known by its
model: what else runs inside it (a tool that asks another model) is a call of its own.
"""

from __future__ import annotations

from contextvars import ContextVar, Token
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

_model: ContextVar[str | None] = ContextVar("agentfuse_asking", default=None)


class Asking:
    """Marks what is sent within it as metered: a context manager, entered and left in one step.

    Never held across a ``yield``: a stream marks the reading of each chunk anew.
    """

    __slots__ = ("_name", "_token")

    def __init__(self, model: str) -> None:
        self._name = model
        self._token: Token[str | None] | None = None

    def __enter__(self) -> None:
        self._token = _model.set(self._name)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._token is not None:
            _model.reset(self._token)


def is_asking(model: str) -> bool:
    """Say whether a call to this model is being made, and metered, around the caller."""
    return _model.get() == model
