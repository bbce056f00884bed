"""What a class of LLMs makes of an agent's tools: once for each content of them.

CrewAI's own copy and clean whole schemas with each call, which takes a millisecond for 20 tools of
OpenAI's and a twentieth of it from memory, and an agent sends the same ones every time.
"""

from __future__ import annotations

import copy
import marshal
from typing import TYPE_CHECKING, Any

from crewai.llms.base_llm import BaseLLM

from agentfuse.by_content import ByContent
from agentfuse.providers.wire_json import list_of, object_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentfuse.messages import Json

    Told = tuple[Mapping[str, Json], ...]


def told_tools(llm: Any, tools: Any) -> Told:
    """Give tools as function tools of chat completions: the provider's own reading of them."""
    if not tools:
        return ()
    convert = _crewais(type(llm))
    told = _told(tools, convert) if convert is not None else None
    if told is not None:
        return told
    return _told_of(llm._convert_tools_for_interference(tools), tools)  # noqa: SLF001 - as it is sent


def written_tools(kind: type[BaseLLM], tools: Any) -> bytes | None:
    """Give what any LLM of a class sends, in ``marshal``'s words; None where only it can tell."""
    convert = _crewais(kind)
    return None if convert in {None, _AS_THEY_ARE} else _written(tools, convert)


def _crewais(kind: Any) -> Any:
    """Give CrewAI's own way to convert tools; a caller's may go by a state of its own."""
    convert = getattr(kind, "bare", kind)._convert_tools_for_interference  # noqa: SLF001
    return convert if convert.__module__.startswith("crewai.") else None


class _Nobody:
    """An LLM that answers no question: what is made without asking it holds for any other."""

    def __getattribute__(self, name: str) -> Any:
        raise LookupError(name)


def _told_by_any(tools: Any, convert: Any) -> Told | None:
    """Read tools; None where a class must ask its LLM, or raises: then it does so in the call."""
    try:
        return copy.deepcopy(_told_of(convert(_Nobody(), tools), tools))  # the caller's may change
    except Exception:  # noqa: BLE001 - see above
        return None


def _written_by_any(tools: Any, convert: Any) -> bytes | None:
    """Write out what is sent, since who gets it may change it; None as above, or if it cannot."""
    try:
        return marshal.dumps(convert(_Nobody(), tools))
    except Exception:  # noqa: BLE001 - see above
        return None


def _told_of(converted: Any, tools: Any) -> Told:
    written = list_of(converted)
    if all("function" in object_of(tool) for tool in written):
        return tuple(object_of(tool) for tool in written)
    return tuple(object_of(tool) or {"tool": repr(tool)} for tool in list_of(tools))


_crewais_base: Any = BaseLLM
_AS_THEY_ARE: Any = _crewais_base._convert_tools_for_interference  # noqa: SLF001
_told = ByContent(_told_by_any)
_written = ByContent(_written_by_any)
