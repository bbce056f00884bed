"""What is made and copied swiftly is what a dataclass makes, and stays as it was made."""

from __future__ import annotations

import copy
import json
import pickle
import weakref
from dataclasses import FrozenInstanceError, dataclass, field, replace
from inspect import signature
from typing import Any

import pytest

from agentfuse.copies import changed, swift
from agentfuse.messages import Request
from agentfuse.nothing import NOTHING
from agentfuse.tickets import Admitted


@dataclass(frozen=True, slots=True)
class Plain:
    one: int
    two: str = "two"
    three: list[int] = field(default_factory=list[int], kw_only=True)
    four: float = field(default=4.0, kw_only=True)


@swift
@dataclass(frozen=True, slots=True)
class Swift:
    one: int
    two: str = "two"
    three: list[int] = field(default_factory=list[int], kw_only=True)
    four: float = field(default=4.0, kw_only=True)


class Heir(Swift):
    """One with a dict of its own."""


@pytest.mark.parametrize(
    ("given", "named"),
    [((1,), {}), ((1, "b"), {"four": 0.5}), ((), {"one": 1, "three": [3]}), ((1,), {"two": ""})],
)
def test_it_takes_what_a_dataclass_takes(given: tuple[Any, ...], named: dict[str, Any]) -> None:
    plain, made, heir = Plain(*given, **named), Swift(*given, **named), Heir(*given, **named)
    for name in Plain.__slots__:
        assert getattr(made, name) == getattr(heir, name) == getattr(plain, name)
    assert type(made) is Swift
    assert type(heir) is Heir
    assert str(signature(Swift)) == str(signature(Plain))


@pytest.mark.parametrize("named", [{}, {"one": 1, "five": 5}])
def test_it_refuses_what_a_dataclass_refuses(named: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="argument"):
        Swift(**named)


def test_each_gets_a_default_of_its_own_and_nothing_can_be_changed() -> None:
    made = Swift(1)
    assert made.three is not Swift(1).three
    with pytest.raises(FrozenInstanceError):
        made.one = 2  # type: ignore[misc]
    for twin in (copy.deepcopy(made), pickle.loads(pickle.dumps(made)), replace(made)):
        assert twin == made
        assert type(twin) is Swift


def test_a_ticket_is_copied_with_fields_changed_and_can_be_watched_over() -> None:
    request = Request(provider="openai", model="gpt-4o", messages=())
    ticket = Admitted(id="a", asked=request, request=request, started=1.0)
    copied = changed(ticket, leading=True)
    assert copied == replace(ticket, leading=True)
    assert copied.progress is ticket.progress
    assert weakref.ref(copied)() is copied
    with pytest.raises(FrozenInstanceError):
        copied.id = "b"  # type: ignore[misc]
    with pytest.raises(AttributeError):
        changed(ticket, none_such=1)


def test_the_empty_mapping_stays_empty() -> None:
    nothing: Any = NOTHING
    for change in (
        lambda: nothing.update(a=1),
        lambda: nothing.setdefault("a", 1),
        lambda: nothing.__setitem__("a", 1),
        lambda: nothing.__ior__({"a": 1}),
        lambda: nothing.pop("a", None),
        nothing.clear,
    ):
        with pytest.raises(TypeError, match="stays empty"):
            change()
    assert pickle.loads(pickle.dumps(nothing)) is copy.deepcopy(nothing) is nothing
    assert (json.dumps(nothing), hash(nothing), {**nothing}) == ("{}", 0, {})
