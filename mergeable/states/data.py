"""What the states read from a file is checked here, part by part: a value that no updates could have made is refused."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from mergeable.states import keys

_INT64 = range(-(2**63), 2**63)


def fields(data: Any, *names: str) -> list[Any]:
    """Return the members of a dict that has these names and no others."""
    if type(data) is not dict or data.keys() != set(names):
        found = sorted(map(str, data)) if isinstance(data, dict) else type(data).__name__
        raise ValueError(f"found {found}, expected {', '.join(names)}")
    return [data[name] for name in names]


def whole(value: Any, low: int | None = 0) -> int:
    """Return a whole number of at least ``low``."""
    if type(value) is not int or (low is not None and value < low):
        raise ValueError(f"found {value!r}, expected a whole number" + (f" of at least {low}" if low is not None else ""))
    return value


def wholes(values: Any, size: int | None = None, low: int | None = 0) -> list[int]:
    """Return a list of whole numbers of at least ``low``."""
    numbers = isinstance(values, np.ndarray) and values.dtype == np.int64 and values.ndim == 1
    if not (numbers or type(values) is list) or (size is not None and len(values) != size):
        expected = "whole numbers" if size is None else f"{size} whole numbers"
        raise ValueError(f"found {_found(values)}, expected {expected}")
    if numbers and (low is None or not len(values) or values.min() >= low):
        listed: list[int] = values.tolist()
        return listed
    return [whole(value, low) for value in (values.tolist() if numbers else values)]


def packed(values: Sequence[int]) -> Any:
    """Return whole numbers as an int64 array where they fit, for ``wholes``."""
    return np.array(values, np.int64) if all(value in _INT64 for value in values) else list(values)


def array(value: Any, dtype: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Return an array of this dtype and shape."""
    if not isinstance(value, np.ndarray) or value.dtype != dtype or value.shape != shape:
        raise ValueError(f"found {_found(value)}, expected an array of {np.dtype(dtype).name} and shape {shape}")
    return value


def column(found: Iterable[keys.Canonical]) -> Any:
    """Return keys as an array of whole numbers or floats where all are of one kind, else as a list, for ``keys_of``."""
    listed = list(found)
    tags = {tag for tag, _ in listed}
    if tags == {"int"} and all(value in _INT64 for _, value in listed):
        return np.array([value for _, value in listed], np.int64)
    plain = [*map(keys.plain, listed)]
    return np.array(plain, np.float64) if tags == {"float"} else plain


def keys_of(values: Any) -> list[keys.Canonical]:
    """Return the distinct keys of a column."""
    if isinstance(values, np.ndarray) and values.ndim == 1 and values.dtype in (np.int64, np.float64):
        values = values.tolist()
    if type(values) is not list:
        raise ValueError(f"found {_found(values)}, expected a list or an array of keys")
    for kind in (int, str):
        if {*map(type, values)} == {kind}:  # these are what they stand for
            return [(kind.__name__, value) for value in values]
    return keys.canonical_list(values, "keys")


def distinct(values: Any, parts: Sequence[Any]) -> dict[keys.Canonical, Any]:
    """Return the keys of a column, in which none may come twice, with a part for each."""
    labels = keys_of(values)
    found = dict(zip(labels, parts, strict=True))
    if len(found) < len(labels):
        raise ValueError("found a key twice")
    return found


def _found(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype.name} and shape {value.shape}"
    return f"{len(value)} items" if isinstance(value, list) else repr(value)[:40]
