"""Read numbers and words out of JSON that may hold anything."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

from agentfuse.nothing import NOTHING
from agentfuse.usage import STANDARD, PriceContext

if TYPE_CHECKING:
    from collections.abc import Sequence

# More tokens than any provider serves in one call: above it a number is no count.
_MOST = 10**12

# Words for "nowhere in particular": Anthropic's inference_geo.
_NO_REGION = frozenset({"global", "not_available"})
_TERMS = frozenset({"service_tier", "speed", "inference_geo"})


def mapping_at(fields: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    """Give the first of several keys that holds an object; an empty one where none does."""
    for key in keys:
        value = fields.get(key)
        # JSON's own dicts first: asking an abstract class takes ten times as long.
        if value and (type(value) is dict or isinstance(value, Mapping)):
            return cast("Mapping[str, Any]", value)
    return NOTHING


def list_at(fields: Mapping[str, Any], *keys: str) -> list[Mapping[str, Any]]:
    """Give the objects in the first of several keys that holds a list; nothing where none does."""
    for key in keys:
        value = fields.get(key)
        if isinstance(value, list | tuple) and value:
            return [each for each in cast("Sequence[Any]", value) if isinstance(each, Mapping)]
    return []


def count_at(fields: Mapping[str, Any], *keys: str) -> int:
    """Give the first of several keys that holds a whole number of tokens, else 0."""
    if not fields:
        return 0
    for key in keys:
        value = fields.get(key)
        if value is None:
            continue
        count = value if type(value) is int else _whole_of(value)
        if 0 <= count <= _MOST:
            return count
    return 0


def _whole_of(value: object) -> int:
    """Read a whole number in another type than int; -1 for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return -1
    return int(value) if isinstance(value, int) or value.is_integer() else -1


def word_at(fields: Mapping[str, Any], *keys: str) -> str:
    """Give the first of several keys that holds a non-empty string, else the empty one.

    An enum that is no string gives its name: Google's protocol buffers count theirs.
    """
    for key in keys:
        value = fields.get(key)
        if isinstance(value, str) and value:
            return str(getattr(value, "value", value))
        name = getattr(value, "name", None)
        if isinstance(name, str) and name:
            return name
    return ""


def amount_at(fields: Mapping[str, Any], key: str) -> Decimal | None:
    """Give a non-negative amount of dollars, read by its shortest decimal digits."""
    value = fields.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    amount = Decimal(str(value))
    return amount if amount.is_finite() and amount >= 0 else None


def context_at(body: Mapping[str, Any], usage: Mapping[str, Any]) -> PriceContext:
    """Read the terms an answer was given on: tier, speed and region."""
    if _TERMS.isdisjoint(usage) and body.get("service_tier") is None:
        return STANDARD
    region = word_at(usage, "inference_geo").lower()
    return PriceContext(
        service_tier=(word_at(usage, "service_tier") or word_at(body, "service_tier")).lower(),
        speed=word_at(usage, "speed").lower(),
        region="" if region in _NO_REGION else region,
    )
