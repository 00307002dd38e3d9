"""Parameters: plain values that must be equal for two states, or two metrics, to merge."""

from __future__ import annotations

import collections
import dataclasses
import functools
import math
import struct
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from types import FunctionType, MethodType
from typing import Any

import numpy as np

from mergeable.wording import shown


def differences(here: Mapping[str, Any], there: Mapping[str, Any]) -> dict[str, str]:
    """Return, by name, how two sets of parameters differ; nothing where they are equal."""
    return {
        name: difference(name, here.get(name, _ABSENT), there.get(name, _ABSENT))
        for name in {**here, **there}
        if not same(here.get(name, _ABSENT), there.get(name, _ABSENT))
    }


def difference(name: str, mine: Any, theirs: Any, here: str = "here", there: str = "there") -> str:
    """Return a text that says how two values differ; of long values, at which place.

    Example:
        >>> difference("edges", (0, 1), (0, 2)), difference("edges", [*range(900)], [*range(899), 7])
        ('edges is (0, 1) here and (0, 2) there', 'edges[899] is 899 here and 7 there')
    """
    texts = shown(mine), shown(theirs)
    if type(mine) is type(theirs) and "..." in "".join(texts):
        if isinstance(mine, np.ndarray) and (mine.dtype, mine.ndim) != (theirs.dtype, theirs.ndim):
            texts = (f"an array of {mine.dtype} and shape {mine.shape}", f"an array of {theirs.dtype} and shape {theirs.shape}")
        elif isinstance(mine, list | tuple | np.ndarray | str | bytes):
            if len(mine) != len(theirs):
                return f"{name} has {len(mine):,} items {here} and {len(theirs):,} {there}"
            place = next((i for i, (a, b) in enumerate(zip(mine, theirs, strict=True)) if not same(a, b)), None)
            if place is not None and isinstance(mine, str | bytes):
                name, texts = f"{name}[{place}:]", (shown(mine[place : place + 40]), shown(theirs[place : place + 40]))
            elif place is not None:
                return difference(f"{name}[{place}]", mine[place], theirs[place], here, there)
        elif isinstance(mine, dict):
            for key in {**mine, **theirs}:
                a, b = mine.get(key, _ABSENT), theirs.get(key, _ABSENT)
                if not same(a, b):
                    return difference(f"{name}[{shown(key)}]", a, b, here, there)
    return f"{name} is {texts[0]} {here} and {texts[1]} {there}"


def same(a: Any, b: Any) -> bool:
    """Return whether two parameters are equal: of plain values, whether their canonical bytes are.

    NaN is NaN, NumPy's numbers are Python's, and floats are their bits; 1, 1.0 and True are three values. Arrays are equal by their
    elements, functions by their code, other objects by their class and attributes, or by their own ``==``.
    """
    if a is b:
        return True
    a, b = _plain(a), _plain(b)
    if type(a) in _PLAIN and type(a) is not float:
        return type(a) is type(b) and bool(a == b)
    for kind, alike in _ALIKE:
        if isinstance(a, kind):
            return isinstance(b, kind) and alike(a, b)
    if type(a) is not type(b):
        return False
    if any("__eq__" in vars(cls) for cls in type(a).__mro__[:-1]):
        by_attributes = dataclasses.is_dataclass(a) and not isinstance(
            a, type
        )  # whose own comparison takes NaN for another NaN
    else:
        by_attributes = hasattr(a, "__dict__")
    return same(vars(a), vars(b)) if by_attributes and hasattr(a, "__dict__") else bool(a == b)


def _plain(value: Any) -> Any:
    """Return a number or a string as Python's own, whatever class it is of; other values as they are."""
    if isinstance(value, np.generic) and not isinstance(value, str | bytes) and value.dtype.kind not in "mMV":
        value = value.item()
    if type(value) in _PLAIN or isinstance(value, bool):
        return value
    return next((bare(value) for kind, bare in _BARE.items() if isinstance(value, kind)), value)


def _same_floats(a: Any, b: Any) -> bool:
    bits = [
        struct.pack("<d", x) for x in (a, b)
    ]  # which tell zeros apart, and subnormal numbers, which this thread may read as 0
    return bits[0] == bits[1] or (math.isnan(a) and math.isnan(b))


def _same_arrays(a: Any, b: Any) -> bool:
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    if a.dtype == object:
        return all(map(same, a.ravel().tolist(), b.ravel().tolist()))
    if a.dtype.kind == "f":
        a, b = (np.where(np.isnan(x), np.array(np.nan, x.dtype), x) for x in (a, b))
    return bool(a.tobytes() == b.tobytes())


