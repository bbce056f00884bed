"""What a class of LLMs makes of an agent's tools: once for each content of them.

CrewAI's own copy and clean whole schemas with each call, which takes a millisecond for 20 tools of
OpenAI's and a twentieth of it from memory, and an agent sends the same ones every time.
"""

from __future__ import annotations

import copy
import marshal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crewai.llms.base_llm import BaseLLM

from agentfuse.by_content import ByContent
from agentfuse.providers.wire_json import list_of, object_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentfuse.messages import Json

    Told = tuple[Mapping[str, Json], ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """What a class makes of tools.

    ``told`` names them in a request, as function tools of chat completions; ``sent`` is what goes
    to the provider, written out since who gets it may change it. None where it has no such form.
    """

    told: Told
    sent: bytes | None


def told_tools(llm: Any, tools: Any) -> Told:
    """Give tools as function tools of chat completions: the provider's own reading of them."""
    if not tools:
        return ()
    reading = _reading_of(type(llm), tools)
    if reading is not None:
        return reading.told
    return _told_of(llm._convert_tools_for_interference(tools), tools)  # noqa: SLF001 - as it is sent


def written_tools(kind: type[BaseLLM], tools: Any) -> bytes | None:
    """Give what any LLM of a class sends, in ``marshal``'s words; None where only it can tell."""
    reading = _reading_of(kind, tools)
    return reading.sent if reading is not None else None


def _reading_of(kind: Any, tools: Any) -> Reading | None:
    """Read tools as CrewAI's own class does; a caller's own may do so by a state of its own."""
    convert = getattr(kind, "bare", kind)._convert_tools_for_interference  # noqa: SLF001
    return _readings(tools, convert) if convert.__module__.startswith("crewai.") else None


class _Nobody:
    """An LLM that answers no question: what is made without asking it holds for any other."""

    def __getattribute__(self, name: str) -> Any:
        raise LookupError(name)


def _read(tools: Any, convert: Any) -> Reading | None:
    """Read tools; None where a class must ask its LLM, or raises: then it does so in the call."""
    try:
        converted = convert(_Nobody(), tools)
        told = copy.deepcopy(_told_of(converted, tools))  # the caller may change its own
    except Exception:  # noqa: BLE001 - see above
        return None
    return Reading(told, None if convert is _AS_THEY_ARE else _written(converted))


def _written(converted: Any) -> bytes | None:
    try:
        return marshal.dumps(converted)
    except ValueError:
        return None


def _told_of(converted: Any, tools: Any) -> Told:
    written = list_of(converted)
    if all("function" in object_of(tool) for tool in written):
        return tuple(object_of(tool) for tool in written)
    return tuple(object_of(tool) or {"tool": repr(tool)} for tool in list_of(tools))


_AS_THEY_ARE: Any = BaseLLM._convert_tools_for_interference  # noqa: SLF001
_readings = ByContent(_read)
