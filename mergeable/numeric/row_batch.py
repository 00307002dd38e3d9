"""A batch of rows, of which each of several states (keys, slices, replicates) takes some; rows of weight 0 are left out."""

from __future__ import annotations

from typing import Any, final

import numpy as np

from mergeable.numeric.conversion import as_lossless
from mergeable.numeric.inputs import as_rows, is_zero, some_of
from mergeable.state import State
from mergeable.state.access import update_of
from mergeable.state.signature import Place, needed


@final
class RowBatch:
    """The arguments of an update, in order and by name: arrays (n, ...) with one row for each of n keys; None stays None."""

    def __init__(self, columns: tuple[Any, ...], named: dict[str, Any], n: int, who: str) -> None:
        every: dict[Any, Any] = {**dict(enumerate(columns)), **named}
        some = {place: column for place, column in every.items() if column is not None}
        arrays = dict(zip(some, as_rows(some.values(), n, who), strict=True))
        self._columns = [arrays.get(i) for i in range(len(columns))]
        self._named = {name: arrays.get(name) for name in named}

    def give(self, state: State, rows: Any) -> None:
        """Update a state with these rows, an index of arrays."""

        def picked(column: Any) -> Any:
            return None if column is None else column[rows]

        state.update(*map(picked, self._columns), **{name: picked(column) for name, column in self._named.items()})


def check_columns(state: State, columns: tuple[Any, ...], named: dict[str, Any], who: str, first: str) -> None:
    """Raise ``TypeError`` where an update got its first argument alone, and the state inside takes more."""
    if not columns and not named:
        kind, update = update_of(state)
        if names := needed(update):
            raise TypeError(
                f"{who}: got one argument, expected the {first} of the rows and then what the {kind.__name__} inside takes. "
                f"Write update({', '.join([first, *names])})."
            )


def present(place: Place | None, columns: tuple[Any, ...], named: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments of an update without the rows of weight 0, which are not there and are not checked."""
    if place is None:
        return columns, named
    index, name = place
    weights = named.get(name, columns[index] if index < len(columns) else None)
    array = as_lossless(weights, "update")
    if weights is None or array.dtype.kind not in "biuf":
        return columns, named
    zero = is_zero(array)
    if not np.count_nonzero(zero):
        return columns, named
    if not array.ndim:  # one weight for all rows
        zero = np.ones(next((len(column) for column in columns if np.ndim(column)), 1), bool)
        columns, named = (
            tuple(zero if column is weights else column for column in columns),
            {key: zero if column is weights else column for key, column in named.items()},
        )
    there = np.logical_not(zero.reshape(len(zero), -1).all(axis=1))
    kept = some_of([*columns, *named.values()], there)
    return kept[: len(columns)], dict(zip(named, kept[len(columns) :], strict=True))
