"""How values and texts that came from elsewhere are shown: in errors, tables and pictures, short, and on one line.

Not its job: to say what is wrong with them.
"""

from __future__ import annotations

import decimal
import math
from collections.abc import Callable, Iterable


def printable(text: str) -> str:
    r"""Return a text on one line, with escapes for what could command a terminal, begin a line, or be no character at all.

    Example:
        >>> print(printable("all good\x1b[2J\nmergeable: none"))
        all good\x1b[2J\nmergeable: none
    """
    return text if text.isprintable() else "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def told_apart(values: Iterable[float], digits: int = 2, write: Callable[[float, int], str] | None = None) -> list[str]:
    """Return numbers with so many decimals, or as many more as tell those that differ apart.

    Example:
        >>> told_apart([0.998, 0.0, 1.0])
        ['0.998', '0.000', '1.000']
        >>> told_apart([0.25, 1.0])
        ['0.25', '1.00']
    """
    numbers = [*map(float, values)]
    write = write or (lambda number, digits: f"{number:.{digits}f}")
    for more in range(digits, 18):
        texts = [write(number, more) for number in numbers]
        if len({*texts}) == len({*numbers}):
            return texts
    return [number(value) for value in numbers]


def share(value: float, digits: int = 2) -> str:
    """Return a number from 0 to 1 with as many decimals as tell it from both.

    Example:
        >>> share(0.998), share(0.5), share(1.0), share(2.0**-60)
        ('0.998', '0.50', '1.00', '8.673617379884035e-19')
    """
    return told_apart([value, *(limit for limit in (0.0, 1.0) if limit != value)], digits)[0]


def at_least(value: float, digits: int = 4) -> str:
    """Return a lower bound from 0 to 1 with so many decimals, which it stays a bound with, or more that tell it from 0 and 1."""
    return _bound(value, digits, decimal.ROUND_FLOOR)


def at_most(value: float, digits: int = 4) -> str:
    """Return an upper bound from 0 to 1 with so many decimals, which it stays a bound with, or more that tell it from 0 and 1."""
    return _bound(value, digits, decimal.ROUND_CEILING)


def _bound(value: float, digits: int, rounding: str) -> str:
    def write(number: float, digits: int) -> str:
        return str(decimal.Decimal(number).quantize(decimal.Decimal(1).scaleb(-digits), rounding))

    return told_apart([value, *(limit for limit in (0.0, 1.0) if limit != value)], digits, write)[0]


def number(value: float) -> str:
    """Return a number in full, in the fewest digits that no other float has.

    Example:
        >>> number(3.0), number(0.1), number(1234567.0), number(1e300)
        ('3', '0.1', '1234567', '1e+300')
    """
    return repr(float(value)).removesuffix(".0") if math.isfinite(value) else f"{value:g}"


def rounded(value: float, digits: int = 4) -> str:
    """Return a number in full where it is short, and else with so many digits that count.

    Example:
        >>> rounded(140.0), rounded(16777217.0), rounded(2 / 3)
        ('140', '16777217', '0.6667')
    """
    text = number(value)
    return text if len(text) <= 12 else f"{value:.{digits}g}"
