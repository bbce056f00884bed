"""Read a price list in our own format: a mapping, or a TOML or JSON file of the same."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from os import PathLike
from pathlib import Path
from typing import Any, cast

from agentfuse.errors import ConfigurationError
from agentfuse.pricing.cards import PriceCard, Rates
from agentfuse.pricing.ceilings import max_output_of
from agentfuse.pricing.entries import NO_ENTRIES, Entry, Term

Prices = Mapping[str, Mapping[str, Any]] | str | PathLike[str]
"""``{model: {"input": 2.5, "output": 10}}`` in dollars per million tokens, or a file's path."""

# Each kind of token and the words it falls back to where it is not given, the nearest first.
_FALLBACKS: dict[str, tuple[str, ...]] = {
    "input": (),
    "output": (),
    "cache_read": ("input",),
    "cache_read_audio": ("cache_read", "input"),
    "cache_write_5m": ("cache_write", "input"),
    "cache_write_1h": ("cache_write", "input"),
    "cache_write_12h": ("cache_write_1h", "cache_write", "input"),
    "input_audio": ("input",),
    "output_audio": ("output",),
    "input_image": ("input",),
    "input_video": ("input_image", "input"),
    "output_image": ("output",),
    "reasoning": ("output",),
}
RATE_WORDS = (*_FALLBACKS, "cache_write")
COUNT_WORDS = ("context_window", "max_output_tokens")
FURTHER_WORDS = ("request", "tools", "tiers", "terms", "later")
REMARK_WORDS = ("source", "checked", "note")
WORDS = (*RATE_WORDS, *COUNT_WORDS, *FURTHER_WORDS, *REMARK_WORDS)

# The format's version, which a file may state beside its table of ``prices``.
VERSION = 1

_PICO_PER_MTOK = Decimal(10**6)
_PICO_PER_KCOUNT = Decimal(10**9)
_PICO_PER_DOLLAR = Decimal(10**12)


def entries_of(prices: Prices | None, list_name: str = "prices") -> Mapping[str, Entry]:
    """Read ``prices`` as entries by model name in lower case.

    Rates are str, int, float or Decimal dollars per million tokens; ``input`` and ``output`` are
    needed, the other kinds fall back to them. ``tools`` are dollars per thousand, ``request``
    dollars for each. Raises ConfigurationError that names the file, the model and the field.
    """
    if prices is None:
        return NO_ENTRIES
    if isinstance(prices, Mapping):
        return entries_in(prices, "prices", list_name)
    path = Path(prices)
    try:
        text = path.read_text("utf-8")
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"cannot read the price file {path}: {error}") from error
    return entries_in(content_of(text, str(path)), str(path), list_name)


def content_of(text: str, where: str) -> Mapping[str, Any]:
    """Parse a price list, JSON where it begins with a brace or is called so, else TOML."""
    try:
        if where.lower().endswith(".json") or text.lstrip().startswith("{"):
            content = json.loads(text, parse_float=Decimal)
        else:
            import tomllib

            content = tomllib.loads(text, parse_float=Decimal)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{where} is neither TOML nor JSON: {error}") from error
    if not isinstance(content, Mapping):
        raise ConfigurationError(
            f"{where} must hold a table of models, not {type(content).__name__}"
        )
    return cast("Mapping[str, Any]", content)


def entries_in(content: Mapping[str, Any], where: str, list_name: str) -> dict[str, Entry]:
    """Read a parsed list: a table of models, or ``{"schema": 1, "prices": {...}}``."""
    if "schema" in content:
        if content["schema"] != VERSION:
            raise ConfigurationError(f"{where}: schema {content['schema']!r} is not {VERSION}")
        content = _table(content.get("prices"), f"{where}: prices")
    entries: dict[str, Entry] = {}
    for model, fields in content.items():
        if not str(model).strip():
            raise ConfigurationError(f"{where}: {model!r} is not a model's name")
        place = f"{where}: {model}"
        name = f"{model.strip()}@{list_name}"
        entries[model.strip().lower()] = _entry_of(name, _table(fields, place), place)
    return entries


def _entry_of(name: str, fields: Mapping[str, Any], where: str) -> Entry:
    _check_words(fields, WORDS, where)
    rates = _pico_rates(fields, where)
    for needed in ("input", "output"):
        if needed not in rates:
            raise ConfigurationError(f"{where}: {needed!r} is missing")
    terms = _table(fields.get("terms", {}), f"{where}: terms")
    later = _rows(fields.get("later", []), f"{where}: later")
    return Entry(
        card=_card_of(name, fields, rates, where),
        terms={
            word.lower(): _term_of(name, fields, given, f"{where}: terms: {word}")
            for word, given in terms.items()
        },
        later=tuple(
            sorted((_later_of(name, fields, row, where) for row in later), key=lambda each: each[0])
        ),
    )


