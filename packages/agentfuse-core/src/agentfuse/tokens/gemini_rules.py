"""Gemini's overheads around the text of a request, measured on recorded usages.

Output schemas are not billed. Tools are billed by their words, not by their JSON: names,
descriptions and parameters, and from 2.5 on a fixed sum for each.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agentfuse.messages import Text
from agentfuse.tokens.contents import contents_of, text_tokens
from agentfuse.tokens.estimates import estimate_of
from agentfuse.tokens.json_shapes import items_of, object_of
from agentfuse.tokens.tool_text import functions_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from agentfuse.messages import Request
    from agentfuse.tokens.estimates import TokenEstimate
    from agentfuse.tokens.families import Family

_CUSHION = 40
_TOOL_CUSHION = 250
_BUILTIN_CUSHION = 3000
_PER_BUILTIN = 5
_DEEPEST = 12

# From Gemini 3 on thoughts go back as signatures, some 6 characters for each token that is billed
# (https://ai.google.dev/gemini-api/docs/thought-signatures).
_PER_SIGNED_TOKEN = 6

# The least that Google caches by itself and on demand, and what is set aside for it
# (https://ai.google.dev/gemini-api/docs/caching); how much it is only Google knows.
_CACHED, _MOST_CACHED = 1_024, 32_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Tokens for each turn, each tool, each of its parameters, and each call in the history."""

    tool: int
    parameter: int
    call: int
    turn: int = 0


_EARLY = Frame(tool=0, parameter=1, call=-4)  # Gemini 1.5 and 2.0
_LATER = Frame(tool=16, parameter=13, call=10, turn=1)


@dataclass(slots=True)
class ToolWords:
    """What of tools is billed: their ``names`` and choices, their ``texts``, their parameters."""

    tools: int = 0
    parameters: int = 0
    names: list[str] = field(default_factory=list[str])
    texts: list[str] = field(default_factory=list[str])

    def frame(self, frame: Frame) -> int:
        """Count what stands around the words."""
        return frame.tool * self.tools + frame.parameter * self.parameters


def gemini_estimate(request: Request) -> TokenEstimate:
    """Count a request to one of Gemini's models."""
    contents = contents_of(request)
    frame = frame_of(contents.model)
    functions = functions_of(request.tools)
    history = max(contents.calls + frame.call * contents.call_count, 0)
    builtin = len(request.tools) - len(functions)
    turns = frame.turn * len(request.messages)
    tools = _tool_tokens(words_of(functions), frame, contents.family)
    kept = bool(request.params.get("cached_content"))
    tokens = contents.text + history + contents.media + tools + turns + _PER_BUILTIN * builtin
    tokens += _signed_tokens(request, contents.model) + (_CACHED if kept else 0)
    cushion = contents.spare + (_TOOL_CUSHION if request.tools else _CUSHION)
    cushion += (_BUILTIN_CUSHION if builtin else 0) + (_MOST_CACHED if kept else 0)
    return estimate_of(
        max(tokens, 1),
        factor=2000 if contents.opaque or builtin or request.tools else contents.family.high,
        cushion=cushion,
        method="rules",
        doubt="opaque" if builtin or kept else contents.doubt,
    )


def frame_of(model: str) -> Frame:
    """Give the frame of a model by its bare name."""
    early = "-1.5" in model or "-2.0" in model or "gemma" in model
    return _EARLY if early else _LATER


def _signed_tokens(request: Request, model: str) -> int:
    if is_early(model):
        return 0
    extras = [call.extra for message in request.messages for call in message.tool_calls]
    for message in request.messages:
        extras += [part.extra for part in message.parts if isinstance(part, Text)]
    return sum(len(extra.get("thoughtSignature", "")) for extra in extras) // _PER_SIGNED_TOKEN


def is_early(model: str) -> bool:
    """Say whether a model is older than Gemini 3, by its bare name."""
    return any(version in model for version in ("-1.5", "-2.0", "-2.5", "gemma"))


def words_of(functions: Iterable[Mapping[str, Any]]) -> ToolWords:
    """Gather the words of function definitions."""
    words = ToolWords()
    for function in functions:
        words.tools += 1
        words.names.append(str(function.get("name") or ""))
        _add_text(words, function.get("description"))
        _add_schema(words, function.get("parameters") or function.get("input_schema"), 0)
    return words


def _add_schema(words: ToolWords, schema: Any, depth: int) -> None:
    """Add the words of a schema and of the schemas in it."""
    given = object_of(schema)
    if not given or depth > _DEEPEST:
        return
    if depth:
        _add_text(words, given.get("description"))
    words.names += [str(value or "") for value in items_of(given.get("enum"))]
    inner: list[Any] = []
    for name, each in object_of(given.get("properties")).items():
        words.parameters += 1
        words.names.append(str(name))
        inner.append(each)
    inner += [given.get("items"), *items_of(given.get("anyOf"))]
    inner += object_of(given.get("$defs")).values()
    for each in inner:
        _add_schema(words, each, depth + 1)


def _add_text(words: ToolWords, text: Any) -> None:
    if isinstance(text, str):
        words.texts.append(text)


def _tool_tokens(words: ToolWords, frame: Frame, family: Family) -> int:
    """Count the words; Gemma's vocabulary splits names at every underscore, which counts too."""
    names = sum(text_tokens(family, name.replace("_", " _ ")) for name in words.names)
    return words.frame(frame) + names + sum(text_tokens(family, text) for text in words.texts)
