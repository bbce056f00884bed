"""Wrong input gets a clear error, before anything is sent, and loses nothing."""

from __future__ import annotations

import asyncio
import math
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from agentfuse import (
    AgentFuseError,
    AgentSession,
    BudgetExceeded,
    ConfigurationError,
    Fuse,
    ProviderFailed,
    StoreUnavailable,
    UnknownPrice,
    WouldSuspend,
    acompletion,
    completion,
    get_spend_report,
)
from agentfuse.ledgers.memory import MemoryLedger
from agentfuse.testing import Upstream

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agentfuse.tickets import Lease, Refusal

ASKED = [{"role": "user", "content": "What is Python?"}]


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    """A simulated provider that knows a model nobody has a price for."""
    with Upstream(models=["gpt-nobody-knows"]) as provider:
        yield provider


@pytest.fixture
def where(upstream: Upstream) -> dict[str, str]:
    """Where the provider is."""
    return {"base_url": upstream.openai_url, "api_key": "sk-upstream"}


@pytest.mark.parametrize(
    "budget",
    [-1, "-$5", "five", "", "$", "1e400", math.nan, math.inf, Decimal("NaN"), True, [], 10**8],
    ids=repr,
)
def test_a_budget_that_is_no_amount_is_refused(budget: Any) -> None:
    """Negative, unparsable, endless and absurd budgets."""
    with pytest.raises(ConfigurationError):
        Fuse(budget)
    with pytest.raises(ConfigurationError):
        completion("gpt-4o", ASKED, budget_id="x", budget_usd=budget)
    with pytest.raises(ConfigurationError):
        AgentSession("x", budget_usd=budget)


@pytest.mark.parametrize("budget", ["$5.00", "5", " $5 ", 5, 5.0, Decimal(5), "$5.000000000"])
def test_a_budget_may_be_written_in_many_ways(budget: Any) -> None:
    """Each of them is five dollars."""
    assert Fuse(budget).receipt().budget_usd == Decimal(5)


@pytest.mark.parametrize(
    "options",
    [
        {"cache_ttl": 0},
        {"lease_ttl": -1},
        {"max_retries": -1},
        {"min_output_tokens": 0},
        {"on_unknown_model": "guess"},
        {"colour": "red"},
        {"prices": {"gpt-4o": {"input": -1, "output": 1}}},
        {"prices": {"gpt-4o": {"inptu": 1, "output": 1}}},
        {"prices": {"gpt-4o": {"input": "cheap", "output": 1}}},
    ],
    ids=repr,
)
def test_an_option_that_is_off_is_named(options: dict[str, Any]) -> None:
    """The error says which word was wrong."""
    word = next(iter(options))
    with pytest.raises(ConfigurationError, match="gpt-4o" if word == "prices" else word):
        Fuse(**options)


@pytest.mark.parametrize("text", ["not = [toml", "[gpt-4o]\ninput = 'x'\noutput = 1\n", "\x00"])
def test_a_price_file_with_nonsense_is_named(tmp_path: Path, text: str) -> None:
    """The error says which file."""
    path = tmp_path / "prices.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(ConfigurationError, match=r"prices\.toml"):
        Fuse(prices=path)


