"""Columns of rows: the dtypes that they may have, and the canonical order of rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from mergeable.numeric import keys
from mergeable.numeric.conversion import as_items, objects
from mergeable.numeric.inputs import as_array, as_float64, is_real
from mergeable.wording import shown

_MOST_AXES = 32
_FEW = 16  # cells in a row up to which sorting by one after the other is faster than by their bytes


def as_column(values: Any, name: str, who: str) -> np.ndarray:
    """Return a column (n, ...) of bools, real numbers of at most 64 bits, strings or bytes; the last two as objects.

    Whole numbers beside floats are floats, where these hold them exactly.
    """
    if isinstance(values, list | tuple) and values and {*map(type, values)} == {tuple}:
        values = [*map(list, values)]  # rows: a column has no tuples
    array = as_items(values, who)
    if not array.ndim:
        raise ValueError(f"{who}: got one value for {shown(name)}, expected an array (n, ...).")
    if array.ndim > _MOST_AXES:
        raise ValueError(
            f"{who}: got the column {shown(name)} of {array.ndim} axes, expected at most {_MOST_AXES}, which a file holds."
        )
    if array.dtype.kind in "biuf" and array.dtype.itemsize <= 8:
        return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))
    if array.dtype.name == "bfloat16":
        return array.astype(np.float32)
    if array.dtype.kind in "US":
        return array.astype(object)
    items = array.ravel().tolist()
    kinds = {*map(type, items)}
    for kind in (str, bytes):
        if array.dtype == object and all(issubclass(k, kind) for k in kinds):
            return array if kinds <= {kind} else objects([keys.canonical(item, who) for item in items]).reshape(array.shape)
    if array.dtype == object and kinds.isdisjoint((bool, np.bool_)) and all(map(is_real, items)):
        return as_array(array, who)  # whole numbers and floats
    listed = keys.plain_list(array, who)
    bad = next((item for item in listed if not is_real(item)), listed[0] if listed else None)
    raise ValueError(
        f"{who}: got the column {shown(name)} of dtype {array.dtype} (for instance {shown(bad)}), expected bools, real numbers of at most 64 "
        "bits, strings or bytes, and one of these kinds. Drop or fill gaps, and turn other items into one of these first."
    )


def kinds_of(columns: Iterable[np.ndarray]) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Return the kind of each column (its dtype's name, ``str`` or ``bytes``), and its trailing shape."""
    return tuple((_kind_of(column), column.shape[1:]) for column in columns)


def _kind_of(array: np.ndarray) -> str:
    return array.dtype.name if array.dtype != object else "bytes" if isinstance(next(array.flat, ""), bytes) else "str"


Chunks = list[tuple[np.ndarray, ...]]
"""Parts of the rows, each as one array for each column."""


def joined(mine: Chunks, others: Chunks, *, signs: bool) -> tuple[Chunks, Chunks] | None:
    """Return both sides' columns in the narrowest dtypes that hold every number of both, or None where there are none.

    Those depend on the dtypes that came, and on no order. Only for uint64 beside int64 they depend on the numbers: where all of them are
    here, ``signs`` says that these two may mix. Bools, numbers, strings and bytes do not.
    """
    columns = zip(zip(*mine, strict=True), zip(*others, strict=True), strict=True)
    dtypes = [_joined(one, two, signs) for one, two in columns]
    if any(dtype is None for dtype in dtypes):
        return None

    def cast(chunks: Chunks) -> Chunks:
        return [tuple(map(_cast, chunk, dtypes)) for chunk in chunks]

    return cast(mine), cast(others)


def _cast(array: np.ndarray, dtype: Any) -> np.ndarray:
    if array.dtype == np.float32 and dtype == np.float64:
        return as_array(array, "")  # also where this thread reads subnormal numbers as zero
    return array.astype(dtype, copy=False)


def _joined(mine: tuple[np.ndarray, ...], others: tuple[np.ndarray, ...], signs: bool) -> np.dtype[Any] | None:
    one, two = mine[0].dtype, others[0].dtype
    if mine[0].shape[1:] != others[0].shape[1:] or (one != two and not {one.kind, two.kind} <= {"i", "u", "f"}):
        return None
    if one == two:
        return one if _kind_of(mine[0]) == _kind_of(others[0]) else None
    wide = np.result_type(one, two)
    choices = [wide]
    if wide.kind == "f" and "f" not in (one.kind, two.kind):  # uint64 beside a signed one, for which NumPy has no common dtype
        choices = [np.dtype(np.int64), np.dtype(np.uint64)] if signs else []
    return next((dtype for dtype in choices if all(_holds(dtype, array) for array in (*mine, *others))), None)


def _holds(dtype: np.dtype[Any], array: np.ndarray) -> bool:
    """Return whether every number of an array is one of this dtype; all numbers but whole ones of 64 bits are."""
    if array.dtype.kind not in "iu" or not array.size:
        return True
    if dtype.kind == "i":
        return int(array.max()) < 2**63
    if dtype.kind == "u":
        return int(array.min()) >= 0
    try:
        as_float64(array, "")
    except ValueError:
        return False
    return True


def kinds_as_text(kinds: tuple[tuple[str, tuple[int, ...]], ...] | None) -> str:
    """Return the kinds and trailing shapes of columns as a text."""
    return ", ".join(f"{kind}{list(shape) or ''}" for kind, shape in kinds or ())


def canonical_order(columns: list[np.ndarray]) -> np.ndarray:
    """Return the canonical order of rows: by their cells in the first column, then in the next; unequal rows have an order."""
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
