"""How values and texts that came from elsewhere are shown: in errors, tables and pictures, short, and on one line.

Not its job: to say what is wrong with them.
"""

from __future__ import annotations

import decimal
import itertools
import math
import reprlib
from collections.abc import Callable, Iterable
from typing import Any

LONGEST = 160
"""The most characters in which an error shows a value: what came, what was expected and what to do have room on a screen."""

SHORT = 40
"""The most characters of one of several values, and of a name, in an error."""

_TEXT = 300
_NAMES = 16
_MAX_BITS = 8192  # of a whole number that is printed, which takes the square of their number
_SCALARS = frozenset({type(None), bool, int, float, str})


def shown(value: Any, longest: int = LONGEST) -> str:
    """Return a value's ``repr`` on one line, where it is long its beginning and its end: for what the program was given.

    Example:
        >>> shown({"b": 1, "a": [0.5, None]}), shown("word " * 1_000_000)[:24]
        ("{'b': 1, 'a': [0.5, None]}", "'word word word word wor")
        >>> shown([*range(300_000)])[-8:]
        '19, ...]'
    """
    return _cut(printable(" ".join(_repr.repr(value).split("\n"))), longest, end=True)


def short(value: Any) -> str:
    """Return the beginning of a value's ``repr``, or its type where it is no scalar: for what a file says, and one of many values.

    Example:
        >>> short("a.mg"), short("word " * 1_000_000), short([1, 2]), short([[1], [2]])
        ("'a.mg'", "'word word word word word word word w...", '[1, 2]', 'list')
    """
    items = value if type(value) in (list, tuple) else [value]
    small = len(items) <= 32 and all(type(item) in _SCALARS and not _is_long(item) for item in items)
    return _cut(repr(value) if small else type(value).__name__, SHORT)


def some(names: Iterable[str]) -> str:
    """Return the first 16 names, and how many more there are: for those of states and arguments, of which a file may have any.

    Example:
        >>> some(["total", "rows", "no name"]), some(f"s{i:02}" for i in range(100))[-20:]
        ("'no name', rows, total", 's14, s15 and 84 more')
    """
    listed = sorted(names)
    more = f" and {len(listed) - _NAMES:,} more" if len(listed) > _NAMES else ""
    return ", ".join(name if name.isidentifier() and len(name) <= SHORT else short(name) for name in listed[:_NAMES]) + more


def named(name: str) -> str:
    """Return the name of a class as it is, or, where no class has such a name, as ``shown`` does: for one that a file names."""
    return name if name.isprintable() and len(name) <= LONGEST else shown(name)


def brief(error: BaseException) -> str:
    """Return the beginning of an exception's text: for an error that quotes another one."""
    return _cut(str(error), _TEXT)


def _cut(text: str, longest: int, *, end: bool = False) -> str:
    """Return a text of at most so many characters: of a long one the beginning, and the end too where that tells more."""
    if len(text) <= longest:
        return text
    return f"{text[: longest // 2]}...{text[-longest // 2 + 3 :]}" if end else f"{text[: longest - 3]}..."


def _is_long(value: Any) -> bool:
    return type(value) is int and value.bit_length() > _MAX_BITS


class _Repr(reprlib.Repr):
    """What shortens each part of a value, in the order that it has, and never fails."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxdict = 4, 12
        self.maxlist = self.maxtuple = self.maxset = self.maxfrozenset = self.maxarray = self.maxdeque = 20
        self.maxstring = self.maxother = self.maxlong = LONGEST

    def repr_int(self, x: int, level: int) -> str:  # noqa: ARG002 - the signature of reprlib
        return repr(x) if x.bit_length() <= _MAX_BITS else f"an int of {x.bit_length()} bits"

    def repr_dict(self, x: dict[Any, Any], level: int) -> str:
        if level <= 0 and x:
            return "{...}"
        parts = [f"{self.repr1(key, level - 1)}: {self.repr1(x[key], level - 1)}" for key in itertools.islice(x, self.maxdict)]
        return "{" + ", ".join([*parts, *["..."] * (len(x) > self.maxdict)]) + "}"

    def repr_instance(self, x: Any, level: int) -> str:  # noqa: ARG002 - the signature of reprlib
        try:
            text = " ".join(repr(x).split())
        except Exception:  # a repr of the user's raises anything
            return f"<{type(x).__name__} whose repr fails>"
        return _cut(text, self.maxother, end=True)


_repr = _Repr()


def repeated(items: Iterable[Any]) -> Any:
    """Return the first of the items that is equal to one before it."""
    seen: set[Any] = set()
    for item in items:
        if item in seen:
            return item
        seen.add(item)
    return None


def printable(text: str) -> str:
    r"""Return a text on one line, with escapes for what could command a terminal, begin a line, or be no character at all.

    Example:
        >>> print(printable("all good\x1b[2J\nmergeable: none"))
        all good\x1b[2J\nmergeable: none
    """
    return text if text.isprintable() else "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def distinct_decimals(values: Iterable[float], digits: int = 2, write: Callable[[float, int], str] | None = None) -> list[str]:
    """Return numbers with so many decimals, or with as many more as give numbers that differ texts that differ.

    Example:
        >>> distinct_decimals([0.998, 0.0, 1.0])
        ['0.998', '0.000', '1.000']
        >>> distinct_decimals([0.25, 1.0])
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
    return distinct_decimals([value, *(limit for limit in (0.0, 1.0) if limit != value)], digits)[0]


def at_least(value: float, digits: int = 4) -> str:
    """Return a lower bound from 0 to 1 with so many decimals, which it stays a bound with, or more that tell it from 0 and 1."""
    return _bound(value, digits, decimal.ROUND_FLOOR)


def at_most(value: float, digits: int = 4) -> str:
    """Return an upper bound from 0 to 1 with so many decimals, which it stays a bound with, or more that tell it from 0 and 1."""
    return _bound(value, digits, decimal.ROUND_CEILING)


def _bound(value: float, digits: int, rounding: str) -> str:
    def write(number: float, digits: int) -> str:
        return str(decimal.Decimal(number).quantize(decimal.Decimal(1).scaleb(-digits), rounding))

    return distinct_decimals([value, *(limit for limit in (0.0, 1.0) if limit != value)], digits, write)[0]


def number(value: float) -> str:
    """Return a number in full, in the fewest digits that no other float has.

    Example:
        >>> number(3.0), number(0.1), number(1234567.0), number(1e300)
        ('3', '0.1', '1234567', '1e+300')
    """
    return repr(float(value)).removesuffix(".0") if math.isfinite(value) else f"{value:g}"


def rounded(value: float, digits: int = 4) -> str:
    """Return a number with so many digits that count where these are all that it has, or it is long, and else in full.

    Example:
        >>> rounded(140.0), rounded(16777217.0), rounded(2 / 3)
        ('140', '16777217', '0.6667')
    """
    text, full = f"{value:.{digits}g}", number(value)
    return text if float(text) == value or len(full) > 12 else full
