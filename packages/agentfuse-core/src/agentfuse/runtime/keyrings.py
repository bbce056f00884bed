"""Several keys of one provider: taken in turn, and rested where one is at its limit or refused.

State is the process's; a key is known by itself and never shown.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from agentfuse.errors import ConfigurationError
from agentfuse.providers.directory import BY_ID, BY_PREFIX

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentfuse.ports import Clock

# A key at its limit without advice rests as long as the usual window of a rate limit. One that was
# refused, or whose account is empty, is looked at again after some minutes: a person must act.
LIMIT_REST = 60.0
REFUSED_REST = 300.0

RESTS = {
    "rate_limited": LIMIT_REST,
    "quota_exhausted": REFUSED_REST,
    "authentication": REFUSED_REST,
    "permission": REFUSED_REST,
}
"""The kinds of failure that speak of a key, not of a model, and how many seconds it rests."""


class KeyRing:
    """Keys in turn; safe for threads."""

    def __init__(self, keys: Sequence[str], clock: Clock) -> None:
        self._rests = dict.fromkeys(keys, 0.0)
        self._turn = 0
        self._clock = clock
        self._lock = Lock()

    @property
    def first(self) -> str:
        """The first key, for what belongs to one account."""
        return next(iter(self._rests))

    def take(self) -> str:
        """Give the next key that is not resting, or the one that rests the shortest."""
        with self._lock:
            keys, now = tuple(self._rests), self._clock.now()
            for step in range(len(keys)):
                key = keys[(self._turn + step) % len(keys)]
                if self._rests[key] <= now:
                    self._turn += step + 1
                    return key
            return min(keys, key=self._rests.__getitem__)

    def failed(self, key: str, kind: str, retry_after: float | None) -> bool:
        """Rest a key where the failure speaks of it; True where another can be asked at once."""
        rest = RESTS.get(kind)
        if rest is None:
            return False
        with self._lock:
            now = self._clock.now()
            self._rests[key] = now + (rest if retry_after is None else retry_after)
            return any(until <= now for until in self._rests.values())


class KeyRings:
    """A ring for each provider that has several keys, and for each list that a caller gave."""

    def __init__(self, given: Mapping[str, Sequence[str]], clock: Clock) -> None:
        self._clock = clock
        self._by_keys: dict[tuple[str, ...], KeyRing] = {}
        self._by_provider = {
            _provider_id(name): self.ring_of(keys, f"keys[{name!r}]")
            for name, keys in given.items()
        }

    def of_provider(self, provider: str) -> KeyRing | None:
        """Give the ring of a provider; None where no keys were given for it."""
        return self._by_provider.get(provider)

    def ring_of(self, keys: Sequence[str], word: str = "api_key") -> KeyRing:
        """Give the ring of a list of keys; raises ConfigurationError where it is none."""
        if isinstance(keys, str) or not keys or not all(keys):
            raise ConfigurationError(f"{word} must be a list of keys, none of them empty")
        return self._by_keys.setdefault(tuple(keys), KeyRing(keys, self._clock))


def _provider_id(name: str) -> str:
    row = BY_PREFIX.get(name) or BY_ID.get(name)
    if row is None:
        raise ConfigurationError(f"keys names the provider {name!r}, which is not known")
    return row.id
