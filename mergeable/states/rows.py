"""All rows, for results that need every one of them."""

from __future__ import annotations

from typing import Any, final

import numpy as np

from mergeable.errors import IncompatibleStates
from mergeable.plain import short
from mergeable.state import State
from mergeable.states import data
from mergeable.states.arrays import as_items

_MANY = 2**16  # rows of nothing, such as an array (n, 0), that a file may hold: they take memory when they are read
_FEW = 16  # cells in a row up to which sorting by one after the other is faster than by their bytes


@final
class Rows(State):
    """Keeps every row: for exact AUROC, Spearman's correlation and whatever else has no smaller sufficient statistic.

    Memory grows with the data: the bytes of the rows (``bounded`` is False). Bounded alternatives: ``Histogram``,
    ``ConfusionMatrix``, ``Moments``. ``Rows("y_true", "y_pred")`` has two columns. Empty: columns of length 0.
    Exact, commutative: ``result()`` puts the rows in a canonical order (by the columns' bytes, in the order of the
    columns), so it depends neither on the order of updates nor on who made them; equal rows are all kept.

    ``update(*columns)``, in order or by name: arrays (n, ...) of equal n. A column's dtype and trailing shape are those
    of its first rows and may not change. bfloat16 is widened to float32; strings and bytes are kept as objects.

    Raises:
        ValueError: columns are missing, of unequal length, or change their dtype or trailing shape.
        IncompatibleStates: on merging rows whose columns, dtypes or trailing shapes differ.

    Example:
        >>> rows = Rows("y_true", "y_pred")
        >>> rows.update([1, 0], [0.9, 0.2])
        >>> rows.update(y_true=[0], y_pred=[0.1])
        >>> {name: column.tolist() for name, column in rows.result().items()}
        {'y_true': [0, 0, 1], 'y_pred': [0.1, 0.2, 0.9]}
        >>> len(rows)
        3
    """

    bounded = False
    _undoes_updates = True

    def __init__(self, *columns: str) -> None:
        if not columns or len(set(columns)) != len(columns):
            raise ValueError(f"Rows: got the columns {columns!r}, expected one or more names that differ.")
        self.columns = columns
        self._chunks: list[tuple[np.ndarray, ...]] = []
        self._kinds: tuple[tuple[str, tuple[int, ...]], ...] | None = None

    @property
    def parameters(self) -> dict[str, Any]:
        """``columns``."""
        return {"columns": self.columns}

    @classmethod
    def of(cls, parameters: dict[str, Any]) -> Rows:
        """Return empty rows with these columns."""
        columns = parameters["columns"]
        if type(columns) is not tuple or not all(type(name) is str for name in columns):
            raise ValueError(f"found the columns {short(columns)}, expected a tuple of names")
        return Rows(*columns)

    def empty(self) -> Rows:
        """Return a fresh identity with the same columns."""
        return Rows(*self.columns)

    def update(self, *columns: Any, **named: Any) -> None:
        """Take rows, the columns in order or by name."""
        given = dict(zip(self.columns, columns, strict=False)) | named
        if len(columns) + len(named) != len(self.columns) or set(given) != set(self.columns):
            raise ValueError(
                f"Rows.update: got {len(columns)} columns in order and {sorted(named)} by name, expected each of "
                f"{list(self.columns)} once."
            )
        arrays = tuple(_column(given[name], name) for name in self.columns)
        lengths = [len(a) for a in arrays]
        if len(set(lengths)) != 1:
            raise ValueError(f"Rows.update: got columns of lengths {lengths}, expected equal ones.")
        if not lengths[0]:
            return
        kinds = tuple((_kind(a), a.shape[1:]) for a in arrays)
        if self._kinds is None:
            self._before_write()
            self._kinds = kinds
        elif kinds != self._kinds:
            raise ValueError(
                f"Rows.update: got columns of {_describe(kinds)}, expected {_describe(self._kinds)} as before. "
                "Cast them to one dtype and shape."
            )
        self.buffer(*arrays)

    def absorb(self, *arrays: np.ndarray) -> None:
        """Keep buffered columns."""
        self._chunks.append(tuple(a.copy() for a in arrays))

    def merge(self, other: Rows) -> None:
        """Keep the other's rows too."""
        if None not in (self._kinds, other._kinds) and self._kinds != other._kinds:
            raise IncompatibleStates(
                f"Rows.merge: got columns of {_describe(other._kinds)}, expected {_describe(self._kinds)}. "
                "Cast them to one dtype and shape before update()."
            )
        self._kinds = self._kinds or other._kinds
        self._chunks.extend(other._chunks)  # chunks are never written to, so sharing them shows nowhere

    def result(self) -> dict[str, np.ndarray]:
        """Return the columns in the canonical order of the rows; the arrays are copies."""
        if not self._chunks:
            return {name: np.zeros(0) for name in self.columns}
        joined = [np.concatenate(column) for column in zip(*self._chunks, strict=True)]
        order = _canonical_order(joined)
        return {name: column[order] for name, column in zip(self.columns, joined, strict=True)}

    def to_data(self) -> Any:
        """Return the columns in the canonical order of the rows, or None where there are no rows."""
        return {"columns": list(self.result().values()) if len(self) else None}

    def from_data(self, saved: Any) -> None:
        """Take over rows."""
        (columns,) = data.fields(saved, "columns")
        if columns is None:
            return
        columns = data.listed(columns, f"{len(self.columns)} columns", len(self.columns))
        if not all(isinstance(column, np.ndarray) for column in columns):
            raise ValueError("found a column that is no array")
        arrays = tuple(_column(column, name) for name, column in zip(self.columns, columns, strict=True))
        if any(a.dtype != column.dtype for a, column in zip(arrays, columns, strict=True)) or len({*map(len, arrays)}) != 1:
            raise ValueError("found columns of unequal lengths, or of a dtype that rows do not have")
        if not len(arrays[0]):
            raise ValueError("found columns without rows")
        if len(arrays[0]) > _MANY and not any(a.size for a in arrays):
            raise ValueError(f"found {len(arrays[0])} rows of nothing, expected values in them")
        self._kinds = tuple((_kind(a), a.shape[1:]) for a in arrays)
        self._chunks = [arrays]

    def keep_distinct(self) -> None:
        """Keep each row once; rows are equal where all their bytes are."""
        if len(self):
            columns = list(self.result().values())
            new = np.ones(len(columns[0]), bool)
            new[1:] = False
            for column in columns:
                cells = _sort_keys(column.reshape(len(column), -1))
                new[1:] |= (cells[1:] != cells[:-1]).any(axis=1)
            self._chunks = [tuple(column[new] for column in columns)]

    def __len__(self) -> int:
        self.flush()
        return sum(len(chunk[0]) for chunk in self._chunks)

    def _copy_value(self) -> dict[str, Any]:
        return {"columns": self.columns, "_chunks": list(self._chunks), "_kinds": self._kinds}


