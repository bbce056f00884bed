"""The ledger's way to Redis: patience with a store that is away, and errors by name."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NoReturn

from agentfuse.errors import ConfigurationError, StoreUnavailable
from agentfuse.ledgers.redis_wire import kind_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentfuse.connections.redis_links import Link
    from agentfuse.connections.redis_scripts import Script
    from agentfuse.ledgers.redis_wire import Reply, Word

# Between two tries while the store is away: short at first, since most restarts are.
_FIRST_PAUSE = 0.02
_LONGEST_PAUSE = 0.5

_TYPES = (
    b"local types = {} for index, key in ipairs(KEYS) do types[index] = redis.call('TYPE', key).ok"
    b" end return types"
)


class PatientLink:
    """Runs scripts over ``link``, and says what is wrong in our own words.

    Every script may be repeated: where the connection breaks after a script was sent, it is sent
    again. A store that is away is tried for ``patience`` seconds.
    """

    def __init__(self, link: Link, patience: float) -> None:
        self._link = link
        self._patience = patience
        self.address = link.address
        self.close = link.close

    async def call(self, script: Script, keys: Sequence[bytes], args: Sequence[Word]) -> Reply:
        """Run a script and give its reply.

        Raises StoreUnavailable where the store is away or will not do it, and ConfigurationError
        where waiting cannot help: a wrong password, another schema, keys that are not ours.
        """
        try:
            reply: Reply = await self._link.run(script, keys, args)
        except self._link.trouble as error:
            return await self._insist(error, script, keys, args)
        return reply

    async def _insist(
        self, error: Exception, script: Script, keys: Sequence[bytes], args: Sequence[Word]
    ) -> Reply:
        """Try again, until it works or patience ends."""
        start = time.monotonic()
        pause = _FIRST_PAUSE
        while True:
            await self._judge(error, keys)
            if time.monotonic() - start >= self._patience:
                raise self._unavailable(error) from error
            await self._link.pause(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
            try:
                reply: Reply = await self._link.run(script, keys, args)
            except self._link.trouble as another:
                error = another
            else:
                return reply

    async def _judge(self, error: Exception, keys: Sequence[bytes]) -> None:
        """Return where another try may help."""
        if isinstance(error, self._link.fatal):
            raise ConfigurationError(f"{self.address} refuses: {error}") from error
        if isinstance(error, self._link.passing):
            return
        said = str(error)
        if "AGENTFUSE" in said:
            self._refuse_schema(said, keys[0])
        if "WRONGTYPE" in said:
            await self._name_the_foreign_key(keys)
        raise self._unavailable(error) from error

    def _refuse_schema(self, said: str, meta: bytes) -> NoReturn:
        """Say that the ledger was made by another version, or that the key is no ledger's."""
        name = meta.decode("utf-8", "replace")
        _, _, schema = said.partition("schema ")
        if schema:
            raise ConfigurationError(
                f"the ledger at {self.address} ({name}) has schema {schema.split()[0]}, which this"
                " AgentFuse does not know: update AgentFuse, or choose another namespace"
            )
        raise ConfigurationError(
            f"{name} at {self.address} is not a ledger's: choose another namespace"
        )

    async def _name_the_foreign_key(self, keys: Sequence[bytes]) -> None:
        found = await self._link.send("EVAL", _TYPES, len(keys), *keys)
        for key, there in zip(keys, found, strict=True):
            kind, wanted = there.decode(), kind_of(key)
            if kind not in {"none", wanted}:
                raise ConfigurationError(
                    f"{key.decode('utf-8', 'replace')} at {self.address} is a {kind}, and not the"
                    f" {wanted} of a ledger: nothing was overwritten; choose another namespace"
                )

    def _unavailable(self, error: Exception) -> StoreUnavailable:
        return StoreUnavailable(f"the ledger at {self.address} is not available: {error}")
