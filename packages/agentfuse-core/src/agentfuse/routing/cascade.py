"""Ask two cheap models, and the strong one only where they disagree."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agentfuse.errors import ConfigurationError
from agentfuse.routing.canonical import canonical_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agentfuse.messages import Reply, Request

_PAIR = 2

# Answers that are whole; a cut or refused one agrees with nothing.
_WHOLE = frozenset({"stop", "tool_calls"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Cascade:
    """Two cheap models ``first``, and the ``strong`` one where their answers differ.

    Answers are compared in their ``canonical`` form (``agentfuse.routing.canonical``): tool calls,
    JSON, labels, numbers, SQL. Where one has none, as prose, the strong model is asked. ``valid``
    may turn an answer down before it is compared (a schema, a unit test). It pays where the strong
    model costs some eight times the cheap ones or more, and these are of different families.

    Money for all three calls is set aside before the first is sent, and what was not needed is
    given back. For a stream the cheap models are asked for whole answers, and the chosen one comes
    in chunks. Raises ConfigurationError unless ``first`` names two models.
    """

    first: tuple[str, str]
    strong: str
    canonical: Callable[[Reply], str | None] = canonical_of
    valid: Callable[[Reply], bool] | None = None

    def __post_init__(self) -> None:
        """Check the names."""
        if len(self.first) != _PAIR or len(set(self.first)) != _PAIR:
            raise ConfigurationError(f"first names two cheap models, not {self.first!r}")
        if self.strong in self.first:
            raise ConfigurationError("the strong model cannot be one of the cheap ones")

    def requests(
        self, request: Request, resolve: Callable[[str], tuple[str, str]]
    ) -> tuple[Request, Request, Request]:
        """Give what to ask: the two cheap models, then the strong one as it was asked."""
        cheap, second = (_for_model(request, *resolve(name)) for name in self.first)
        model, provider = resolve(self.strong)
        asked = model == request.model and provider in {"", request.provider}
        return cheap, second, request if asked else _for_model(request, model, provider)

    def agreed(self, replies: Sequence[Reply | None]) -> str:
        """Give the form that all replies share; empty where they differ or have none."""
        forms = {self._form(reply) for reply in replies}
        form = forms.pop() if len(forms) == 1 else None
        return form or ""

    def _form(self, reply: Reply | None) -> str | None:
        if reply is None or reply.finish_reason not in _WHOLE:
            return None
        if self.valid is not None and not self.valid(reply):
            return None
        return self.canonical(reply)


def _for_model(request: Request, model: str, provider: str) -> Request:
    if provider in {"", request.provider}:
        return replace(request, model=model, caching=None)
    if request.reach != "any":
        raise ConfigurationError(
            f"this call speaks to {request.provider}, and cannot ask {provider} for {model}: name"
            f" models of {request.provider} in the cascade"
        )
    return replace(
        request, model=model, provider=provider, base_url="", caching=None, output_ceiling=None
    )
