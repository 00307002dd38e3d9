"""A result on its way out: of a step that is traced, of one that runs, or of eager code."""

from __future__ import annotations

import textwrap
import time
import traceback
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from mergeable.keras import loop
from mergeable.keras.graph_call import Traced, as_written, call_host, eagerly
from mergeable.keras.logs import as_logged
from mergeable.keras.result_structure import Structure, as_tensors
from mergeable.metric import operations
from mergeable.metric.internals import internals
from mergeable.metric.verbs import check_outside
from mergeable.strategies import current
from mergeable.wording import shown

if TYPE_CHECKING:
    from mergeable.metric import Metric

    class _OfPyMetric(Metric):
        """The attributes of ``PyMetric`` that ``Read`` uses."""

        sync: str
        step_failure: str
        empty_result: Any

        @property
        def _who(self) -> str: ...

        def _inlet_here(self) -> Any: ...

else:
    _OfPyMetric = object


class Read(_OfPyMetric):
    """How a ``PyMetric`` gives its result."""

    _shown: Any = None
    """The number of changes before the last eager result under several replicas, that result, and it as logs show it."""

    _told: frozenset[type] = frozenset()
    """The types of exceptions that a warning has named."""

    @as_written
    def _dispatch_result(self) -> Any:
        check_outside(self._on_host(), "result")
        result = self._eager_result() if tf.executing_eagerly() else self._graph_result()
        kept = self._shown[2] if self._shown is not None and self._shown[1] is result else {}
        return as_logged(self, result, kept)

    def _graph_result(self) -> Any:
        graph, inlet = tf.compat.v1.get_default_graph(), self._inlet_here()
        call = Traced.latest(self._on_host(), graph)
        if call is not None:
            if inlet.schedule.delays:
                if loop.is_read_anew():
                    loop.late.add(inlet)
                else:
                    call.make_exact()
            return call.outputs()
        reading = Traced(graph, self._structure())

        def act(metric: Read, *_: tf.Tensor) -> list[np.ndarray]:
            return metric._step_values(reading)

        return reading.structure.pack(call_host(self, act, inlet.order(current()), reading.structure.dtypes))

    def _eager_result(self) -> Any:
        try:
            return self._eager_value()
        except Exception as error:
            if loop.is_in_step():  # with run_eagerly=True
                structure = self._structure()
                return as_tensors(tf.nest.pack_sequence_as(structure.example, self._values_despite(error, structure)))
            if isinstance(error, TypeError) and loop.is_within("_validate_and_get_metrics_result"):
                raise RuntimeError(
                    f"{self._who}.result: got {shown(error)} at the end of an epoch or of evaluate, expected a value. Mend result(); this "
                    "is a RuntimeError, because tf_keras passes over a TypeError here and shows what the last step showed."
                ) from error
            raise

    def _eager_value(self) -> Any:
        metric = self._on_host()
        inner = internals(metric)
        inner.take_in()
        if not _in_replica():
            began = time.perf_counter()
            value = operations.result(metric)
            if inner.queue is not None and inner.membership.job is None:
                self._inlet_here().measured(time.perf_counter() - began)
            return as_tensors(value)
        changes = inner.membership.changes  # all replicas get one object; Keras would add up several
        if self._shown is None or self._shown[0] != changes:
            self.__dict__["_shown"] = changes, as_tensors(self._step_result()), {}
        return self._shown[1]

    def _step_values(self, traced: Traced) -> list[np.ndarray]:
        """Return what a step shows, as flat values."""
        try:
            result = self._step_result()
        except Exception as error:
            if not traced.in_keras:
                raise
            return self._values_despite(error, traced.structure)
        return traced.structure.flatten(result)

    def _values_despite(self, error: Exception, structure: Structure) -> list[np.ndarray]:
        """Return NaN for a step whose result failed for want of data; raise what is no failure of ``result``, or was asked for."""
        if self.step_failure == "raise" or not _came_through(operations.result_here, error):
            raise error
        if type(error) not in self._told:
            self.__dict__["_told"] = self._told | {type(error)}
            warnings.warn(
                f"{self._who}.result (metric {shown(self.name)}): steps show NaN while it raises {_text(error)}; the end of an epoch and "
                'eager code raise it. Set step_failure = "raise" to have steps raise it too.',
                RuntimeWarning,
                stacklevel=2,
            )
        return structure.placeholder()

    def _step_result(self) -> Any:
        metric = self._on_host()
        if self.sync == "step":
            return operations.result(metric, alone=True)
        internals(metric).settle()
        return operations.result_here(metric)

    def _structure(self) -> Structure:
        example = declared = self._declared_result()
        if example is None:
            try:
                with warnings.catch_warnings(), eagerly():  # a result may compute with tensors, eager as in a step
                    warnings.simplefilter("ignore")
                    example = operations.result_when_empty(self._on_host())
            except Exception:  # scikit-learn's functions and divisions by plain zeros fail on nothing; a number is usual
                example = 0.0
        return Structure(self._who, example, declared=declared is not None)

    def _declared_result(self) -> Any:
        return getattr(self._on_host(), "empty_result", None) if self.empty_result is None else self.empty_result


def _text(error: Exception) -> str:
    return textwrap.shorten(f"{type(error).__name__}: {error}", 200)


def _came_through(function: Callable[..., Any], error: Exception) -> bool:
    return any(frame.f_code is function.__code__ for frame, _ in traceback.walk_tb(error.__traceback__))


def _in_replica() -> bool:
    """Return whether this is part of a step that a strategy runs on several replicas."""
    context = tf.distribute.get_replica_context()
    return context is not None and context.num_replicas_in_sync > 1
