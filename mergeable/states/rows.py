"""All rows, in a canonical order, for results that need every row."""

from __future__ import annotations

from typing import Any, final

import numpy as np

from mergeable.errors import IncompatibleStates
from mergeable.numeric import saved_values
from mergeable.numeric.row_order import Chunks, as_column, canonical_order, joined, kinds_as_text, kinds_of, sort_keys
from mergeable.state import State
from mergeable.wording import repeated, short, shown

_MANY = 2**16  # rows of nothing, such as an array (n, 0), that a file may hold: they take memory when they are read


@final
class Rows(State):
    """Keeps every row: for exact AUROC, Spearman's correlation and whatever else has no smaller sufficient statistic.

    Memory grows with the data: the bytes of the rows (``bounded`` is False). Bounded alternatives: ``Histogram``,
    ``ConfusionMatrix``, ``Moments``. ``Rows("y_true", "y_pred")`` has two columns. Empty: columns of length 0.
    Exact, commutative: ``result()`` puts the rows in a canonical order (by the columns' bytes, in the order of the
    columns), so it depends neither on the order of updates nor on who made them; equal rows are all kept.

    ``update(*columns)``, in order or by name: arrays (n, ...) of equal n. A column is of bools, numbers, strings or bytes, and of
    one trailing shape. Its dtype is the narrowest that holds all dtypes of numbers that came: int32 and int64 are int64, whole numbers and
    floats are float64 where it holds each of them exactly. bfloat16 is widened to float32; strings and bytes are kept as objects.

    Raises:
        ValueError: columns are missing, of unequal length, or change their kind or trailing shape, or no dtype holds their numbers.
        IncompatibleStates: on merging rows whose columns, kinds or trailing shapes differ, or whose numbers no dtype holds.

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
    _mutated = ("_chunks",)

    def __init__(self, *columns: str) -> None:
        if not columns or len(set(columns)) != len(columns):
            bad = f", of which {shown(repeated(columns))} comes twice" if columns else ""
            raise ValueError(f"Rows: got the columns {shown(columns)}{bad}, expected one or more names that differ.")
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
        """Take rows: the columns (n, ...), in order or by name."""
        by_name = dict(zip(self.columns, columns, strict=False)) | named
        if len(columns) + len(named) != len(self.columns) or set(by_name) != set(self.columns):
            raise ValueError(
                f"Rows.update: got {len(columns)} columns in order and {shown(sorted(named))} by name, expected each of "
                f"{shown(list(self.columns))} once."
            )
        arrays = tuple(as_column(by_name[name], name, "Rows.update") for name in self.columns)
        lengths = [len(a) for a in arrays]
        if len(set(lengths)) != 1:
            raise ValueError(f"Rows.update: got columns of lengths {lengths}, expected equal ones.")
        if not lengths[0]:
            return
        kinds = kinds_of(arrays)
        if self._kinds is None:
            self._before_write()
            self._kinds = kinds
        elif kinds != self._kinds:
            self.flush()
            (arrays,) = self._joined([arrays], kinds, ValueError, "update")
        self.buffer(*arrays)

    def absorb(self, *arrays: np.ndarray) -> None:
        """Keep buffered columns (n, ...)."""
        self._chunks.append(tuple(a.copy() for a in arrays))

    def merge(self, other: Rows) -> None:
        """Keep the other's rows too."""
        chunks = other._chunks
        if None not in (self._kinds, other._kinds) and self._kinds != other._kinds:
            chunks = self._joined(chunks, other._kinds, IncompatibleStates, "merge")
        self._kinds = self._kinds or other._kinds
        self._chunks.extend(chunks)  # chunks are never written to, so sharing them shows nowhere

    def _joined(self, chunks: Chunks, kinds: Any, error: type[Exception], verb: str) -> Chunks:
        """Return other chunks in dtypes that hold the numbers of both sides, to which the chunks held here change too."""
        both = joined(self._chunks, chunks, signs=True)
        if both is None:
            raise error(
                f"Rows.{verb}: got columns of {kinds_as_text(kinds)}, expected {kinds_as_text(self._kinds)} as before, or numbers that one dtype "
                "holds with them. Cast them to one dtype and shape before update()."
            )
        mine, others = both
        if kinds_of(mine[0]) != self._kinds:
            self._before_write()
            self._chunks, self._kinds = mine, kinds_of(mine[0])
        return others

    def result(self) -> dict[str, np.ndarray]:
        """Return the columns in the canonical order of the rows; the arrays are copies."""
        if not self._chunks:
            return {name: np.zeros(0) for name in self.columns}
        columns = [np.concatenate(column) for column in zip(*self._chunks, strict=True)]
        order = canonical_order(columns)
        return {name: column[order] for name, column in zip(self.columns, columns, strict=True)}

    def to_data(self) -> Any:
        """Return the columns in the canonical order of the rows, or None where there are no rows."""
        return {"columns": list(self.result().values()) if len(self) else None}

    def from_data(self, saved: Any) -> None:
        """Take over the rows."""
        (columns,) = saved_values.fields(saved, "columns")
        if columns is None:
            return
        columns = saved_values.listed(columns, f"{len(self.columns)} columns", len(self.columns))
        if not all(isinstance(column, np.ndarray) for column in columns):
            raise ValueError("found a column that is no array")
        arrays = tuple(as_column(column, name, "Rows") for name, column in zip(self.columns, columns, strict=True))
        bad = {str(column.dtype) for a, column in zip(arrays, columns, strict=True) if a.dtype != column.dtype}
        if bad or len({*map(len, arrays)}) != 1:
            odd = "".join(f" (of dtype {dtype})" for dtype in sorted(bad))
            raise ValueError(f"found columns of unequal lengths, or of a dtype that rows do not have{odd}")
        if not len(arrays[0]):
            raise ValueError("found columns without rows")
        if len(arrays[0]) > _MANY and not any(a.size for a in arrays):
            raise ValueError(f"found {len(arrays[0])} rows of nothing, expected values in them")
        self._kinds = kinds_of(arrays)
        self._chunks = [arrays]

    def __len__(self) -> int:
        self.flush()
        return sum(len(chunk[0]) for chunk in self._chunks)


def keep_distinct(rows: Rows) -> list[np.ndarray]:
    """Drop repeated rows, and return the columns as ``result`` does. Rows are equal where all their bytes are."""
    columns = list(rows.result().values())
    if len(columns[0]):
        cells = [sort_keys(column.reshape(len(column), -1)) for column in columns]
        new = np.ones(len(columns[0]), bool)
        new[1:] = np.logical_or.reduce([(cell[1:] != cell[:-1]).any(axis=1) for cell in cells])
        columns = [column[new] for column in columns]
        rows._chunks = [tuple(columns)]
    return columns
