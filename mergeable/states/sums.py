"""Counts and exact sums."""

from __future__ import annotations

import math
from typing import Any, final

import numpy as np

from mergeable.numeric import exact, saved_values
from mergeable.numeric.inputs import are_counts, as_array, as_float64, flat
from mergeable.numeric.nonfinite import ALL_FINITE, added, nonfinite_value, split_total
from mergeable.state.copy_on_write import room, shared, writable
from mergeable.state.parameters import as_whole
from mergeable.states.number import Number
from mergeable.wording import shown

_TOO_MANY = 1 << 4096  # at once
_INT64_MAX = 2**63 - 1


class _Shaped(Number):
    """One number, or an array of them of a declared shape."""

    shape: tuple[int, ...]

    @property
    def parameters(self) -> dict[str, Any]:
        """``shape``."""
        return {"shape": self.shape}

    @classmethod
    def cells(cls, parameters: dict[str, Any]) -> int:
        """Return one number for each place of the shape."""
        return saved_values.cells(parameters["shape"])


@final
class Count(_Shaped):
    """A count of whole numbers: ``update(amount)`` adds ``amount`` (default 1).

    Empty: 0. Exact, commutative. Memory: one Python int, without a limit. With ``shape``: an int64 array of counts,
    8 bytes each, that raises ``OverflowError`` rather than wrap.

    ``amount`` is a whole number not below 0, or an array of them: a scalar count adds all of it, an array count takes
    arrays ``(..., *shape)`` and adds up the leading axes.

    Raises:
        ValueError: an amount is negative, not whole, or of the wrong shape; nothing is counted.
        OverflowError: an array count would pass 2**63 - 1; nothing is counted.

    Example:
        >>> rows = Count()
        >>> rows += 3
        >>> rows.update([4, 5])
        >>> rows.result()
        12
        >>> per_class = Count(shape=(2,))
        >>> per_class.update([[1, 0], [2, 7]])
        >>> per_class.result().tolist()
        [3, 7]
    """

    _mutated = ("_count",)

    def __init__(self, shape: tuple[int, ...] = ()) -> None:
        self.shape = _shape(shape, "Count")
        self._count: Any = np.zeros(self.shape, np.int64) if self.shape else 0
        self._most = 0  # no count of an array is larger; to know it saves a look at all of them

    def update(self, amount: Any = 1) -> None:
        """Add a whole number not below 0, or all of an array; with ``shape``, arrays (..., *shape), cell by cell."""
        if isinstance(amount, int) and not self.shape and 0 <= amount < _TOO_MANY:
            self._count += int(amount)
        else:
            added = _whole(amount, self.shape, "Count.update")
            self._add(added, int(added.max()) if self.shape else 0)

    def _add_at(self, indices: np.ndarray, times: np.ndarray | None) -> None:
        self._check_unfrozen()
        most = indices.size if times is None else indices.size * int(times.max(initial=0))
        if self._most + most > _INT64_MAX:  # hardly ever: all at once, or nothing
            self._before_write()
            added = np.zeros(self._count.size, np.int64)
            np.add.at(added, indices, 1 if times is None else times)
            self._add(added.reshape(self.shape), most)
            return
        self._count = writable(self._count)
        counts = self._count.reshape(-1)
        if self._is_recorded:
            at, before = indices.copy(), counts[indices]
            self._record(lambda: self._return_to(at, before))
        np.add.at(counts, indices, 1 if times is None else times)
        self._most += most

    def merge(self, other: Count) -> None:
        """Add the other count."""
        self._add(other._count, other._most)

    def result(self) -> Any:
        """Return the count: an int, or a copy of the int64 array."""
        return self._count.copy() if self.shape else self._count

    def to_data(self) -> Any:
        """Return the count."""
        return {"count": shared(self._count) if self.shape else self._count}

    def from_data(self, saved: Any) -> None:
        """Take over the count."""
        (count,) = saved_values.fields(saved, "count")
        if not self.shape:
            self._count = saved_values.whole(count)
            return
        counts = saved_values.array(count, np.int64, self.shape)
        saved_values.whole(int(counts.min()))
        self._count, self._most = shared(counts), int(counts.max())

    def _assign_number(self, value: Any) -> None:
        """Replace the count by a whole number (or array)."""
        self._count = _whole(value, self.shape, "Count.assign")
        self._most = int(self._count.max()) if self.shape else 0

    def __index__(self) -> int:
        return int(self.result())

    def _add(self, amount: Any, most: int) -> None:
        """Add an amount, or an array of amounts that are no larger than ``most``."""
        if not self.shape:
            self._count += amount
            return
        if self._most + most > _INT64_MAX:
            self._most, most = int(self._count.max()), int(amount.max())
            if self._most + most > _INT64_MAX and (self._count > _INT64_MAX - amount).any():
                raise OverflowError(
                    f"Count: a count would pass 2**63 - 1 (it holds {self._most}). Nothing was counted. "
                    "Use Counter, whose counts have no limit."
                )
        self._count = np.add(self._count, amount, out=room(self._count))
        self._most = min(self._most + most, _INT64_MAX)

    def _return_to(self, indices: np.ndarray, counts: np.ndarray) -> None:
        """Undo ``_add_at``."""
        self._count = writable(self._count)
        self._count.reshape(-1)[indices] = counts


