"""Limits as users write them: scopes, windows, units and rates, and what a refusal then says."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentfuse import (
    BudgetExceeded,
    ConfigurationError,
    Fuse,
    RateLimited,
    completion,
    limit,
    scope,
)
from agentfuse.policy.windows import PARTS, calendar_window, sliding_window
from agentfuse.testing import FrozenClock, Upstream

if TYPE_CHECKING:
    from collections.abc import Iterator

HOUR = 3_600


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream(answer_tokens=20) as provider:
        yield provider


def at(*when: int, zone: str = "UTC") -> float:
    return datetime(*when, tzinfo=ZoneInfo(zone)).timestamp()  # type: ignore[arg-type,misc]


def ask(fuse: Fuse, upstream: Upstream, question: str = "Why?", **options: Any) -> None:
    completion(
        model=options.pop("model", "gpt-4o"),
        messages=[{"role": "user", "content": question}],
        fuse=fuse,
        base_url=upstream.openai_url,
        api_key="sk-upstream",
        **{"max_tokens": 50, **options},
    )


def fused(*limits: Any, clock: FrozenClock | None = None, **options: Any) -> Fuse:
    return Fuse(limits=list(limits), spend_book=False, cache=False, clock=clock, **options)


def test_a_day_begins_at_midnight_of_its_zone(upstream: Upstream) -> None:
    clock = FrozenClock(at(2026, 11, 25, 23, 30, zone="Europe/Berlin"))
    fuse = fused(limit("user", requests=1, per="day", zone="Europe/Berlin"), clock=clock)
    with scope(user="ann"):
        ask(fuse, upstream)
        with pytest.raises(BudgetExceeded, match=r"30\.0 minutes") as stop:
            ask(fuse, upstream)
        assert stop.value.refusal is not None
        assert stop.value.refusal.limit.key == "user:ann/requests/2026-11-25@Europe/Berlin"
        assert stop.value.refusal.wait == HOUR / 2
        clock.advance(HOUR / 2)
        ask(fuse, upstream)
    assert upstream.calls == 2


@pytest.mark.parametrize(
    ("per", "now", "name", "ends"),
    [
        ("minute", at(2026, 11, 25, 18, 14), "2026-11-25T18:14+0000", at(2026, 11, 25, 18, 15)),
        ("hour", at(2026, 11, 25, 18, 14), "2026-11-25T18+0000", at(2026, 11, 25, 19)),
        ("day", at(2026, 11, 25, 18), "2026-11-25", at(2026, 11, 26)),
        ("week", at(2026, 11, 25, 18), "2026-W48", at(2026, 11, 30)),
        ("month", at(2026, 12, 31, 18), "2026-12", at(2027, 1, 1)),
    ],
)
def test_calendar_windows_end_where_the_calendar_says(
    per: Any, now: float, name: str, ends: float
) -> None:
    window = calendar_window(per, "UTC", now)
    assert (window.name, window.resets) == (name, ends)


def test_a_day_of_a_clock_change_has_twenty_five_hours() -> None:
    start = at(2026, 10, 25, 0, zone="Europe/Berlin")
    window = calendar_window("day", "Europe/Berlin", start)
    assert window.resets - start == 25 * HOUR
    two, again = start + 2 * HOUR, start + 3 * HOUR
    names = {calendar_window("hour", "Europe/Berlin", when).name for when in (two, again)}
    assert names == {"2026-10-25T02+0200@Europe/Berlin", "2026-10-25T02+0100@Europe/Berlin"}


@given(
    now=st.floats(0, 4e9),
    per=st.sampled_from(["minute", "hour", "day", "week", "month"]),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu"]),
)
def test_a_window_holds_until_it_resets_and_no_longer(now: float, per: Any, zone: str) -> None:
    window = calendar_window(per, zone, now)
    assert window.resets > now
    assert calendar_window(per, zone, window.resets - 0.01).name == window.name
    assert calendar_window(per, zone, window.resets + 0.01).name != window.name


@given(st.lists(st.floats(0, 10_000), min_size=2, max_size=20))
def test_no_span_of_a_sliding_window_is_left_out(times: list[float]) -> None:
    """Whatever was booked within the span before a moment is counted at that moment."""
    times.sort()
    now = times[-1]
    window = sliding_window(600, now)
    counted = {window.name, *window.counted}
    for when in times:
        if now - when <= 600:
            assert sliding_window(600, when).name in counted
    assert len(window.counted) == PARTS + 1


def test_a_sliding_limit_frees_up_as_time_passes(upstream: Upstream) -> None:
    clock = FrozenClock(at(2026, 11, 25, 18))
    fuse = fused(limit("user", requests=2, per="hour", sliding=True), clock=clock)
    with scope(user="ann"):
        ask(fuse, upstream)
        clock.advance(HOUR * 0.7)
        ask(fuse, upstream)
        clock.advance(HOUR * 0.2)
        with pytest.raises(BudgetExceeded):
            ask(fuse, upstream)
        clock.advance(HOUR * 0.2)
        ask(fuse, upstream)
        with pytest.raises(BudgetExceeded):
            ask(fuse, upstream)


def test_a_rate_says_when_to_come_back(upstream: Upstream) -> None:
    clock = FrozenClock(at(2026, 11, 25, 18))
    fuse = fused(limit("tenant", requests=6, per="minute", rate=True), clock=clock)
    with scope(tenant="acme"):
        for _ in range(6):
            ask(fuse, upstream)
        with pytest.raises(RateLimited, match=r"10\.0 seconds") as stop:
            ask(fuse, upstream)
        assert stop.value.retry_after == pytest.approx(10, abs=0.01)
        clock.advance(10)
        ask(fuse, upstream)
    assert upstream.calls == 7


def test_tokens_are_limited_by_what_was_really_used(upstream: Upstream) -> None:
    fuse = fused(limit("user", tokens=200))
    with scope(user="ann"):
        ask(fuse, upstream)
        used = upstream.usage_served()
        assert used.input_tokens + used.output_tokens < 100
        with pytest.raises(BudgetExceeded, match="of 200 tokens"):
            ask(fuse, upstream, max_tokens=190)
        ask(fuse, upstream)


def test_an_answer_is_clamped_to_the_tokens_that_are_left(upstream: Upstream) -> None:
    fuse = fused(limit("user", tokens=500))
    with scope(user="ann"):
        ask(fuse, upstream, max_tokens=None)
    body = upstream.requests[0].body
    assert 128 <= body["max_completion_tokens"] < 500


def test_tokens_of_a_model_without_a_price_can_be_limited(upstream: Upstream) -> None:
    with Upstream(models=["home-made"]) as own:
        fuse = fused(limit("run", tokens=400, id="r-1"))
        with scope(run="r-1"):
            ask(fuse, own, model="vllm/home-made")
            with pytest.raises(BudgetExceeded, match="tokens"):
                ask(fuse, own, model="vllm/home-made", max_tokens=399)


def test_one_model_and_one_tag_can_be_limited(upstream: Upstream) -> None:
    dear = limit("model", requests=1, id="gpt-4o")
    batch = limit("tag", requests=2, id="batch")
    fuse = fused(dear, batch)
    with scope(tags=("batch", "night")):
        ask(fuse, upstream)
        with pytest.raises(BudgetExceeded, match="model 'gpt-4o'"):
            ask(fuse, upstream)
        ask(fuse, upstream, model="gpt-4o-mini")
        with pytest.raises(BudgetExceeded, match="tag 'batch'"):
            ask(fuse, upstream, model="gpt-4o-mini")
    ask(fuse, upstream, model="gpt-4o-mini")


def test_all_limits_of_a_call_hold_together_or_not_at_all(upstream: Upstream) -> None:
    fuse = fused(limit("user", "$1"), limit("team", requests=1), limit("tenant", tokens=100_000))
    with scope(user="ann", team="red", tenant="acme"):
        ask(fuse, upstream)
        with pytest.raises(BudgetExceeded, match="team 'red'"):
            ask(fuse, upstream)
    assert fuse.open_leases() == ()
    with scope(user="ann", team="blue", tenant="acme"):
        ask(fuse, upstream)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ({"scope": "moon", "usd": "$1"}, "scope is one of"),
        ({"scope": "user"}, "give one"),
        ({"scope": "user", "usd": "$1", "tokens": 5}, "give one"),
        ({"scope": "user", "usd": "$1", "per": "eon"}, "per one of"),
        ({"scope": "user", "usd": "$1", "per": "day", "zone": "Mars/Olympus"}, "unknown time zone"),
        ({"scope": "user", "usd": "$1", "sliding": True}, "sliding and rate need per="),
        ({"scope": "user", "usd": "$1", "per": "month", "sliding": True}, "up to a week"),
        ({"scope": "user", "usd": "$1", "per": "hour", "rate": True}, "requests or tokens"),
        ({"scope": "user", "tokens": 9, "per": "hour", "rate": True, "sliding": True}, "not both"),
        ({"scope": "user", "requests": 0, "per": "hour", "rate": True}, "lets something through"),
        ({"scope": "user", "tokens": -1}, "whole number"),
        ({"scope": "user", "tokens": 1.5}, "whole number"),
        ({"scope": "user", "usd": "-1"}, "zero or more"),
    ],
)
def test_limits_that_contradict_themselves_are_refused(words: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        limit(**words)


def test_limits_takes_limits() -> None:
    with pytest.raises(ConfigurationError, match=r"agentfuse\.limit"):
        Fuse(limits=["$5 a day"])  # type: ignore[list-item]


def test_utc_is_the_zone_where_none_is_named() -> None:
    noon = datetime(2026, 11, 25, 12, tzinfo=UTC).timestamp()
    (found,) = limit("user", "$1", per="day").applied(_ann(), "gpt-4o", noon)
    assert found.key == "user:ann/2026-11-25"


def _ann() -> Any:
    with scope(user="ann") as ids:
        return ids
