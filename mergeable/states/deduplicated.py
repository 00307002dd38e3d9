"""Deduplication: rows with one id count once in the state inside."""

from __future__ import annotations

from typing import Any, final

import numpy as np

from mergeable.numeric.conversion import as_items
from mergeable.numeric.inputs import run_begins
from mergeable.numeric.row_batch import present
from mergeable.numeric.row_order import as_column
from mergeable.state import State
from mergeable.state.access import place_of_weights, trial_of
from mergeable.state.signature import Place
from mergeable.states.combinators import PART, Product, cells_of, empty_of, inner_of, one_more, signature_of
from mergeable.states.rows import Rows, keep_distinct
from mergeable.states.sums import Count
from mergeable.wording import shown

_FEW = 4096  # rows that may wait before repeated ones are dropped


@final
class Deduplicated(Product[str]):
    """A state, or a metric, to which rows with one id count once: padded batches, retried steps, shards that overlap.

    ``Deduplicated(state, *columns)`` names what it is fed with, as ``Rows`` does; ``update(ids, *columns)`` takes ids (n,), whole
    numbers or strings of one kind, and the columns (n, ...), in order or by name. A merge cannot take a row out of a mean again, so
    the distinct rows are kept, and the inner state is fed, in their canonical order and in one batch, when the result is read.

    Of rows that have one id and differ, the first in canonical order counts; ``n_conflicts`` says of how many ids that is so, and
    ``n_dropped`` how many rows did not count. A row whose weight the inner state would be given as 0 is not there.

    Empty: no rows. Exact where the inner state is; commutative. Memory grows with the distinct rows: their bytes, or twice them while
    repeated ones wait (``bounded`` is False). Where ids repeat only inside a batch, drop them before ``update`` instead.

    Raises:
        TypeError: what came is no state and no metric.
        ValueError: columns are missing, of unequal length, or change their kind or trailing shape; as in ``Rows``.
        IncompatibleStates: on merging rows of other kinds or shapes.

    Example:
        >>> from mergeable import Deduplicated, Mean
        >>> loss = Deduplicated(Mean(), "loss")
        >>> loss.update([1, 2, 3, 3], [1.0, 2.0, 6.0, 6.0])
        >>> loss.update([2], loss=[2.0])
        >>> loss.result(), len(loss), loss.n_dropped, loss.n_conflicts
        (3.0, 3, 2, 0)
    """

    bounded = False

    def __init__(self, state: Any, *columns: str) -> None:
        self._inner = inner_of(state, "Deduplicated")
        self._hold({"rows": Rows("id", *columns), "came": Count()})
        self.exact, self.bounded = self._inner.exact, False
        self._levels = one_more(self, self._inner)
        self._next = _FEW  # how many rows have come when repeated ones are dropped

    @property
    def _rows(self) -> Rows:
        return self._parts["rows"]  # type: ignore[return-value]  # so it was made

    @property
    def parameters(self) -> dict[str, Any]:
        """The inner state's class and parameters, and ``columns``."""
        return {"state": signature_of(self._inner), "columns": self._rows.columns[1:]}

    def _recipe(self) -> Any:
        return Deduplicated, (self._inner, *self._rows.columns[1:])

    @classmethod
    def of(cls, parameters: dict[str, Any]) -> Deduplicated:
        """Return an empty state whose inner state and columns are these."""
        rows = Rows.of({"columns": ("id", *parameters["columns"])})
        return Deduplicated(empty_of(parameters["state"]), *rows.columns[1:])

    @classmethod
    def cells(cls, parameters: dict[str, Any]) -> int:
        """Return how many numbers the inner state allocates, and some more for the rows."""
        return cells_of(parameters["state"]) + 4 * PART

    def empty(self) -> Deduplicated:
        """Return a fresh identity with the same parameters."""
        fresh: Deduplicated = super().empty()
        fresh._next = _FEW
        return fresh

    def update(self, ids: Any, *columns: Any, **named: Any) -> None:
        """Take rows: ids (n,) and columns (n, ...)."""
        if len(columns) + len(named) + 1 != len(self._rows.columns):
            raise ValueError(
                f"Deduplicated.update: got {len(columns)} columns in order and {shown(sorted(named))} by name, expected each of "
                f"{shown(list(self._rows.columns[1:]))} once. Name them in Deduplicated(state, ...)."
            )
        (ids, *data), named = present(self._place_of_weights(), (ids, *columns), named)
        data += [named[name] for name in self._rows.columns[1 + len(columns) :]]
        ids, *data = [as_items(column, "Deduplicated.update") for column in (ids, *data)]
        if ids.ndim != 1 or (ids.dtype.kind == "f" and ids.size):
            raise ValueError(
                f"Deduplicated.update: got ids of dtype {ids.dtype} and shape {ids.shape}, expected whole numbers or strings (n,). "
                "Cast them, or number the rows."
            )
        with self._all_or_nothing():
            self._rows.update(ids, *data)
            # what it refuses is refused now, and not when the result is read:
            self._inner.empty().update(*[as_column(column, "", "Deduplicated.update") for column in data])
            self._parts["came"].update(len(ids))
        if self._came >= self._next:
            self._drop_repeated()

    def _place_of_weights(self) -> Place | None:
        place, names = place_of_weights(self._inner), self._rows.columns
        return None if place is None or place[0] + 1 >= len(names) else (place[0] + 1, names[place[0] + 1])

    def merge(self, other: Any) -> None:
        """Take the other's rows."""
        super().merge(other)
        if self._came >= self._next:
            self._drop_repeated()

    def result(self) -> Any:
        """Return the inner state's result of one row for each id."""
        return self._fed(self._inner.empty()).result()

    def _fed(self, fresh: State) -> State:
        """Return an empty inner state, updated with one row for each id."""
        ids, *columns = self._drop_repeated()
        if len(ids):
            first = run_begins(ids)
            fresh.update(*(column[first] for column in columns))
        return fresh

    def __len__(self) -> int:
        return int(run_begins(self._drop_repeated()[0]).sum())

    @property
    def n_dropped(self) -> int:
        """How many rows did not count, because a row with their id does."""
        return self._came - len(self)

    @property
    def n_conflicts(self) -> int:
        """How many ids came with rows that differ."""
        first = run_begins(self._drop_repeated()[0])
        return int((first[:-1] & ~first[1:]).sum())

    def to_data(self) -> Any:
        """Return the distinct rows, and how many came."""
        self._drop_repeated()
        return super().to_data()

    def from_data(self, saved: Any) -> None:
        """Take over rows."""
        super().from_data(saved)
        found = len(self._rows)
        if self._came < found or (self._came and not found):
            raise ValueError(f"found {found} rows of {self._came} that came")
        self._fed(trial_of(self._inner))
        if len(self._rows) != found:
            raise ValueError("found a row twice")

    @property
    def _came(self) -> int:
        return int(self._parts["came"].result())

    def _drop_repeated(self) -> list[np.ndarray]:
        """Keep equal rows once, which changes no answer, and return the ids and the columns in canonical order."""
        columns = keep_distinct(self._rows)
        self._next = self._came + max(_FEW, len(columns[0]))
        return columns
