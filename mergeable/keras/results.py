"""Results that are read: in a graph, in eager code, and in a replica of an eager step."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import tensorflow as tf

from mergeable.keras import loop
from mergeable.keras.batch_queue import queue_of
from mergeable.keras.graph_call import TracedCall, call_host
from mergeable.keras.options import Options
from mergeable.keras.result_structure import as_tensors
from mergeable.keras.step_values import step_result, step_values, structure_of, values_despite
from mergeable.metric import operations
from mergeable.metric.internals import internals
from mergeable.strategies import current
from mergeable.wording import shown


def graph_result(metric: Any, options: Options) -> Any:
    """Return the result as tensors of the graph that is traced: of the step's own update, or of a call of the host for it alone."""
    graph, queue = tf.compat.v1.get_default_graph(), queue_of(metric, options)
    call = TracedCall.latest(metric, graph)
    if call is not None:
        if queue.schedule.delays:
            if loop.is_read_anew():
                loop.late.add(queue)
            else:
                call.make_exact()
        return call.outputs()
    reading = TracedCall(graph, structure_of(metric, options))

    def act(metric: Any, *_: tf.Tensor) -> list[np.ndarray]:
        return step_values(metric, options, reading)

    return reading.structure.pack(call_host(metric, act, queue.order(current()), reading.structure.dtypes))


class EagerResult:
    """The last eager result of a metric, which the replicas of one step share: Keras would add up several."""

    def __init__(self) -> None:
        self._changes: int | None = None
        self._value: Any = None
        self._logged: dict[str | None, Any] = {}

    def read(self, metric: Any, options: Options) -> Any:
        """Return the result as eager tensors; in a step of a Keras model NaN where it fails for want of data."""
        try:
            return self._read(metric, options)
        except Exception as error:
            if loop.is_in_step():  # with run_eagerly=True
                structure = structure_of(metric, options)
                values = values_despite(error, metric, options, structure)
                return as_tensors(tf.nest.pack_sequence_as(structure.example, values))
            if isinstance(error, TypeError) and loop.is_within("_validate_and_get_metrics_result"):
                raise RuntimeError(
                    f"{type(metric).__name__}.result: got {shown(error)} at the end of an epoch or of evaluate, expected a value. Mend "
                    "result(); this is a RuntimeError, because tf_keras passes over a TypeError here and shows what the last step showed."
                ) from error
            raise

    def _read(self, metric: Any, options: Options) -> Any:
        inner = internals(metric)
        inner.take_in()
        if not _in_replica():
            began = time.perf_counter()
            value = operations.result(metric)
            if inner.queue is not None and inner.membership.job is None:
                queue_of(metric, options).measured(time.perf_counter() - began)
            return as_tensors(value)
        changes = inner.membership.changes
        if self._changes != changes:
            self._value, self._logged, self._changes = as_tensors(step_result(metric, options)), {}, changes
        return self._value

    def logged(self, result: Any) -> dict[str | None, Any]:
        """Return what logs have shown of a result, by name, to which more may be added; of another result, nothing."""
        return self._logged if self._changes is not None and self._value is result else {}


def _in_replica() -> bool:
    """Return whether this is part of a step that a strategy runs on several replicas."""
    context = tf.distribute.get_replica_context()
    return context is not None and context.num_replicas_in_sync > 1
