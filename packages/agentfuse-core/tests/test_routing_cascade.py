"""Two cheap models, and the strong one where they differ: one reservation, honest receipts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from agentfuse import BudgetExceeded, ConfigurationError, Fuse, acompletion, completion
from agentfuse.decisions import Routed
from agentfuse.messages import Choice, Reply, Text, ToolCall
from agentfuse.routing import Cascade
from agentfuse.routing.canonical import canonical_of, choice, number
from agentfuse.testing import Upstream
from agentfuse.testing.upstream import Asked, Call, Say
from agentfuse.tickets import Receipt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentfuse.tickets import Event

FIRST, SECOND, STRONG = "gpt-4o-mini", "gpt-4.1-nano", "gpt-4o"
CASCADE = Cascade(first=(FIRST, SECOND), strong=STRONG)


class Heard:
    """A listener that keeps what it hears."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def hear(self, event: Event) -> None:
        self.events.append(event)


def said(asked: Asked) -> Say:
    """Let the models agree on everything but on what is hard."""
    if "hard" in asked.text:
        return Say({FIRST: "no", SECOND: "yes", STRONG: "Yes, certainly."}[asked.model])
    return Say("Yes." if asked.model == FIRST else "yes")


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream(said) as provider:
        yield provider


def words(fuse: Fuse, upstream: Upstream, question: str) -> dict[str, Any]:
    return {
        "model": STRONG,
        "messages": [{"role": "user", "content": question}],
        "max_tokens": 50,
        "fuse": fuse,
        "base_url": upstream.openai_url,
        "api_key": "sk-upstream",
    }


@pytest.fixture(params=["blocking", "awaited"])
def ask(request: pytest.FixtureRequest, upstream: Upstream) -> Any:
    def blocking(fuse: Fuse, question: str) -> str:
        return completion(**words(fuse, upstream, question)).choices[0].message.content or ""

    def awaited(fuse: Fuse, question: str) -> str:
        answer = asyncio.run(acompletion(**words(fuse, upstream, question)))
        return answer.choices[0].message.content or ""

    return blocking if request.param == "blocking" else awaited


def models_on(upstream: Upstream) -> list[str]:
    return sorted(request.model for request in upstream.requests)


def test_equal_answers_spare_the_strong_model(ask: Any, upstream: Upstream) -> None:
    heard = Heard()
    fuse = Fuse("$1", spend_book=False, listeners=[heard], route=CASCADE)
    assert ask(fuse, "Is it easy?") == "Yes."
    assert models_on(upstream) == [SECOND, FIRST]
    receipts = [event for event in heard.events if isinstance(event, Receipt)]
    assert {receipt.model for receipt in receipts} == {FIRST, SECOND}
    assert all(r.decision and r.decision.reason.endswith("agree") for r in receipts)
    assert fuse.receipt().spent == sum(receipt.cost for receipt in receipts)
    assert fuse.open_leases() == ()
    routed = [event for event in heard.events if isinstance(event, Routed)]
    assert [event.decision.model for event in routed] == [FIRST]


def test_a_difference_asks_the_strong_model(ask: Any, upstream: Upstream) -> None:
    fuse = Fuse("$1", spend_book=False, route=CASCADE)
    assert ask(fuse, "Is it hard?") == "Yes, certainly."
    assert models_on(upstream) == sorted([FIRST, SECOND, STRONG])
    assert fuse.receipt().answers == 3
    assert fuse.open_leases() == ()


def test_all_three_calls_have_to_fit_before_one_is_sent(ask: Any, upstream: Upstream) -> None:
    fuse = Fuse("$0.0004", spend_book=False, clamp=False, route=CASCADE)
    with pytest.raises(BudgetExceeded):
        ask(fuse, "Is it easy? " * 100)
    assert upstream.requests == ()
    assert fuse.open_leases() == ()
    assert fuse.receipt().spent == 0


def test_a_cheap_model_that_fails_is_no_error_of_the_callers(ask: Any, upstream: Upstream) -> None:
    fuse = Fuse("$1", spend_book=False, route=CASCADE)
    upstream.fail(500)
    assert ask(fuse, "Is it easy?") in {"yes", "Yes."}
    assert STRONG in models_on(upstream)
    assert fuse.open_leases() == ()


