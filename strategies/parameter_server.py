"""Workers of ParameterServerStrategy, to which a coordinator schedules steps; a step that is retried counts once."""

from __future__ import annotations

import functools
import itertools
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, final

import tensorflow as tf
from tensorflow.python.distribute.coordinator import cluster_coordinator
from tensorflow.python.ops.control_flow_v2_func_graphs import ControlFlowFuncGraph

from mergeable.strategies.local import TensorFlowReplicas


@final
class ParameterServer(TensorFlowReplicas):
    """The replicas of a coordinator's workers. All states are in the coordinator's process, where TensorFlow runs every call of Python.

    The replicas of one worker meet as those of one process do; workers never meet, and each has slots of its own.

    When a worker is lost, the coordinator runs its step again elsewhere, though the lost run may have updated metrics already.
    The two are one step: an update of an earlier run is left out once a later run has begun, and a later run leaves out, at
    each place of the program, as many updates as have been taken there. So once ``join`` has returned, every update in the
    graph of a scheduled step counts exactly once. Where ``join`` raises, some steps have not run: reset the metric.

    Not covered:

    - The place where the coordinator runs a step, ``Closure.execute_on``, is not public. In a TensorFlow without it, runs cannot
      be told apart, and an update counts at least once. So does one that a scheduled Python function calls outside of a graph.
    - That place is patched when the first metric is built in the strategy's scope, or else when the first step is traced. Where a
      scheduled Python function traces the first step, build the metrics in the scope: the runs that have begun by then count at
      least once.
    - A step that runs again repeats its other effects: it adds to variables on the parameter servers twice, resets a metric twice,
      and draws other rows where it draws them itself. Each metric then has the rows of the run that it counts.

    While ``update_state`` runs, it holds one of the coordinator's inter-op threads, and the updates of other workers that wait
    hold one each. A ``tf.function`` that it calls needs one more, or all wait for ever: before TensorFlow starts, give
    ``tf.config.threading.set_inter_op_parallelism_threads`` a number above that of the workers.
    """

    ordered = False
    queues = False  # whether an update counts depends on the run of its step, which must not be over

    @classmethod
    def serving(cls, strategy: Any) -> ParameterServer | None:
        """Return the replicas of a ParameterServerStrategy, whose coordinator says from now on which step it runs."""
        if not isinstance(strategy, tf.distribute.ParameterServerStrategy):
            return None
        with _patching:
            _note_runs()
        return cls()

    def ticket(self) -> list[Any]:
        """Return a tensor that holds, in each run of the step, the step's number, the run's, and the first slot of the worker."""
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        graph = tf.compat.v1.get_default_graph()
        while isinstance(graph, ControlFlowFuncGraph):  # the function around branches and loops is what is called
            graph = graph.outer_graph
        with graph.as_default(), tf.control_dependencies(None):
            at_call = functools.partial(_ticket_here, replicas)
            ticket = graph.capture_call_time_value(at_call, tf.TensorSpec([3], tf.int64), key=_KEY, default_value=_no_ticket())
        return [ticket]

    @contextmanager
    def admit(self, place: object, ticket: Sequence[Any]) -> Iterator[int | None]:
        """Give the first slot of the worker, or None for an update that counts already or that a later run brings."""
        number, run, slot = map(int, ticket[0].numpy())
        if number == _UNSCHEDULED:
            yield 0
            return
        step = _steps.get(number)
        if step is None:  # it is over: this is what a lost worker had still asked for
            yield None
            return
        with step.lock:
            before = step.taken.get(place, 0)
            nth = step.arrived.get((place, run), 0)
            step.arrived[place, run] = nth + 1
            if run < step.run or nth < before:
                yield None
                return
            yield slot
            step.taken[place] = before + 1  # not where the update has failed


class _Step:
    """One scheduled step: the number of its latest run, and the updates by the place in the program where they were called."""

    def __init__(self) -> None:
        self.number = next(_numbers)
        self.run = 0
        self.lock = threading.Lock()
        self.arrived: dict[tuple[object, int], int] = {}
        self.taken: dict[object, int] = {}
        _steps[self.number] = self


_KEY = "mergeable/ticket"
_UNSCHEDULED = -1
_numbers = itertools.count()
_steps: weakref.WeakValueDictionary[int, _Step] = weakref.WeakValueDictionary()  # each as long as TensorFlow may run it
_patching = threading.Lock()
_here = threading.local()  # the coordinator has one thread for each worker, which runs one step at a time


def _no_ticket() -> list[int]:
    return [_UNSCHEDULED, 0, 0]


def _ticket_here(replicas: int) -> tf.Tensor:
    number, run, worker = getattr(_here, "ticket", None) or _no_ticket()
    with tf.device("/job:chief/task:0/device:CPU:0"):
        return tf.constant([number, run, worker * replicas], tf.int64)


def _note_runs() -> None:
    """Patch the one place where the coordinator runs a step, which is not public, to note which step this thread runs."""
    closure = getattr(cluster_coordinator, "Closure", None)
    original: Callable[..., Any] | None = getattr(closure, "execute_on", None)
    if original is None or hasattr(original, "__mergeable__"):
        return

    @functools.wraps(original)
    def execute_on(self: Any, worker: Any) -> Any:
        step: _Step = self.__dict__.get("_mergeable") or self.__dict__.setdefault("_mergeable", _Step())
        with step.lock:
            step.run += 1
        _here.ticket = step.number, step.run, worker.worker_index
        try:
            return original(self, worker)
        finally:
            _here.ticket = None

    execute_on.__mergeable__ = True  # type: ignore[attr-defined]  # so that a reload does not wrap it twice
    closure.execute_on = execute_on  # type: ignore[union-attr]