@final
class Sum(_Shaped):
    """The exact sum of floats: correctly rounded, and the same bits in any order and any tree of merges.

    The state is a whole number of units of 2^-1074 and counts of NaN, +inf and -inf. Empty: 0.0. Exact, commutative.
    The result is the true sum rounded once to float64 (error at most 2^-53 of it); NaN where a NaN, or infinities of
    both signs, came in; an infinity beyond the range. A sum of -0.0 is 0.0.
    Memory: up to 290 bytes for each sum, plus a buffer of at most 128 KiB.

    ``update(values)``: any shape is added up; with ``shape``, values ``(..., *shape)`` and one sum for each cell.
    float16, bfloat16, float32 and integers are widened first; integers are added exactly.

    Raises:
        TypeError: values are not real numbers of at most 64 bits.
        ValueError: values do not fit ``shape``.

    Example:
        >>> total = Sum()
        >>> total.update([1e16, 1.0, -1e16])
        >>> total += 0.5
        >>> total.result()
        1.5
        >>> float(total / 3)
        0.5

    Source: Rump, Ogita, Oishi 2008 (extraction); Neal 2015, arXiv:1505.05571 (exact accumulation).
    """

    _undoes_updates = True
    _mutated = ("_units",)

    def __init__(self, shape: tuple[int, ...] = ()) -> None:
        self.shape = _shape(shape, "Sum")
        self._units = [0] * math.prod(self.shape)
        self._nonfinite: dict[int, list[int]] = {}  # cell -> how many NaN, +inf, -inf

    @property
    def n_nan(self) -> Any:
        """How many NaN came in: an int, or an int64 array with ``shape``."""
        self.flush()
        counts = np.zeros(len(self._units), np.int64)
        for cell, (nan, _, _) in self._nonfinite.items():
            counts[cell] = nan
        return counts.reshape(self.shape) if self.shape else int(counts[0])

    def update(self, values: Any) -> None:
        """Add values of any shape; with ``shape``, values (..., *shape), cell by cell."""
        if type(values) is float and not self.shape:
            self._buffer_number(values)
            return
        array = as_array(values, "Sum.update")
        if array.dtype.kind == "b":
            array = array.astype(np.int64)
        if not self.shape:
            self.buffer(flat(array))
            return
        if array.shape[-len(self.shape) :] != self.shape:
            raise ValueError(
                f"Sum.update: got values of shape {array.shape}, expected (..., {', '.join(map(str, self.shape))}). "
                "The trailing axes are the declared shape."
            )
        self.buffer(np.ascontiguousarray(array).reshape(-1, len(self._units)))

    def _add_at(self, indices: np.ndarray, values: np.ndarray | None) -> None:
        self._before_write()
        values = np.ones(indices.size) if values is None else values
        order = np.argsort(indices, kind="stable")
        cells, starts = np.unique(indices[order], return_index=True)
        ends = [*starts[1:].tolist(), indices.size]
        for cell, start, end in zip(cells.tolist(), starts.tolist(), ends, strict=False):
            self._units[cell] += exact.total(values[order[start:end]])

    def absorb(self, values: np.ndarray) -> None:
        """Add buffered values (n,) or (n, cells)."""
        columns = [values] if values.ndim == 1 else list(values.T)
        totals = [self._column(np.ascontiguousarray(column)) for column in columns]
        for cell, (units, _) in enumerate(totals):
            self._units[cell] += units
        self._add_nonfinite({cell: nonfinite for cell, (_, nonfinite) in enumerate(totals) if any(nonfinite)})

    def merge(self, other: Sum) -> None:
        """Add the other sum, exactly."""
        self._units = added(self._units, other._units)
        self._add_nonfinite(other._nonfinite)

    def result(self) -> Any:
        """Return the correctly rounded sum: a float, or a float64 array of the declared shape."""
        values = [self._cell(i) for i in range(len(self._units))]
        return np.array(values).reshape(self.shape) if self.shape else values[0]

    def to_data(self) -> Any:
        """Return the sums, and by cell how many NaN, +inf and -inf there are."""
        self.flush()
        return {"units": list(self._units), "special": [[cell, *counts] for cell, counts in self._nonfinite.items()]}

    def from_data(self, saved: Any) -> None:
        """Take over the sums."""
        units, nonfinite = saved_values.fields(saved, "units", "special")
        self._units = saved_values.wholes(units, len(self._units), None)
        if max(map(abs, self._units)) > saved_values.LARGEST_SUM:
            raise ValueError("found sums that no values have")
        rows = [
            saved_values.wholes(row, 4, 0, saved_values.INT64_MAX) for row in saved_values.listed(nonfinite, "special values")
        ]
        cells = [cell for cell, *_ in rows]
        if cells != sorted(set(cells)) or (cells and cells[-1] >= len(self._units)) or not all(any(row[1:]) for row in rows):
            raise ValueError("found special values of cells that do not exist, come twice or hold none")
        self._nonfinite = {cell: counts for cell, *counts in rows}

    def _assign_number(self, value: Any) -> None:
        """Replace the sum by a number (or array of the declared shape)."""
        array = as_float64(value, "Sum.assign")
        if array.shape != self.shape:
            raise ValueError(f"Sum.assign: got a value of shape {array.shape}, expected {self.shape}.")
        fresh = self.empty()
        fresh.update(array)
        self._become(fresh)

    def _cell(self, cell: int) -> float:
        nonfinite = nonfinite_value(self._nonfinite.get(cell, ALL_FINITE))
        return exact.to_float(self._units[cell], 1 << exact.UNIT_BITS) if nonfinite is None else nonfinite

    def _add_nonfinite(self, nonfinite: dict[int, list[int]]) -> None:
        if nonfinite:
            more = {cell: added(self._nonfinite.get(cell, ALL_FINITE), counts) for cell, counts in nonfinite.items()}
            self._nonfinite = dict(sorted({**self._nonfinite, **more}.items()))

    @staticmethod
    def _column(values: np.ndarray) -> tuple[int, list[int]]:
        if values.dtype != np.float64:
            low = int((values & np.array(0xFFFF_FFFF, values.dtype)).sum())
            return (int((values >> np.array(32, values.dtype)).sum()) << 32) + low << exact.UNIT_BITS, ALL_FINITE
        return split_total(values)


