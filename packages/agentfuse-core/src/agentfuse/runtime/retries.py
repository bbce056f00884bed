"""Reads what a user allows after a failure, and names of models, into the policy's words."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from agentfuse.errors import ConfigurationError
from agentfuse.policy.given import Substitute
from agentfuse.policy.retrying import RetryRules
from agentfuse.providers.directory import BY_PREFIX
from agentfuse.providers.names import target_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentfuse.runtime.fuse import Fuse
    from agentfuse.runtime.settings import Settings

# openai-python and anthropic-sdk-python, _constants.py: DEFAULT_MAX_RETRIES.
SDK_RETRIES = 2


def retry_rules_of(settings: Settings) -> RetryRules:
    """Read the rules; raises ConfigurationError for a chain that is no list of names."""
    breaker = settings.breaker
    return RetryRules(
        max_retries=settings.max_retries,
        deadline=settings.deadline,
        fallbacks=_chains_of("fallbacks", settings.fallbacks),
        retry_models=_chains_of("retry_models", settings.retry_models),
        larger_window={asked: substitute_of(to) for asked, to in settings.larger_window.items()},
        hedge_after=settings.hedge_after,
        breaks=bool(settings.fallbacks) if breaker is None else breaker,
    )


def warn_of_two_owners(fuse: Fuse, client: object) -> None:
    """Warn where a fuse that tries again stands around a client that does so too.

    Two layers of three attempts are nine. ``client`` is any object with ``max_retries``; None there
    is the SDK's own default.
    """
    mine, theirs = fuse.retries.max_retries, getattr(client, "max_retries", 0)
    if not mine or theirs == 0:
        return
    theirs = theirs if isinstance(theirs, int) else SDK_RETRIES
    warnings.warn(
        f"this fuse and the {type(client).__name__} in it both try again: one call may be made"
        f" {(1 + mine) * (1 + theirs)} times. Give max_retries=0 to one of the two",
        stacklevel=4,
    )


def substitute_of(model: str) -> Substitute:
    """Read ``gpt-4o-mini``, or ``anthropic/claude-haiku-4-5`` for another provider's."""
    prefix, slash, name = model.partition("/")
    row = BY_PREFIX.get(prefix) if slash else None
    return Substitute(name, row.id) if row is not None else Substitute(model)


def _chains_of(word: str, given: Mapping[str, Sequence[str]]) -> dict[str, tuple[Substitute, ...]]:
    for asked, names in given.items():
        if isinstance(names, str):
            raise ConfigurationError(f"{word} names lists: write {{{asked!r}: [{names!r}]}}")
        for name in names:
            _require_owner(word, asked, name)
    return {asked: tuple(map(substitute_of, names)) for asked, names in given.items()}


def _require_owner(word: str, asked: str, name: str) -> None:
    """Raise ConfigurationError for a bare name that the asked model's provider does not have."""
    owner, other = _owner_of(asked), _owner_of(name)
    if owner and other and owner != other and "/" not in name:
        raise ConfigurationError(
            f"{word}: {name!r} beside {asked!r} is {owner}'s, and would not be found there: write"
            f" '{other}/{name}', or '{owner}/{name}' for a server that has both"
        )


def _owner_of(model: str) -> str:
    """Say whose model a name means; empty where it is nobody's that is known."""
    try:
        return target_of(model).provider
    except ConfigurationError:
        return ""
