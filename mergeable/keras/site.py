"""A place in a graph where batches are handed over to a metric: how its tensors become updates, and its result tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeGuard, final

import numpy as np
import tensorflow as tf

from mergeable.keras.batch import Batch, Layout
from mergeable.keras.hand_over import Traced
from mergeable.keras.packing import Column, as_tensors
from mergeable.keras.structure import Structure


class Taker(Protocol):
    """The metric that takes batches."""

    _takes_arrays: bool

    def _take_one(self, replica: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None: ...

    def _take_joined(self, replica: int, args: tuple[Any, ...], kwargs: dict[str, Any], updates: int) -> bool: ...

    def _step_result(self) -> Any: ...


@final
class Site:
    """What the host must know to take the tensors of the batches that replicas bring to one place in a graph."""

    def __init__(self, who: str, batches: Sequence[Batch], traced: Traced, metric: Taker) -> None:
        self.who = who
        self.traced = traced
        self._parts = [(batch.layout, len(batch.tensors)) for batch in batches]
        self._metric = metric

    @property
    def structure(self) -> Structure:
        """What the result is like."""
        return self.traced.structure

    def updates(self, tensors: Sequence[tf.Tensor], first_slot: int = 0) -> list[Update]:
        """Return the updates that the tensors of all batches make, in the order of the replicas."""
        updates, start = [], 0
        for slot, (layout, size) in enumerate(self._parts, first_slot):
            updates.append(Update(self._metric, slot, layout, tensors[start : start + size]))
            start += size
        return updates

    def runs(self, columns: Sequence[Column], first_step: int) -> list[Run]:
        """Return the updates that the columns of batches of several steps make, by replicas."""
        runs, start = [], 0
        for slot, (layout, size) in enumerate(self._parts):
            if size:
                runs.append(Run(self._metric, slot, layout, columns[start : start + size], first_step))
            start += size
        return runs

    def compute(self) -> list[np.ndarray]:
        """Compute the result, as flat values."""
        return self.structure.flatten(self._metric._step_result())


@final
class Update:
    """One replica's update."""

    def __init__(self, metric: Taker, slot: int, layout: Layout, tensors: Sequence[tf.Tensor]) -> None:
        self._metric, self._slot, self._layout, self._tensors = metric, slot, layout, tensors

    def run(self) -> None:
        """Let the metric take the batch."""
        self._metric._take_one(self._slot, *self._layout.arguments(self._tensors))


@final
class Run:
    """Updates of one replica at one place, of steps that follow one another; none of them was run."""

    def __init__(self, metric: Taker, slot: int, layout: Layout, columns: Sequence[Column], first_step: int) -> None:
        self._metric, self._slot, self._layout, self._columns = metric, slot, layout, columns
        self._steps = range(first_step, first_step + len(columns[0]))
        self._taken = 0
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
        whole = [column.reshape(-1, *column.shape[2:]) for column in self._columns if _is_rows(column)]
        if len(self) < 2 or self._taken or len(whole) < len(self._columns) or not self._layout.joins:
            return False
        try:
            done = self._metric._take_joined(self._slot, *self._layout.arguments(whole), len(self))
        except Exception:  # one of them fails: by itself it tells which
            return False
        self._taken = len(self._steps) if done else 0
        return done

    def take(self) -> None:
        """Run the next update; it stays the next one where that is interrupted."""
        if self._batches is None:
            arrays = self._metric._takes_arrays and self._layout.is_dense
            self._batches = [column if arrays else as_tensors(column) for column in self._columns]
        try:
            self._metric._take_one(self._slot, *self._layout.arguments([column[self._taken] for column in self._batches]))
        except Exception:
            self._taken += 1
            raise
        self._taken += 1


def _is_rows(column: Column) -> TypeGuard[np.ndarray]:
    return isinstance(column, np.ndarray) and column.ndim > 1


def run_all(updates: Sequence[Update]) -> None:
    """Run every update; raise what the first of them raises, once all have run."""
    failures = []
    for update in updates:
        try:
            update.run()
        except Exception as error:  # users' code raises anything
            failures.append(error)
    if failures:
        raise failures[0]
