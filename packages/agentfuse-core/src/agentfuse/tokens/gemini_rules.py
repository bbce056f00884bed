"""Gemini's overheads around the text of a request, measured on recorded usages.

Output schemas are not billed. Tools are billed by their words, not by their JSON: names,
descriptions and parameters, and from 2.5 on a fixed sum for each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agentfuse.tokens.contents import contents_of, text_tokens
from agentfuse.tokens.estimates import estimate_of
from agentfuse.tokens.json_shapes import items_of, object_of
from agentfuse.tokens.tool_text import functions_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentfuse.messages import Request
    from agentfuse.tokens.estimates import TokenEstimate
    from agentfuse.tokens.families import Family

_CUSHION = 40
_TOOL_CUSHION = 250
_BUILTIN_CUSHION = 3000
_PER_BUILTIN = 5
_DEEPEST = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Tokens for each turn, each tool, each of its parameters, and each call in the history."""

    tool: int
    parameter: int
    call: int
    turn: int = 0


_EARLY = Frame(tool=0, parameter=1, call=-4)  # Gemini 1.5 and 2.0
_LATER = Frame(tool=16, parameter=13, call=10, turn=1)


def gemini_estimate(request: Request) -> TokenEstimate:
    """Count a request to one of Gemini's models."""
    contents = contents_of(request)
    early = "-1.5" in contents.model or "-2.0" in contents.model or "gemma" in contents.model
    frame = _EARLY if early else _LATER
    functions = functions_of(request.tools)
    tools = sum(_tool_tokens(function, frame, contents.family) for function in functions)
    history = max(contents.calls + frame.call * contents.call_count, 0)
    builtin = len(request.tools) - len(functions)
    turns = frame.turn * len(request.messages)
    tokens = contents.text + history + contents.media + tools + turns + _PER_BUILTIN * builtin
    cushion = contents.spare + (_TOOL_CUSHION if request.tools else _CUSHION)
    cushion += _BUILTIN_CUSHION if builtin else 0
    return estimate_of(
        max(tokens, 1),
        factor=2000 if contents.opaque or builtin or request.tools else contents.family.high,
        cushion=cushion,
        method="rules",
        doubt="opaque" if builtin else contents.doubt,
    )


def _tool_tokens(function: Mapping[str, Any], frame: Frame, family: Family) -> int:
    schema = function.get("parameters") or function.get("input_schema")
    return (
        frame.tool
        + _name_tokens(function.get("name"), family)
        + _text_tokens(function.get("description"), family)
        + _schema_tokens(schema, frame, family, 0)
    )


def _schema_tokens(schema: Any, frame: Frame, family: Family, depth: int) -> int:
    """Count the parameters of a schema and of the schemas in it."""
    given = object_of(schema)
    if not given or depth > _DEEPEST:
        return 0
    tokens = _text_tokens(given.get("description"), family) if depth else 0
    tokens += sum(_name_tokens(value, family) for value in items_of(given.get("enum")))
    properties = object_of(given.get("properties"))
    for name, inner in properties.items():
        tokens += frame.parameter + _name_tokens(name, family)
        tokens += _schema_tokens(inner, frame, family, depth + 1)
    inner = [given.get("items"), *items_of(given.get("anyOf"))]
    inner += object_of(given.get("$defs")).values()
    return tokens + sum(_schema_tokens(each, frame, family, depth + 1) for each in inner)


def _name_tokens(name: Any, family: Family) -> int:
    """Gemma's vocabulary splits names at every underscore, which counts as well."""
    return text_tokens(family, str(name or "").replace("_", " _ "))


def _text_tokens(text: Any, family: Family) -> int:
    return text_tokens(family, text) if isinstance(text, str) else 0
