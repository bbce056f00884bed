"""The prompt prefixes that a fuse has sent of late, for the policy's prompt caching."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING, Literal

from agentfuse.policy.prompts import HOUR, Sighting

if TYPE_CHECKING:
    from agentfuse.policy.prompts import Wanted

# Some 200 bytes each; the oldest make way.
MOST = 10_000


class Prefixes:
    """Sightings by digest; safe for threads."""

    def __init__(self) -> None:
        self._seen: OrderedDict[bytes, Sighting] = OrderedDict()
        self._lock = Lock()
        self._now = 0.0

    def note(self, digest: bytes, now: float) -> Sighting:
        """Note a prefix, and say how it has fared, this time included."""
        with self._lock:
            self._now = now
            known = self._seen.get(digest)
            seen = self._seen[digest] = Sighting(now) if known is None else known.again(now)
            self._seen.move_to_end(digest)
            if len(self._seen) > MOST:
                self._seen.popitem(last=False)
        return seen

    def known(self, digest: bytes) -> bool:
        """Say whether a prompt ended here within the last hour."""
        with self._lock:
            seen = self._seen.get(digest)
            return seen is not None and self._now - seen.last <= HOUR

    def measured(self, digest: bytes, tokens: int) -> None:
        """Keep how long a prefix is."""
        with self._lock:
            seen = self._seen.get(digest)
            if seen is not None:
                self._seen[digest] = replace(seen, tokens=tokens)


def wanted_of(setting: bool | Literal["5m", "1h"]) -> Wanted:  # noqa: FBT001 - a user's setting
    """Read ``Fuse(prompt_caching=...)``."""
    if isinstance(setting, str):
        return setting
    return "seen" if setting else ""
