"""A router in a fuse: what goes over the wire, what the receipt says, what is learned."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from agentfuse import BudgetExceeded, ConfigurationError, Fuse, acompletion, completion, scope
from agentfuse.decisions import Routed
from agentfuse.observe.logging import line_of
from agentfuse.routing import (
    CHEAPEST_FIRST,
    FALLBACK_CHAIN,
    FASTEST_FIRST,
    Judge,
    Outcome,
    Router,
    Split,
    Tiers,
    fit,
    outcomes_of,
)
from agentfuse.testing import Upstream
from agentfuse.testing.upstream import Say
from agentfuse.tickets import Receipt

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agentfuse.tickets import Event

WEAK, STRONG = "gpt-4o-mini", "gpt-4o"
COSTS = {WEAK: 0.06, STRONG: 1.0}


class Heard:
    """A listener that keeps what it hears."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def hear(self, event: Event) -> None:
        self.events.append(event)

    @property
    def receipts(self) -> list[Receipt]:
        return [event for event in self.events if isinstance(event, Receipt)]


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as provider:
        yield provider


# A task that the cheap model does as well, and one that it cannot do.
EASY_AND_HARD = [
    *[Outcome(scores={WEAK: 1.0, STRONG: 1.0}, tag="easy")] * 60,
    *[Outcome(scores={WEAK: 0.0, STRONG: 1.0}, tag="hard")] * 60,
]


@pytest.fixture(scope="module")
def known() -> Any:
    """What sixty outcomes of each task say, and five of a rare one."""
    rows = [*EASY_AND_HARD, *[Outcome(scores={WEAK: 1.0, STRONG: 1.0}, tag="rare")] * 5]
    return fit(rows, models=(WEAK, STRONG), strong=STRONG, costs=COSTS)


def ask(fuse: Fuse, upstream: Upstream, question: str = "What is a fuse?", **options: Any) -> Any:
    asked = {"model": STRONG, "messages": [{"role": "user", "content": question}]} | options
    return (
        completion(**asked, fuse=fuse, base_url=upstream.openai_url, api_key="sk-upstream")
        .choices[0]
        .message
    )


def models_on(upstream: Upstream) -> list[str]:
    return [request.model for request in upstream.requests]


def fuse_of(route: Any, *, heard: Heard | None = None, **options: Any) -> Fuse:
    listeners = [heard] if heard else []
    return Fuse(spend_book=False, listeners=listeners, route=route, **options)


def test_a_tag_with_a_record_goes_where_its_record_says(known: Any, upstream: Upstream) -> None:
    heard = Heard()
    fuse = fuse_of(Router([WEAK, STRONG], weights=known, target_quality=0.95), heard=heard)
    for tag in ("easy", "hard", "rare", "new"):
        with scope(tags=(tag,)):
            ask(fuse, upstream, f"A question about {tag} things")
    assert models_on(upstream) == [WEAK, STRONG, STRONG, STRONG]
    easy, hard, rare, new = (receipt.decision for receipt in heard.receipts)
    assert easy is not None
    assert "not worth its cost" in easy.reason
    assert hard is not None
    assert "worth its cost" in hard.reason
    assert rare is not None
    assert "5 of 50 outcomes" in rare.reason
    assert new is not None
    assert "0 of 50 outcomes" in new.reason
    assert easy.p_ok[WEAK] > 0.9 > hard.p_ok[WEAK]
    assert 0 < easy.expected_cost[WEAK] < easy.expected_cost[STRONG]
    routed = [event for event in heard.events if isinstance(event, Routed)]
    assert line_of(routed[0]).startswith("routed gpt-4o to gpt-4o-mini: ")
    assert heard.receipts[0].model == WEAK


def test_without_outcomes_the_strong_model_is_asked(upstream: Upstream) -> None:
    heard = Heard()
    ask(fuse_of(Router([WEAK, STRONG]), heard=heard), upstream)
    assert models_on(upstream) == [STRONG]
    decision = heard.receipts[0].decision
    assert decision is not None
    assert decision.reason.startswith("cold start")


def test_who_names_another_model_means_it(known: Any, upstream: Upstream) -> None:
    heard = Heard()
    fuse = fuse_of(Router([WEAK, STRONG], weights=known), heard=heard)
    ask(fuse, upstream, model="gpt-4.1")
    assert heard.receipts[0].decision is None
    assert models_on(upstream) == ["gpt-4.1"]


