"""What a caller's own model holds is a part of the question, whatever it is."""

from __future__ import annotations

import gc
import os
from typing import Any

import pytest
from pydantic import BaseModel, PrivateAttr

from agentfuse import own_state
from agentfuse.own_state import own_state_of

HOME = "framework."


class Plain:
    """A model that keeps what it is told, as any Python object does."""

    def __init__(self, **held: Any) -> None:
        self.__dict__.update(held)


class Other(Plain):
    """One of another class."""


class Private(BaseModel):
    """A pydantic model whose field is told elsewhere."""

    model: str = "gpt-4o"
    _persona: str = PrivateAttr(default="")

    def __init__(self, persona: str = "", **fields: Any) -> None:
        super().__init__(**fields)
        self._persona = persona


def state_of(model: Any) -> Any:
    return own_state_of(model, HOME)


def test_a_frameworks_own_class_has_none() -> None:
    assert own_state_of(Plain(url="a"), Plain.__module__) is None


def test_equal_state_of_one_class_is_the_same() -> None:
    assert state_of(Plain(url="a", tries=[1])) == state_of(Plain(tries=[1], url="a"))
    assert state_of(Private("kind")) == state_of(Private("kind", model="gpt-4o-mini"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Plain(url="a"), Plain(url="b")),
        (Plain(url="a"), Plain(uri="a")),
        (Plain(url="a"), Other(url="a")),
        (Plain(), Plain(url="a")),
        (Plain(tries=1), Plain(tries=True)),
        (Private("kind"), Private("stern")),
    ],
)
def test_another_state_or_class_is_another(one: Any, other: Any) -> None:
    assert state_of(one) != state_of(other)


def test_a_text_that_was_changed_is_another_state() -> None:
    model = Plain(persona="Ann", warmth=0.5, loud=False)
    states = {state_of(model)}
    for name, value in {"persona": "Bob", "warmth": 0.7, "loud": True}.items():
        setattr(model, name, value)
        states.add(state_of(model))
    assert len(states) == 4


def test_a_model_may_count_its_calls_and_log_them() -> None:
    model = Plain(calls=0, log=["opened"])
    before = state_of(model)
    model.__dict__["calls"] += 1
    model.__dict__["log"].append("asked")
    assert state_of(model) == before
    assert state_of(Plain(calls=0, log=["opened"])) == before
    assert state_of(Plain(calls=1, log=["opened"])) != before


def test_objects_go_by_their_identity() -> None:
    client, same = Plain(), Plain
    assert state_of(Plain(client=client)) == state_of(Plain(client=client))
    assert state_of(Plain(client=client)) != state_of(Plain(client=same()))


def test_a_container_of_objects_is_its_models_alone() -> None:
    one, other = Plain(held=[object()]), Plain(held=[object()])
    assert state_of(one) == state_of(one) != state_of(other)
    assert state_of(Plain(bare=object())) != state_of(Plain(bare=object()))


def test_nothing_is_remembered_of_what_is_gone() -> None:
    before = len(own_state._seen)
    for number in range(100):
        state_of(Plain(client=Plain(), number=number))
    gc.collect()
    assert len(own_state._seen) <= before


def test_a_class_made_in_a_function_is_itself_alone() -> None:
    def make() -> Any:
        class Local(Plain):
            pass

        return Local()

    assert state_of(make()) != state_of(make())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_forked_child_gives_names_of_its_own() -> None:
    model = Plain(client=Plain())
    before = state_of(model)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover - another process
        os.write(write, state_of(model).encode())
        os._exit(0)
    os.waitpid(child, 0)
    told = os.read(read, 100).decode()
    os.close(read)
    os.close(write)
    assert told.startswith("sha256:")
    assert told != before == state_of(model)