def test_a_price_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The error says which file."""
    with pytest.raises(ConfigurationError, match=r"none\.toml"):
        Fuse(prices=tmp_path / "none.toml")


def test_a_budgeted_call_without_a_price_is_refused(
    upstream: Upstream, where: dict[str, str]
) -> None:
    """An unknown price is never zero: nothing is sent."""
    with pytest.raises(UnknownPrice, match="gpt-nobody-knows"):
        completion("openai/gpt-nobody-knows", ASKED, fuse=Fuse("$5"), **where)
    assert upstream.calls == 0


def test_a_price_of_ones_own_lets_it_through(upstream: Upstream, where: dict[str, str]) -> None:
    """Dollars per million tokens, by model."""
    fuse = Fuse("$5", prices={"gpt-nobody-knows": {"input": "1", "output": "2"}})
    completion("openai/gpt-nobody-knows", ASKED, fuse=fuse, **where)
    served = upstream.usage_served()
    assert fuse.receipt().spent == served.input_tokens * 1_000 + served.output_tokens * 2_000


def test_an_unpriced_call_without_a_budget_is_counted_as_such(
    upstream: Upstream, where: dict[str, str]
) -> None:
    """It goes through, and the receipt does not pretend that it was free."""
    fuse = Fuse()
    completion("openai/gpt-nobody-knows", ASKED, fuse=fuse, **where)
    assert upstream.calls == 1
    assert fuse.receipt().unpriced == 1
    assert "without a price" in str(fuse.receipt())


def test_a_missing_key_is_named_and_no_other_is_sent(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key of OpenAI never travels to somebody else."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-upstream")
    with pytest.raises(ConfigurationError, match="DEEPSEEK_API_KEY"):
        completion("deepseek/deepseek-chat", ASKED, base_url=upstream.openai_url)
    assert upstream.calls == 0


@pytest.mark.parametrize("messages", [[], None, "hello", [{"content": "no role"}], [1]], ids=repr)
def test_messages_that_are_none_are_refused(
    upstream: Upstream, where: dict[str, str], messages: Any
) -> None:
    """Nothing is sent."""
    with pytest.raises(ConfigurationError):
        completion("gpt-4o", messages, **where)
    assert upstream.calls == 0


def test_a_model_of_nobody_says_how_to_write_it() -> None:
    """The error shows the form that works."""
    with pytest.raises(ConfigurationError, match="provider/model"):
        completion("my-own-model", ASKED)


def test_a_model_the_provider_does_not_know_costs_nothing(
    upstream: Upstream, where: dict[str, str]
) -> None:
    """The provider's refusal comes in our words, with the SDK's own error as its cause."""
    fuse = Fuse("$1", prices={"gpt-4o:nope": {"input": 1, "output": 1}})
    with pytest.raises(ProviderFailed) as failed:
        completion("openrouter/nope", ASKED, fuse=Fuse(), **where)
    assert (failed.value.kind, failed.value.status) == ("not_found", 404)
    assert type(failed.value.__cause__).__name__ == "NotFoundError"
    assert fuse.receipt().spent == 0
    assert fuse.open_leases() == ()


def test_a_fuse_and_a_budget_together_are_refused() -> None:
    """The fuse has a budget of its own."""
    with pytest.raises(ConfigurationError, match="not both"):
        completion("gpt-4o", ASKED, fuse=Fuse(), budget_usd=1)


def test_a_run_without_a_budget_cannot_be_topped_up() -> None:
    """There is nothing to raise."""
    with pytest.raises(ConfigurationError, match="no budget"):
        Fuse().top_up(1)


def test_a_retry_is_counted_and_an_empty_quota_is_not_tried_again(
    upstream: Upstream, where: dict[str, str]
) -> None:
    """Each attempt is a reservation of its own; the provider's advice is followed."""
    fuse = Fuse("$1", max_retries=2)
    upstream.fail(529, times=1, retry_after=0)
    upstream.fail(429, times=1, retry_after=0.01)
    assert completion("gpt-4o", ASKED, fuse=fuse, **where).choices
    assert upstream.calls == 3
    assert fuse.receipt().failures == 2
    assert fuse.open_leases() == ()


def test_retries_end(upstream: Upstream, where: dict[str, str]) -> None:
    """After the stated number the failure is told."""
    fuse = Fuse("$1", max_retries=1)
    upstream.fail(503, times=9, retry_after=0)
    with pytest.raises(ProviderFailed) as failed:
        completion("gpt-4o", ASKED, fuse=fuse, **where)
    assert failed.value.kind == "overloaded"
    assert upstream.calls == 2
    assert fuse.receipt().spent == 0


def test_every_error_of_ours_has_one_root() -> None:
    """One except clause catches them all."""
    ours = [BudgetExceeded, ConfigurationError, ProviderFailed, StoreUnavailable, UnknownPrice]
    assert all(issubclass(error, AgentFuseError) for error in [*ours, WouldSuspend])


class DistantLedger(MemoryLedger):
    """A ledger that has to wait for its answers, as one behind an awaited client would."""

    async def reserve(self, lease: Lease) -> Lease | Refusal:
        """Wait, then reserve."""
        await asyncio.sleep(0)
        return await super().reserve(lease)


async def test_a_port_that_waits_is_refused_to_blocking_callers(
    upstream: Upstream, where: dict[str, str]
) -> None:
    """The mistake is named before anything is sent; awaited callers may use it."""
    fuse = Fuse("$1", ledger=DistantLedger())
    with pytest.raises(WouldSuspend):
        completion("gpt-4o", ASKED, fuse=fuse, **where)
    assert upstream.calls == 0
    assert (await acompletion("gpt-4o", ASKED, fuse=fuse, **where)).choices


def test_a_spend_book_that_cannot_be_read_is_named(bare_environment: Path) -> None:
    """A report that left known spend out would be a wrong number."""
    (bare_environment / "spend.sqlite3").mkdir(parents=True)
    with pytest.raises(StoreUnavailable, match="spend"):
        get_spend_report()