def _card_of(
    name: str, fields: Mapping[str, Any], rates: Mapping[str, int], where: str
) -> PriceCard:
    counts = {word: _count_of(fields.get(word, 0), f"{where}: {word}") for word in COUNT_WORDS}
    tools = _table(fields.get("tools", {}), f"{where}: tools")
    tiers = [
        (_count_of(row.get("above", "none"), f"{where}: tiers: above"), row)
        for row in _rows(fields.get("tiers", []), f"{where}: tiers")
    ]
    return PriceCard(
        id=name,
        rates=_rates_of(rates),
        tiers=tuple(
            (start, _rates_of(_tier_rates(rates, row, f"{where}: tiers")))
            for start, row in sorted(tiers, key=lambda tier: tier[0], reverse=True)
        ),
        tool_fees={
            tool: _pico_of(fee, f"{where}: tools: {tool}", _PICO_PER_KCOUNT)
            for tool, fee in tools.items()
        },
        request_fee=_pico_of(fields.get("request", 0), f"{where}: request", _PICO_PER_DOLLAR),
        context_window=counts["context_window"],
        max_output_tokens=counts["max_output_tokens"] or max_output_of(name.rpartition("@")[0]),
        writes_unasked="cache_write" in rates or "cache_write_5m" in rates,
    )


def _tier_rates(below: Mapping[str, int], row: Mapping[str, Any], where: str) -> Mapping[str, int]:
    """Give a tier's rates; a kind it does not state keeps the rate below."""
    _check_words(row, (*RATE_WORDS, "above"), where)
    return {**below, **_pico_rates(row, where)}


def _term_of(name: str, fields: Mapping[str, Any], given: Any, where: str) -> Term:
    """Read a term: a factor, or a table of what is priced otherwise."""
    if not isinstance(given, Mapping):
        factor = _amount_of(given, where)
        return Term(times=factor)
    table = _table(given, where)
    _check_words(table, (*RATE_WORDS, "request", "tools", "tiers"), where)
    merged: dict[str, Any] = {**fields, **({} if "tiers" in table else {"tiers": []}), **table}
    card = _card_of(name, merged, _pico_rates(merged, where), where)
    return Term(card=card)


def _later_of(
    name: str, fields: Mapping[str, Any], row: Mapping[str, Any], where: str
) -> tuple[float, Entry]:
    """Read a price that holds from a day on (midnight UTC): what it leaves out stays."""
    given = row.get("from")
    try:
        day = date.fromisoformat(given) if isinstance(given, str) else given
    except ValueError:
        day = None
    if not isinstance(day, date):
        raise ConfigurationError(f"{where}: later: 'from' must be a day such as 2027-01-01")
    rest = {word: value for word, value in row.items() if word != "from"}
    kept = {word: value for word, value in fields.items() if word != "later"}
    start = datetime.combine(day, time(), UTC).timestamp()
    return start, _entry_of(name, {**kept, **rest}, f"{where}: later: {day}")


def _pico_rates(fields: Mapping[str, Any], where: str) -> dict[str, int]:
    return {
        word: _pico_of(fields[word], f"{where}: {word}", _PICO_PER_MTOK)
        for word in RATE_WORDS
        if word in fields
    }


def _rates_of(rates: Mapping[str, int]) -> Rates:
    return Rates(
        **{
            kind: next((rates[word] for word in (kind, *others) if word in rates), 0)
            for kind, others in _FALLBACKS.items()
        }
    )


def _check_words(fields: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for word in fields:
        if word not in known:
            raise ConfigurationError(
                f"{where}: {word!r} is no kind of price; known are {', '.join(known)}"
            )


def _table(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"{where}: needs a table of prices, not {value!r}")
    return cast("Mapping[str, Any]", value)


def _rows(value: Any, where: str) -> list[Mapping[str, Any]]:
    if not isinstance(value, list | tuple):
        raise ConfigurationError(f"{where}: needs a list of tables, not {value!r}")
    return [_table(each, where) for each in cast("list[Any]", value)]


def _pico_of(price: Any, where: str, scale: Decimal) -> int:
    """Read dollars as picodollars for one, rounded up."""
    return int((_amount_of(price, where) * scale).to_integral_value(rounding="ROUND_CEILING"))


def _amount_of(price: Any, where: str) -> Decimal:
    if isinstance(price, bool) or not isinstance(price, str | int | float | Decimal):
        raise ConfigurationError(f"{where}: {price!r} is not a price in dollars")
    try:
        amount = Decimal(str(price).strip().removeprefix("$"))
    except InvalidOperation:
        raise ConfigurationError(f"{where}: {price!r} is not a price in dollars") from None
    if not amount.is_finite() or not 0 <= amount < Decimal(10**9):
        raise ConfigurationError(f"{where}: a price must be zero or more dollars, not {price!r}")
    return amount


def _count_of(count: Any, where: str) -> int:
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        raise ConfigurationError(f"{where}: {count!r} is not a number of tokens")
    return count
