"""A reply as JSON text, as the stores outside the process keep it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, cast

from agentfuse.messages import Choice, Media, Other, Reasoning, Reply, Text, ToolCall
from agentfuse.usage import BilledUsage, PriceContext, Usage, UsageReport

if TYPE_CHECKING:
    from agentfuse.messages import Part

# Raise it when an old reader would misread what a new writer keeps: old entries then are misses.
VERSION = 1

_PARTS: dict[str, type[Part]] = {
    "text": Text,
    "media": Media,
    "reasoning": Reasoning,
    "other": Other,
}
_TAGS = {part: tag for tag, part in _PARTS.items()}


def text_of(reply: Reply) -> str:
    """Write a reply as JSON text: ASCII alone, so that any string survives any store.

    Raises ValueError for a reply with something inside a block that JSON cannot carry.
    """
    plain = _plain(reply)
    plain["v"] = VERSION
    plain["choices"] = [_plain_choice(choice) for choice in reply.choices]
    if reply.report is not None:
        plain["report"] = _plain_report(reply.report)
    try:
        return json.dumps(plain, separators=(",", ":"))
    except TypeError as error:
        raise ValueError(f"JSON cannot carry this reply: {error}") from error


def reply_of(text: str) -> Reply:
    """Read what ``text_of`` wrote; raises ValueError for anything else, also another version's."""
    try:
        kept = _body_of(json.loads(text))
        kept["choices"] = tuple(map(_choice_of, kept["choices"]))
        if "report" in kept:
            kept["report"] = _report_of(kept["report"])
        return Reply(**kept)
    except (ValueError, KeyError, TypeError, AttributeError, InvalidOperation) as error:
        raise ValueError(f"this is not a kept reply: {error!r}") from error


def _body_of(kept: dict[str, Any]) -> dict[str, Any]:
    if kept.pop("v") != VERSION:
        raise ValueError("an entry of another version")
    return kept


_FIELDS: dict[type[Any], tuple[Field[Any], ...]] = {
    kind: fields(kind)
    for kind in (
        *(Reply, Choice, Text, Media, Reasoning, Other, ToolCall),
        *(UsageReport, Usage, PriceContext),
    )
}


def _plain(thing: Any) -> dict[str, Any]:
    """List a dataclass's fields, without those at their defaults."""
    plain: dict[str, Any] = {}
    for field in _FIELDS[type(thing)]:
        value = getattr(thing, field.name)
        if field.default is MISSING or value != field.default:
            plain[field.name] = _json_of(value)
    return plain


def _json_of(value: Any) -> Any:
    """Blocks come as any Mapping; inside they are JSON already."""
    if isinstance(value, Mapping):
        return dict(cast("Mapping[str, Any]", value))
    return value


def _plain_choice(choice: Choice) -> dict[str, Any]:
    plain = _plain(choice)
    plain["parts"] = [{"is": _TAGS[type(part)], **_plain(part)} for part in choice.parts]
    plain["tool_calls"] = [_plain(call) for call in choice.tool_calls]
    return plain


def _plain_report(report: UsageReport) -> dict[str, Any]:
    plain = _plain(report)
    plain["items"] = [
        {"model": item.model, "usage": _plain(item.usage), "context": _plain(item.context)}
        for item in report.items
    ]
    if report.reported_cost is not None:
        plain["reported_cost"] = str(report.reported_cost)
    return plain


def _choice_of(kept: Mapping[str, Any]) -> Choice:
    return Choice(
        parts=tuple(map(_part_of, kept["parts"])),
        tool_calls=tuple(ToolCall(**call) for call in kept["tool_calls"]),
        finish_reason=kept.get("finish_reason", ""),
    )


def _part_of(kept: dict[str, Any]) -> Part:
    return _PARTS[kept.pop("is")](**kept)


def _report_of(kept: Mapping[str, Any]) -> UsageReport:
    cost = kept.get("reported_cost")
    return UsageReport(
        items=tuple(map(_item_of, kept["items"])),
        reported_cost=None if cost is None else Decimal(cost),
        approximate=kept.get("approximate", False),
    )


def _item_of(kept: Mapping[str, Any]) -> BilledUsage:
    return BilledUsage(
        model=kept["model"],
        usage=Usage(**kept["usage"]),
        context=PriceContext(**kept["context"]),
    )
