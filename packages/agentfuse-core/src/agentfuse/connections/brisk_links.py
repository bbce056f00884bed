"""A way to Redis for what is a comfort: one try, and none while the store is known to be away."""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from agentfuse.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from agentfuse.connections.redis_links import Answer, BlockingLink, Link, Word
    from agentfuse.connections.redis_scripts import Script

# After a failure the store is left alone this long, in seconds: a dead one then costs one call in
# each such time its patience, and every other call nothing.
REST = 5.0

_log = logging.getLogger("agentfuse")


class Rest:
    """Whether a store is left alone for now; one for all the ways to it."""

    def __init__(self, what: str, seconds: float = REST) -> None:
        self.what = what
        self._seconds = seconds
        self._until = 0.0
        self._said = ""

    def check(self) -> None:
        """Raise StoreUnavailable while the store rests; then let one caller through to try it."""
        if not self._until:
            return
        now = time.monotonic()
        if now < self._until:
            raise StoreUnavailable(f"{self.what} is left alone for a moment: {self._said}")
        self._until = now + self._seconds  # the others wait until this caller knows

    def begin(self, error: Exception) -> None:
        """Leave the store alone for a while."""
        if not self._until:
            _log.warning("%s is out of reach, and does without: %s", self.what, error)
        self._said = str(error)
        self._until = time.monotonic() + self._seconds

    def end(self) -> None:
        """Take note that the store answers."""
        if self._until:
            self._until = 0.0
            _log.warning("%s answers again", self.what)


class BriskLink:
    """Runs commands over ``link``, each once; whatever goes wrong raises StoreUnavailable.

    What the store itself refuses (no memory left, no permission) is said each time; only a store
    that does not answer is left alone for a while.
    """

    def __init__(self, link: Link, rest: Rest) -> None:
        self._link = link
        self._rest = rest
        self.address = link.address
        self.close = link.close
        self.pause = link.pause

    async def send(self, name: str, *words: Word) -> Answer:
        """Send one command and give its reply as bytes."""
        with self.judged():
            return await self._link.send(name, *words)

    async def run(self, script: Script, keys: Sequence[bytes], args: Sequence[Word]) -> Answer:
        """Run a script and give its reply."""
        with self.judged():
            return await self._link.run(script, keys, args)

    async def keys(self, pattern: bytes) -> list[bytes]:
        """List the keys that fit a pattern, on all nodes; the store goes on meanwhile."""
        with self.judged():
            return await self._link.keys(pattern)

    @contextmanager
    def judged(self) -> Generator[None]:
        """Let a step through unless the store rests, and learn from it."""
        self._rest.check()
        try:
            yield
        except self._link.trouble as error:
            if isinstance(error, self._link.passing):
                self._rest.begin(error)
            raise StoreUnavailable(f"{self._rest.what} is not available: {error}") from error
        self._rest.end()


class BriskBlockingLink(BriskLink):
    """The same for threads, which need no coroutine."""

    def __init__(self, link: BlockingLink, rest: Rest) -> None:
        super().__init__(link, rest)
        self._now = link

    def send_now(self, name: str, *words: Word) -> Answer:
        """Send one command and give its reply as bytes."""
        with self.judged():
            return self._now.send_now(name, *words)

    def run_now(self, script: Script, keys: Sequence[bytes], args: Sequence[Word]) -> Answer:
        """Run a script and give its reply."""
        with self.judged():
            return self._now.run_now(script, keys, args)
