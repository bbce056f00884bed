"""A copied model is the very same, and shares nothing that it was not to share."""

from __future__ import annotations

from typing import Any

from openai.types.chat import ChatCompletion
from pydantic import BaseModel, PrivateAttr

from agentfuse.model_copies import copied, fresh, fresh_fields


class Word(str):
    """A text of a class of its own, as LangChain's are."""

    __slots__ = ()


class Part(BaseModel, extra="allow"):
    text: str
    notes: list[Any] = []


class Whole(BaseModel):
    parts: list[Part]
    first: Part | None = None
    told: Any = None
    _seen: dict[str, list[int]] = PrivateAttr(default_factory=lambda: {"times": [1]})


class Special(Whole):
    more: int = 1


BODY: dict[str, Any] = {
    "id": "a",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [],
    "service_tier": "unheard of",
    "odd": {"list": [{"deep": [1]}]},
}


def test_a_fresh_answer_shares_nothing_that_can_be_changed() -> None:
    first = ChatCompletion.construct(**BODY)
    copy: Any = fresh(first)
    assert copy == first
    assert type(copy) is ChatCompletion
    copy.odd["list"][0]["deep"].append(2)
    copy.choices.append(None)
    copy.more = 1
    assert first.model_dump(exclude_unset=True) == BODY
    assert "more" not in first.model_fields_set
    bare = ChatCompletion.construct(**{**BODY, "odd": None})
    fresh(bare).added = 1  # type: ignore[attr-defined]
    assert not hasattr(bare, "added")


def test_models_in_it_are_copied_and_what_is_private_with_them() -> None:
    first = Whole(parts=[Part(text="one", notes=[[1]], odd=[1])], first=Part(text=Word("two")))
    first.told = {"set": {1}, "words": [Word("three"), None, True, 1.5]}
    copy = fresh(first)
    assert copy == first == first.model_copy(deep=True)
    assert copy.model_dump_json() == first.model_dump_json()
    assert type(copy.told["words"][0]) is Word
    copy.parts[0].notes[0].append(2)
    copy.parts[0].odd.append(2)  # type: ignore[attr-defined]
    copy.told["set"].add(2)
    copy.first.text = "changed"  # type: ignore[union-attr]
    copy._seen["times"].append(2)
    assert first.model_dump() == {
        "parts": [{"text": "one", "notes": [[1]], "odd": [1]}],
        "first": {"text": "two", "notes": []},
        "told": {"set": {1}, "words": ["three", None, True, 1.5]},
    }
    assert first._seen == {"times": [1]}


def test_a_copy_of_another_class_shares_what_is_in_it() -> None:
    first = Whole(parts=[Part(text="one")])
    special = copied(first, Special, more=2)
    assert type(special) is Special
    assert special.more == 2
    assert special.parts is first.parts
    assert special._seen is first._seen
    special._seen = {}
    assert first._seen == {"times": [1]}
    assert special.model_fields_set == first.model_fields_set
    assert special.model_fields_set is not first.model_fields_set


def test_other_values_take_the_place_of_fields_and_are_not_checked() -> None:
    first = Part(text="one", notes=[[1]])
    copy = copied(first, own=fresh_fields, text="two")
    assert copy == Part(text="two", notes=[[1]])
    copy.notes[0].append(2)
    assert first == Part(text="one", notes=[[1]])
