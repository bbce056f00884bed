"""Money as integers: parse it once, add it exactly, print it.

Inside a computation amounts are picodollars (exact for every list price, which need at most twelve
decimals of a dollar); a settled call is rounded up once to nanodollars, the ledger's unit. Floats
are accepted at the edge only and never touch a sum.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, InvalidOperation

from agentfuse.errors import ConfigurationError

NANO_PER_DOLLAR = 1_000_000_000
PICO_PER_NANO = 1_000

# 2**53 nanodollars: the largest integer that Redis' Lua numbers (doubles) hold exactly. One ceiling
# for every ledger, so that a budget means the same in each.
MAX_NANO = 2**53

Dollars = str | int | float | Decimal
"""What a caller may write for money: ``"$5.00"``, ``"5"``, ``Decimal("5")``, ``5`` or ``5.0``."""


def budget_of(value: Dollars) -> int:
    """Read an allowance in dollars as nanodollars, rounded down: never more than was granted.

    Raises ConfigurationError for a negative, infinite, unparsable or too large amount.
    """
    return _nano_of(value, ROUND_FLOOR)


def cost_of(value: Dollars) -> int:
    """Read a cost in dollars as nanodollars, rounded up: never less than was spent.

    Raises ConfigurationError for a negative, infinite, unparsable or too large amount.
    """
    return _nano_of(value, ROUND_CEILING)


def nano_of_pico(pico: int) -> int:
    """Round picodollars up to nanodollars."""
    return -(-pico // PICO_PER_NANO)


def dollars_of(nano: int) -> Decimal:
    """Give nanodollars as exact Decimal dollars."""
    return Decimal(nano).scaleb(-9)


def usd(nano: int) -> str:
    """Print nanodollars as dollars: two decimals, or as many as are needed (``$0.000315``)."""
    whole, part = divmod(abs(nano), NANO_PER_DOLLAR)
    decimals = f"{part:09d}".rstrip("0").ljust(2, "0")
    return f"{'-' if nano < 0 else ''}${whole:,}.{decimals}"


def _nano_of(value: Dollars, rounding: str) -> int:
    amount = _decimal_of(value)
    if not amount.is_finite() or amount < 0:
        raise ConfigurationError(f"an amount of money must be zero or more, not {value!r}")
    nano = int((amount * NANO_PER_DOLLAR).to_integral_value(rounding=rounding))
    if nano > MAX_NANO:
        raise ConfigurationError(f"amounts above {usd(MAX_NANO)} cannot be kept exactly: {value!r}")
    return nano


def _decimal_of(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise ConfigurationError(f"cannot read {value!r} as an amount of dollars")
    text = str(value).strip().removeprefix("$").replace(",", "").replace("_", "")
    try:
        return Decimal(text)
    except InvalidOperation:
        raise ConfigurationError(
            f"cannot read {value!r} as an amount of dollars: write '$5.00', 5 or Decimal('5')"
        ) from None
