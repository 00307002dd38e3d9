"""The call of Python from a graph (``py_function``): the only place where a step calls the host."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import tensorflow as tf
from tensorflow.python.ops import control_flow_util

from mergeable.errors import UnsupportedStrategy
from mergeable.keras import loop
from mergeable.keras.graph_errors import passed_on, watch_calls
from mergeable.keras.result_structure import Structure
from mergeable.metric.verbs import tracers

F = TypeVar("F", bound=Callable[..., Any])
as_written: Callable[[F], F] = tf.autograph.experimental.do_not_convert  # AutoGraph need not read what runs on the host


@contextmanager
def eagerly() -> Iterator[None]:
    """Leave whatever graph is being built, on the host. ``tf.init_scope`` does not leave a plain ``tf.Graph``, and pauses tapes."""
    with tf.__internal__.eager_context.eager_mode(), tf.device("/cpu:0"):
        yield


def is_recording() -> bool:
    """Return whether TensorFlow traces a function now. A graph of old is none: it is built by code that runs once."""
    return not tf.executing_eagerly() and hasattr(tf.compat.v1.get_default_graph(), "outer_graph")


tracers.append(is_recording)


def call_host(
    metric: Any, act: Callable[..., Sequence[Any]], tensors: Sequence[tf.Tensor], dtypes: Sequence[tf.DType]
) -> list[tf.Tensor]:
    """Add to the graph one call of ``act`` on the host, with the metric and eager tensors; return the tensors that it will give.

    TensorFlow runs such calls in the order of the program, and keeps ``act`` for ever, so it must hold no metric and no graph. A
    graph keeps its metrics alive as little as its variables.

    Raises:
        UnsupportedStrategy: the graph is compiled by XLA, which cannot call the host.
    """
    who, kept = type(metric).__name__, weakref.ref(metric)
    if control_flow_util.GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph()):
        raise UnsupportedStrategy(
            f"{who}: got a step that is compiled by XLA (jit_compile=True), expected one that is not, because XLA cannot call "
            "Python on the host. Pass jit_compile=False to compile() or tf.function(); Keras chooses True by itself on a GPU."
        )

    watch_calls()

    @as_written
    def on_host(*arrived: tf.Tensor) -> Sequence[Any]:
        try:
            metric = kept()
            if metric is None:
                raise RuntimeError(
                    f"{who}: got a step of a metric that is gone, expected one that something keeps. Keep the metric."
                )
            return act(metric, *arrived)
        except Exception as error:
            raise passed_on(error) from error

    with tf.device("/cpu:0"):
        # TensorFlow places the call in this process, wherever the step runs; what it gives goes back there.
        returned = tf.py_function(on_host, list(tensors), list(dtypes))
        return [tf.identity(t) for t in returned] if isinstance(returned, list | tuple) else []


class TracedCall:
    """The call that a graph makes for an update, whose result the same graph may read.

    It is kept in a collection of the graph, and holds its outputs by name: neither keeps the other alive. ``wanted`` says that
    its result is read in the graph, ``is_exact`` that this must be that of each step, ``in_keras`` that it is in a step of a Keras model,
    whose values are for logs. A call that steps leave out is made in every step where ``always``, a variable, is not 0.
    """

    def __init__(self, graph: tf.Graph, structure: Structure) -> None:
        self.wanted = False
        self.is_exact = False
        self.always: Any = None
        self.in_keras = loop.is_in_step()
        self.structure = structure
        self._graph: Callable[[], Any] = weakref.ref(graph)
        self._names: list[str] = []
        self._first_later_op = 0

    @classmethod
    def latest(cls, metric: object, graph: tf.Graph) -> TracedCall | None:
        """Return the last call of the metric in the graph, unless a later operation can hide another: a call, a branch, a loop."""
        for traced in graph.get_collection(_collection(metric)):
            if traced.is_in(graph):  # inner graphs start with the collections of the outer one
                return None if traced.may_be_hidden(graph) else traced
        return None

    def is_in(self, graph: tf.Graph) -> bool:
        """Return whether this graph, and not one around it, has the call."""
        return self._graph() is graph

    def may_be_hidden(self, graph: tf.Graph) -> bool:
        """Return whether an operation after the call can hide another call of the metric."""
        return any(_hides(op) for op in graph.get_operations()[self._first_later_op :])

    def keep(self, metric: object, outputs: Sequence[tf.Tensor]) -> None:
        """Make this the metric's last call in its graph."""
        graph = self._graph()
        self._names = [tensor.name for tensor in outputs]
        self._first_later_op = len(graph.get_operations())
        graph.get_collection_ref(_collection(metric))[:] = [self]

    @staticmethod
    def forget(metric: object, graph: tf.Graph) -> None:
        """Forget the metric's calls in the graph: what they gave is no longer the last word."""
        graph.get_collection_ref(_collection(metric)).clear()

    def make_exact(self) -> None:
        """Have every step compute the result, because nobody is known to read it anew."""
        self.is_exact = True
        if self.always is not None:
            with eagerly():
                self.always.assign(1)

    def outputs(self) -> Any:
        """Return the result that the call gives; its computation is wanted from now on."""
        self.wanted = True
        return self.structure.pack([self._graph().get_tensor_by_name(name) for name in self._names])


DUE = "mergeable_due"
"""The name of a branch in which a metric calls the host where that is due: it hides no call of another metric."""


def _collection(metric: object) -> str:
    return f"mergeable/{id(metric)}"


def _hides(op: tf.Operation) -> bool:
    return op.type in _HIDING and not op.name.rsplit("/", 1)[-1].startswith(DUE)


_HIDING = frozenset(
    {"PartitionedCall", "StatefulPartitionedCall", "If", "StatelessIf", "While", "StatelessWhile", "Case", "StatelessCase"}
)