def test_a_spent_budget_moves_the_price_of_quality(upstream: Upstream) -> None:
    rows = [Outcome(scores={WEAK: n / 60, STRONG: 1.0}, tag=f"t{n}") for n in range(60)] * 60
    known = fit(rows, models=(WEAK, STRONG), strong=STRONG, costs=COSTS)
    for spent, expected in (("$0.01", 54), ("$0.85", 25), ("$0.95", 10)):
        fuse = Fuse(
            "$1",
            spend_book=False,
            cache=False,
            route=Router([WEAK, STRONG], weights=known, target_quality=0.99),
        )
        fuse.record_tool_call("search", spent)
        before = len(upstream.requests)
        for n in range(60):
            with scope(tags=(f"t{n}",)):
                ask(fuse, upstream, f"Question {n}", max_tokens=5)
        strong = models_on(upstream)[before:].count(STRONG)
        assert abs(strong - expected) <= 8, (spent, strong)


def test_a_reported_outcome_is_learned_and_written_down(upstream: Upstream, tmp_path: Path) -> None:
    log = tmp_path / "outcomes.jsonl"
    known = fit(EASY_AND_HARD, models=(WEAK, STRONG), strong=STRONG, costs=COSTS)
    router = Router([WEAK, STRONG], weights=known, target_quality=0.95, outcomes=log)
    fuse = fuse_of(router, cache=False)
    with scope(tags=("easy",)):
        for _ in range(80):
            ask(fuse, upstream, "Again, please", max_tokens=5)
            decision = fuse.decisions()[-1]
            fuse.report_outcome(decision.id, float(decision.model == STRONG))
        before = models_on(upstream)
        ask(fuse, upstream, "And now?", max_tokens=5)
    assert before[0] == WEAK
    assert models_on(upstream)[-1] == STRONG
    kept = list(outcomes_of(log.read_text("utf-8").splitlines()))
    assert len(kept) == 80
    assert kept[0].scores == {WEAK: 0.0}
    assert "please" not in log.read_text("utf-8")


def test_a_later_score_takes_the_place_of_the_first(known: Any, upstream: Upstream) -> None:
    fuse = fuse_of(Router([WEAK, STRONG], weights=known))
    with scope(tags=("easy",)):
        ask(fuse, upstream)
    decision = fuse.decisions()[0]
    for score in (0.0, 1.0, 1.0):
        fuse.report_outcome(decision.id, score)
    with pytest.raises(ConfigurationError, match="no decision"):
        fuse.report_outcome("never made", 1.0)
    with pytest.raises(ConfigurationError, match="between 0"):
        fuse.report_outcome(decision.id, 7.0)
    with pytest.raises(ConfigurationError, match="routes nothing"):
        Fuse(spend_book=False).report_outcome("x", 1.0)


def test_a_conversation_stays_with_its_model_and_moves_up_once(
    known: Any, upstream: Upstream
) -> None:
    heard = Heard()
    fuse = fuse_of(Router([WEAK, STRONG], weights=known, target_quality=0.95), heard=heard)
    first = [{"role": "user", "content": "Where is my parcel?"}]
    answer = {"role": "assistant", "content": "I do not know."}
    turns = [
        first,
        [*first, answer, {"role": "user", "content": "It is number 7."}],
        [*first, answer, *first],
        [*first, answer, *first, answer, {"role": "user", "content": "Thanks!"}],
    ]
    with scope(tags=("easy",)):
        for messages in turns:
            ask(fuse, upstream, messages=messages)
    assert models_on(upstream) == [WEAK, WEAK, STRONG, STRONG]
    reasons = [r.decision.reason for r in heard.receipts if r.decision]
    assert reasons[1] == "the conversation's model"
    assert "asks the same again" in reasons[2]
    assert reasons[3] == "stays after moving up"


def test_broken_json_moves_a_session_up(known: Any, upstream: Upstream) -> None:
    fuse = fuse_of(Router([WEAK, STRONG], weights=known, target_quality=0.95), cache=False)
    upstream.script([Say("not json at all"), Say("{}")])
    with scope(tags=("easy",), session="s1"):
        for _ in range(2):
            ask(fuse, upstream, "As a json object", response_format={"type": "json_object"})
    assert models_on(upstream) == [WEAK, STRONG]


