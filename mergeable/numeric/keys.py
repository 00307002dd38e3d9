"""The canonical form of keys and labels: equal keys are equal on every machine, and unequal ones are not.

``1``, ``1.0``, ``True`` and ``"1"`` are four keys; ``np.int64(1)`` is ``1``; ``-0.0`` is ``0.0``; NaN is one key. A ``datetime64`` is the date or the
datetime that it stands for, in whatever unit; a datetime with a zone is its moment, in UTC.
Python's ``hash()`` decides nothing.
"""

from __future__ import annotations

import datetime as dt
import math
import uuid
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any, TypeVar, final

import numpy as np

from mergeable.numeric import exact
from mergeable.numeric.conversion import as_lossless
from mergeable.numeric.inputs import as_float64
from mergeable.wording import shown

K = TypeVar("K")

Canonical = int | str | bytes | tuple[str, Any]
"""Whole numbers, strings and bytes stand for themselves. The others, which might equal one of these, are a type's tag and a value:
of a float its order key, which compares by bits, and None for NaN."""

MAX_BITS, MAX_DEPTH = 8192, 8
"""The longest whole number, and the deepest tuple, that is a key: what a file holds, and what anything can be done with on every stack."""

_OTHERS = (np.datetime64, np.timedelta64, np.void)  # NumPy makes numbers, dates, None or tuples of them, as their units choose
_RANK = {
    "none": 0,
    "bool": 1,
    int: 2,
    "float": 3,
    str: 4,
    bytes: 5,
    "tuple": 6,
    "date": 7,
    "datetime": 8,
    "moment": 9,
    "uuid": 10,
}
_SIMPLE = ({int}, {str}, {bytes})


def canonical(key: Any, who: str, depth: int = 0) -> Canonical:
    """Return the canonical form of one key.

    Raises:
        TypeError: it is none, or one that a file cannot hold as it is: fine times, objects, deep tuples and whole numbers beyond measure.
    """
    if type(key) is str:
        return key
    if isinstance(key, str):
        return str.__str__(key)  # what str(key) says is the choice of an enum's class
    if isinstance(key, bytes):
        return bytes.__getitem__(key, slice(None))
    if isinstance(key, np.generic) and not isinstance(key, _OTHERS):
        key = key.item()
    if isinstance(key, bool):
        return "bool", key
    if isinstance(key, int) and key.bit_length() <= MAX_BITS:
        return int.__int__(key)
    if isinstance(key, float):
        return "float", (None if math.isnan(key) else exact.key_of_value(key))
    if key is None:
        return "none", None
    if isinstance(key, uuid.UUID):
        return "uuid", key.int
    time = _time(key)
    if time is not None:
        return time
    if isinstance(key, tuple) and depth < MAX_DEPTH:
        return "tuple", tuple(canonical(part, who, depth + 1) for part in key)
    raise TypeError(
        f"{who}: got the key {shown(key)} ({type(key).__name__}), expected None, a bool, a number, a string, bytes or a tuple of them, "
        f"a date, a datetime of whole microseconds or a UUID; numbers of at most {MAX_BITS:,} bits, and tuples in tuples {MAX_DEPTH} deep. Turn "
        "it into one of these first, as str(key) or keys.astype(str) does for times."
    )


def canonical_list(keys: Any, who: str) -> list[Canonical]:
    """Return the canonical forms of an array, a list or another iterable of keys."""
    return [canonical(key, who) for key in plain_list(keys, who)]


def plain_list(keys: Any, who: str) -> list[Any]:
    """Return an array, a list or another iterable of keys as a list; a lone string is refused."""
    if isinstance(keys, str | bytes) or not (isinstance(keys, Iterable) or hasattr(keys, "__array__")):
        raise TypeError(f"{who}: got {shown(keys)}, expected a list or an array of keys. Put a single one in a list.")
    if hasattr(keys, "__array__"):
        array = as_lossless(keys, who).ravel()
        return [*array] if array.dtype.kind in "mMV" else array.tolist()  # which makes numbers of times
    return list(keys)


def places(labels: Iterable[K]) -> dict[K, list[int]]:
    """Return where each label stands."""
    found: dict[K, list[int]] = {}
    for i, label in enumerate(labels):
        found.setdefault(label, []).append(i)
    return found


def tally(keys: Any, who: str) -> dict[Canonical, int]:
    """Return how often each key comes; arrays of numbers are counted without a loop over their items."""
    if hasattr(keys, "__array__"):
        array = keys = as_lossless(keys, who).ravel()
        if array.dtype.kind in "biuf" and array.dtype.itemsize <= 8:
            return _tally_numbers(array, who)
    counts: dict[Canonical, int] = {}
    for key in canonical_list(keys, who):
        counts[key] = counts.get(key, 0) + 1
    return counts


