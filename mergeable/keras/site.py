"""A place in a graph where batches are handed over to a metric: how its tensors become updates, and its result tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, final

import numpy as np
import tensorflow as tf

from mergeable.keras.batch import Arguments, Batch, Layout
from mergeable.keras.hand_over import Traced
from mergeable.keras.structure import Structure


class Taker(Protocol):
    """The metric that takes batches."""

    def _take_one(self, replica: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None: ...

    def _take_joined(self, replica: int, batches: Sequence[Arguments]) -> bool: ...

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

    @staticmethod
    def joined(updates: Sequence[Update]) -> bool:
        """Run updates of one replica as one, if the metric can, and all of it succeeds; return whether it was done."""
        first = updates[0]
        try:
            return first._metric._take_joined(first._slot, [update._layout.arguments(update._tensors) for update in updates])
        except Exception:  # one of them fails: by itself it tells which
            return False


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
