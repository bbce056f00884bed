"""Deferrable calls: half the price, on the budget, in a file that outlives the process."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING, Any

import openai
import pytest

from agentfuse import BudgetExceeded, ConfigurationError, Fuse, scope
from agentfuse.batch import RESUME_AFTER, BatchQueue
from agentfuse.errors import ProviderFailed
from agentfuse.testing import FrozenClock, Upstream
from agentfuse.tickets import Receipt

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agentfuse.tickets import Event

MODELS = ("gpt-4o-mini", "claude-haiku-4-5")
PRICES = {"gpt-4o-mini": (150, 600), "claude-haiku-4-5": (1_000, 5_000)}
"""Nanodollars for a token in and a token out, before the batch discount of a half."""


class Heard:
    """A listener that keeps what it hears."""

    def __init__(self) -> None:
        self.receipts: list[Receipt] = []

    def hear(self, event: Event) -> None:
        if isinstance(event, Receipt):
            self.receipts.append(event)


@pytest.fixture
def upstream(monkeypatch: pytest.MonkeyPatch) -> Iterator[Upstream]:
    with Upstream(answer_tokens=40) as provider:
        monkeypatch.setenv("OPENAI_BASE_URL", provider.openai_url)
        monkeypatch.setenv("ANTHROPIC_BASE_URL", provider.anthropic_url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-upstream")
        monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-upstream")
        yield provider


def fused(**options: Any) -> Fuse:
    return Fuse("$1", spend_book=False, **options)


def add(queue: BatchQueue, model: str, number: int = 1, **options: Any) -> str:
    question = {"role": "user", "content": f"Question {number}: what is a fuse?"}
    return queue.add(model, [question], max_tokens=100, **options)


@pytest.mark.parametrize("model", MODELS)
def test_answers_come_at_half_the_price(upstream: Upstream, tmp_path: Path, model: str) -> None:
    heard = Heard()
    fuse = fused(listeners=[heard])
    queue = BatchQueue(fuse, tmp_path / "queue.sqlite")
    ids = [add(queue, model, number) for number in range(5)]
    held = fuse.open_leases()
    assert len(held) == 5
    assert upstream.calls == 0
    assert queue.submit() == 5
    progress = queue.poll()
    assert (progress.answered, progress.failed, progress.done) == (5, 0, True)
    results = queue.results()
    assert list(results) == ids
    for answer in results.values():
        assert not isinstance(answer, ProviderFailed)
        assert answer.choices[0].message.content
    dear = PRICES[model]
    for receipt, request in zip(heard.receipts, upstream.requests, strict=True):
        billed = request.billed
        whole = billed.input_tokens * dear[0] + billed.output_tokens * dear[1]
        assert receipt.cost == -(-whole // 2)
    assert fuse.receipt().spent == sum(receipt.cost for receipt in heard.receipts)
    assert fuse.open_leases() == ()
    assert held[0].amount.nanodollars >= heard.receipts[0].cost
    assert queue.poll() == progress
    assert fuse.receipt().answers == 5, "nothing is read twice"


def test_what_does_not_fit_is_refused_as_it_is_added(upstream: Upstream, tmp_path: Path) -> None:
    fuse = Fuse("$0.0001", spend_book=False)
    queue = BatchQueue(fuse, tmp_path / "queue.sqlite")
    add(queue, "gpt-4o-mini")

    def add_more() -> None:
        for number in range(9):
            add(queue, "gpt-4o-mini", number)

    with pytest.raises(BudgetExceeded):
        add_more()
    assert queue.submit() == len(fuse.open_leases())
    assert upstream.calls == 0


def test_a_queue_goes_on_after_a_restart_on_a_ledger_that_lasts(
    upstream: Upstream, tmp_path: Path
) -> None:
    path, ledger = tmp_path / "queue.sqlite", tmp_path / "ledger.sqlite"
    with scope(user="ann"):
        fuse = fused(ledger=ledger, limits={"user": "$1"}, name="nightly")
        first = BatchQueue(fuse, path)
        call_id = add(first, "claude-haiku-4-5")
        first.submit()
    first.close()
    fuse.close()
    again = fused(ledger=ledger, limits={"user": "$1"}, name="nightly")
    assert len(again.open_leases()) == 1
    second = BatchQueue(again, path)
    assert second.poll().answered == 1
    assert call_id in second.results()
    spent = again.receipt().spent
    assert spent > 0
    assert again.open_leases() == ()
    with scope(user="ann"):
        assert again.used() == pytest.approx(spent / 1e9)


def test_a_ledger_that_forgot_is_booked_all_the_same(upstream: Upstream, tmp_path: Path) -> None:
    first = BatchQueue(fused(), tmp_path / "queue.sqlite")
    add(first, "gpt-4o-mini")
    first.submit()
    fuse = fused()
    second = BatchQueue(fuse, tmp_path / "queue.sqlite")
    assert second.poll().answered == 1
    assert fuse.used() == pytest.approx(fuse.receipt().spent / 1e9)
    assert fuse.receipt().spent > 0
    assert upstream.calls == 1


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("arrived", [True, False])
def test_a_crash_while_sending_sends_nothing_twice(
    upstream: Upstream,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    model: str,
    *,
    arrived: bool,
) -> None:
    clock = FrozenClock()
    fuse, path = fused(clock=clock), tmp_path / "queue.sqlite"
    queue = BatchQueue(fuse, path)
    call_id = add(queue, model)

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    if arrived:
        monkeypatch.setattr("agentfuse.runtime.batch_file.BatchFile.sent", crash)
    else:
        monkeypatch.setattr("agentfuse.batch.BatchQueue._send", crash)
    with pytest.raises(KeyboardInterrupt):
        queue.submit()
    monkeypatch.undo()
    for name, url in (("OPENAI", upstream.openai_url), ("ANTHROPIC", upstream.anthropic_url)):
        monkeypatch.setenv(f"{name}_BASE_URL", url)
        monkeypatch.setenv(f"{name}_API_KEY", "sk-upstream")
    again = BatchQueue(fuse, path)
    assert again.submit() == 0, "another process may still be at it"
    assert again.poll().running == 1
    clock.advance(RESUME_AFTER + 1)
    if arrived and model == "claude-haiku-4-5":
        again.poll()  # a running batch may be the one: it is left until it has ended
        look_at_batches(upstream)
    assert again.submit() == (0 if arrived else 1)
    assert again.poll().answered == 1
    assert list(again.results()) == [call_id]
    assert upstream.calls == 1


def look_at_batches(upstream: Upstream) -> None:
    """Let the simulated batches end, as they do by themselves within a day."""
    upstream.finish_batches()


def test_a_request_that_fails_gives_its_money_back(upstream: Upstream, tmp_path: Path) -> None:
    fuse = fused()
    queue = BatchQueue(fuse, tmp_path / "queue.sqlite")
    upstream.fail(500)
    bad, good = (add(queue, "gpt-4o-mini", number) for number in range(2))
    queue.submit()
    progress = queue.poll()
    assert (progress.answered, progress.failed) == (1, 1)
    failed = queue.results()[bad]
    assert isinstance(failed, ProviderFailed)
    assert failed.kind == "server_error"
    assert not isinstance(queue.results()[good], ProviderFailed)
    assert fuse.receipt().failures == 1
    assert fuse.open_leases() == ()


def test_held_batches_are_waited_for(upstream: Upstream, tmp_path: Path) -> None:
    queue = BatchQueue(fused(), tmp_path / "queue.sqlite")
    upstream.hold_batches()
    for model in MODELS:
        add(queue, model)
    assert queue.submit() == 2
    assert queue.poll().running == 2
    assert queue.results() == {}
    upstream.hold_batches(held=False)
    assert queue.poll().done


def test_what_no_batch_can_ask_is_refused(upstream: Upstream, tmp_path: Path) -> None:
    queue = BatchQueue(fused(), tmp_path / "queue.sqlite")
    with pytest.raises(ConfigurationError, match="deepseek"):
        add(queue, "deepseek/deepseek-chat")
    with pytest.raises(ConfigurationError, match="stream"):
        add(queue, "gpt-4o-mini", stream=True)
    with pytest.raises(ConfigurationError, match="empty"):
        queue.add("gpt-4o-mini", [])
    with pytest.raises(ConfigurationError, match="logprobs"):
        add(queue, "claude-haiku-4-5", logprobs=True)
    assert queue.submit() == 0
    assert upstream.calls == 0


def test_a_refused_batch_waits_on(
    upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = BatchQueue(fused(), tmp_path / "queue.sqlite")
    add(queue, "gpt-4o-mini")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-wrong")
    with pytest.raises(ProviderFailed) as failed:
        queue.submit()
    assert failed.value.kind == "authentication"
    monkeypatch.setenv("OPENAI_API_KEY", "sk-upstream")
    assert queue.submit() == 1
    assert queue.poll().answered == 1
    assert upstream.calls == 1


def test_the_simulated_batches_keep_the_vendors_rules(upstream: Upstream) -> None:
    client = openai.OpenAI(api_key="sk-upstream", base_url=upstream.openai_url, max_retries=0)
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}]}
    line = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": body}
    file = client.files.create(
        file=("b.jsonl", f"{json.dumps(line)}\n{json.dumps(line)}".encode()), purpose="batch"
    )
    batch = client.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    assert client.batches.retrieve(batch.id).status == "failed"
    with pytest.raises(openai.NotFoundError):
        client.batches.retrieve("batch_nobody's")
    client.close()


def test_the_file_holds_no_key(upstream: Upstream, tmp_path: Path) -> None:
    path = tmp_path / "queue.sqlite"
    queue = BatchQueue(fused(), path)
    add(queue, "gpt-4o-mini")
    queue.submit()
    queue.close()
    with sqlite3.connect(path) as db:
        assert "sk-upstream" not in str(db.execute("SELECT * FROM calls").fetchall())
    db.close()
    assert upstream.calls == 0
