"""Prices that are fetched again and again from a path or a URL, and kept out if they look wrong.

A thread of its own fetches; a request only ever reads what is there.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
import time
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentfuse.errors import ConfigurationError
from agentfuse.pricing.cards import KINDS
from agentfuse.pricing.entries import NO_ENTRIES
from agentfuse.pricing.overrides import content_of, entries_in
from agentfuse.usage import STANDARD

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agentfuse.pricing.cards import PriceCard
    from agentfuse.pricing.entries import Entry

_log = logging.getLogger(__name__)

DEFAULT_HOURS = 24.0
"""How often a source is asked: lists change a few times a week (genai-prices' own history)."""

JUMP = 10
"""A rate that changes by more than this factor is taken for a slip of units, not for news."""

_TIMEOUT = 10.0  # seconds for one fetch
_LARGEST = 32 * 2**20  # bytes; the largest public list has 5
_SOONEST = 0.05  # hours: a list that is fetched more than every three minutes is a mistake


class PriceSource:
    """A price list at ``location``, a path or an http(s) URL, fetched every ``hours``.

    The list is in the format of ``prices``. A version that does not parse, that changes a rate more
    than tenfold, or that drops a model which was priced by it, is refused as a whole, said once in
    the log, and the last good version holds; it is kept in ``home`` across restarts.
    ``allow_jumps`` accepts such changes. Raises ConfigurationError for other kinds of address.
    """

    def __init__(
        self,
        location: str | os.PathLike[str],
        *,
        home: Path | None = None,
        hours: float = DEFAULT_HOURS,
        allow_jumps: bool = False,
        usual: Callable[[str], PriceCard | None] | None = None,
    ) -> None:
        self.location = os.fspath(location)
        scheme, found, _ = self.location.partition("://")
        self._is_url = bool(found)
        if self._is_url and scheme.lower() not in {"http", "https"}:
            raise ConfigurationError(f"prices come from a path, http or https, not {scheme!r}")
        if not hours > 0:
            raise ConfigurationError(f"prices are refreshed every so many hours, not {hours!r}")
        self.entries: Mapping[str, Entry] = NO_ENTRIES
        self.used: set[str] = set()
        self._seconds = max(hours, _SOONEST) * 3600
        self._allow_jumps = allow_jumps
        self._usual = usual or _listed_card
        self._tag = ""
        self._said = ""
        self._copy = _copy_of(home, self.location)
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._restore()

    def keep_fresh(self) -> None:
        """Let a thread fetch the list now and every so often; a fork's child starts its own."""
        if self._thread is not None and self._thread.is_alive():
            return
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                stop = threading.Event()
                weakref.finalize(self, stop.set)
                self._thread = threading.Thread(
                    target=_keep_fetching,
                    args=(weakref.ref(self), stop, self._seconds),
                    name="agentfuse-prices",
                    daemon=True,
                )
                self._thread.start()

    def refresh(self) -> bool:
        """Fetch the list once, and say whether a new version was taken; never raises."""
        try:
            fetched = self._fetched()
            if fetched is None:
                return False
            text, tag = fetched
            entries = entries_in(content_of(text, self.location), self.location, "source")
            self._refuse_jumps(entries)
        except (ConfigurationError, OSError, ValueError) as error:
            self._say(str(error))
            return False
        self.entries, self._tag, self._said = entries, tag, ""
        self._keep_copy(text)
        return True

    def _fetched(self) -> tuple[str, str] | None:
        """Give the list's text and tag; None where it is what we have."""
        if self._is_url:
            return _downloaded(self.location, self._tag)
        path = Path(self.location)
        tag = str(path.stat().st_mtime_ns)
        return None if tag == self._tag else (path.read_text("utf-8"), tag)

    def _refuse_jumps(self, entries: Mapping[str, Entry]) -> None:
        """Raise ConfigurationError for a list that nobody would mean."""
        if self._allow_jumps:
            return
        vanished = sorted(self.used - entries.keys())
        if vanished:
            raise ConfigurationError(f"models in use have vanished: {', '.join(vanished)}")
        for model, entry in entries.items():
            known = self.entries.get(model)
            before = known.card if known is not None else self._usual(model)
            if before is not None and _has_jumped(before, entry.card):
                raise ConfigurationError(
                    f"the price of {model} changes more than {JUMP} times:"
                    " allow_price_jumps=True accepts it"
                )

    def _say(self, problem: str) -> None:
        if problem != self._said:
            self._said = problem
            _log.warning("no new prices from %s: %s", self.location, problem)

    def _restore(self) -> None:
        """Begin with the last good version, if one was kept."""
        if self._copy is None or not self._copy.exists():
            return
        try:
            kept: dict[str, Any] = json.loads(self._copy.read_text("utf-8"))
            content = content_of(kept["text"], self.location)
            self.entries = entries_in(content, self.location, "source")
            self._tag = str(kept["tag"])
        except (ConfigurationError, OSError, ValueError, KeyError, TypeError) as error:
            self._say(f"the kept copy cannot be read: {error}")

    def _keep_copy(self, text: str) -> None:
        if self._copy is None:
            return
        try:
            self._copy.parent.mkdir(parents=True, exist_ok=True)
            draft = self._copy.with_suffix(f".{os.getpid()}")
            draft.write_text(json.dumps({"tag": self._tag, "text": text}), "utf-8")
            draft.replace(self._copy)
        except OSError as error:
            self._say(f"no copy could be kept: {error}")


def _keep_fetching(whose: weakref.ref[PriceSource], stop: threading.Event, seconds: float) -> None:
    """Refresh a source for as long as somebody holds it."""
    while (source := whose()) is not None:
        source.refresh()
        del source
        if stop.wait(seconds):
            return


def _downloaded(url: str, tag: str) -> tuple[str, str] | None:
    from urllib.error import HTTPError
    from urllib.request import Request, urlopen

    headers = {"User-Agent": "agentfuse", "Accept": "application/json, application/toml"}
    if tag:
        headers["If-None-Match"] = tag
    request = Request(url, headers=headers)  # noqa: S310 - http and https only: see __init__
    try:
        with urlopen(request, timeout=_TIMEOUT) as response:  # noqa: S310 - the same
            body: bytes = response.read(_LARGEST + 1)
            new_tag: str = response.headers.get("ETag", "")
    except HTTPError as error:
        with error:
            if error.code == _NOT_MODIFIED:
                return None
            raise
    if len(body) > _LARGEST:
        raise ConfigurationError(f"a price list of more than {_LARGEST} bytes is none")
    return body.decode("utf-8"), new_tag


_NOT_MODIFIED = 304


def _has_jumped(before: PriceCard, after: PriceCard) -> bool:
    starts = {0} | {start for card in (before, after) for start, _ in card.tiers}
    pairs = (
        (getattr(before.rates_at(start + 1), kind), getattr(after.rates_at(start + 1), kind))
        for start in starts
        for kind in KINDS
    )
    return any(old and (new > old * JUMP or new * JUMP < old) for old, new in pairs)


def _listed_card(model: str) -> PriceCard | None:
    """Give what the bundled list says of a model, which a first version is held against."""
    from agentfuse.pricing import catalogue

    return catalogue.card_of(model, "", STANDARD, time.time())


def _copy_of(home: Path | None, location: str) -> Path | None:
    if home is None:
        return None
    name = hashlib.sha256(location.encode()).hexdigest()[:24]
    return home / "prices" / f"{name}.json"
