"""Identical calls are asked once, across threads, tasks and loops, and nobody waits for ever."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from agentfuse.caches.flights import AwaitedFlights, BlockingFlights, FlightTable
from agentfuse.messages import Choice, Reply, Text
from agentfuse.runtime.now import run_now

if TYPE_CHECKING:
    from concurrent.futures import Future

ANSWER = Reply(choices=(Choice(parts=(Text("hi"),)),))


def in_a_thread(step):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(step).result()


def test_the_first_leads_and_a_thread_gets_its_answer() -> None:
    flights = BlockingFlights()
    assert flights.join("k") is None
    with ThreadPoolExecutor(4) as pool:
        joined = [pool.submit(flights.join, "k").result() for _ in range(4)]
        waiting = [pool.submit(lambda f=flight: run_now(flights.wait(f))) for flight in joined]
        flights.land("k", ANSWER)
        assert [waiter.result() for waiter in waiting] == [ANSWER] * 4


def test_after_a_landing_the_next_call_leads_again() -> None:
    flights = BlockingFlights()
    flights.join("k")
    flights.land("k", ANSWER)
    assert in_a_thread(lambda: flights.join("k")) is None


def test_different_calls_do_not_wait_for_each_other() -> None:
    flights = BlockingFlights()
    assert flights.join("k") is None
    assert flights.join("l") is None


def test_a_leader_without_an_answer_sends_the_others_to_ask() -> None:
    flights = BlockingFlights()
    flights.join("k")
    flight = in_a_thread(lambda: flights.join("k"))
    flights.land("k", None)
    assert run_now(flights.wait(flight)) is None


def test_exactly_one_of_many_threads_leads() -> None:
    flights = BlockingFlights()
    start = threading.Barrier(16)

    def join() -> Future[Reply | None] | None:
        start.wait()
        return flights.join("k")

    with ThreadPoolExecutor(16) as pool:
        joined = list(pool.map(lambda _: join(), range(16)))
    assert joined.count(None) == 1


def test_a_leader_who_asks_again_does_not_wait_for_itself() -> None:
    flights = BlockingFlights(patience=30.0)
    assert flights.join("k") is None
    again = flights.join("k")
    assert again is not None
    assert run_now(flights.wait(again)) is None
    waiter = in_a_thread(lambda: flights.join("k"))
    flights.land("k", ANSWER)
    assert run_now(flights.wait(waiter)) == ANSWER


async def test_a_task_that_leads_does_not_wait_for_itself_but_others_wait_for_it() -> None:
    flights = AwaitedFlights(patience=30.0)
    assert flights.join("k") is None
    again = flights.join("k")
    assert again is not None
    assert await flights.wait(again) is None

    async def ask() -> Reply | None:
        flight = flights.join("k")
        assert flight is not None
        return await flights.wait(flight)

    tasks = [asyncio.create_task(ask()) for _ in range(5)]
    await asyncio.sleep(0)
    flights.land("k", ANSWER)
    assert await asyncio.gather(*tasks) == [ANSWER] * 5


async def test_a_cancelled_waiter_leaves_the_others_waiting() -> None:
    flights = AwaitedFlights()
    assert await asyncio.create_task(joined(flights)) is None
    flight = flights.join("k")
    assert flight is not None
    first, second = (asyncio.create_task(flights.wait(flight)) for _ in range(2))
    await asyncio.sleep(0.01)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    flights.land("k", ANSWER)
    assert await second == ANSWER


async def joined(flights: AwaitedFlights) -> Future[Reply | None] | None:
    return flights.join("k")


def test_threads_and_tasks_join_each_other() -> None:
    table = FlightTable()
    threads, tasks = BlockingFlights(table), AwaitedFlights(table)
    assert threads.join("k") is None

    def in_a_loop() -> Reply | None:
        async def ask() -> Reply | None:
            flight = tasks.join("k")
            assert flight is not None
            return await tasks.wait(flight)

        return asyncio.run(ask())

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(in_a_loop)
        time.sleep(0.05)
        threads.land("k", ANSWER)
        assert waiting.result() == ANSWER


def test_a_thread_waits_for_a_leading_task() -> None:
    table = FlightTable()
    threads, tasks = BlockingFlights(table), AwaitedFlights(table)

    async def main() -> Reply | None:
        assert tasks.join("k") is None
        flight = await asyncio.to_thread(threads.join, "k")
        assert flight is not None
        waiting = asyncio.create_task(asyncio.to_thread(lambda: run_now(threads.wait(flight))))
        await asyncio.sleep(0.01)
        tasks.land("k", ANSWER)
        return await waiting

    assert asyncio.run(main()) == ANSWER


async def test_a_blocking_call_inside_a_loop_does_not_wait_for_a_task_of_that_loop() -> None:
    table = FlightTable()
    threads, tasks = BlockingFlights(table, patience=30.0), AwaitedFlights(table)
    await asyncio.create_task(joined(tasks))
    flight = threads.join("k")
    assert flight is not None
    assert run_now(threads.wait(flight)) is None


def test_a_leader_that_never_lands_is_waited_for_in_patience_only() -> None:
    flights = BlockingFlights(patience=0.02)
    flights.join("k")

    def ask() -> tuple[Reply | None, bool]:
        flight = flights.join("k")
        assert flight is not None
        return run_now(flights.wait(flight)), flights.join("k") is None

    assert in_a_thread(ask) == (None, True)


async def test_a_leading_task_that_never_lands_is_waited_for_in_patience_only() -> None:
    flights = AwaitedFlights(patience=0.02)
    await asyncio.create_task(joined(flights))
    flight = flights.join("k")
    assert flight is not None
    assert await flights.wait(flight) is None
    assert flights.join("k") is None


def test_a_landing_without_a_flight_does_nothing() -> None:
    flights = BlockingFlights()
    flights.land("k", ANSWER)
    assert flights.join("k") is None


def test_a_waiter_whose_loop_has_closed_disturbs_no_landing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    table = FlightTable()
    tasks = AwaitedFlights(table, patience=0.01)
    table.join("k")

    def wait_in_a_loop() -> FlightTable:
        async def ask() -> None:
            flight = tasks.join("k")
            assert flight is not None
            held.append(flight)
            await tasks.wait(flight)

        held: list[Future[Reply | None]] = []
        asyncio.run(ask())
        return held[0]

    flight = in_a_thread(wait_in_a_loop)
    flight.set_result(ANSWER)
    assert caplog.records == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_does_not_wait_for_its_parents_calls() -> None:
    flights = BlockingFlights()
    flights.join("k")
    child = os.fork()
    if child == 0:
        os._exit(0 if flights.join("k") is None else 1)
    assert os.waitpid(child, 0)[1] == 0
