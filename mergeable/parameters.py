"""Parameters: plain values that must be equal for two states, or two metrics, to merge."""

from __future__ import annotations

from collections.abc import Mapping
from types import FunctionType
from typing import Any

import numpy as np


def differences(here: Mapping[str, Any], there: Mapping[str, Any]) -> dict[str, str]:
    """Return, by name, how two sets of parameters differ; nothing where they are equal."""
    return {
        name: f"{name} is {here.get(name, _ABSENT)!r} here and {there.get(name, _ABSENT)!r} there"
        for name in {**here, **there}
        if not same(here.get(name, _ABSENT), there.get(name, _ABSENT))
    }


def same(a: Any, b: Any) -> bool:
    """Return whether two parameters are equal: arrays by their elements, plain objects by their attributes."""
    if a is b:
        return True
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
    if isinstance(a, list | tuple):
        kinds = [*map(type, a)]
        if kinds != [*map(type, b)]:
            return False
        return a == b if _PLAIN.issuperset(kinds) else all(map(same, a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, FunctionType):
        parts = [
            (f.__module__, f.__qualname__, f.__defaults__, [cell.cell_contents for cell in f.__closure__ or ()]) for f in (a, b)
        ]
        return a.__code__ == b.__code__ and same(*parts)
    defines_equality = any("__eq__" in vars(cls) for cls in type(a).__mro__[:-1])
    if hasattr(a, "__dict__") and not defines_equality:
        return same(vars(a), vars(b))
    return bool(a == b)


def as_whole(value: Any, text: str, low: int, high: int | None = None, hint: str = "") -> int:
    """Return a parameter that is a whole number in a range, of Python's or NumPy's integers; ``text`` has ``{}`` for what came.

    Raises:
        ValueError: it is none. Bools, floats (also 3.0) and strings are none: nothing is truncated.
    """
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        number = int(value)
        if low <= number and (high is None or number <= high):
            return number
    expected = f"of at least {low}" if high is None else f"from {low} to {_shown(high)}"
    raise ValueError(f"{text.format(repr(value))}, expected a whole number {expected}{hint}.")


def is_plain(value: Any) -> bool:
    """Return whether a value is a number, a string, an array, None, or a collection of them, which equal programs have equal."""
    if isinstance(value, list | tuple | set | frozenset):
        return all(map(is_plain, value))
    if isinstance(value, dict):
        return all(is_plain(part) for item in value.items() for part in item)
    if isinstance(value, np.ndarray):
        return bool(value.dtype != object)
    return value is None or isinstance(value, bool | int | float | str | bytes | np.generic)


_PLAIN = frozenset({bool, int, float, str, bytes, type(None)})


def _shown(number: int) -> str:
    """Return a number, or the power of two that it is or is next to, where it has many digits."""
    if number < 2**20 or (number & (number - 1) and number & (number + 1)):
        return str(number)
    return f"2**{number.bit_length() - 1}" if number & (number + 1) else f"2**{number.bit_length()} - 1"


class _Absent:
    def __repr__(self) -> str:
        return "absent"


_ABSENT = _Absent()
