"""What a user may say about remembered answers: that one is wrong, or that some are out of date."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from agentfuse.errors import ConfigurationError
from agentfuse.runtime.now import run_now
from agentfuse.scopes import SCOPES
from agentfuse.semantics import Selection

if TYPE_CHECKING:
    from agentfuse.caches.semantic.report import CacheReport
    from agentfuse.runtime.semantic import SemanticCache
    from agentfuse.runtime.wiring import Shared
    from agentfuse.semantics import SemanticHit

_NAMES = (*SCOPES, "model")


class Remembering:
    """The memory of a fuse, and of all its sessions."""

    _shared: Shared

    @property
    def semantic(self) -> SemanticCache | None:
        """The semantic cache, where there is one."""
        return self._shared.semantic

    def reject(self, hit: SemanticHit | str) -> bool:
        """Call a semantic hit wrong: its entry is forgotten, and these two texts never match again.

        Takes the hit (of an answer or a receipt), or its entry's id: then the pair is the entry and
        the question it answered last. False where the entry was gone already. Raises
        ConfigurationError without a semantic cache.
        """
        return self._semantics().reject(hit)

    def invalidate(
        self,
        *,
        key: str = "",
        scope: str = "",
        tag: str = "",
        before: datetime | float | None = None,
    ) -> int:
        """Forget answers of both caches that fit all that is given, and count them.

        ``key`` is a receipt's ``key`` or a hit's ``entry_id``; ``scope`` an id as ``user:ann``,
        ``tenant:acme`` or ``model:gpt-4o``, of the call that brought the answer; ``tag`` one of its
        ``agentfuse.scope(tags=...)``; ``before`` the time it was kept (a datetime, or seconds since
        the epoch). Raises ConfigurationError where nothing is given: ``before=time.time()`` forgets
        all.
        """
        selection = _selection_of(key, scope, tag, before)
        cache, semantic = self._shared.cache, self._shared.semantic
        exact = 0 if cache is None else run_now(cache.invalidate(selection))
        return exact + (0 if semantic is None else semantic.invalidate(selection))

    def cache_report(self) -> CacheReport:
        """Sum up the semantic cache: hits, vetoes by reason, and how many on trial were wrong."""
        return self._semantics().report()

    def _semantics(self) -> SemanticCache:
        if self._shared.semantic is None:
            raise ConfigurationError("this fuse has no semantic cache: Fuse(semantic=True) has one")
        return self._shared.semantic


def _selection_of(key: str, scope: str, tag: str, before: datetime | float | None) -> Selection:
    if not (key or scope or tag or before is not None):
        raise ConfigurationError("say what to forget: key=, scope=, tag= or before=")
    if scope and (scope.partition(":")[0] not in _NAMES or not scope.partition(":")[2]):
        raise ConfigurationError(f"scope is an id such as 'user:ann' ({_NAMES}), not {scope!r}")
    tags = [*([scope] if scope else []), *([f"tag:{tag}"] if tag else [])]
    since = before.timestamp() if isinstance(before, datetime) else before
    return Selection(key=key, tags=tuple(tags), before=since)