def test_one_call_may_bring_its_own_cascade(upstream: Upstream) -> None:
    fuse = Fuse(spend_book=False)
    asked = words(fuse, upstream, "Is it easy?")
    completion(**asked, auto_route=CASCADE)
    assert STRONG not in models_on(upstream)
    completion(**asked, auto_route=False)
    assert STRONG in models_on(upstream)


def test_a_remembered_strong_answer_asks_nobody(ask: Any, upstream: Upstream) -> None:
    fuse = Fuse("$1", spend_book=False, route=CASCADE)
    ask(fuse, "Is it hard?")
    before = len(upstream.requests)
    assert ask(fuse, "Is it hard?") == "Yes, certainly."
    assert len(upstream.requests) == before


def test_tool_calls_agree_whatever_the_order_of_their_keys(upstream: Upstream) -> None:
    arguments = {FIRST: '{"city": "Rome", "days": 2}', SECOND: '{"days": 2.0, "city": "Rome"}'}

    def calls(asked: Asked) -> Say:
        return Say(tool_calls=(Call("weather", arguments[asked.model]),))

    schema = {"type": "object", "properties": {"city": {"type": "string"}, "days": {}}}
    tool = {"type": "function", "function": {"name": "weather", "parameters": schema}}
    with Upstream(calls) as provider:
        fuse = Fuse(spend_book=False, route=CASCADE)
        answer = completion(**words(fuse, provider, "Weather in Rome?"), tools=[tool])
        assert answer.choices[0].message.tool_calls[0].function.name == "weather"
        assert models_on(provider) == [SECOND, FIRST]


def test_a_validator_may_turn_answers_down(upstream: Upstream) -> None:
    fuse = Fuse(
        spend_book=False,
        route=Cascade(first=(FIRST, SECOND), strong=STRONG, valid=lambda reply: "?" in reply.text),
    )
    completion(**words(fuse, upstream, "Is it easy?"))
    assert STRONG in models_on(upstream)


def reply(text: str = "", *calls: ToolCall) -> Reply:
    parts = (Text(text),) if text else ()
    return Reply(choices=(Choice(parts=parts, tool_calls=calls, finish_reason="stop"),))


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ('{"a": 1, "b": [2.0]}', '```json\n{"b": [2], "a": 1}\n```', True),
        ('{"a": 1}', '{"a": 2}', False),
        ("**Paris**", "paris.", True),
        ("Paris", "London", False),
        ("1,000", "1000.0", True),
        ("SELECT a FROM t WHERE x = 'A';", "select a\nfrom t where x='A'", True),
        ("SELECT a FROM t WHERE x = 'A'", "SELECT a FROM t WHERE x = 'a'", False),
        ("select a, b from t", "select a,b from t -- all", True),
    ],
)
def test_canonical_forms(one: str, other: str, alike: bool) -> None:
    first, second = canonical_of(reply(one)), canonical_of(reply(other))
    assert first is not None
    assert (first == second) is alike


def test_prose_has_no_canonical_form() -> None:
    assert canonical_of(reply("It depends on many things, and on the weather above all.")) is None
    assert canonical_of(reply("two\nlines")) is None
    broken = ToolCall("c1", "f", "{not json")
    assert canonical_of(reply("", broken)) is None


def test_forms_for_numbers_and_choices() -> None:
    assert number(reply(r"So it is \boxed{1,234.50}.")) == number(reply("The answer is 1234.5"))
    assert number(reply("no digits")) is None
    pick = choice("yes", "no")
    assert pick(reply("I would say: Yes!")) == "yes"
    assert pick(reply("yes and no")) is None


def test_a_cascade_needs_two_cheap_models_and_another() -> None:
    with pytest.raises(ConfigurationError, match="two cheap models"):
        Cascade(first=("a", "a"), strong="b")
    with pytest.raises(ConfigurationError, match="cannot be one of"):
        Cascade(first=("a", "b"), strong="b")
