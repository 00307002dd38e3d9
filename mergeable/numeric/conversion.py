"""Lossless conversion of inputs to arrays: each item of the array is the item that came, or the input is refused.

NumPy rounds a large whole number that stands beside a float, makes 1.0 of 1, 1 of True and "1" of 1, drops the zero bytes that end a string,
and shows what a mask hides. Here numbers of one kind become an array of that kind, and all else an array of objects.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

_KINDS: tuple[tuple[type, str], ...] = (
    (bool, "b"),
    (np.bool_, "b"),
    (np.timedelta64, "O"),  # an integer to NumPy
    (np.longdouble, "O"),
    (int, "i"),
    (np.integer, "i"),
    (float, "f"),
    (np.floating, "f"),
    (complex, "c"),
    (np.complexfloating, "c"),
)
_ALIKE = [{letter} for letter in "bifc"]
_ROWS = (list, tuple)
_SIMPLE = {bool: "b", int: "iu", float: "f", str: "O", bytes: "O"}


def as_lossless(values: Any, who: str) -> np.ndarray:
    """Return an array, a column of a table or one value as an array. Gaps of a column are None; masked cells are refused."""
    kind = type(values)
    if kind is np.ndarray:
        return values  # type: ignore[no-any-return]  # which it is
    if isinstance(values, str | bytes):
        return np.array(values, object)
    if kind in _SIMPLE:
        return np.asarray(values)
    if isinstance(values, np.ma.MaskedArray):
        return _unmasked(values, who)
    if hasattr(kind, "null_count"):  # of polars and Arrow, which show gaps as NaN, and whole numbers beside them as floats
        gaps = values.null_count
        if gaps() if callable(gaps) else gaps:
            return objects(values.to_pylist() if hasattr(kind, "to_pylist") else values.to_list())
    if hasattr(kind, "isna") and hasattr(getattr(values, "dtype", None), "na_value"):  # of pandas, which does the same
        missing = np.asarray(values.isna())
        if missing.any():
            return objects([None if gap else item for item, gap in zip(values.tolist(), missing.tolist(), strict=True)])
    if hasattr(kind, "__dataframe__"):  # its columns may be of several kinds
        return np.asarray(values, object)
    return np.asarray(values)


def as_items(values: Any, who: str) -> np.ndarray:
    """Return values of any kind as an array: numbers of one kind as an array of that kind, all others as objects, none of them changed.

    A list of lists has rows; the tuples of a list are its items.
    """
    if type(values) is np.ndarray:
        array = values
    elif isinstance(values, list | tuple):
        kinds = {*map(type, values)}
        letters = _SIMPLE.get(next(iter(kinds)), "") if len(kinds) == 1 else ""  # as most are
        if letters == "O":
            return objects(values)
        if letters:
            narrow = np.asarray(values)
            if narrow.dtype.kind in letters:
                return narrow
        array = _listed(values, kinds, who)
    else:
        array = as_lossless(values, who)
    if array.dtype != object or not array.size:
        return array
    items = array.ravel().tolist()
    kinds = {*map(type, items)}
    if list in kinds and isinstance(values, list | tuple):
        raise ValueError(
            f"{who}: got a list of rows of unequal lengths, expected an array (n, ...). Give every row the same shape."
        )
    return _numbers(array, items) if {*map(_kind, kinds)} in _ALIKE else array


def objects(items: Any) -> np.ndarray:
    """Return items (n,) as an array of objects, also where they are tuples."""
    return np.fromiter(items, object, len(items))


def _listed(values: list[Any] | tuple[Any, ...], kinds: set[type], who: str) -> np.ndarray:
    """Return a list as an array, whose rows went through the door where they are arrays."""
    if tuple in kinds:
        return objects(values)
    rows: Any = values
    if holds_arrays(values, kinds):
        rows = [as_items(row, who) if isinstance(row, list) or _is_array(type(row)) else row for row in values]
        forms = {(row.shape, row.dtype.kind) if isinstance(row, np.ndarray) else None for row in rows}
        if len(forms) == 1 and None not in forms:
            return np.array(rows)
        rows = [row.tolist() if isinstance(row, np.ndarray) else row for row in rows]
    try:
        array = np.array(rows, object)
    except ValueError:  # rows that NumPy can neither join nor keep apart
        array = objects([[]])
    return array if array.size else np.asarray(rows)


def holds_arrays(values: Any, kinds: set[type]) -> bool:
    """Return whether there are arrays in a list of items of these types, or in its rows."""
    while not any(map(_is_array, kinds)):
        if kinds.isdisjoint(_ROWS):
            return False
        values = [*itertools.chain.from_iterable(row for row in values if type(row) in _ROWS)]
        kinds = {*map(type, values)}
    return True


def _is_array(kind: type) -> bool:
    return hasattr(kind, "__array__") and not issubclass(kind, np.generic)


def _kind(kind: type) -> str:
    """Return of which kind of numbers items of a type are, as NumPy's letter; O for all else."""
    return next((letter for base, letter in _KINDS if issubclass(kind, base)), "O")


def _numbers(array: np.ndarray, items: list[Any]) -> np.ndarray:
    """Return numbers of one kind as an array of that kind, where there is one that holds them."""
    narrow = np.asarray(items)
    if narrow.dtype.kind == "f" and isinstance(items[0], int | np.integer):  # some are above 2**63, others not
        narrow = np.array(items, np.uint64) if min(items) >= 0 else array
    return narrow.reshape(array.shape)


def _unmasked(values: np.ma.MaskedArray[Any, Any], who: str) -> np.ndarray:
    hidden = int(np.count_nonzero(np.ma.getmaskarray(values)))
    if hidden:
        raise ValueError(
            f"{who}: got an array of {values.size} cells of which {hidden} are masked, expected none: what a mask hides would count. Take "
            "x.compressed(), or, where several arrays belong together, the rows [~x.mask] of each, or fill the cells with x.filled()."
        )
    return np.asarray(values)
