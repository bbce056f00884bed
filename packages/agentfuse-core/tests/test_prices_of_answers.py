"""An answer is priced under the name it came with, or under the name that was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agentfuse import Fuse, UnknownPrice, completion
from agentfuse.pricing import PriceBook
from agentfuse.testing import Upstream
from agentfuse.testing.upstream import Say
from agentfuse.usage import BilledUsage, Usage, UsageReport

if TYPE_CHECKING:
    from collections.abc import Iterator

MILLION = Usage(input_tokens=1_000_000)


def report(model: str) -> UsageReport:
    """Write a report of a million input tokens."""
    return UsageReport(items=(BilledUsage(model=model, usage=MILLION),))


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    """A simulated provider."""
    with Upstream() as provider:
        yield provider


def test_a_deployments_own_name_falls_back_to_what_was_asked() -> None:
    """Nobody has a price for it, but everybody for the model behind it."""
    book = PriceBook()
    assert (
        book.cost(report("our-deployment"), "openai", asked="gpt-4o").nanodollars == 2_500_000_000
    )
    with pytest.raises(UnknownPrice, match="our-deployment"):
        book.cost(report("our-deployment"), "openai")


def test_a_snapshot_is_covered_by_the_callers_price_of_its_model() -> None:
    """An own price for gpt-4o holds for the dated name the provider answers with."""
    book = PriceBook({"gpt-4o": {"input": "1", "output": "1"}})
    cost = book.cost(report("gpt-4o-2024-08-06"), "openai", asked="gpt-4o")
    assert cost.nanodollars == 1_000_000_000


def test_another_model_inside_an_answer_keeps_its_own_price() -> None:
    """An advisor's share is not priced as the model that was asked."""
    book = PriceBook({"gpt-4o": {"input": "1", "output": "1"}})
    cost = book.cost(report("gpt-4.1"), "openai", asked="gpt-4o")
    assert cost.nanodollars == 2_000_000_000


def test_free_unknown_models_do_not_make_a_known_one_free() -> None:
    """The answer's unknown name is no reason to forget what was asked."""
    book = PriceBook(on_unknown_model="free")
    assert (
        book.cost(report("our-deployment"), "openai", asked="gpt-4o").nanodollars == 2_500_000_000
    )
    assert book.cost(report("our-deployment"), "openai", asked="our-deployment").nanodollars == 0


def test_a_clamp_leaves_room_for_every_choice(upstream: Upstream) -> None:
    """Two answers share what is left."""
    fuse = Fuse("$0.02")
    where = {"base_url": upstream.openai_url, "api_key": "sk-upstream"}
    upstream.script([Say("yes")])
    completion("gpt-4o", [{"role": "user", "content": "Well?"}], n=2, fuse=fuse, **where)
    assert 900 < upstream.requests[0].body["max_completion_tokens"] <= 1_000