def test_what_a_request_needs_comes_before_price(upstream: Upstream) -> None:
    heard = Heard()
    fuse = fuse_of(Router(["gpt-3.5-turbo", STRONG], strategy=CHEAPEST_FIRST), heard=heard)
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    text = {"type": "text", "text": "What is on it?"}
    ask(fuse, upstream, messages=[{"role": "user", "content": [text, picture]}])
    ask(fuse, upstream, "What is a fuse?")
    assert [receipt.model for receipt in heard.receipts] == [STRONG, "gpt-3.5-turbo"]


def test_plain_strategies_choose_as_they_say(upstream: Upstream) -> None:
    chosen: dict[str, list[str]] = {}
    tiers = Tiers(simple="gpt-4.1-nano", medium=WEAK, complex=STRONG)
    names = ["gpt-4.1-nano", WEAK, STRONG]
    for name, router in {
        "cheapest": Router(names, strategy=CHEAPEST_FIRST),
        "chain": Router([WEAK, "gpt-4.1-nano", STRONG], strategy=FALLBACK_CHAIN),
        "fastest": Router(names, strategy=FASTEST_FIRST),
        "quality": Router(names, preference="quality"),
        "tiers": Router(names, strategy=tiers),
    }.items():
        fuse = fuse_of(router, cache=False)
        before = len(upstream.requests)
        for question in ("Hi there", "Compare a and b", "Prove the theorem", "Hi again"):
            ask(fuse, upstream, question)
        chosen[name] = models_on(upstream)[before:]
    assert chosen["cheapest"] == ["gpt-4.1-nano"] * 4
    assert chosen["chain"] == [WEAK] * 4
    assert chosen["fastest"][:3] == names
    assert chosen["quality"] == [STRONG] * 4
    assert chosen["tiers"] == ["gpt-4.1-nano", WEAK, STRONG, "gpt-4.1-nano"]


def test_a_split_keeps_a_session_on_its_side_and_says_the_odds(upstream: Upstream) -> None:
    heard = Heard()
    fuse = fuse_of(
        Router([WEAK, STRONG], strategy=Split({WEAK: 1, STRONG: 3})), heard=heard, cache=False
    )
    for session in range(40):
        with scope(session=f"s{session}"):
            ask(fuse, upstream, "One", max_tokens=3)
            ask(fuse, upstream, "Two", max_tokens=3)
    models = models_on(upstream)
    assert models[::2] == models[1::2]
    assert 2 <= models[::2].count(WEAK) <= 20
    assert {r.decision.propensity for r in heard.receipts[::2] if r.decision} == {0.25, 0.75}


def test_a_share_of_calls_is_drawn_with_known_odds(known: Any, upstream: Upstream) -> None:
    heard = Heard()
    draws = iter([0.05, 0.5, 0.01])
    router = Router(
        [WEAK, STRONG], weights=known, target_quality=0.95, explore=0.1, draw=lambda: next(draws)
    )
    fuse = fuse_of(router, heard=heard, cache=False)
    with scope(tags=("hard",)):
        for _ in range(3):
            ask(fuse, upstream, "Try", max_tokens=3)
    assert models_on(upstream) == [STRONG, STRONG, WEAK]
    odds = [r.decision.propensity for r in heard.receipts if r.decision]
    assert odds == [pytest.approx(0.95), pytest.approx(0.95), pytest.approx(0.05)]


def test_a_judge_is_paid_from_the_same_budget(upstream: Upstream) -> None:
    heard = Heard()
    judge = Judge(
        model="gpt-4.1-nano", simple=WEAK, complex=STRONG,
        base_url=upstream.openai_url, api_key="sk-upstream",
    )  # fmt: skip
    fuse = Fuse(
        "$1", spend_book=False, listeners=[heard], route=Router([WEAK, STRONG], strategy=judge)
    )
    upstream.script([Say("simple"), Say("An answer."), Say("I cannot say"), Say("Another answer.")])
    ask(fuse, upstream, "One")
    asyncio.run(
        acompletion(
            STRONG,
            [{"role": "user", "content": "Two"}],
            fuse=fuse,
            base_url=upstream.openai_url,
            api_key="sk-upstream",
        )
    )
    assert models_on(upstream) == ["gpt-4.1-nano", WEAK, "gpt-4.1-nano", STRONG]
    assert [receipt.model for receipt in heard.receipts] == models_on(upstream)
    assert heard.receipts[0].scope.tags == ("agentfuse.judge",)
    assert fuse.receipt().spent == sum(receipt.cost for receipt in heard.receipts)


