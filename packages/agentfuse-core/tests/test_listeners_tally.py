"""Listeners hear every event and cannot disturb a call; the tally adds a run up."""

from __future__ import annotations

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from agentfuse.money import budget_of
from agentfuse.observe.dispatch import Dispatch
from agentfuse.observe.logging import LogListener
from agentfuse.observe.tally import Tally
from agentfuse.tickets import Failed, Limit, Overrun, Receipt, Refusal, Refused, StoreTrouble
from agentfuse.usage import Usage

USAGE = Usage(input_tokens=1_000, output_tokens=200)
PAID = Receipt(
    id="c1",
    model="m-1",
    provider="p",
    source="provider",
    cost=600_000,
    usage=USAGE,
    text="the secret answer",
)
FOUND = Receipt(
    id="c2", model="m-1", provider="p", source="exact", saved=600_000, usage=USAGE, text="again"
)
REFUSED = Refused(
    model="m-1", refusal=Refusal(limit=Limit("run", "r", 10**9), needed=5 * 10**8, left=10**8)
)
FAILED = Failed(id="c3", model="m-2", provider="p", kind="timeout", attempt=1, cost=50_000)
TOOL = Receipt(id="c4", model="search", provider="tool", source="tool", cost=1_000_000)
EVENTS = (
    PAID,
    FOUND,
    REFUSED,
    FAILED,
    TOOL,
    Overrun(id="c1", model="m-1", nanodollars=7),
    StoreTrouble(store="cache", error="disk full"),
)


class Ear:
    def __init__(self) -> None:
        self.heard = []

    def hear(self, event) -> None:
        self.heard.append(event)


class Broken(Ear):
    def hear(self, event) -> None:
        raise RuntimeError("no ear")


def test_every_listener_hears_every_event_in_order() -> None:
    first, second = Ear(), Ear()
    dispatch = Dispatch((first, second))
    for event in EVENTS:
        dispatch.tell(event)
    assert first.heard == second.heard == list(EVENTS)
    assert dispatch.dropped == 0


def test_a_broken_listener_is_counted_and_named_once_and_the_others_hear(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ear = Ear()
    dispatch = Dispatch((Broken(), Broken(), ear))
    for event in EVENTS:
        dispatch.tell(event)
    assert dispatch.dropped == 2 * len(EVENTS)
    assert len(caplog.records) == 2
    assert ear.heard == list(EVENTS)


def test_a_log_line_tells_figures_and_no_content(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="agentfuse")
    for event in EVENTS:
        LogListener().hear(event)
    assert [record.getMessage() for record in caplog.records] == [
        "m-1 from provider: $0.0006, 1000 in, 200 out, 0.000 s [c1]",
        "m-1 from exact: $0.00, $0.0006 saved, 1000 in, 200 out, 0.000 s [c2]",
        "refused m-1: needs $0.50, $0.10 left of $1.00 for run:r",
        "failed m-2 (timeout, attempt 1): $0.00005 booked [c3]",
        "search from tool: $0.001, 0.000 s [c4]",
        "overrun m-1: $0.000000007 above its lease [c1]",
        "trouble with the cache: disk full",
    ]
    assert "secret" not in caplog.text
    assert [record.levelname for record in caplog.records].count("INFO") == 3


def test_an_estimated_or_unpriced_call_is_logged_as_such(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="mine")
    unpriced = Receipt(
        id="c", model="m", provider="p", source="provider", priced=False, estimated=True
    )
    LogListener("mine").hear(unpriced)
    assert caplog.messages == ["m from provider: no price known, estimated, 0.000 s [c]"]


def test_a_receipt_reads_as_one_line() -> None:
    tally = Tally()
    tally.hear(PAID)
    assert str(tally.receipt()) == "$0.0006 spent, 0 of 1 answers from cache"
    tally.hear(FOUND)
    assert (
        str(tally.receipt(budget_of("$5.00")))
        == "$0.0006 of $5.00 spent, 1 of 2 answers from cache, $0.0006 saved"
    )


def test_an_unpriced_call_is_not_passed_off_as_free() -> None:
    tally = Tally()
    tally.hear(Receipt(id="c", model="m", provider="p", source="provider", priced=False))
    assert str(tally.receipt()) == "$0.00 spent, 0 of 1 answers from cache, 1 without a price"


def test_everything_a_run_met_is_added_up() -> None:
    tally = Tally()
    for event in EVENTS:
        tally.hear(event)
    receipt = tally.receipt(budget_of(1))
    assert receipt.spent_usd == Decimal("0.00165")
    assert receipt.saved_usd == Decimal("0.0006")
    assert receipt.budget_usd == Decimal(1)
    assert receipt.remaining_usd == Decimal("0.99835")
    counts = (receipt.answers, receipt.from_cache, receipt.exact, receipt.coalesced)
    assert counts == (2, 1, 1, 0)
    assert (receipt.tool_calls, receipt.refusals, receipt.failures) == (1, 1, 1)
    assert (receipt.overruns, receipt.store_troubles) == (1, 1)
    assert sum(model.spent for model in receipt.models) == receipt.spent


def test_only_billed_tokens_are_counted() -> None:
    tally = Tally()
    tally.hear(PAID)
    tally.hear(FOUND)
    (model,) = tally.receipt().models
    assert (model.calls, model.from_cache) == (2, 1)
    assert (model.input_tokens, model.output_tokens) == (1_000, 200)


def test_a_run_past_its_budget_has_nothing_left() -> None:
    tally = Tally()
    tally.hear(PAID)
    assert tally.receipt(1).remaining_usd == 0
    assert tally.receipt().remaining_usd is None


def test_the_table_is_aligned() -> None:
    tally = Tally()
    for event in (PAID, FOUND, REFUSED):
        tally.hear(event)
    assert tally.receipt(budget_of(5)).table().splitlines() == [
        "model  calls  from cache  input  output    spent    saved",
        "m-1        2           1  1,000     200  $0.0006  $0.0006",
        "total      2           1  1,000     200  $0.0006  $0.0006",
        "$0.0006 of $5.00 spent, 1 of 2 answers from cache, $0.0006 saved",
        "refused: 1",
    ]


def test_a_receipt_as_a_dictionary_is_json() -> None:
    tally = Tally()
    for event in EVENTS:
        tally.hear(event)
    told = json.loads(json.dumps(tally.receipt(budget_of(1)).to_dict()))
    assert told["spent_usd"] == "0.00165"
    assert told["budget_usd"] == "1"
    assert told["by_model"]["m-1"] == {
        "calls": 2,
        "from_cache": 1,
        "input_tokens": 1_000,
        "output_tokens": 200,
        "spent_usd": "0.0006",
        "saved_usd": "0.0006",
    }
    assert Tally().receipt().to_dict()["budget_usd"] is None


def test_the_latest_answers_are_kept_and_no_more() -> None:
    tally = Tally(kept=3)
    for number in range(5):
        tally.hear(
            Receipt(id="c", model="m", provider="p", source="provider", text=f"answer {number}")
        )
    assert tally.results() == ("answer 2", "answer 3", "answer 4")


def test_a_receipt_once_given_does_not_change() -> None:
    tally = Tally()
    before = tally.receipt()
    tally.hear(PAID)
    assert before.spent == 0
    assert tally.receipt().spent == 600_000


def test_threads_lose_no_event() -> None:
    tally = Tally()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(tally.hear, [PAID] * 2_000))
    assert tally.receipt().spent == 2_000 * 600_000
    assert tally.receipt().answers == 2_000
