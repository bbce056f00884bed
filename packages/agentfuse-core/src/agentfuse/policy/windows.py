"""Spans of time that a limit holds for: calendar windows in a time zone, and sliding ones."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from agentfuse.errors import ConfigurationError

if TYPE_CHECKING:
    from datetime import tzinfo

Per = Literal["", "minute", "hour", "day", "week", "month"]

SECONDS: dict[str, float] = {"minute": 60, "hour": 3_600, "day": 86_400, "week": 604_800}
# A sliding window is kept in this many parts. One part more counts, so that no span of its length,
# wherever it begins, ever holds more than the limit: at worst a twelfth of it frees up late.
PARTS = 12

_FORMATS = {
    "minute": "%Y-%m-%dT%H:%M%z",
    "hour": "%Y-%m-%dT%H%z",
    "day": "%Y-%m-%d",
    "week": "%G-W%V",
    "month": "%Y-%m",
}


@dataclass(frozen=True, slots=True)
class Window:
    """One window at one moment: its ``name``, its neighbours that count too, and its end.

    ``resets`` is the Unix time from which room comes back.
    """

    name: str
    resets: float
    counted: tuple[str, ...] = ()


def calendar_window(per: Per, zone: str, now: float) -> Window:
    """Name the hour, day, ISO week or month that it is in a zone, and when it ends there.

    Days have 23 to 25 hours where the clocks change; hours are told apart by their offset.
    """
    zoned = zone_of(zone)
    moment = datetime.fromtimestamp(now, zoned)
    name = moment.strftime(_FORMATS[per])
    where = "" if zone == "UTC" else f"@{zone}"
    return Window(f"{name}{where}", _end_of(per, moment, zoned))


def sliding_window(seconds: float, now: float) -> Window:
    """Name the part of a sliding window that it is, and the others that count.

    Those are the earlier ones, and the next: another machine's clock may be there already.
    """
    part = seconds / PARTS
    index = int(now // part)
    label = f"{seconds:g}s"
    counted = tuple(f"{label}-{index - back}" for back in (-1, *range(1, PARTS + 1)))
    return Window(f"{label}-{index}", (index + 1) * part, counted)


def zone_of(zone: str) -> tzinfo:
    """Give a time zone by its IANA name; raises ConfigurationError for one nobody knows."""
    if zone == "UTC":
        return UTC
    try:
        return ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigurationError(
            f"unknown time zone {zone!r}: write an IANA name such as 'Europe/Berlin' (where the"
            " system has none, install tzdata)"
        ) from None


def _end_of(per: Per, moment: datetime, zone: tzinfo) -> float:
    if per in ("minute", "hour"):
        step = SECONDS[per]
        offset = moment.utcoffset() or timedelta()
        local = moment.timestamp() + offset.total_seconds()
        return (local // step + 1) * step - offset.total_seconds()
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None, fold=0)
    if per == "day":
        day += timedelta(days=1)
    elif per == "week":
        day += timedelta(days=7 - day.weekday())
    else:
        day = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
    return day.replace(tzinfo=zone).timestamp()
