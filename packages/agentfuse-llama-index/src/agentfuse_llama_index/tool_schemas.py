"""The JSON schemas of an agent's tools, which LlamaIndex has pydantic write anew for each call.

That takes 200 us a tool. What was written is given again as long as nothing that it was made of can
have changed: the very class, of plain fields alone, and its very core schema.
"""

from __future__ import annotations

import marshal
from functools import wraps
from inspect import getattr_static
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

from llama_index.core.tools import ToolMetadata
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from agentfuse_llama_index.hearing import span_spared
from agentfuse_llama_index.looking_up import looks_up_only

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic.fields import FieldInfo

_PREPARING = "_prepare_chat_with_tools"
# How many classes' schemas are kept.
_MOST = 256
_SCALARS = frozenset({str, int, float, bool, NoneType})
_ORIGINS = frozenset({list, dict, tuple, set, Union, UnionType})
# What may make a schema another one without another core schema: a class with any is asked anew.
_HOOKS = frozenset(
    {"model_json_schema", "__get_pydantic_json_schema__", "__get_pydantic_core_schema__"}
)
_BESIDE = (
    *("alias", "default_factory", "deprecated", "discriminator", "examples"),
    *("field_title_generator", "json_schema_extra", "metadata", "validation_alias"),
)

# Each class with the core schema that its parameters were written by, and those, marshalled.
_known: dict[type[BaseModel], tuple[object, bytes]] = {}


class _Described(ToolMetadata):
    """A tool's metadata, whose parameters are at hand."""

    def get_parameters_dict(self) -> dict[str, Any]:
        """Give the parameters, fresh: LlamaIndex writes into them."""
        kind: Any = self.fn_schema
        kept = _known.get(kind) if _is_plain(kind) else None
        if kept is None or kept[0] is not kind.__pydantic_core_schema__:
            return self._written(kind)
        parameters: dict[str, Any] = marshal.loads(kept[1])  # noqa: S302 - it is our own
        return parameters

    def _written(self, kind: Any) -> dict[str, Any]:
        own: Any = super()
        parameters: dict[str, Any] = own.get_parameters_dict()
        if _is_plain(kind) and all(map(_is_plain_field, kind.model_fields.values())):
            if len(_known) >= _MOST:
                _known.clear()
            _known[kind] = (kind.__pydantic_core_schema__, marshal.dumps(parameters))
        return parameters


class _Tool:
    """A tool, all of it but for its metadata."""

    def __init__(self, tool: Any, metadata: ToolMetadata) -> None:
        self._tool = tool
        self.metadata = metadata

    def __getattr__(self, name: str) -> Any:
        """Give whatever else the tool has."""
        return getattr(self._tool, name)


def preparing_of(bare: type[Any], own: type[Any]) -> dict[str, Callable[..., Any]]:
    """Give what prepares a class's calls with tools, where that is ``own``'s: LlamaIndex's."""
    method: Any = getattr_static(bare, _PREPARING, None)
    metadata: Any = ToolMetadata
    known = looks_up_only(metadata.get_parameters_dict, "fn_schema items model_json_schema")
    if not known or method is not getattr_static(own, _PREPARING, 0):
        return {}
    return {_PREPARING: span_spared(method, _prepared)}


def _prepared(within: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(within)
    def prepare(self: Any, tools: Any, *args: Any, **options: Any) -> Any:
        return within(self, described(tools), *args, **options)

    return prepare


def described(tools: Any) -> Any:
    """Give tools whose parameters need not be written again."""
    given: Any = tools
    return [_described(tool) for tool in given] if isinstance(tools, list | tuple) else tools


def _described(tool: Any) -> Any:
    metadata = getattr(tool, "metadata", None)
    if type(metadata) is not ToolMetadata:
        return tool
    at_hand = object.__new__(_Described)
    at_hand.__dict__.update(metadata.__dict__)
    return _Tool(tool, at_hand)


def _is_plain(kind: Any) -> bool:
    """Say whether a class's schema comes of its fields alone."""
    return (
        getattr(kind, "__mro__", ())[1:] == BaseModel.__mro__
        and not kind.model_config
        and _HOOKS.isdisjoint(kind.__dict__)
    )


def _is_plain_field(field: FieldInfo) -> bool:
    default = field.default
    return (
        (default is PydanticUndefined or type(default) in _SCALARS)
        and not any(getattr(field, name, None) for name in _BESIDE)
        and _is_plain_type(field.annotation)
    )


def _is_plain_type(kind: Any) -> bool:
    if kind is Any or kind in _SCALARS or kind in {list, dict}:
        return True
    origin = get_origin(kind)
    return origin is Literal or (
        origin in _ORIGINS and all(each is ... or _is_plain_type(each) for each in get_args(kind))
    )
