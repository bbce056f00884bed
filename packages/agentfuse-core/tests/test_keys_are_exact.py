"""A key names one question: equal questions share it, and no two different ones do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agentfuse.messages import Media, Message, Other, Part, Reasoning, Request, Text, ToolCall
from agentfuse.policy.keys import IGNORED, key_of

texts = st.text(max_size=6)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=4,
)
objects = st.dictionaries(texts, json_values, max_size=2)
parts: st.SearchStrategy[Part] = st.one_of(
    st.builds(Text, texts, objects),
    st.builds(
        Media,
        kind=st.sampled_from(["image", "audio", "document", "video"]),
        url=texts,
        data=texts,
        media_type=texts,
        block=objects,
    ),
    st.builds(Reasoning, texts, objects),
    st.builds(Other, objects),
)
# Ids are only told apart by their order, so these conversations have none.
calls = st.builds(ToolCall, st.just(""), texts, texts, objects)
messages = st.builds(
    Message,
    st.sampled_from(["system", "user", "assistant", "tool"]),
    st.lists(parts, max_size=2).map(tuple),
    st.lists(calls, max_size=2).map(tuple),
    st.just(""),
    texts,
    objects,
)
requests = st.builds(
    Request,
    provider=texts,
    model=texts,
    messages=st.lists(messages, max_size=3).map(tuple),
    max_output_tokens=st.none() | st.integers(0, 9),
    tools=st.lists(objects, max_size=2).map(tuple),
    params=st.dictionaries(texts | st.sampled_from(["seed", "stop"]), json_values, max_size=2),
    tenant=st.none() | texts,
    base_url=texts,
)


def told_apart(value: Any) -> Any:
    """Write a value so that ``1`` and ``True`` differ, as they do in JSON."""
    match value:
        case dict():
            return {key: told_apart(inner) for key, inner in value.items()}
        case list() | tuple():
            return [told_apart(inner) for inner in value]
        case bool() | int() | str() | None:
            return (type(value).__name__, value)
        case _:
            return (
                type(value).__name__,
                [told_apart(getattr(value, name)) for name in value.__dataclass_fields__],
            )


@given(requests, requests)
def test_two_questions_share_a_key_only_if_they_are_one(one: Request, other: Request) -> None:
    """Every field counts, and no field runs over into the next."""
    assert (key_of(one) == key_of(other)) == (told_apart(one) == told_apart(other))


@given(requests, messages)
def test_one_more_turn_is_another_question(request: Request, message: Message) -> None:
    """History is part of the question, in its order."""
    longer = replace(request, messages=(*request.messages, message))
    assert key_of(longer) != key_of(request)


@given(requests)
def test_the_order_of_parameters_does_not_matter(request: Request) -> None:
    """A dict is a dict."""
    turned = replace(request, params=dict(reversed(request.params.items())))
    assert key_of(turned) == key_of(request)


@given(requests, st.sampled_from(sorted(IGNORED)), json_values)
def test_how_an_answer_travels_does_not_matter(request: Request, word: str, value: Any) -> None:
    """Streaming, timeouts and the provider's own cache keys leave the answer alone."""
    assert key_of(replace(request, params={**request.params, word: value})) == key_of(request)
    assert key_of(replace(request, stream=not request.stream)) == key_of(request)


def test_a_parameter_without_a_canonical_form_has_no_key() -> None:
    """What cannot be compared is asked each time."""
    request = Request(provider="openai", model="m", messages=(), params={"odd": object()})
    assert key_of(request) is None


def test_lone_surrogates_are_text_too() -> None:
    """Any text a user can send has a key."""
    request = Request(provider="openai", model="m", messages=(Message("user", (Text("\ud800"),)),))
    assert key_of(request)


@given(requests)
def test_a_question_asked_again_has_its_key(request: Request) -> None:
    """Also when it was built anew, and where nothing stood beside the text either way."""
    again = replace(request, messages=tuple(replace(m) for m in request.messages))
    assert key_of(again) == key_of(request)
    plain = replace(request, messages=(Message("user", (Text("a"),)),))
    beside = replace(request, messages=(Message("user", (Text("a", {}),), extra={}),))
    assert key_of(plain) == key_of(beside)
