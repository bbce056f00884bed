"""Make of a stream's events the one body that tells its usage: merged, never summed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentfuse.usages.fields import list_at, mapping_at, word_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_ENDINGS = frozenset({"response.completed", "response.incomplete", "response.failed"})
_OLLAMA = frozenset({"prompt_eval_count", "eval_count"})


def stream_usage(events: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Make of a stream's events a body that ``report_of`` reads; None where none told a usage.

    Chat completions: the last chunk with a usage. Anthropic: message_start with the later
    message_delta's counts in place of its own (they are totals, not additions). Responses: the
    response of the closing event. Gemini: the latest of each count, with all that was searched.
    """
    merged = _Merged()
    for event in events:
        kind = word_at(event, "type")
        if kind in _ENDINGS and mapping_at(event, "response"):
            return mapping_at(event, "response")
        merged.add(event, kind)
    return merged.body()


class _Merged:
    """What the events so far tell of the usage."""

    def __init__(self) -> None:
        self._fields: dict[str, Any] = {}
        self._usage: dict[str, Any] = {}
        self._native: dict[str, Any] = {}
        self._candidates: list[Mapping[str, Any]] = []

    def add(self, event: Mapping[str, Any], kind: str) -> None:
        """Take in one event of type ``kind``."""
        if kind == "message_start":
            self._fields = dict(mapping_at(event, "message"))
            self._usage = dict(mapping_at(self._fields, "usage"))
        elif kind == "message_delta":
            _update(self._usage, mapping_at(event, "usage"))
            self._fields.setdefault("type", "message")
        elif not self._add_native(event):
            self._add_last(event)

    def _add_native(self, event: Mapping[str, Any]) -> bool:
        """Take in a chunk of Gemini's, whose counts grow and whose searches may come early."""
        self._candidates += [
            each
            for each in list_at(event, "candidates")
            if mapping_at(each, "groundingMetadata", "grounding_metadata")
        ]
        told = mapping_at(event, "usageMetadata", "usage_metadata")
        if told:
            self._fields = dict(event)
            _update(self._native, told)
        return bool(told)

    def _add_last(self, event: Mapping[str, Any]) -> None:
        """Take in a chunk whose usage, if it has one, is the whole: the last one counts."""
        inner = event
        if not mapping_at(event, "usage"):
            inner = mapping_at(event, "metadata", "delta", "x_groq", "message", "response")
        usage = mapping_at(inner, "usage") or mapping_at(event, "amazon-bedrock-invocationMetrics")
        if usage:
            self._fields, self._usage = dict(event), dict(usage)
        elif event.keys() & _OLLAMA:
            self._fields = dict(event)

    def body(self) -> Mapping[str, Any] | None:
        """Give the merged body, or None where nothing was told."""
        if self._native:
            return {
                **self._fields,
                "usageMetadata": self._native,
                "candidates": self._candidates,
            }
        if self._usage:
            return {**self._fields, "usage": self._usage}
        return self._fields if self._fields.keys() & _OLLAMA else None


def _update(usage: dict[str, Any], told: Mapping[str, Any]) -> None:
    usage.update({key: value for key, value in told.items() if value is not None})
