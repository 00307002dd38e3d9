"""Replicas of one process: no strategy, OneDevice, Mirrored and CentralStorage."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import tensorflow as tf

from mergeable.strategy import Strategy

T = TypeVar("T")


class Local(Strategy):
    """All replicas run in this process, so they meet in a ``merge_call`` and nothing has to travel."""

    def serves(self, strategy: Any) -> bool:
        """Return whether all replicas of the strategy run in this process."""
        return strategy is None or isinstance(
            strategy,
            tf.distribute.OneDeviceStrategy
            | tf.distribute.MirroredStrategy
            | tf.distribute.experimental.CentralStorageStrategy,
        )

    def meet(self, item: T, act: Callable[[list[T]], None]) -> None:
        """Call ``act`` once with the items of all replicas, while these wait in a ``merge_call``."""
        context = tf.distribute.get_replica_context()
        if context is None or context.num_replicas_in_sync == 1:
            act([item])
            return

        def together(strategy: tf.distribute.Strategy, parcel: Any) -> None:
            act([parcel.item for parcel in strategy.experimental_local_results(parcel)])

        context.merge_call(together, args=(_Parcel(item),))

    def gather(self, payload: bytes) -> list[bytes]:
        """Return the payload: this process is the whole job."""
        return [payload]


class _Parcel:
    """An item that ``merge_call`` passes on as it is, and does not take apart."""

    def __init__(self, item: Any) -> None:
        self.item = item


def same_source(batches: list[list[tf.Tensor]]) -> bool:
    """Return whether the replicas' batches come from the very same data, so that all but one repeat it.

    Keras 3's ``train_on_batch`` and ``test_on_batch`` give every replica the whole batch, where ``fit`` gives each a part.
    The replicas' first tensors are then one tensor, and what the other tensors are computed from, variables and constants
    aside, is the same for all. Random numbers drawn in a replica are a source of their own.
    """
    first, *others = batches
    if not others or not first or any(b[0] is not first[0] for b in others) or isinstance(first[0], tf.__internal__.EagerTensor):
        return False
    sources = _sources(first)
    return all(_sources(batch) == sources for batch in others)


def _sources(tensors: list[tf.Tensor]) -> set[int]:
    """Return the ids of the operations that bring data into the graph and that the tensors depend on."""
    seen: set[int] = set()
    found: set[int] = set()
    todo = [tensor.op for tensor in tensors]
    while todo:
        op = todo.pop()
        if id(op) in seen:
            continue
        seen.add(id(op))
        handles = [t.dtype in (tf.resource, tf.variant) for t in op.outputs]
        if op.type == "Placeholder":
            if not all(handles):
                found.add(id(op))
        elif op.type.startswith(("IteratorGetNext", "MultiDeviceIteratorGetNext", "Random", "Multinomial", "EagerPyFunc", "PyFunc")):
            found.add(id(op))
        todo.extend(t.op for t in op.inputs)
    return found
