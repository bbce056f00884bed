"""Budgets by id, sessions with their tools, and the report over everything."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from agentfuse import AgentSession, BudgetExceeded, Fuse, completion, get_spend_report
from agentfuse.runtime.default import reset_default_fuse
from agentfuse.testing import Upstream

if TYPE_CHECKING:
    from collections.abc import Iterator

ASKED = [{"role": "user", "content": "What is Python?"}]


@pytest.fixture
def upstream(monkeypatch: pytest.MonkeyPatch) -> Iterator[Upstream]:
    """A simulated provider where the environment says that OpenAI and Anthropic are."""
    reset_default_fuse()
    with Upstream() as provider:
        monkeypatch.setenv("OPENAI_BASE_URL", provider.openai_url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-upstream")
        monkeypatch.setenv("ANTHROPIC_BASE_URL", provider.anthropic_url)
        monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-upstream")
        yield provider
    reset_default_fuse()


def test_a_budget_id_is_one_run_for_all_its_calls(upstream: Upstream) -> None:
    """What one call spends is gone for the next, whichever provider it asks."""
    completion(model="gpt-4o", messages=ASKED, budget_id="run", budget_usd=5.00)
    completion(model="claude-sonnet-4-6", messages=ASKED, budget_id="run")
    assert {asked.api for asked in upstream.requests} == {"chat.completions", "anthropic.messages"}
    with pytest.raises(BudgetExceeded, match="'run'"):
        completion(model="gpt-4o", messages=ASKED, budget_id="run", budget_usd="0.0000001", seed=1)
    assert upstream.calls == 2
    completion(model="gpt-4o", messages=ASKED, budget_id="another", budget_usd=5.00, seed=1)


def test_a_session_counts_its_calls_and_its_tools(upstream: Upstream) -> None:
    """One budget, one receipt, each cost in it once."""
    with AgentSession("my_agent", budget_usd=5.00) as session:
        session.completion(messages=ASKED)
        session.completion(messages=ASKED)
        session.record_tool_call("web_search", cost=0.01)
        receipt = session.get_receipt()
    assert upstream.calls == 1
    (call,) = [spend for spend in receipt.models if spend.model == "gpt-4o"]
    assert receipt.spent == call.spent + 10_000_000
    assert receipt.tool_calls == 1
    assert receipt.budget_usd == Decimal(5)


def test_a_tools_cost_counts_against_the_budget(upstream: Upstream) -> None:
    """Money a tool has spent is not there for the model."""
    with AgentSession("spender", budget_usd="$1") as session:
        session.record_tool_call("web_search", cost="0.9999999")
        with pytest.raises(BudgetExceeded):
            session.completion(messages=ASKED)
    assert upstream.calls == 0


async def test_a_session_works_awaited_and_streaming(upstream: Upstream) -> None:
    """The same run, from a loop."""
    async with AgentSession("awaited", budget_usd=5, model="gpt-4o-mini") as session:
        await session.acompletion(messages=ASKED)
        stream = await session.acompletion(messages=ASKED, model="gpt-4o", stream=True)
        assert [chunk async for chunk in stream]
    assert [asked.model for asked in upstream.requests] == ["gpt-4o-mini", "gpt-4o"]
    assert len(session.get_receipt().models) == 2


def test_a_session_inside_a_fuse_is_part_of_its_bill(upstream: Upstream) -> None:
    """The parent's receipt holds what its sessions spent."""
    fuse = Fuse("$1")
    session = AgentSession("inner", budget_usd="$0.5", fuse=fuse)
    session.completion(messages=ASKED)
    assert fuse.receipt().spent == session.get_receipt().spent > 0
    assert upstream.calls == 1


def test_the_report_adds_up_and_survives_a_restart(upstream: Upstream) -> None:
    """Another process reads what this one spent."""
    completion(model="gpt-4o", messages=ASKED)
    completion(model="claude-sonnet-4-6", messages=ASKED)
    report = get_spend_report()
    assert set(report["by_model"]) == {"gpt-4o", "claude-sonnet-4-6"}
    assert report["total_usd"] == sum(report["by_model"].values()) > 0
    code = "from agentfuse import get_spend_report; print(get_spend_report()['total_usd'])"
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True
    )
    assert Decimal(printed.stdout.strip()) == report["total_usd"]


def test_a_report_before_anything_was_spent_is_zero() -> None:
    """No file is no error."""
    reset_default_fuse()
    report = get_spend_report()
    assert report["total_usd"] == 0
    assert report["by_model"] == {}
