"""How the models that a fuse and its sessions ask are doing: circuits and the retry budget.

The rules are the policy's; this keeps their state, for many threads at once, in this process.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from agentfuse.policy import breakers
from agentfuse.policy.retry_budget import RetryBudget

if TYPE_CHECKING:
    from agentfuse.ports import Clock, Place


class Health:
    """Circuits by place, and one retry budget."""

    def __init__(self, clock: Clock, share: float) -> None:
        self._clock = clock
        self._budget = RetryBudget(share)
        self._circuits: dict[Place, breakers.Circuit] = {}
        self._lock = Lock()

    def wait_for(self, place: Place) -> float:
        """Say in how many seconds a model may be asked; 0 is now."""
        with self._lock:
            circuit = self._circuits.get(place)
            if circuit is None:
                return 0.0
            self._circuits[place], wait = breakers.asked(circuit, self._clock.now())
            return wait

    def succeeded(self, place: Place) -> None:
        """Note an answer."""
        with self._lock:
            circuit = self._circuits.get(place, breakers.CLOSED)
            self._circuits[place] = breakers.after_success(circuit, self._clock.now())

    def failed(self, place: Place) -> float:
        """Note a failure; for how many seconds the model is left alone if it was the last straw."""
        now = self._clock.now()
        with self._lock:
            circuit = self._circuits.get(place, breakers.CLOSED)
            after = self._circuits[place] = breakers.after_failure(circuit, now)
        return after.rests_until - now if after.trips > circuit.trips else 0.0

    def called(self) -> None:
        """Note a call."""
        with self._lock:
            self._budget.call(self._clock.now())

    def may_retry(self) -> bool:
        """Take one retry from the budget, if there is one."""
        with self._lock:
            return self._budget.take(self._clock.now())
