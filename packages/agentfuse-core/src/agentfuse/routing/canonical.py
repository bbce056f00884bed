"""When two answers say the same: their canonical forms, for answers that have one.

Each function takes a reply and gives a text that is equal where the answers are, or None where the
answer has no such form. Prose has none.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, cast

from agentfuse.tokens.json_shapes import items_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentfuse.messages import Reply

    Canonical = Callable[[Reply], str | None]

_NUMBER = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?(?:[eE][-+]?\d+)?")
_FENCED = re.compile(r"^\s*```[a-zA-Z]*\n(.*?)\n?```\s*$", re.DOTALL)
_BOXED = re.compile(r"\\boxed\{([^{}]*)\}")
_QUOTED = re.compile(r"('(?:[^']|'')*'|\"[^\"]*\")")
_SQL = re.compile(r"^\s*(select|with|insert|update|delete)\b", re.IGNORECASE)
_SQL_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)

# A label is a word or few; what is longer is prose that happens to be short.
_LONGEST_LABEL = 40


def canonical_of(reply: Reply) -> str | None:
    """Give the first form that an answer has: tool calls, JSON, SQL, a lone number, a label."""
    if reply.choices and reply.choices[0].tool_calls:
        return tool_calls(reply)
    for form in (json_value, sql):
        found = form(reply)
        if found is not None:
            return found
    text = _plain(reply)
    if _NUMBER.fullmatch(text.rstrip(".").strip("$% ")):
        return number(reply)
    return label(reply)


def tool_calls(reply: Reply) -> str | None:
    """Spell out the calls with their arguments in one order; None for an answer without any."""
    calls = reply.choices[0].tool_calls if reply.choices else ()
    if not calls:
        return None
    try:
        spelled = [f"{call.name}({_spelled(json.loads(call.arguments or '{}'))})" for call in calls]
    except ValueError:
        return None
    return "\n".join(sorted(spelled))


def json_value(reply: Reply) -> str | None:
    """Spell an object or a list with its keys in one order, fenced or not."""
    text = _plain(reply)
    if text[:1] not in {"{", "["}:
        return None
    try:
        return _spelled(json.loads(text))
    except ValueError:
        return None


def number(reply: Reply) -> str | None:
    """Give what is in a box, or else the last number of an answer: 1,000.0 and 1000 are one."""
    text = reply.text
    boxed = _BOXED.findall(text)
    found = _NUMBER.findall(boxed[-1] if boxed else text)
    if not found:
        return boxed[-1].replace(" ", "") if boxed else None
    value = float(found[-1].replace(",", ""))
    return format(value, ".12g")


def label(reply: Reply) -> str | None:
    """Give a word or few in lower case without signs around them; None for longer answers."""
    text = _plain(reply)
    if len(text) > _LONGEST_LABEL or "\n" in text:
        return None
    return text.strip(" .,:;!?()[]\"'*`").casefold() or None


def choice(*labels: str) -> Canonical:
    """Make a form for answers that name one of ``labels``, whatever stands around it."""
    spelled = {
        each.casefold(): re.compile(rf"(?<!\w){re.escape(each)}(?!\w)", re.IGNORECASE)
        for each in labels
    }

    def one_of(reply: Reply) -> str | None:
        found = [each for each, pattern in spelled.items() if pattern.search(reply.text)]
        return found[0] if len(found) == 1 else None

    return one_of


def sql(reply: Reply) -> str | None:
    """Give a statement without comments, case and spacing, except in what is quoted."""
    text = _plain(reply)
    if not _SQL.match(text):
        return None
    plain = _SQL_COMMENT.sub(" ", text).rstrip("; \n")
    parts = _QUOTED.split(plain)
    return "".join(part if place % 2 else _squeezed(part) for place, part in enumerate(parts))


def _squeezed(text: str) -> str:
    """Keep one space where words meet, and none beside signs."""
    spaced = re.sub(r"\s+", " ", text.casefold())
    return re.sub(r"\s*([(),=<>+*/-])\s*", r"\1", spaced)


def _plain(reply: Reply) -> str:
    fenced = _FENCED.match(reply.text)
    return (fenced.group(1) if fenced else reply.text).strip()


def _spelled(value: Any) -> str:
    return json.dumps(_evened(value), sort_keys=True, separators=(",", ":"))


def _evened(value: Any) -> Any:
    """Write whole floats as integers: 2.0 and 2 are one number in JSON."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _evened(each) for key, each in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_evened(each) for each in items_of(value)]
    return value