def add_at(cells: Count | Sum, indices: np.ndarray, amounts: np.ndarray | None = None) -> None:
    """Add amounts (n,), by default ones, at flat indices (n,) of a state with a shape; repeated indices add up.

    A ``Count`` takes int64 amounts that are not below 0, a ``Sum`` finite float64 amounts.
    """
    cells._add_at(indices, amounts)


def check_weights(cells: Count | Sum) -> None:
    """Raise ``ValueError`` where sums that a file holds are none of weights, which are finite and not below 0."""
    if isinstance(cells, Sum) and (min(cells._units) < 0 or cells._nonfinite):
        raise ValueError("found sums of weights that are negative or not finite")


def _shape(shape: Any, who: str) -> tuple[int, ...]:
    try:
        return tuple(as_whole(n, "{}", 1) for n in (shape if np.ndim(shape) else [shape]))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{who}: got shape {shown(shape)}, expected sizes of at least 1: whole numbers.") from error


def _whole(amount: Any, shape: tuple[int, ...], who: str) -> Any:
    array = np.array(amount, object) if isinstance(amount, int) else as_array(amount, who)
    if shape and array.shape[-len(shape) :] != shape:
        raise ValueError(f"{who}: got shape {array.shape}, expected (..., {', '.join(map(str, shape))}).")
    if array.dtype == object and amount >= _TOO_MANY:
        raise ValueError(f"{who}: got a number of {amount.bit_length():,} bits, expected at most 4,096, which a file holds.")
    good = are_counts(array)
    if not good.all():
        bad = amount if array.dtype == object else array[~good].flat[0]
        raise ValueError(f"{who}: got {bad}, expected whole numbers from 0 to 2**63 - 1. Use Sum for other numbers.")
    whole = array if array.dtype == object else array.astype(np.int64)
    rows = whole.reshape(-1, *shape)
    if array.dtype != object and len(rows) * int(whole.max(initial=0)) > _INT64_MAX:
        rows = rows.astype(object)  # Python ints do not wrap
    total = rows.sum(axis=0)
    if not shape:
        return int(total)
    if (total > _INT64_MAX).any():
        raise OverflowError(f"{who}: the amounts add up to more than 2**63 - 1. Nothing was counted.")
    return total.astype(np.int64)
