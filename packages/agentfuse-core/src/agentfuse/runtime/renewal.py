"""Leases of calls that are alive are renewed, however long they take."""

from __future__ import annotations

import logging
import threading
import time
import weakref
from typing import TYPE_CHECKING

from agentfuse.errors import AgentFuseError
from agentfuse.runtime.now import run_now

if TYPE_CHECKING:
    from agentfuse.ports import Ledger
    from agentfuse.tickets import Admitted

# A lease is renewed when a third of it is gone, so that two renewals may fail.
SHARE = 3


class Renewals:
    """Renews the leases of live tickets from one thread, which a first long call starts.

    A ticket that was finished or failed is dropped; one that nobody holds any more (its caller
    crashed) is no longer renewed, so that its lease expires and is booked at its estimate.
    ``ledger`` is a blocking face, and leases last ``ttl`` seconds.
    """

    def __init__(self, ledger: Ledger, ttl: float) -> None:
        self._ledger = ledger
        self._ttl = ttl
        self._live: dict[str, weakref.ref[Admitted]] = {}
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def add(self, ticket: Admitted) -> None:
        """Watch over a ticket with a lease."""
        if ticket.lease is None:
            return
        self._live[ticket.id] = weakref.ref(ticket)
        thread = self._thread
        if thread is None or not thread.is_alive():
            self._start()

    def drop(self, ticket: Admitted) -> None:
        """Let a ticket be."""
        self._live.pop(ticket.id, None)

    def _start(self) -> None:
        with self._lock:
            if self._thread is not None and self._thread.is_alive():
                return
            # Weak: the thread ends with its fuse.
            work, me = _renew_until_gone, weakref.ref(self)
            self._thread = threading.Thread(
                target=work, args=(me, self._ttl / SHARE), name="agentfuse-renewals", daemon=True
            )
            self._thread.start()

    def renew(self) -> bool:
        """Renew all that lives; False when nothing does, so that the thread may end."""
        for lease_id, reference in list(self._live.items()):
            if reference() is None:
                self._live.pop(lease_id, None)
                continue
            try:
                run_now(self._ledger.renew(lease_id, self._ttl))
            except AgentFuseError as error:
                logging.getLogger("agentfuse").warning("a lease could not be renewed: %s", error)
        with self._lock:
            if not self._live:
                self._thread = None  # seen by whoever adds the next one: it starts another
            return bool(self._live)


def _renew_until_gone(me: weakref.ref[Renewals], pause: float) -> None:
    while True:
        time.sleep(pause)
        renewals = me()
        if renewals is None or not renewals.renew():
            return
        del renewals
