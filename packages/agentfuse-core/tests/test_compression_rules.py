"""Whatever is said, its short form is one a provider takes, and keeps what was promised."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentfuse import Compressor, ConfigurationError, Fuse, completion
from agentfuse.caches.latest import Latest
from agentfuse.compression import LLMLingua, shortened_output
from agentfuse.compression.facts import references_in
from agentfuse.compression.notes import HEAD
from agentfuse.errors import ContextTooLong
from agentfuse.lengths import Desk, Pressure, Shortened
from agentfuse.messages import Message, Reply, Request, Text, ToolCall
from agentfuse.providers import anthropic_requests, chat_requests
from agentfuse.testing import Upstream
from agentfuse.testing.upstream.anthropic_rules import message_problems
from agentfuse.testing.upstream.openai_rules import chat_problems
from agentfuse.tickets import Limit
from agentfuse.tokens import TokenCounter

VERSION = {"anthropic-version": "2023-06-01"}
COUNTER = TokenCounter()
NEAR = Limit("run", "r", 1)


async def nobody(request: Request, key: str) -> Reply:
    raise AssertionError(request, key)


def desk() -> Desk:
    return Desk(COUNTER, Latest(), nobody)


def request_of(messages: list[Message], model: str = "gpt-4o") -> Request:
    return Request(provider="openai", model=model, messages=tuple(messages))


def shorter(
    compressor: Compressor, messages: list[Message], at: Desk | None = None, **pressure: Any
) -> Shortened | None:
    asked = request_of(messages)
    return asyncio.run(compressor.shortened(asked, Pressure(**pressure), at or desk()))


def say(role: str, text: str) -> Message:
    return Message(role, (Text(text),))


def step(number: int, results: list[str]) -> list[Message]:
    ids = [f"call_{number}_{place}" for place in range(len(results))]
    calls = tuple(ToolCall(each, "f", f'{{"n": {number}}}') for each in ids)
    said = Message("assistant", (Text("so"),) if not calls else (), calls)
    tools = [
        Message("tool", (Text(text),), (), each) for each, text in zip(ids, results, strict=True)
    ]
    return [said, *tools]


texts = st.text("ab 1?", min_size=1, max_size=60)


@st.composite
def conversations(draw: st.DrawFn) -> list[Message]:
    said = [say("system", draw(texts))] if draw(st.booleans()) else []
    for turn in range(draw(st.integers(1, 6))):
        said.append(say("user", draw(texts)))
        for each in range(draw(st.integers(0, 3))):
            said += step(10 * turn + each, draw(st.lists(texts, max_size=2)))
    return said


compressors = st.builds(
    Compressor,
    st.sampled_from(["keep_recent", "sliding_window"]),
    to=st.sampled_from([0.1, 0.5, 0.9]),
    turns=st.integers(1, 4),
    tool_tokens=st.sampled_from([None, 4, 1000]),
    keep=st.sampled_from([None, lambda message: "1" in message.text]),
)


@given(conversations(), compressors)
@settings(deadline=None)
def test_what_is_left_is_valid_and_keeps_what_was_promised(
    messages: list[Message], compressor: Compressor
) -> None:
    outcome = shorter(compressor, messages, limit=NEAR)
    if outcome is None:
        return
    assert outcome.after < outcome.before
    left = outcome.request.messages
    chat = chat_requests.body_of(outcome.request)
    claude = anthropic_requests.body_of(request_of(list(left), "claude-sonnet-4-6"))
    assert list(chat_problems(chat)) == []
    assert list(message_problems(claude, VERSION)) == []
    assert all(m in left for m in messages if m.role == "system")
    users = [m for m in messages if m.role == "user"]
    assert users[-1] in left
    assert left[-1] == messages[-1]
    if compressor.keep is not None:
        assert all(m in left for m in messages if compressor.keep(m) and m.role == "user")


@given(conversations(), st.integers(1, 5))
@settings(deadline=None, max_examples=50)
def test_a_conversation_goes_on_under_the_same_cut(messages: list[Message], steps: int) -> None:
    compressor, at = Compressor(to=0.3), desk()
    first = shorter(compressor, messages, at, limit=NEAR)
    if first is None:
        return
    more = [*messages, *step(99, ["fine"] * steps)]
    second = shorter(compressor, more, at)
    if second is None:  # nothing that is worth a note could be left out
        return
    kept = len(first.request.messages) - 1
    assert second.request.messages[:kept] == first.request.messages[:kept]
    assert second.why in {"held", "budget"}


def test_a_message_of_the_moment_at_the_end_does_not_move_the_cut() -> None:
    """Some agents end each request with the time, or a reminder, that the next does not have."""
    at, messages = desk(), [say("system", "Be brief.")]
    for turn in range(12):
        messages += [say("user", f"order A-{turn} " * 20), *step(turn, ["row " * 50])]
    heads = []
    for turn in range(3):
        messages += step(100 + turn, ["fine"])
        outcome = shorter(Compressor(), [*messages, say("user", f"It is {turn}.")], at, above=900)
        assert outcome is not None
        heads.append((outcome.why, outcome.request.messages[:4]))
    assert [why for why, _ in heads] == ["tokens", "held", "held"]
    assert heads[0][1] == heads[1][1] == heads[2][1]


def test_short_answers_are_noted_with_their_question() -> None:
    long = "word " * 400
    messages = [
        *(say("user", "Ship my things."), say("assistant", "Do you want express?")),
        *(say("user", "No"), say("assistant", long)),
        *(say("user", "Is it paid?"), say("assistant", "Yes.")),
        *(say("user", long), say("assistant", long)),
        say("user", "Go on."),
    ]
    outcome = shorter(Compressor(to=0.2), messages, above=500)
    assert outcome is not None
    note = outcome.request.messages[0].text
    assert note.startswith(HEAD)
    assert "assistant: Do you want express? / user: No" in note
    assert "user: Is it paid? / assistant: Yes." in note


def test_an_agents_own_copy_of_a_note_is_carried_on() -> None:
    """CrewAI's executor goes on with the list that was sent: the note is in it then."""
    long = "word " * 300
    note = f"{HEAD}: 5]\nReferred to later:\n- tool: order A-1043 is paid"
    messages = [say("user", note), say("assistant", long), say("user", long)]
    messages += [say("assistant", long), say("user", "Go on.")]
    outcome = shorter(Compressor(to=0.2), messages, above=500)
    assert outcome is not None
    assert "order A-1043 is paid" in outcome.request.messages[0].text
    assert outcome.request.messages[0].text.count(HEAD) == 1