def _column(values: Any, name: str) -> np.ndarray:
    array = as_items(values)
    if not array.ndim:
        raise ValueError(f"Rows.update: got one value for {name!r}, expected an array (n, ...).")
    if array.dtype.name == "bfloat16":
        return array.astype(np.float32)
    if array.dtype.kind in "biuf" and array.dtype.itemsize <= 8:
        return array.astype(array.dtype.newbyteorder("="), copy=False)
    if array.dtype.kind in "US":
        return array.astype(object)
    items = array.ravel().tolist()
    if array.dtype == object and (all(isinstance(i, str) for i in items) or all(isinstance(i, bytes) for i in items)):
        return array
    raise ValueError(
        f"Rows.update: got the column {name!r} of dtype {array.dtype}, expected bools, real numbers of at most 64 bits, "
        "strings or bytes."
    )


def _kind(array: np.ndarray) -> str:
    return array.dtype.name if array.dtype != object else "bytes" if isinstance(next(array.flat, ""), bytes) else "str"


def _describe(kinds: tuple[tuple[str, tuple[int, ...]], ...] | None) -> str:
    return ", ".join(f"{kind}{list(shape) or ''}" for kind, shape in kinds or ())


def _canonical_order(columns: list[np.ndarray]) -> np.ndarray:
    """Return the order that decides between any two rows that differ in a byte: that of their first cells, then of the next ones."""
    keys = [_sort_keys(column.reshape(len(column), -1)) for column in columns]
    if sum(key.shape[1] for key in keys) <= _FEW:
        one_by_one = [part for key in keys for part in key.T]
        return np.lexsort(one_by_one[::-1]) if one_by_one else np.arange(len(columns[0]))
    rows = np.concatenate([_in_order_of_bytes(key) for key in keys], axis=1)
    return np.argsort(rows.view(f"V{rows.shape[1]}").ravel(), kind="stable")


def _sort_keys(column: np.ndarray) -> np.ndarray:
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