def test_one_call_may_bring_its_own_router(upstream: Upstream) -> None:
    fuse = Fuse(spend_book=False)
    cheap = Router([WEAK, STRONG], strategy=CHEAPEST_FIRST)
    ask(fuse, upstream, "One", auto_route=cheap)
    ask(fuse, upstream, "Two")
    with pytest.raises(ConfigurationError, match="auto_route=True needs a router"):
        ask(fuse, upstream, "Three", auto_route=True)
    routed = fuse_of(cheap)
    ask(routed, upstream, "Four", auto_route=False)
    ask(routed, upstream, "Five", model="gpt-4.1", auto_route=True)
    assert models_on(upstream) == [WEAK, STRONG, STRONG, WEAK]


def test_streams_are_routed_too(known: Any, upstream: Upstream) -> None:
    fuse = fuse_of(Router([WEAK, STRONG], weights=known, target_quality=0.95))
    with scope(tags=("easy",)):
        stream = completion(
            STRONG,
            [{"role": "user", "content": "Hi"}],
            stream=True,
            fuse=fuse,
            base_url=upstream.openai_url,
            api_key="sk-upstream",
        )
        assert "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
    assert models_on(upstream) == [WEAK]


def test_a_routed_answer_is_remembered_as_its_models_own(known: Any, upstream: Upstream) -> None:
    heard = Heard()
    fuse = fuse_of(Router([WEAK, STRONG], weights=known, target_quality=0.95), heard=heard)
    with scope(tags=("easy",)):
        ask(fuse, upstream)
        ask(fuse, upstream)
    assert models_on(upstream) == [WEAK]
    assert [receipt.source for receipt in heard.receipts] == ["provider", "exact"]
    assert heard.receipts[1].decision is not None


def test_a_refused_call_is_refused_at_the_routed_models_price(
    known: Any, upstream: Upstream
) -> None:
    fuse = Fuse(
        "$0.0001", spend_book=False, clamp=False,
        route=Router([WEAK, STRONG], weights=known, target_quality=0.95),
    )  # fmt: skip
    with scope(tags=("easy",)):
        ask(fuse, upstream, max_tokens=100)
    with scope(tags=("hard",)), pytest.raises(BudgetExceeded):
        ask(fuse, upstream, max_tokens=100)
    assert models_on(upstream) == [WEAK]


def test_an_outcome_file_that_cannot_be_written_costs_no_call(
    known: Any, upstream: Upstream, tmp_path: Path
) -> None:
    heard = Heard()
    router = Router([WEAK, STRONG], weights=known, outcomes=tmp_path / "none" / "o.jsonl")
    fuse = fuse_of(router, heard=heard)
    with scope(tags=("easy",)):
        ask(fuse, upstream)
    fuse.report_outcome(fuse.decisions()[0].id, 1.0)
    assert "trouble with the outcomes" in line_of(heard.events[-1])


def test_json_that_is_as_asked_counts_for_its_model(
    known: Any, upstream: Upstream, tmp_path: Path
) -> None:
    log = tmp_path / "outcomes.jsonl"
    fuse = fuse_of(Router([WEAK, STRONG], weights=known, outcomes=log), cache=False)
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    wanted = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    upstream.script([Say('{"n": 1}'), Say('{"m": 1}')])
    for _ in range(2):
        ask(fuse, upstream, "Give n", response_format=wanted)
    rows = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    assert [list(row["scores"].values()) for row in rows] == [[1.0], [0.0]]
    assert rows[1]["source"] == "the answer lacks 'n'"


def test_the_words_of_a_router_are_checked(known: Any) -> None:
    for words, message in (
        ({"target_quality": 0.9, "max_share": 0.5}, "one of target_quality"),
        ({"target_quality": 90}, "share between 0 and 1"),
        ({"target_quality": 0.9, "confidence": 1.0}, "from 0.5 to below 1"),
        ({"target_quality": 0.9, "confidence": 0.2}, "from 0.5 to below 1"),
        ({"strong": "gpt-9"}, "strong is one of"),
        ({"strategy": "dearest_first"}, "strategy is one of"),
        ({"preference": "beauty"}, "preference is one of"),
        ({"preference": "cost", "strategy": CHEAPEST_FIRST}, "not both"),
        ({"weights": "no/such/file.json"}, "cannot be read"),
        ({"weights": known, "strong": WEAK}, "were fitted with"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            Router([WEAK, STRONG], **words)
    with pytest.raises(ConfigurationError, match="list of names"):
        Router("gpt-4o")