def test_what_only_adds_to_a_conversation_of_the_providers_stays_as_it_is() -> None:
    messages = [say("user", "word " * 900), *step(1, ["x" * 9000]), *step(2, ["y"])]
    asked = Request(
        provider="openai",
        model="gpt-4o",
        messages=tuple(messages),
        params={"previous_response_id": "resp_1"},
    )
    pressure = Pressure(limit=NEAR, above=10)
    assert asyncio.run(Compressor().shortened(asked, pressure, desk())) is None


def test_a_request_that_surely_fits_is_not_even_counted() -> None:
    class Uncounted(TokenCounter):
        def by_rules(self, request: Request) -> Any:
            raise AssertionError(request)

    at = Desk(Uncounted(), Latest(), nobody)
    assert shorter(Compressor(), [say("user", "a"), say("user", "b")], at, above=1000) is None


def test_time_grows_with_the_length_and_not_with_its_square() -> None:
    def seconds(turns: int) -> float:
        messages = [say("system", "Be brief.")]
        for turn in range(turns):
            messages += [say("user", f"order A-{turn} " * 20), *step(turn, ["row 12 " * 100])]
            messages.append(say("assistant", "done"))
        messages.append(say("user", "and now?"))
        began = time.thread_time()  # a busy machine makes others wait, not this thread work
        assert shorter(Compressor(), messages, above=500) is not None
        return time.thread_time() - began

    seconds(50)
    small = min(seconds(100) for _ in range(3))
    assert min(seconds(800) for _ in range(2)) < 20 * small  # 8 times as long; 64 if it squared


# --- results of tools -----------------------------------------------------------------------------

words_of = COUNTER.count_text
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=200),
    lambda inner: st.lists(inner, max_size=30) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=60,
)


@given(json_values, st.integers(1, 60))
@settings(deadline=None)
def test_json_stays_json(value: Any, tokens: int) -> None:
    text = json.dumps(value, ensure_ascii=False)
    short = shortened_output(text, tokens, words_of)
    if isinstance(value, dict | list):
        assert type(json.loads(short)) is type(value)
    assert short == text or words_of(text) > tokens


def test_long_lists_and_strings_say_how_much_is_left_out() -> None:
    rows = [{"id": number, "text": "word " * 200} for number in range(500)]
    short = json.loads(shortened_output(json.dumps({"rows": rows}), 300, words_of))
    assert short["rows"][0]["id"] == 0
    assert "entries left out" in short["rows"][-1]
    assert "characters left out" in short["rows"][0]["text"]


