"""Replicas of one process: no strategy, OneDevice, Mirrored and CentralStorage."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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

        context.merge_call(tf.autograph.experimental.do_not_convert(together), args=(_Parcel(item),))

    def gather(self, payload: bytes) -> list[bytes]:
        """Return the payload: this process is the whole job."""
        return [payload]


class _Parcel:
    """An item that ``merge_call`` passes on as it is, and does not take apart."""

    def __init__(self, item: Any) -> None:
        self.item = item


def same_source(firsts: Sequence[Any], batches: Sequence[Sequence[tf.Tensor]]) -> bool:
    """Return whether the replicas' batches come from the very same data, so that all but one repeat it.

    Keras 3's ``train_on_batch`` and ``test_on_batch`` give every replica the whole batch, where ``fit`` gives each a part.
    The replicas' first arguments are then one object. In a graph, what their tensors are computed from, variables and
    constants aside, is the same too; random numbers drawn in a replica are a source of their own. In eager code, where
    nothing tells what a tensor was computed from, the batches must be equal in every byte.
    """
    if len(firsts) == 1 or any(first is not firsts[0] for first in firsts):
        return False
    if tf.executing_eagerly():
        contents = [[t.numpy().tobytes() for t in batch] for batch in batches]
        return all(content == contents[0] for content in contents)
    sources = [_sources(batch) for batch in batches]
    return all(source == sources[0] for source in sources)


def _sources(tensors: Sequence[tf.Tensor]) -> set[int]:
    """Return the ids of the operations that bring data into the graph and that the tensors depend on."""
    seen: set[int] = set()
    found: set[int] = set()
    todo = list(tensors)
    while todo:
        tensor = todo.pop()
        if not hasattr(tensor, "graph"):  # an eager tensor, which the graph will capture
            found.add(id(tensor))
            continue
        op = tensor.op
        if id(op) in seen:
            continue
        seen.add(id(op))
        handles = [t.dtype in (tf.resource, tf.variant) for t in op.outputs]
        if op.type == "Placeholder":
            if not all(handles):
                found.add(id(op))
        elif op.type.startswith(
            ("IteratorGetNext", "MultiDeviceIteratorGetNext", "Random", "Multinomial", "EagerPyFunc", "PyFunc")
        ):
            found.add(id(op))
        todo.extend(op.inputs)
    return found
