"""What a tool costs, where it may still be refused."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from agentfuse import BudgetExceeded, Fuse, scope


def test_a_tool_that_fits_is_booked_before_it_runs() -> None:
    fuse = Fuse("$1", spend_book=False)
    fuse.charge_tool_call("web_search", "$0.25")
    receipt = fuse.receipt()
    assert (receipt.spent, receipt.tool_calls, receipt.refusals) == (250_000_000, 1, 0)
    assert fuse.open_leases() == ()
    assert fuse.used() == 0.25


def test_a_tool_that_does_not_fit_costs_nothing() -> None:
    fuse = Fuse("$1", spend_book=False, name="desk")
    with pytest.raises(BudgetExceeded, match=r"tool web_search costs .*: it was not run") as stop:
        fuse.charge_tool_call("web_search", "$1.01")
    assert stop.value.refusal is not None
    assert stop.value.refusal.limit.key == "run:desk"
    assert (fuse.receipt().spent, fuse.receipt().refusals) == (0, 1)
    assert stop.value.receipt.tool_calls == 0


def test_tools_that_run_side_by_side_never_pass_the_limit() -> None:
    fuse = Fuse("$1", spend_book=False)

    def charge(_: int) -> bool:
        try:
            fuse.charge_tool_call("web_search", "$0.30")
        except BudgetExceeded:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(charge, range(16))) == 3
    assert fuse.receipt().spent == 900_000_000


def test_without_a_limit_a_tool_is_booked_and_never_refused() -> None:
    fuse = Fuse(spend_book=False)
    fuse.charge_tool_call("web_search", "$100")
    assert fuse.receipt().tool_calls == 1
    assert fuse.used() == 0.0


def test_the_share_used_is_that_of_the_limit_nearest_its_end() -> None:
    fuse = Fuse("$10", spend_book=False, limits={"user": "$1"})
    inner = fuse.session("chapter", "$5")
    with scope(user="ann"):
        inner.charge_tool_call("web_search", "$0.50")
        assert inner.used() == 0.5
        assert fuse.used() == 0.5
    assert inner.used() == 0.1
    assert fuse.used() == 0.05
    assert Fuse("$0", spend_book=False).used() == 1.0
