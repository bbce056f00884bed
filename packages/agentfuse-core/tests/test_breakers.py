"""The circuit breaker and the retry budget, as values over a clock."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agentfuse.policy import breakers
from agentfuse.policy.retry_budget import FLOOR, WINDOW, RetryBudget

STEPS = st.lists(st.tuples(st.sampled_from(["ask", "good", "bad"]), st.floats(0, 20)), max_size=80)


def failing(times: int, now: float = 0.0) -> breakers.Circuit:
    circuit = breakers.CLOSED
    for _ in range(times):
        circuit = breakers.after_failure(circuit, now)
    return circuit


def test_a_few_failures_among_many_answers_open_nothing() -> None:
    circuit = breakers.CLOSED
    for _ in range(100):
        circuit = breakers.after_success(circuit, 0.0)
    for _ in range(99):
        circuit = breakers.after_failure(circuit, 1.0)
    assert breakers.asked(circuit, 1.0)[1] == 0
    assert breakers.asked(breakers.after_failure(circuit, 1.0), 1.0)[1] > 0


def test_old_failures_are_forgotten() -> None:
    circuit = failing(breakers.LEAST_FAILURES - 1)
    circuit = breakers.after_failure(circuit, breakers.WINDOW + 1)
    assert breakers.asked(circuit, breakers.WINDOW + 1)[1] == 0


def test_half_open_lets_one_through() -> None:
    now = breakers.FIRST_REST
    circuit, wait = breakers.asked(failing(breakers.LEAST_FAILURES), now)
    assert wait == 0
    assert breakers.asked(circuit, now)[1] == breakers.TRIAL
    assert breakers.asked(circuit, now + breakers.TRIAL)[1] == 0, "a lost trial makes way"
    assert breakers.after_success(circuit, now) == breakers.CLOSED


def test_each_trial_that_fails_doubles_the_rest_up_to_a_limit() -> None:
    circuit, now, rests = failing(breakers.LEAST_FAILURES), 0.0, []
    for _ in range(6):
        rests.append(circuit.rests_until - now)
        now = circuit.rests_until
        circuit = breakers.after_failure(circuit, now)
    assert rests == [10, 20, 40, 80, 120, 120]


def test_answers_to_what_was_asked_before_change_nothing_while_open() -> None:
    circuit = failing(breakers.LEAST_FAILURES)
    assert breakers.after_success(circuit, 1.0) == circuit
    assert breakers.after_failure(circuit, 1.0) == circuit


@given(STEPS)
def test_an_open_circuit_always_opens_again(steps: list[tuple[str, float]]) -> None:
    """Whatever happens, nobody waits longer than the longest rest, and a success closes it."""
    circuit, now = breakers.CLOSED, 0.0
    for what, passed in steps:
        now += passed
        match what:
            case "ask":
                circuit, wait = breakers.asked(circuit, now)
                assert wait <= breakers.LONGEST_REST
            case "good":
                circuit = breakers.after_success(circuit, now)
            case _:
                circuit = breakers.after_failure(circuit, now)
    now += breakers.LONGEST_REST
    circuit, wait = breakers.asked(circuit, now)
    assert wait == 0
    assert not breakers.after_success(circuit, now).trips


@given(st.floats(0, 1), st.lists(st.tuples(st.booleans(), st.floats(0, 15)), max_size=200))
def test_no_window_has_more_retries_than_its_share(
    share: float, steps: list[tuple[bool, float]]
) -> None:
    budget, now = RetryBudget(share), 1_000.0
    calls: list[float] = []
    retries: list[float] = []
    for is_call, passed in steps:
        now += passed
        if is_call:
            budget.call(now)
            calls.append(now)
        elif budget.take(now):
            retries.append(now)
            start = int(now) - WINDOW + 1
            window = [sum(at >= start for at in times) for times in (calls, retries)]
            assert window[1] < FLOOR + share * window[0] + 1
