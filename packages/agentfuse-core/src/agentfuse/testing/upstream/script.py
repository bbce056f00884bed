"""What a simulated model says when nobody tells it: an echo, a tool call, or valid JSON.

The rules, in this order:

1. A forced tool is called, again and again, as the vendors do. ``any`` / ``required`` calls the
   tools the last user text mentions, else the first one.
2. Otherwise a tool is called when the last user text mentions it and it was not yet called since.
   A text mentions a tool when it has its name, or all words of its name but ``get``, ``my``,
   ``tool`` and their like: "What is the weather in Rome?" mentions ``get_weather``.
   Without parallel tool calls only the first such tool is called.
3. Arguments and JSON answers are instances of their schema, filled with the numbers and the quoted
   strings of the last user text, in order.
4. A JSON answer without a schema has the quoted words of the last user text as its keys.
5. Otherwise the answer is ``Answer to: <last user text>``, with filler up to ``answer_tokens``.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import cycle, islice

from agentfuse.testing.upstream.counting import cut_to
from agentfuse.testing.upstream.said import Asked, Call, Say, Tool, compact
from agentfuse.testing.upstream.schema import instance_of, quoted

_UNTELLING = frozenset({"a", "an", "the", "my", "get", "fetch", "find", "tool", "function", "do"})
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_A-Za-z]+")
# Common words, each one token in OpenAI's vocabularies.
_FILLER = (
    "and", "then", "one", "may", "also", "note", "that", "the", "next", "point", "is", "of",
    "some", "use", "to", "those", "who", "want", "to", "know", "more",
)  # fmt: skip


def said_by_default(asked: Asked, answer_tokens: int = 0) -> Say:
    """Decide the answer to a request by the rules above; the same request gets the same answer."""
    calls = _calls_of(asked)
    if calls:
        return Say(tool_calls=calls)
    if asked.schema is None:
        return Say(_echo(asked.text, answer_tokens, asked.model))
    if asked.schema:
        return Say(compact(instance_of(asked.schema, asked.text)))
    keys = quoted(asked.text) or ["answer"]
    return Say(compact({key: f"{key} for: {asked.text[:80]}" for key in keys}))


def _calls_of(asked: Asked) -> tuple[Call, ...]:
    chosen = _chosen_tools(asked)
    if not asked.parallel:
        chosen = chosen[:1]
    return tuple(Call(tool.name, instance_of(tool.schema, asked.text)) for tool in chosen)


def _chosen_tools(asked: Asked) -> list[Tool]:
    if asked.forced and asked.forced != "any":
        return [tool for tool in asked.tools if tool.name == asked.forced]
    mentioned = [tool for tool in asked.tools if mentions(asked.text, tool.name)]
    if asked.forced == "any":
        return mentioned or list(asked.tools[:1])
    return [tool for tool in mentioned if tool.name not in asked.answered]


def mentions(text: str, tool: str) -> bool:
    """Tell whether a text names a tool, or has all the telling words of its name."""
    if re.search(rf"(?<![\w-]){re.escape(tool)}(?![\w-])", text, re.IGNORECASE):
        return True
    telling = {word.lower() for word in _WORD.findall(tool)} - _UNTELLING
    return bool(telling) and telling <= {word.lower() for word in re.findall(r"\w+", text)}


@lru_cache(maxsize=256)
def _echo(text: str, tokens: int, model: str) -> str:
    echo = f"Answer to: {text}"
    if tokens <= 0:
        return echo
    filler = " ".join(islice(cycle(_FILLER), tokens))
    return cut_to(f"{echo} {filler}", tokens, model)
