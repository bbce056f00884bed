"""Read the prices a caller gives: a mapping, or a TOML or JSON file of the same."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from os import PathLike
from pathlib import Path
from typing import Any, cast

from agentfuse.errors import ConfigurationError
from agentfuse.pricing.cards import PriceCard, Rates
from agentfuse.pricing.ceilings import max_output_of

Prices = Mapping[str, Mapping[str, Any]] | str | PathLike[str]
"""``{model: {"input": 2.5, "output": 10}}`` in dollars per million tokens, or a file's path."""

# Each kind of token and the word it falls back to where it is not given.
_FALLBACKS = {
    "input": "",
    "output": "",
    "cache_read": "input",
    "cache_write_5m": "cache_write",
    "cache_write_1h": "cache_write",
    "input_audio": "input",
    "output_audio": "output",
    "reasoning": "output",
}
_COUNTS = ("context_window", "max_output_tokens")
_WORDS = (*_FALLBACKS, "cache_write", *_COUNTS)

_PICO_PER_MTOK = Decimal(10**6)


def overrides_of(prices: Prices | None) -> dict[str, PriceCard]:
    """Read ``prices`` as cards by model name in lower case.

    Prices are str, int, float or Decimal dollars per million tokens; ``input`` and ``output`` are
    needed, the other kinds fall back to them. ``max_output_tokens`` and ``context_window`` are
    counts. Raises ConfigurationError that names the file, the model and the field.
    """
    if prices is None:
        return {}
    if isinstance(prices, Mapping):
        return _cards_of(prices, "prices")
    path = Path(prices)
    return _cards_of(_content_of(path), str(path))


def _content_of(path: Path) -> Mapping[str, Any]:
    try:
        text = path.read_text("utf-8")
        if path.suffix.lower() == ".json":
            content = json.loads(text, parse_float=Decimal)
        else:
            import tomllib

            content = tomllib.loads(text, parse_float=Decimal)
    except OSError as error:
        raise ConfigurationError(f"cannot read the price file {path}: {error}") from error
    except ValueError as error:
        raise ConfigurationError(f"{path} is neither TOML nor JSON: {error}") from error
    if not isinstance(content, Mapping):
        raise ConfigurationError(
            f"{path} must hold a table of models, not {type(content).__name__}"
        )
    return cast("Mapping[str, Any]", content)


def _cards_of(prices: Mapping[str, Any], source: str) -> dict[str, PriceCard]:
    cards: dict[str, PriceCard] = {}
    for model, fields in prices.items():
        if not str(model).strip():
            raise ConfigurationError(f"{source}: {model!r} is not a model's name")
        where = f"{source}: {model}"
        if not isinstance(fields, Mapping):
            raise ConfigurationError(f"{where}: needs a table of prices, not {fields!r}")
        cards[model.strip().lower()] = _card_of(model, cast("Mapping[str, Any]", fields), where)
    return cards


def _card_of(model: str, fields: Mapping[str, Any], where: str) -> PriceCard:
    for word in fields:
        if word not in _WORDS:
            raise ConfigurationError(
                f"{where}: {word!r} is no kind of price; known are {', '.join(_WORDS)}"
            )
    for needed in ("input", "output"):
        if needed not in fields:
            raise ConfigurationError(f"{where}: {needed!r} is missing")
    pico = {
        word: _pico_of(price, f"{where}: {word}")
        for word, price in fields.items()
        if word not in _COUNTS
    }
    pico.setdefault("cache_write", pico["input"])
    counts = {word: _count_of(fields.get(word, 0), f"{where}: {word}") for word in _COUNTS}
    return PriceCard(
        id=f"{model.strip()}@prices",
        rates=Rates(**{kind: pico.get(kind, pico.get(to, 0)) for kind, to in _FALLBACKS.items()}),
        context_window=counts["context_window"],
        max_output_tokens=counts["max_output_tokens"] or max_output_of(model),
        writes_unasked="cache_write" in fields or "cache_write_5m" in fields,
    )


def _pico_of(price: Any, where: str) -> int:
    """Read dollars per million tokens as picodollars per token, rounded up."""
    if isinstance(price, bool) or not isinstance(price, str | int | float | Decimal):
        raise ConfigurationError(f"{where}: {price!r} is not a price in dollars")
    try:
        amount = Decimal(str(price).strip().removeprefix("$"))
    except InvalidOperation:
        raise ConfigurationError(f"{where}: {price!r} is not a price in dollars") from None
    if not amount.is_finite() or not 0 <= amount < Decimal(10**9):
        raise ConfigurationError(f"{where}: a price must be zero or more dollars, not {price!r}")
    return int((amount * _PICO_PER_MTOK).to_integral_value(rounding="ROUND_CEILING"))


def _count_of(count: Any, where: str) -> int:
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        raise ConfigurationError(f"{where}: {count!r} is not a number of tokens")
    return count
