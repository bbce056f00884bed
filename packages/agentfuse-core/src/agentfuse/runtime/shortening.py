"""What a user says about long requests and loops, as what the policy works with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from agentfuse.compression import Compressor
from agentfuse.compression.compressor import checked_compressor
from agentfuse.compression.cuts import trigger_of
from agentfuse.errors import ConfigurationError
from agentfuse.lengths import Shortened
from agentfuse.policy.loops import LoopRules

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentfuse.lengths import Desk, Pressure, Shortener
    from agentfuse.messages import Request
    from agentfuse.policy.loops import Action
    from agentfuse.runtime.settings import Settings


@dataclass(frozen=True, slots=True)
class ByFunction:
    """A user's own function as a shortener; it is asked whenever something sets it off."""

    function: Callable[[Request], Request]

    async def shortened(self, request: Request, pressure: Pressure, desk: Desk) -> Shortened | None:
        """Give what the function makes of a request that is too long."""
        before = desk.counter.by_rules(request).tokens
        why = trigger_of(before, len(request.messages), pressure)
        if why is None:
            return None
        shorter = self.function(request)
        return Shortened(
            request=shorter,
            before=before,
            after=desk.counter.by_rules(shorter).tokens,
            why=why,
            left_out=max(len(request.messages) - len(shorter.messages), 0),
        )


def shortener_of(settings: Settings) -> Shortener | None:
    """Read ``compress``; raises ConfigurationError for words that are off."""
    given: Any = settings.compress
    if given is None:
        return None
    if isinstance(given, str):
        given = Compressor(given)  # type: ignore[arg-type]  # checked below
    if isinstance(given, Compressor):
        return checked_compressor(given)
    if not callable(given):
        raise ConfigurationError(
            f"compress is a strategy, a Compressor or a function of a request, not {given!r}"
        )
    return ByFunction(cast("Callable[[Request], Request]", given))


def loop_rules_of(settings: Settings) -> LoopRules | None:
    """Read ``loops``; raises ConfigurationError for words that are off."""
    given: Any = settings.loops
    rules: Any = LoopRules(cast("Action", given)) if isinstance(given, str) else given
    if rules is not None and not isinstance(rules, LoopRules):
        raise ConfigurationError(
            f"loops is 'warn', 'downgrade', 'stop', LoopRules(...) or None, not {rules!r}"
        )
    if rules is not None and rules.action == "downgrade" and not settings.downgrade:
        raise ConfigurationError(
            "loops='downgrade' needs the cheaper models: Fuse(downgrade={'gpt-4o': 'gpt-4o-mini'})"
        )
    found: LoopRules | None = rules
    if found is None or callable(found.similar) or not found.similar:
        return found
    from agentfuse.runtime.alike import by_meaning

    return replace(found, similar=by_meaning(settings, found.similar))
