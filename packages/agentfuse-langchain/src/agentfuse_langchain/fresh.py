"""Copies of what pydantic has checked once: the very same, and nothing that can change shared."""

from __future__ import annotations

import marshal
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import BaseModel

if TYPE_CHECKING:
    from collections.abc import Callable

    from langchain_core.outputs import ChatResult

Model = TypeVar("Model", bound=BaseModel)

# What can change in what is made of JSON. Texts, numbers and None are shared.
_CHANGEABLE = frozenset({dict, list})
# The last version that writes a thing out each time it comes, and so reads it back as two.
_VERSION = 2
_set = object.__setattr__


class Mould(Generic[Model]):
    """A model whose fields are made of JSON, checked once, to make copies of.

    A copy is what ``model_copy(deep=True)`` gives, in a tenth of its time: what can change in it
    lies written out here, and is read, not walked. ``others`` are fields that each copy is told
    anew, as are those with models in them, which would be shared.
    """

    __slots__ = ("_changing", "_fields", "_fields_set", "_kind")

    def __init__(self, model: Model, *others: str) -> None:
        self._kind = type(model)
        self._fields = dict(model.__dict__)
        self._fields_set = frozenset(model.__pydantic_fields_set__)
        changing = {
            name: value
            for name, value in self._fields.items()
            if type(value) in _CHANGEABLE and name not in others
        }
        self._changing = marshal.dumps((changing, model.__pydantic_extra__), _VERSION)

    def copy(self, **others: Any) -> Model:
        """Make a copy, without private fields, as pydantic does."""
        changing, extra = marshal.loads(self._changing)  # noqa: S302 - this object's own bytes
        copy = self._kind.__new__(self._kind)
        _set(copy, "__dict__", {**self._fields, **changing, **others})
        _set(copy, "__pydantic_extra__", extra)
        _set(copy, "__pydantic_fields_set__", set(self._fields_set))
        _set(copy, "__pydantic_private__", None)
        return copy


def copies_of(result: ChatResult) -> Callable[[], ChatResult]:
    """Give what makes copies of an answer that was made of JSON, with all that is in it."""
    whole = Mould(result, "generations")
    each = [(Mould(one), Mould(one.message)) for one in result.generations]

    def copy() -> ChatResult:
        return whole.copy(generations=[one.copy(message=said.copy()) for one, said in each])

    return copy
