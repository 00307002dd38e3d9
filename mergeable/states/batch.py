"""One batch of which several states take some rows."""

from __future__ import annotations

from typing import Any, final

from mergeable.state import State
from mergeable.states.arrays import as_rows


@final
class Batch:
    """The arguments of an update, in order and by name: arrays (n, ...) with one row for each of n keys; None stays None."""

    def __init__(self, columns: tuple[Any, ...], named: dict[str, Any], n: int, who: str) -> None:
        given: dict[Any, Any] = {**dict(enumerate(columns)), **named}
        some = {place: column for place, column in given.items() if column is not None}
        arrays = dict(zip(some, as_rows(some.values(), n, who), strict=True))
        self._columns = [arrays.get(i) for i in range(len(columns))]
        self._named = {name: arrays.get(name) for name in named}

    def give(self, state: State, rows: Any) -> None:
        """Update a state with these rows, an index of arrays."""

        def picked(column: Any) -> Any:
            return None if column is None else column[rows]

        state.update(*map(picked, self._columns), **{name: picked(column) for name, column in self._named.items()})
