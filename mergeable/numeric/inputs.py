"""Inputs as arrays of real numbers: widened to 64 bits, weights aligned with rows."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from mergeable.numeric import exact
from mergeable.numeric.conversion import as_items, as_lossless, holds_arrays
from mergeable.wording import short, shown

_ONE = exact.key_of_value(1.0)
_LEAST = np.uint64(1)
_INFINITY, _MINUS_ZERO = np.uint64(0x7FF << 52), np.uint64(1 << 63)  # bits

NORMAL_FLOAT32, ONE_FLOAT32 = 0x80_0000, 0x3F80_0000
"""The bits of the smallest float32 that is not subnormal, and of 1."""


ABOVE_ONE = 1e-6
"""By so much a probability may be above 1, as sums of float32 softmax outputs are: eight times what float32 tells apart there."""

_AS_THEY_ARE = frozenset(map(np.dtype, (np.float64, np.int64, np.uint64, np.bool_)))
_ALIKE: list[set[type]] = [{float}, {int}]
_REAL = (int, float, np.integer, np.floating, np.bool_)
_UNREAL = (np.timedelta64, np.longdouble)  # an integer, and a float, to NumPy


def as_array(values: Any, who: str) -> np.ndarray:
    """Return values as an array of real numbers: bool, int64, uint64 or float64, whatever came in.

    Narrow types are widened before any arithmetic. What a float64 or an int64 cannot hold is refused.
    """
    if type(values) is np.ndarray and values.dtype in _AS_THEY_ARE:  # as most are
        return values
    array = as_lossless(values, who) if not isinstance(values, list | tuple) else _of_list(values, who)
    if array.dtype == object and array.size:
        array = _as_real(array, who)
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if array.dtype == np.float64:
        return array
    kind = array.dtype.kind
    if kind == "b":
        return array
    if kind in "iu":
        return array if array.dtype == np.uint64 else array.astype(np.int64)
    if array.dtype == np.float32 or array.dtype.name == "bfloat16":
        return _widen_float32(array.astype(np.float32, copy=False))
    if array.dtype == np.float16:
        return array.astype(np.float64)
    if not array.size and kind == "O":
        return array.astype(np.float64)
    raise _not_real(array, who)


def as_float64(values: Any, who: str) -> np.ndarray:
    """Return values as a float64 array of the same shape; integers that a float64 cannot hold are refused."""
    array = as_array(values, who)
    if array.dtype == np.float64:
        return array
    wide = array.astype(np.float64)
    if array.dtype.itemsize == 8:
        large = np.abs(wide) >= 2.0**53
        if np.count_nonzero(large):
            _check_exact(wide[large].tolist(), array[large].tolist(), who)
    return wide


def weighed(
    columns: tuple[Any, ...], weights: Any, who: str, shape: tuple[int, ...] | None = None
) -> tuple[tuple[Any, ...], np.ndarray]:
    """Return columns and their flat float64 weights, without the rows of weight 0, which are not there and are not checked.

    Weights are aligned with the shape, by default that of the first column: a scalar weighs every value; weights (n,) weigh the rows
    of values (n, ...), weights (n, t) the steps of values (n, t, ...), and so on. Axes of length 1 at the end, of either, do not
    matter: Keras adds and drops them. Columns that do not fit the shape stay whole, to be refused.
    """
    checked, some_zero = _checked(weights, who)
    shape = tuple(np.shape(columns[0])) if shape is None else shape
    aligned = checked if checked.shape == shape and shape else np.broadcast_to(_aligned(checked, shape, who), shape or (1,))
    if not some_zero:
        return columns, flat(aligned)
    there = ~is_zero(flat(checked) if checked.size == len(aligned) else aligned)
    return some_of(columns, there), flat(aligned[there])


def unweighted(who: str, because: str, instead: str, name: str = "weights") -> ValueError:
    """Return the error of an update that got weights and takes none."""
    return ValueError(f"{who}: got {name}, expected none, because this {because}. {instead}.")


def some_of(columns: Iterable[Any], there: np.ndarray) -> tuple[Any, ...]:
    """Return the rows of columns (n, ...) where a mask (n,) is true, or, flat, the items where one of all items is.

    None stays None. Where a column does not fit the mask, all stay whole, for the caller to refuse. Items of lists stay as they came.
    """
    every = tuple(columns)
    if all(column is None or _fits(column, there) for column in every):
        return tuple(None if column is None else _some_of(column, there) for column in every)
    return every


def is_zero(array: np.ndarray) -> np.ndarray:
    """Return where numbers are 0 of either sign: floats by their bits, as this thread may read a subnormal number as 0."""
    if array.dtype.kind in "biu":
        return np.asarray(array == 0)
    bits = array.view(f"u{array.dtype.itemsize}")
    return np.asarray(bits + bits == 0)  # the sign is gone


def are_counts(array: np.ndarray) -> np.ndarray:
    """Return where numbers are whole and from 0 to 2**63 - 1; a subnormal one is none, also where this thread may read it as 0."""
    if array.dtype == np.float64:
        return np.asarray(is_zero(array) | ((array >= 1) & (array < 2.0**63) & (array == np.floor(array))))
    return np.asarray((array >= 0) & (array <= np.uint64(2**63 - 1)) if array.dtype == np.uint64 else array >= 0)


def _aligned(weights: np.ndarray, shape: tuple[int, ...], who: str) -> np.ndarray:
    """Return weights with as many axes as the values, which they lack at the end, or have there without need."""
    sizes = weights.shape
    while len(sizes) > 1 and sizes[-1] == 1:
        sizes = sizes[:-1]
    if (
        len(sizes) > len(shape)
        or any(size not in (n, 1) for size, n in zip(sizes[1:], shape[1:], strict=False))
        or sizes[:1] != shape[: len(sizes[:1])]
    ):
        raise ValueError(
            f"{who}: got weights of shape {weights.shape} for values of shape {shape}, expected the same shape or "
            "one weight for each row."
        )
    return weights.reshape(sizes + (1,) * (len(shape) - len(sizes)))


def as_weighted(values: Any, weights: Any, who: str) -> tuple[np.ndarray, ...]:
    """Return values as a flat float64 array, and, where weights came, the weights; rows of weight 0 are left out."""
    if weights is None:
        return (flat(as_float64(values, who)),)
    (values,), weight = weighed((values,), weights, who)
    return flat(as_float64(values, who)), weight


def as_scored(y_true: Any, y_pred: Any, weights: Any, who: str, *, narrow: bool = False) -> tuple[np.ndarray, ...]:
    """Return which rows are positive (n,), their scores (n,) as float64, and, where weights came, their weights (n,).

    Labels are 0 and 1, of any type of numbers or bools. ``narrow`` leaves float32 scores as they are.
    """
    weight = None
    if weights is not None:
        (y_true, y_pred), weight = weighed((y_true, y_pred), weights, who)
    labels = y_true if _is_float32(y_true) else as_array(y_true, who)
    scores = y_pred if narrow and _is_float32(y_pred) else as_float64(y_pred, who)
    if labels.size != scores.size or (labels.ndim and scores.ndim and labels.shape[0] != scores.shape[0]):
        raise ValueError(
            f"{who}: got labels of shape {labels.shape} and scores of shape {scores.shape}, expected one score for each label. "
            "Of two columns take that of the positive class."
        )
    labels = flat(labels)
    if labels.dtype.kind == "f":  # by bits: a thread that flushes subnormal numbers would call them 0
        kind, one = (np.uint64, _ONE) if labels.dtype == np.float64 else (np.uint32, ONE_FLOAT32)
        positive, negative = labels.view(kind) == one, is_zero(labels)
    else:
        positive, negative = labels == 1, labels == 0
    if np.count_nonzero(positive) + np.count_nonzero(negative) != labels.size:
        raise ValueError(
            f"{who}: got the label {shown(flat(as_items(y_true, who))[~(positive | negative)].tolist()[0])}, expected 0 and 1. Compare with the "
            "positive class first, and drop rows without a label."
        )
    return (positive, flat(scores)) if weight is None else (positive, flat(scores), weight)


def as_shares(values: np.ndarray, who: str, what: str, hint: str) -> np.ndarray:
    """Return float64 numbers from 0 to 1, told by their bits. Numbers up to ``ABOVE_ONE`` above 1 become 1; NaN stay."""
    keys = exact.order_keys(values.reshape(-1)).reshape(values.shape)
    bad = ((keys < 0) | (keys > _ONE)) & ~np.isnan(values)
    if not np.count_nonzero(bad):
        return values
    near = (keys > _ONE) & (values <= 1 + ABOVE_ONE)
    if np.count_nonzero(near) < np.count_nonzero(bad):
        raise ValueError(f"{who}: got {what} {float(values[bad & ~near].flat[0])}, expected numbers from 0 to 1. {hint}")
    return np.where(near, 1.0, values)


def as_number(value: Any, who: str) -> np.ndarray:
    """Return one number as a float64 array of shape (); arrays are refused."""
    array = as_float64(value, who)
    if array.shape:
        raise ValueError(f"{who}: got a value of shape {array.shape}, expected one number.")
    return array


def as_rows(columns: Iterable[Any], n: int, who: str) -> list[np.ndarray]:
    """Return the columns of a batch as arrays (n, ...), one row for each of n keys."""
    arrays = [np.atleast_1d(as_items(column, who)) for column in columns]
    check_lengths(arrays, n, who)
    return arrays


def check_lengths(arrays: Iterable[np.ndarray], n: int, who: str) -> None:
    """Raise ``ValueError`` unless each array has a row for each of n keys."""
    lengths = [*map(len, arrays)]
    if any(length != n for length in lengths):
        raise ValueError(f"{who}: got {n} keys and columns of lengths {lengths}, expected equal ones.")


def run_begins(values: np.ndarray) -> np.ndarray:
    """Return whether a run of equal values begins at each place (n,)."""
    begins = np.ones(len(values), bool)
    begins[1:] = values[1:] != values[:-1]
    return begins


def flat(array: np.ndarray) -> np.ndarray:
    """Return the values as one contiguous row (n,)."""
    return array.ravel()


def _checked(weights: Any, who: str) -> tuple[np.ndarray, bool]:
    """Return weights as a float64 array, and whether some are 0; by their bits, as this thread may read a subnormal number as 0."""
    array = as_float64(weights, who)
    bits = array.view(np.uint64)
    if np.maximum.reduce(bits - _LEAST, axis=None, initial=0) < _INFINITY - _LEAST:  # as most are; 0 has wrapped around
        return array, False
    bad = (bits >= _INFINITY) & (bits != _MINUS_ZERO)
    if np.count_nonzero(bad):
        raise ValueError(
            f"{who}: got the weight {float(array[bad].flat[0])}, expected finite weights of at least 0. "
            "Drop the row or mend the weight."
        )
    return array, True


def _fits(column: Any, there: np.ndarray) -> bool:
    if isinstance(column, list | tuple) and there.ndim == 1:
        return len(column) == there.size
    shape = np.shape(column) or (1,)
    return bool(shape[0] == len(there) and (there.ndim == 1 or math.prod(shape) == there.size))


def _some_of(column: Any, there: np.ndarray) -> Any:
    if isinstance(column, list | tuple):
        if there.ndim == 1:
            return [item for item, kept in zip(column, there.tolist(), strict=True) if kept]
        column = np.array(column, object)
    array = column if isinstance(column, np.ma.MaskedArray) else as_lossless(column, "update")
    found = np.atleast_1d(array)[there] if there.ndim == 1 else array.reshape(-1)[there.reshape(-1)]
    return found.tolist() if found.dtype == object else found


def _of_list(values: Any, who: str) -> np.ndarray:
    """Return listed numbers as an array, or as objects where an array would change one, or one is no number."""
    kinds = {*map(type, values)}
    if kinds in _ALIKE:  # as most are
        array = np.asarray(values)
        if array.dtype.kind in "biu" or kinds == _ALIKE[0]:
            return array
    if not holds_arrays(values, kinds):
        with contextlib.suppress(ValueError):  # rows of unequal lengths
            array = np.asarray(values)
            if array.dtype.kind in "biu" or (array.dtype == np.float64 and not np.count_nonzero(np.abs(array) >= 2.0**53)):
                return array
    return as_items(values, who)


def _as_real(array: np.ndarray, who: str) -> np.ndarray:
    """Return objects as real numbers; refuse other objects, and whole numbers that floats beside them would round."""
    items = array.ravel().tolist()
    numbers = np.asarray(items) if all(map(is_real, items)) else array
    if numbers.dtype.kind not in "biuf":
        raise _not_real(array, who)
    if numbers.dtype == np.float64:
        large = np.flatnonzero(np.abs(numbers) >= 2.0**53)
        _check_exact(numbers[large].tolist(), [items[i] for i in large.tolist()], who)
    return numbers.reshape(array.shape)


def _check_exact(wide: list[float], items: list[Any], who: str) -> None:
    for w, item in zip(wide, items, strict=True):
        if isinstance(item, int | np.integer) and int(w) != int(item):
            raise ValueError(
                f"{who}: got the integer {item}, expected values that a float64 holds exactly (all up to 2**53). Scale or "
                "shift them first, or count them with Counter."
            )


def _is_float32(values: Any) -> bool:
    return type(values) is np.ndarray and values.dtype == np.float32


def _widen_float32(array: np.ndarray) -> np.ndarray:
    wide = array.astype(np.float64)
    bits = array.view(np.uint32)
    row = bits.ravel()
    doubled = row + row  # the sign is gone
    doubled -= np.uint32(1)  # a zero wraps around
    if doubled.size and np.minimum.reduce(doubled) < 2 * NORMAL_FLOAT32 - 1:
        magnitude = bits & np.uint32(0x7FFF_FFFF)
        subnormal = (magnitude > 0) & (magnitude < NORMAL_FLOAT32)  # this thread may have read them as zero
        wide[subnormal] = np.copysign(magnitude[subnormal].astype(np.float64) * 2.0**-149, array[subnormal])
    return wide


def _not_real(array: np.ndarray, who: str) -> TypeError:
    items = array.ravel().tolist() if array.dtype == object else array.ravel()[:1].tolist()
    bad = next((item for item in items if not is_real(item)), items[0] if items else None)
    dtype = np.asarray(items).dtype if {*map(type, items)} in ({str}, {bytes}) else array.dtype
    advice = "Drop or fill gaps first." if bad is None else "Convert them first."
    if isinstance(bad, tuple):
        advice = "Give rows as an array (n, ...): tuples are items."
    return TypeError(
        f"{who}: got values of dtype {dtype} (for instance {short(bad)}), expected real numbers of at most 64 bits. {advice}"
    )


def is_number(value: Any) -> bool:
    """Return whether a parameter is a real number of Python's or NumPy's, and no bool."""
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def is_real(item: Any) -> bool:
    """Return whether an item is a real number of at most 64 bits, or a whole one."""
    return isinstance(item, _REAL) and not isinstance(item, _UNREAL)
