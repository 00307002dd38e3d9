"""Checks of the values that states read from files: values that no updates could have made are refused."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from mergeable.encoding.plain import check_hashes
from mergeable.numeric import exact, keys
from mergeable.wording import named, short, shown

INT64_MAX = 2**63 - 1
"""The largest count in an array."""

LARGEST = exact.units_of(sys.float_info.max)
"""The largest float64 in units of 2^-1074."""

LARGEST_SUM = LARGEST << 64
"""More, in these units, than all values come to that anybody adds."""

_INT64 = range(-(2**63), 2**63)
_FEW_ALIKE = 64  # bits of whole numbers of which at most 9 have one hash
_MAX_AXES = 64  # of NumPy's arrays


def fields(data: Any, *names: str) -> list[Any]:
    """Return the members of a dict that has these names and no others."""
    if type(data) is not dict or data.keys() != set(names):
        found = shown(sorted(map(str, data))[:10]) if isinstance(data, dict) else type(data).__name__
        raise ValueError(f"found {found}, expected {', '.join(map(named, names[:10]))}")
    return [data[name] for name in names]


def whole(value: Any, low: int | None = 0, high: int | None = None) -> int:
    """Return a whole number of at least ``low`` and at most ``high``."""
    if type(value) is not int or (low is not None and value < low) or (high is not None and value > high):
        limits = "" if low is None else f" of at least {low}" if high is None else f" from {low} to {short(high)}"
        raise ValueError(f"found {short(value)}, expected a whole number{limits}")
    return value


def wholes(values: Any, size: int | None = None, low: int | None = 0, high: int | None = None) -> list[int]:
    """Return a list of whole numbers of at least ``low`` and at most ``high``."""
    numbers = isinstance(values, np.ndarray) and values.dtype == np.int64 and values.ndim == 1
    if not (numbers or type(values) is list) or (size is not None and len(values) != size):
        expected = "whole numbers" if size is None else f"{size} whole numbers"
        raise ValueError(f"found {_found(values)}, expected {expected}")
    if numbers and high in (None, INT64_MAX) and (low is None or not len(values) or values.min() >= low):
        listed: list[int] = values.tolist()
        return listed
    return [whole(value, low, high) for value in (values.tolist() if numbers else values)]


def listed(value: Any, what: str, size: int | None = None) -> list[Any]:
    """Return a list."""
    if type(value) is not list or (size is not None and len(value) != size):
        raise ValueError(f"found {_found(value)}, expected a list of {what}")
    return value


def cells(shape: Any) -> int:
    """Return how many cells an array of a declared shape has."""
    if type(shape) is not tuple or len(shape) > _MAX_AXES or not all(type(n) is int and n > 0 for n in shape):
        raise ValueError(f"found the shape {short(shape)}, expected a tuple of whole numbers of at least 1")
    return math.prod(shape)


def packed(values: Sequence[int]) -> Any:
    """Return whole numbers as an int64 array where they fit, for ``wholes``."""
    fits = not values or (min(values) in _INT64 and max(values) in _INT64)
    return np.array(values, np.int64) if fits else list(values)


def array(value: Any, dtype: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Return an array of this dtype and shape."""
    if not isinstance(value, np.ndarray) or value.dtype != dtype or value.shape != shape:
        raise ValueError(f"found {_found(value)}, expected an array of {np.dtype(dtype).name} and shape {shape}")
    return value


def column(found: Iterable[keys.Canonical]) -> Any:
    """Return keys as an array of whole numbers or floats where all are of one kind, else as a list, for ``keys_of``."""
    listed = list(found)
    types = {*map(type, listed)}
    if types == {int} and min(listed) in _INT64 and max(listed) in _INT64:
        return np.array(listed, np.int64)
    if types <= {int, str, bytes}:  # these are what they stand for
        return listed
    plain = [*map(keys.plain, listed)]
    return np.array(plain, np.float64) if {*map(type, plain)} == {float} else plain


def keys_of(values: Any) -> list[keys.Canonical]:
    """Return the distinct keys of a column."""
    if isinstance(values, np.ndarray) and values.ndim == 1 and values.dtype in (np.int64, np.float64):
        values = values.tolist()
    if type(values) is not list:
        raise ValueError(f"found {_found(values)}, expected a list or an array of keys")
    if {*map(type, values)} <= {int, str, bytes}:
        return values
    return keys.canonical_list(values, "keys")


def distinct(labels: Sequence[Any], parts: Sequence[Any]) -> dict[Any, Any]:
    """Return keys, of which none may come twice, with a part for each."""
    if len(labels) != len(parts):
        raise ValueError(f"found {len(labels)} keys and {len(parts)} parts, expected one for each")
    if {*map(type, labels)} != {int} or max(map(int.bit_length, labels)) > _FEW_ALIKE:
        check_hashes(labels)
    found = dict(zip(labels, parts, strict=True))
    if len(found) < len(labels):
        raise ValueError("found a key twice")
    return found


def _found(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype.name} and shape {value.shape}"
    return f"{len(value)} items" if isinstance(value, list) else short(value)
