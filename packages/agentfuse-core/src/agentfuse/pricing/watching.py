"""Keep up with a price file that its owner edits while we run."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from agentfuse.errors import ConfigurationError
from agentfuse.pricing.overrides import entries_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentfuse.pricing.entries import Entry
    from agentfuse.pricing.overrides import Prices

_log = logging.getLogger(__name__)


class OwnPrices:
    """The caller's own prices: a mapping as it was given, or a file as it last made sense.

    Raises ConfigurationError for prices that make no sense from the start. A later version of the
    file that makes none is said once, in the log, and the last good one holds.
    """

    def __init__(self, prices: Prices | None) -> None:
        self.entries: Mapping[str, Entry] = entries_of(prices)
        self._path = Path(prices) if isinstance(prices, str | Path) else None
        self._seen = self._signature()

    def look_again(self) -> bool:
        """Read the file if it is another one than last time; say whether prices changed."""
        seen = self._signature()
        if self._path is None or seen == self._seen:
            return False
        self._seen = seen
        try:
            self.entries = entries_of(self._path)
        except ConfigurationError as error:
            _log.warning("the prices of %s stay as they were: %s", self._path, error)
            return False
        return True

    def _signature(self) -> tuple[int, int, int] | None:
        if self._path is None:
            return None
        try:
            stat = self._path.stat()
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_size, stat.st_ino