@pytest.mark.parametrize(
    ("head", "line", "tail"),
    [
        ("| id | name |\n|----|------|", "| {n} | part {n} |", "| 999 | the last part |"),
        ("Traceback (most recent call last):", '  File "a.py", line {n}, in f', "ValueError: x"),
        ("def f():", "    step({n})", "    return total"),
    ],
)
def test_tables_logs_and_code_keep_head_and_tail(head: str, line: str, tail: str) -> None:
    text = "\n".join([head, *(line.format(n=n) for n in range(400)), tail])
    short = shortened_output(text, 200, words_of)
    assert short.startswith(head)
    assert short.endswith(tail)
    assert "lines left out" in short
    assert words_of(short) <= 200


def test_one_endless_line_is_cut_within() -> None:
    short = shortened_output("x1 " * 5000, 100, words_of)
    assert words_of(short) <= 130
    assert "characters left out" in short


def test_what_can_be_referred_to_is_found() -> None:
    text = "Order A-1043 of 2026-05-01 for $1,299.00 (ann@example.org), see src/app.py, in 42 days."
    assert references_in(text) == {
        *("A-1043", "2026-05-01", "$1,299.00", "ann@example.org", "src/app.py"),
    }


# --- the window of a model ------------------------------------------------------------------------


@pytest.fixture
def upstream() -> Any:
    with Upstream() as provider:
        yield provider


def ask(fuse: Fuse, upstream: Upstream, messages: list[Any], **options: Any) -> Any:
    words = {"model": "gpt-4o", "base_url": upstream.openai_url, "api_key": "sk-upstream"}
    return completion(messages=messages, fuse=fuse, **{**words, **options})


def test_what_no_model_can_read_is_refused_before_it_is_sent(upstream: Upstream) -> None:
    messages = [{"role": "user", "content": "word " * 130_000}]
    with pytest.raises(ContextTooLong, match="gpt-4o reads 128,000 at most") as refused:
        ask(Fuse(spend_book=False), upstream, messages)
    assert refused.value.window == 128_000 < refused.value.tokens
    assert upstream.calls == 0
    ask(Fuse(spend_book=False, context_guard=False), upstream, messages)
    ask(Fuse(spend_book=False, context_windows={"gpt-4o": 200_000}), upstream, messages)
    assert upstream.calls == 2


@pytest.mark.filterwarnings("ignore:The model:DeprecationWarning")
def test_a_list_that_knows_of_longer_requests_than_its_window_is_not_believed(
    upstream: Upstream,
) -> None:
    messages = [{"role": "user", "content": "word " * 210_000}]
    words = {"model": "claude-sonnet-4-5", "base_url": upstream.anthropic_url}
    ask(Fuse(spend_book=False), upstream, messages, **words)
    assert upstream.calls == 1


def test_with_compression_it_is_cut_to_fit(upstream: Upstream) -> None:
    talk = [{"role": "user", "content": "word " * 50_000}, {"role": "assistant", "content": "ok"}]
    messages = [*talk, *talk, *talk, {"role": "user", "content": "And now?"}]
    fuse = Fuse(spend_book=False, compress="keep_recent")
    ask(fuse, upstream, messages)
    assert upstream.requests[0].billed.input_tokens < 128_000
    assert fuse.receipt().compressions == 1
    with pytest.raises(ContextTooLong):
        ask(fuse, upstream, [{"role": "user", "content": "word " * 130_000}])


@pytest.mark.parametrize(
    "options",
    [
        {"compress": "shrink"},
        {"compress": 7},
        {"compress": "summarise"},
        {"compress": Compressor(to=1.0)},
        {"compress": Compressor(turns=0)},
        {"compress_above": 0},
        {"compress_after": -1},
    ],
)
def test_words_that_are_off_are_clear_errors(options: Any) -> None:
    with pytest.raises(ConfigurationError):
        Fuse("$1", spend_book=False, **options)


# --- a plug-in ------------------------------------------------------------------------------------


def test_llmlingua_is_asked_in_its_own_words() -> None:
    """A compressor of the interface of LLMLingua-2; its weights are not to be had in a test."""

    class EverySecondWord:
        def compress_prompt_llmlingua2(self, context: list[str], **words: Any) -> dict[str, Any]:
            assert words["rate"] == 0.5
            return {"compressed_prompt": " ".join(context[0].split()[::2])}

    assert LLMLingua(EverySecondWord())("a b c d", 0.5) == "a c"
    assert LLMLingua(EverySecondWord())("a b c d", 1.0) == "a b c d"


def test_llmlingua_says_what_to_install() -> None:
    with pytest.raises(ConfigurationError, match="pip install llmlingua"):
        LLMLingua()("a b", 0.5)
