"""A place in a graph where batches are handed over to a metric: how its tensors become updates, and its result tensors."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, final

import numpy as np
import tensorflow as tf

from mergeable.keras.batch import Batch, Layout
from mergeable.keras.hand_over import Traced
from mergeable.keras.structure import Structure


@final
class Site:
    """What the host must know to take the tensors of the batches that replicas bring to one place in a graph.

    ``take`` runs the update of one replica's arguments, ``result`` the metric's result.
    """

    def __init__(
        self,
        who: str,
        batches: Sequence[Batch],
        traced: Traced,
        take: Callable[[int, tuple[Any, ...], dict[str, Any]], None],
        result: Callable[[], Any],
    ) -> None:
        self.who = who
        self.traced = traced
        self.tensors_of = [len(batch.tensors) for batch in batches]
        self._layouts = [batch.layout for batch in batches]
        self._take = take
        self._result = result

    @property
    def structure(self) -> Structure:
        """What the result is like."""
        return self.traced.structure

    def updates(self, tensors: Sequence[tf.Tensor], first_slot: int = 0) -> list[Callable[[], None]]:
        """Return the updates that the tensors of all batches make, in the order of the replicas."""
        updates: list[Callable[[], None]] = []
        start = 0
        for slot, (layout, size) in enumerate(zip(self._layouts, self.tensors_of, strict=True), first_slot):
            updates.append(functools.partial(self._update, slot, layout, tensors[start : start + size]))
            start += size
        return updates

    def compute(self) -> list[np.ndarray]:
        """Compute the result, as flat values."""
        return self.structure.flatten(self._result())

    def _update(self, slot: int, layout: Layout, tensors: Sequence[tf.Tensor]) -> None:
        self._take(slot, *layout.arguments(tensors))


def run_all(updates: Sequence[Callable[[], None]]) -> None:
    """Run every update; raise what the first of them raises, once all have run."""
    failures = []
    for update in updates:
        try:
            update()
        except Exception as error:  # users' code raises anything
            failures.append(error)
    if failures:
        raise failures[0]
