"""A circuit breaker as a value: closed, open, or half open with one call to try.

Pure: time comes in, a new state goes out. After Nygard, "Release It!" (circuit breaker), with a
failure rate over a window in place of a count, so that a busy model is not cut off for a few
failures among thousands.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

# Half of at least five attempts within the last half minute: fewer say nothing about a rate.
WINDOW = 30.0
LEAST_FAILURES = 5

# How long a model is left alone: at first, doubled with each trial that fails, and at most.
FIRST_REST = 10.0
LONGEST_REST = 120.0

# A trial that is never heard of again (refused for money, left by its caller) makes way for
# another after so many seconds.
TRIAL = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Circuit:
    """One model's recent past; times are seconds since the epoch.

    Outcomes are counted in two halves of the window, of which the current began at ``since``. The
    circuit is open until ``rests_until``, then half open; ``trips`` is 0 while it is closed.
    """

    since: float = 0.0
    good: int = 0
    bad: int = 0
    old_good: int = 0
    old_bad: int = 0
    trips: int = 0
    rests_until: float = 0.0
    trial_until: float = 0.0


CLOSED = Circuit()


def asked(circuit: Circuit, now: float) -> tuple[Circuit, float]:
    """Say in how many seconds the model may be asked; 0 is now, and may take the one trial."""
    if not circuit.trips:
        return circuit, 0.0
    wait = max(circuit.rests_until, circuit.trial_until) - now
    if wait > 0:
        return circuit, wait
    return replace(circuit, trial_until=now + TRIAL), 0.0


def after_success(circuit: Circuit, now: float) -> Circuit:
    """Note an answer: it closes a half-open circuit; one that was asked before changes nothing."""
    if not circuit.trips:
        rolled = _rolled(circuit, now)
        return replace(rolled, good=rolled.good + 1)
    return CLOSED if now >= circuit.rests_until else circuit


def after_failure(circuit: Circuit, now: float) -> Circuit:
    """Note a failure: it opens the circuit where too many failed, or the trial did."""
    if circuit.trips:
        return _tripped(circuit, now) if now >= circuit.rests_until else circuit
    rolled = _rolled(circuit, now)
    rolled = replace(rolled, bad=rolled.bad + 1)
    bad, good = rolled.bad + rolled.old_bad, rolled.good + rolled.old_good
    return _tripped(rolled, now) if bad >= max(LEAST_FAILURES, good) else rolled


def _tripped(circuit: Circuit, now: float) -> Circuit:
    rest = min(FIRST_REST * 2.0**circuit.trips, LONGEST_REST)
    return Circuit(trips=circuit.trips + 1, rests_until=now + rest)


def _rolled(circuit: Circuit, now: float) -> Circuit:
    """Begin a new half of the window where the current one is over."""
    half = WINDOW / 2
    if now - circuit.since < half:
        return circuit
    if now - circuit.since < WINDOW:
        return Circuit(since=circuit.since + half, old_good=circuit.good, old_bad=circuit.bad)
    return Circuit(since=now)
