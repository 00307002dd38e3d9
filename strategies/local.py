"""Replicas of one process, which meet in a ``merge_call``: no strategy, OneDevice, Mirrored and CentralStorage."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, final

import tensorflow as tf

from mergeable.strategy import B, Replicas

T = TypeVar("T")


class TensorFlowReplicas(Replicas):
    """How the replicas of one process meet under every strategy of TensorFlow: in a ``merge_call``."""

    def meet(self, item: T, act: Callable[[list[T]], None]) -> None:
        """Call ``act`` once with the items of all replicas, which wait in a ``merge_call`` for its end."""
        context = tf.distribute.get_replica_context()
        if context is None or context.num_replicas_in_sync == 1:
            act([item])
            return

        def together(strategy: tf.distribute.Strategy, box: Any) -> None:
            act([box.item for box in strategy.experimental_local_results(box)])

        context.merge_call(tf.autograph.experimental.do_not_convert(together), args=(_Box(item),))

    def distinct(self, batches: list[B]) -> list[B]:
        """Return the first batch where all batches come from the same data, else all batches.

        Keras 3's ``train_on_batch`` and ``test_on_batch`` give every replica the whole batch, where ``fit`` gives each a part.
        The replicas' first arguments are then one object. In a graph the sources of their tensors, variables and constants aside, are
        the same too; random numbers drawn in a replica are a source of their own. In eager code, where nothing tells the sources
        of a tensor, the batches must be equal in every byte.
        """
        first, *others = batches
        if not all(other.first is first.first for other in others):
            return batches
        origin = _contents if tf.executing_eagerly() else _sources
        expected = origin(first.tensors) if others else None
        return batches[:1] if all(origin(other.tensors) == expected for other in others) else batches


@final
class Local(TensorFlowReplicas):
    """All replicas run in this process, which is the whole job."""

    @classmethod
    def serving(cls, strategy: Any) -> Local | None:
        """Return the replicas of no strategy, OneDevice, Mirrored and CentralStorage."""
        in_this_process = (
            tf.distribute.OneDeviceStrategy | tf.distribute.MirroredStrategy | tf.distribute.experimental.CentralStorageStrategy
        )
        return cls() if strategy is None or isinstance(strategy, in_this_process) else None


class _Box:
    """A box around an item, which ``merge_call`` passes on whole; a structure it would take apart."""

    def __init__(self, item: Any) -> None:
        self.item = item


def _contents(tensors: Sequence[tf.Tensor]) -> list[bytes]:
    return [tensor.numpy().tobytes() for tensor in tensors]


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
