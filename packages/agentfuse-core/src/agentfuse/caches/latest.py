"""What a process remembers of its conversations and agents: the latest so many."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

# A conversation's entry holds a number for each message and the places of a cut: some kilobytes.
MOST = 2_048


class Latest:
    """A ``Memo`` of ``most`` entries; those not used for longest leave."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._entries: OrderedDict[object, Any] = OrderedDict()
        self._lock = Lock()

    def find(self, key: object) -> Any:
        """Give a value, or None."""
        with self._lock:
            if key not in self._entries:
                return None
            self._entries.move_to_end(key)
            return self._entries[key]

    def keep(self, key: object, value: object) -> None:
        """Keep a value, in place of any older one."""
        with self._lock:
            self._put(key, value)

    def change(self, key: object, make: Callable[[Any], Any]) -> Any:
        """Put what ``make`` makes of the value (or None) in its place, at once, and give it."""
        with self._lock:
            value = make(self._entries.get(key))
            self._put(key, value)
            return value

    def _put(self, key: object, value: object) -> None:
        self._entries[key] = value
        self._entries.move_to_end(key)
        if len(self._entries) > self._most:
            self._entries.popitem(last=False)
