"""Whose call it is, and what a call gives up when a limit is nearly used up."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from agentfuse import BudgetExceeded, ConfigurationError, Fuse, UnknownPrice, completion, scope
from agentfuse.observe.logging import line_of
from agentfuse.scopes import current_scope
from agentfuse.testing import Upstream
from agentfuse.tickets import Downgraded, Receipt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentfuse.tickets import Event

QUESTION = [{"role": "user", "content": "What is a fuse?"}]


class Heard:
    """A listener that keeps what it hears."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def hear(self, event: Event) -> None:
        self.events.append(event)


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as provider:
        yield provider


def ask(fuse: Fuse, upstream: Upstream, model: str = "gpt-4o", **options: Any) -> str:
    answer = completion(
        model=model,
        messages=QUESTION,
        fuse=fuse,
        base_url=upstream.openai_url,
        api_key="sk-upstream",
        **options,
    )
    return answer.choices[0].message.content or ""


def used(share: str, **options: Any) -> Fuse:
    """Give a fuse of a dollar of which so much is spent."""
    fuse = Fuse("$1", spend_book=False, **options)
    fuse.record_tool_call("search", share)
    return fuse


def test_ids_of_an_outer_scope_hold_within() -> None:
    with scope(user="ann", tags=("nightly",)), scope(tenant="acme", tags=("batch",)) as inner:
        assert inner == current_scope()
        assert (inner.user, inner.tenant) == ("ann", "acme")
        assert inner.tags == ("nightly", "batch")
    assert current_scope().user == ""


def test_ids_follow_tasks_and_to_thread() -> None:
    async def users() -> list[str]:
        with scope(user="ann"):
            task = asyncio.create_task(asyncio.sleep(0, current_scope().user))
            thread = asyncio.to_thread(lambda: current_scope().user)
            return [await task, await thread]

    assert asyncio.run(users()) == ["ann", "ann"]


def test_a_thread_of_ones_own_begins_without_ids() -> None:
    seen: list[str] = []
    with scope(user="ann"):
        thread = threading.Thread(target=lambda: seen.append(current_scope().user))
        thread.start()
        thread.join()
    assert seen in ([""], ["ann"])  # Python 3.14 can be told to let threads inherit the context


def test_each_user_has_a_limit_and_all_share_the_runs(upstream: Upstream) -> None:
    fuse = Fuse("$1", spend_book=False, cache=False, limits={"user": "$0.01"})
    with scope(user="ann"):
        fuse.record_tool_call("search", "$0.01")
        with pytest.raises(BudgetExceeded, match="user 'ann'"):
            ask(fuse, upstream)
    with scope(user="bob"):
        assert ask(fuse, upstream, max_tokens=50)
    assert upstream.calls == 1


def test_a_receipt_says_on_whose_behalf(upstream: Upstream) -> None:
    heard = Heard()
    fuse = Fuse("$1", spend_book=False, listeners=[heard])
    with scope(user="ann", session="s-1"):
        ask(fuse, upstream)
        ask(fuse, upstream)
        fuse.record_tool_call("search", "$0.01")
    receipts = [event for event in heard.events if isinstance(event, Receipt)]
    assert [receipt.source for receipt in receipts] == ["provider", "exact", "tool"]
    assert {receipt.scope.user for receipt in receipts} == {"ann"}


def test_limits_are_for_scopes_only() -> None:
    with pytest.raises(ConfigurationError, match="scope is one of"):
        Fuse(limits={"moon": "$1"})


def test_thrift_begins_at_its_share(upstream: Upstream) -> None:
    before = used("$0.799", downgrade={"gpt-4o": "gpt-4o-mini"})
    ask(before, upstream, max_tokens=50)
    after = used("$0.80", downgrade={"gpt-4o": "gpt-4o-mini"})
    ask(after, upstream, max_tokens=50)
    early = used("$0.50", downgrade={"gpt-4o": "gpt-4o-mini"}, downgrade_at=0.5)
    ask(early, upstream, max_tokens=50)
    models = [request.model for request in upstream.requests]
    assert models == ["gpt-4o", "gpt-4o-mini", "gpt-4o-mini"]
    assert [fuse.receipt().downgrades for fuse in (before, after, early)] == [0, 1, 1]


def test_a_dearer_substitute_is_not_taken(upstream: Upstream) -> None:
    fuse = used("$0.90", downgrade={"gpt-4o-mini": "gpt-4o"})
    ask(fuse, upstream, model="gpt-4o-mini", max_tokens=50)
    assert [request.model for request in upstream.requests] == ["gpt-4o-mini"]
    assert fuse.receipt().downgrades == 0


def test_a_remembered_answer_is_better_than_a_cheaper_one(upstream: Upstream) -> None:
    fuse = Fuse("$1", spend_book=False, downgrade={"gpt-4o": "gpt-4o-mini"})
    first = ask(fuse, upstream)
    fuse.record_tool_call("search", "$0.80")
    assert ask(fuse, upstream) == first
    assert upstream.calls == 1


def test_a_downgrade_is_told(upstream: Upstream) -> None:
    heard = Heard()
    fuse = used("$0.80", downgrade={"gpt-4o": "gpt-4o-mini"}, listeners=[heard], name="nightly")
    ask(fuse, upstream)
    told = next(event for event in heard.events if isinstance(event, Downgraded))
    assert (told.model, told.to, told.limit.key) == ("gpt-4o", "gpt-4o-mini", "run:nightly")
    assert "gpt-4o to gpt-4o-mini" in line_of(told)
    assert "asked of a cheaper model: 1" in fuse.receipt().table()


def test_a_substitute_without_a_price_is_refused(upstream: Upstream) -> None:
    fuse = used("$0.80", downgrade={"gpt-4o": "no-such-model"})
    with pytest.raises(UnknownPrice, match="no-such-model"):
        ask(fuse, upstream)
    assert upstream.calls == 0


def test_a_share_is_between_nothing_and_all() -> None:
    for share in (0, 1.5):
        with pytest.raises(ConfigurationError, match="downgrade_at"):
            Fuse(downgrade_at=share)


def test_another_providers_model_is_out_of_completions_reach(upstream: Upstream) -> None:
    fuse = used("$0.80", downgrade={"gpt-4o": "anthropic/claude-haiku-4-5"})
    with pytest.raises(ConfigurationError, match="anthropic"):
        ask(fuse, upstream, max_tokens=50)
    assert upstream.calls == 0
    assert fuse.open_leases() == ()