def _tally_numbers(array: np.ndarray, who: str) -> dict[Canonical, int]:
    if array.dtype.kind == "f":  # by bits: a thread that flushes subnormal numbers would call them equal
        array = as_float64(array, who)
        bits, times = np.unique(array.view(np.int64), return_counts=True)
        values = bits.view(np.float64).tolist()
    else:
        unique, times = np.unique(array, return_counts=True)
        values = unique.tolist()
    counts: dict[Canonical, int] = {}
    for value, n in zip(values, times.tolist(), strict=True):
        key = canonical(value, who)
        counts[key] = counts.get(key, 0) + n  # both zeros, and all NaNs, are one key
    return counts


def plain(key: Canonical) -> Any:
    """Return the key as a Python value."""
    if type(key) is not tuple:
        return key
    tag, value = key
    if tag == "tuple":
        return tuple(plain(part) for part in value)
    if tag == "float":
        return math.nan if value is None else exact.value_of_key(value)
    return _PLAIN[tag](value) if tag in _PLAIN else value


@final
class Subnormal(float):
    """A float nearer to 0 than 2^-1022 as a key of a dict: a thread that flushes such numbers would take it for 0, and for any other."""

    __slots__ = ()

    def __hash__(self) -> int:
        return hash(self._exactly())  # which is that of the float where nothing is flushed

    def __eq__(self, other: object) -> bool:
        return exact.units_of(other) == exact.units_of(self) if isinstance(other, float) else False

    def _exactly(self) -> Fraction:
        return Fraction(exact.units_of(self), 1 << exact.UNIT_BITS)


def member(key: Canonical) -> Any:
    """Return the key as one of a dict, in which keys stay apart in every thread."""
    if type(key) is not tuple:
        return key
    tag, value = key
    if tag == "tuple":
        return tuple(member(part) for part in value)
    if tag == "float" and value and abs(value) < 1 << exact.MANTISSA_BITS:
        return Subnormal(exact.value_of_key(value))
    return plain(key)


def in_order(keys: Iterable[Canonical]) -> list[Canonical]:
    """Return keys in their total order; those of one simple kind, which compare as they are, at the speed of ``sorted``."""
    listed = list(keys)
    return sorted(listed) if {*map(type, listed)} in _SIMPLE else sorted(listed, key=order)


def order(key: Canonical) -> Any:
    """Return a sort key for a canonical key: a total order over all of them."""
    if type(key) is not tuple:
        return _RANK[type(key)], False, key
    tag, value = key
    if tag == "tuple":
        value = tuple(order(part) for part in value)
    return _RANK[tag], value is None, (0 if value is None else value)


def _time(original: Any) -> tuple[str, int] | None:
    """Return the form of a date or a datetime: its day, or its microseconds, in UTC where it has a zone; None for other keys."""
    key: Any = original
    if isinstance(key, np.datetime64):
        if np.datetime_data(key.dtype)[0] in _FINE:
            whole = key.astype("M8[us]")
            key = whole if whole == key else None  # as NaT is not
        key = None if key is None else key.item()  # a number where no date of Python's is
    if not isinstance(key, dt.date) or key != key or getattr(original, "nanosecond", False):  # noqa: PLR0124 - as NaT of pandas
        return None
    if not isinstance(key, dt.datetime):
        return "date", key.toordinal()
    has_zone = key.utcoffset() is not None
    if has_zone:
        try:
            key = key.astimezone(dt.timezone.utc)
        except OverflowError:  # before year 1, or after 9999
            return None
    seconds = (key.toordinal() * 24 + key.hour) * 3600 + key.minute * 60 + key.second
    return "moment" if has_zone else "datetime", seconds * 1_000_000 + key.microsecond


def _datetime(microseconds: int) -> dt.datetime:
    first = dt.datetime(1, 1, 1)  # noqa: DTZ001 - as the key had none
    return first + dt.timedelta(days=-1, microseconds=microseconds)


_FINE = ("ns", "ps", "fs", "as")
_PLAIN: dict[str, Callable[[Any], Any]] = {
    "date": dt.date.fromordinal,
    "datetime": _datetime,
    "moment": lambda microseconds: _datetime(microseconds).replace(tzinfo=dt.timezone.utc),
    "uuid": lambda number: uuid.UUID(int=number),
}
