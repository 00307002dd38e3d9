"""Columns of rows: what they may hold, and the order of the rows that their bytes give."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from mergeable.states import keys
from mergeable.states.given import as_items, objects

_MOST_AXES = 32
_FEW = 16  # cells in a row up to which sorting by one after the other is faster than by their bytes


def as_column(values: Any, name: str, who: str) -> np.ndarray:
    """Return a column (n, ...) of bools, real numbers of at most 64 bits, strings or bytes; the last two as objects."""
    if isinstance(values, list | tuple) and values and {*map(type, values)} == {tuple}:
        values = [*map(list, values)]  # rows: a column has no tuples
    array = as_items(values, who)
    if not array.ndim:
        raise ValueError(f"{who}: got one value for {name!r}, expected an array (n, ...).")
    if array.ndim > _MOST_AXES:
        raise ValueError(
            f"{who}: got the column {name!r} of {array.ndim} axes, expected at most {_MOST_AXES}, which a file holds."
        )
    if array.dtype.name == "bfloat16":
        return array.astype(np.float32)
    if array.dtype.kind in "biuf" and array.dtype.itemsize <= 8:
        return array.astype(array.dtype.newbyteorder("="), copy=False)
    if array.dtype.kind in "US":
        return array.astype(object)
    items = array.ravel().tolist()
    for kind in (str, bytes):
        if array.dtype == object and all(isinstance(item, kind) for item in items):
            plain = {*map(type, items)} <= {kind}
            return array if plain else objects([keys.canonical(item, who) for item in items]).reshape(array.shape)
    raise ValueError(
        f"{who}: got the column {name!r} of dtype {array.dtype}, expected bools, real numbers of at most 64 bits, "
        "strings or bytes."
    )


def kinds_of(columns: Iterable[np.ndarray]) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Return the name of what each column holds, and its trailing shape."""
    return tuple((_kind_of(column), column.shape[1:]) for column in columns)


def _kind_of(array: np.ndarray) -> str:
    return array.dtype.name if array.dtype != object else "bytes" if isinstance(next(array.flat, ""), bytes) else "str"


def described(kinds: tuple[tuple[str, tuple[int, ...]], ...] | None) -> str:
    """Return the kinds and trailing shapes of columns as a text."""
    return ", ".join(f"{kind}{list(shape) or ''}" for kind, shape in kinds or ())


def canonical_order(columns: list[np.ndarray]) -> np.ndarray:
    """Return the order that decides between any two rows that differ in a byte: that of their first cells, then of the next ones."""
    keys = [sort_keys(column.reshape(len(column), -1)) for column in columns]
    if sum(key.shape[1] for key in keys) <= _FEW:
        one_by_one = [part for key in keys for part in key.T]
        return np.lexsort(one_by_one[::-1]) if one_by_one else np.arange(len(columns[0]))
    rows = np.concatenate([_in_order_of_bytes(key) for key in keys], axis=1)
    return np.argsort(rows.view(f"V{rows.shape[1]}").ravel(), kind="stable")


def sort_keys(column: np.ndarray) -> np.ndarray:
    """Return a whole number for each cell (n, m). Floats compare by bits, strings and bytes by their rank in the column."""
    if column.dtype == object:
        column = np.unique(column, return_inverse=True)[1].reshape(column.shape)
    if column.dtype.kind == "f":
        bits = np.ascontiguousarray(column).view(f"i{column.dtype.itemsize}")
        column = bits ^ ((bits >> (8 * column.dtype.itemsize - 1)) & np.iinfo(bits.dtype).max)
    return column.view(np.uint8) if column.dtype == bool else column


def _in_order_of_bytes(key: np.ndarray) -> np.ndarray:
    """Return whole numbers (n, m) as bytes (n, k) in whose order they are."""
    if key.dtype.kind == "i":
        key = key.view(f"u{key.dtype.itemsize}") ^ np.array(1 << (8 * key.dtype.itemsize - 1), f"u{key.dtype.itemsize}")
    return np.ascontiguousarray(key, key.dtype.newbyteorder(">")).view(np.uint8).reshape(len(key), -1)
