"""A call site: one update of a metric in a graph, and how the host turns the tensors of its batches into updates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeGuard, final

import numpy as np

from mergeable.keras.batch import Batch, Layout
from mergeable.keras.converter import Converter
from mergeable.keras.graph_call import TracedCall
from mergeable.keras.options import Options
from mergeable.keras.packing import Column, as_tensors
from mergeable.keras.result_structure import Structure


@final
class CallSite:
    """What the host must know to take the tensors of the batches of all replicas at one place in a graph.

    It holds neither the metric nor the graph, because TensorFlow keeps what a graph calls for ever.
    """

    def __init__(self, batches: Sequence[Batch], traced: TracedCall, converter: Converter, options: Options) -> None:
        self.traced, self.options = traced, options
        self._converter = converter
        self._parts = [(batch.layout, len(batch.tensors)) for batch in batches]
        self.types = [tensor.dtype for batch in batches for tensor in batch.tensors]

    @property
    def structure(self) -> Structure:
        """What the result is like."""
        return self.traced.structure

    def is_alike(self, other: CallSite) -> bool:
        """Return whether the tensors of another place become the same updates."""
        return (
            self._converter is other._converter
            and self.options is other.options
            and self.types == other.types
            and len(self._parts) == len(other._parts)
            and all(a[1] == b[1] and a[0].is_alike(b[0]) for a, b in zip(self._parts, other._parts, strict=True))
        )

    def runs(self, metric: Any, columns: Sequence[Column], steps: range, first_slot: int = 0) -> list[Run]:
        """Return the updates that the columns of the batches of these steps make, in the order of the replicas."""
        runs, start = [], 0
        for slot, (layout, size) in enumerate(self._parts, first_slot):
            runs.append(Run(metric, self._converter, slot, layout, columns[start : start + size], steps))
            start += size
        return runs


@final
class Run:
    """Updates of one replica at one place, of steps that follow one another; none of them was run."""

    def __init__(  # noqa: PLR0917 - each belongs to the updates
        self, metric: Any, converter: Converter, slot: int, layout: Layout, columns: Sequence[Column], steps: range
    ) -> None:
        self._metric, self._converter, self._slot = metric, converter, slot
        self._layout, self._columns = layout, columns
        self._steps, self._taken = steps, 0
        self._batches: list[Any] | None = None

    def __len__(self) -> int:
        """The number of updates that have not run."""
        return len(self._steps) - self._taken

    @property
    def step(self) -> int:
        """The step of the next update."""
        return self._steps[self._taken]

    def join(self) -> bool:
        """Run all as one, if the metric can, and that succeeds; return whether it was done."""
        if len(self) < 2 or self._taken or not self._layout.joins:
            return False
        rows = list(filter(_is_rows, self._columns))
        if len(rows) < len(self._columns):
            return False
        try:
            whole = [
                column.reshape(column.shape[0] * column.shape[1], *column.shape[2:]) for column in rows
            ]  # -1 fits no array of 0
            args, kwargs = self._layout.arguments(whole)
            return self._converter.update_joined(
                self._metric, self._slot, args, kwargs, len(self), self._reaches(len(self._steps))
            )
        except Exception:  # one of them fails: by itself it tells which
            return False

    def take(self) -> None:
        """Run the next update; it stays the next one where that fails, or is interrupted before it counts."""
        if self._batches is None:
            arrays = self._converter.to_arrays and self._layout.is_dense
            self._batches = [column if arrays else as_tensors(column) for column in self._columns]
        args, kwargs = self._layout.arguments([column[self._taken] for column in self._batches])
        self._converter.update(self._metric, self._slot, args, kwargs, self._reaches(self._taken + 1))

    def drop(self) -> None:
        """Leave out the next update."""
        self._taken += 1

    def _reaches(self, taken: int) -> Callable[[], None]:
        """Return what notes that so many updates have run."""

        def note() -> None:
            self._taken = taken

        return note


def _is_rows(column: Column) -> TypeGuard[np.ndarray]:
    return isinstance(column, np.ndarray) and column.ndim > 1


def update_each(runs: Sequence[Run]) -> None:
    """Run the next update of each; raise what the first of them raises, once all have run."""
    failures = []
    for run in runs:
        try:
            run.take()
        except Exception as error:  # users' code raises anything
            failures.append(error)
    if failures:
        raise failures[0]
