"""How a step hands its batches over to the host, and gets a result back: the one place where a graph calls Python."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import tensorflow as tf
from tensorflow.python.ops import control_flow_util

from mergeable.errors import UnsupportedStrategy
from mergeable.keras.failures import passed_on

F = TypeVar("F", bound=Callable[..., Any])
as_written: Callable[[F], F] = tf.autograph.experimental.do_not_convert  # AutoGraph need not read what runs on the host


def call_host(
    who: str, act: Callable[..., Sequence[Any]], tensors: Sequence[tf.Tensor], dtypes: Sequence[tf.DType]
) -> list[tf.Tensor]:
    """Add to the graph one call of ``act`` on the host with eager tensors; return the tensors that it will give.

    TensorFlow runs such calls in the order of the program.

    Raises:
        UnsupportedStrategy: the graph is compiled by XLA, which cannot call the host.
    """
    if control_flow_util.GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph()):
        raise UnsupportedStrategy(
            f"{who}: got a step that is compiled by XLA (jit_compile=True), expected one that is not, because XLA cannot call "
            "Python on the host. Pass jit_compile=False to compile() or tf.function(); Keras chooses True by itself on a GPU."
        )

    @as_written
    def on_host(*arrived: tf.Tensor) -> Sequence[Any]:
        try:
            return act(*arrived)
        except Exception as error:
            raise passed_on(error) from error

    with tf.device("/cpu:0"):
        given = tf.py_function(on_host, list(tensors), list(dtypes))
    return list(given) if isinstance(given, list | tuple) else []


class Traced:
    """The call that a graph makes for an update, whose result the same graph may read."""

    def __init__(self, graph: tf.Graph) -> None:
        self.wanted = False
        self.outputs: Any = None
        self._first_later_op = len(graph.get_operations())

    def finish(self, graph: tf.Graph, outputs: Any) -> None:
        """Remember the outputs, and which operations of the graph come later."""
        self.outputs = outputs
        self._first_later_op = len(graph.get_operations())

    def is_latest(self, graph: tf.Graph) -> bool:
        """Return whether no later operation of the graph can hide another update: a call, a branch or a loop."""
        return not any(op.type in _HIDING for op in graph.get_operations()[self._first_later_op :])


_HIDING = frozenset(
    {"PartitionedCall", "StatefulPartitionedCall", "If", "StatelessIf", "While", "StatelessWhile", "Case", "StatelessCase"}
)