def _same_lists(a: Any, b: Any) -> bool:
    if len(a) != len(b) or isinstance(a, list) != isinstance(b, list):
        return False
    if a and {*map(type, a), *map(type, b)} == {float} and struct.pack(f"{len(a)}d", *a) == struct.pack(f"{len(b)}d", *b):
        return True
    return all(map(same, a, b))


def _same_mappings(a: Any, b: Any) -> bool:
    there: dict[Any, list[Any]] = {}  # several NaN are several keys
    for key, value in b.items():
        there.setdefault(_hashed(key), []).append(value)
    for key, value in a.items():
        rest = there.get(_hashed(key), [])
        found = next((i for i, other in enumerate(rest) if same(value, other)), None)
        if found is None:
            return False
        del rest[found]
    return len(a) == len(b)


def _same_sets(a: Any, b: Any) -> bool:
    return collections.Counter(map(_hashed, a)) == collections.Counter(map(_hashed, b))


def _hashed(key: Any) -> Any:
    """Return a hashable value that is equal for equal keys of dicts and sets, as ``same`` compares them."""
    key = _plain(key)
    if isinstance(key, tuple | frozenset):
        return type(key), type(key)(map(_hashed, key))
    return type(key), ("nan" if math.isnan(key) else struct.pack("<d", key)) if isinstance(key, float) else key


def _same_functions(a: Any, b: Any) -> bool:
    parts = [(f.__module__, f.__qualname__, f.__defaults__, [c.cell_contents for c in f.__closure__ or ()]) for f in (a, b)]
    return a.__code__ == b.__code__ and same(*parts)


def _same_partials(a: Any, b: Any) -> bool:
    return same((a.func, a.args, a.keywords), (b.func, b.args, b.keywords))


def _same_methods(a: Any, b: Any) -> bool:
    return same((a.__func__, a.__self__), (b.__func__, b.__self__))


_ALIKE: tuple[tuple[Any, Callable[[Any, Any], bool]], ...] = (
    (float, _same_floats),
    (complex, lambda a, b: _same_floats(a.real, b.real) and _same_floats(a.imag, b.imag)),
    (np.ndarray, _same_arrays),
    (np.generic, _same_arrays),
    (list | tuple, _same_lists),
    (Mapping, _same_mappings),
    (AbstractSet, _same_sets),
    (FunctionType, _same_functions),
    (functools.partial, _same_partials),
    (MethodType, _same_methods),
)
"""How values of a kind are compared."""


def as_whole(value: Any, text: str, low: int, high: int | None = None, hint: str = "") -> int:
    """Return a parameter as an int: a whole number in a range, of Python or NumPy. ``text`` has ``{}`` for the value that came.

    Raises:
        ValueError: it is none. Bools, floats (also 3.0) and strings are none: nothing is truncated.
    """
    if is_whole_number(value):
        number = int(value)
        if low <= number and (high is None or number <= high):
            return number
    expected = f"of at least {low}" if high is None else f"from {low} to {_shown(high)}"
    raise ValueError(f"{text.format(shown(value))}, expected a whole number {expected}{hint}.")


def is_whole_number(value: Any) -> bool:
    """Return whether a parameter is an int of Python's or NumPy's, and no bool."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def compares_by_value(value: Any) -> bool:
    """Return whether equal programs have equal values: numbers, strings, arrays, None, and collections of them."""
    if isinstance(value, list | tuple | set | frozenset):
        return all(map(compares_by_value, value))
    if isinstance(value, dict):
        return all(compares_by_value(part) for item in value.items() for part in item)
    if isinstance(value, np.ndarray):
        return bool(value.dtype != object)
    return value is None or isinstance(value, bool | int | float | str | bytes | np.generic)


_PLAIN = frozenset({bool, int, float, str, bytes, type(None)})
_BARE: dict[type, Callable[[Any], Any]] = {
    int: int.__int__,
    float: float.__float__,
    str: str.__str__,
    bytes: lambda value: bytes.__getitem__(value, slice(None)),
}


def _shown(number: int) -> str:
    """Return a number, or the power of two that it is or is next to, where it has many digits."""
    if number < 2**20 or (number & (number - 1) and number & (number + 1)):
        return str(number)
    return f"2**{number.bit_length() - 1}" if number & (number + 1) else f"2**{number.bit_length()} - 1"


class _Absent:
    def __repr__(self) -> str:
        return "absent"


_ABSENT = _Absent()
