"""The queue of batches: a step in a graph appends without Python, and the host takes the batches of many steps at once."""

from __future__ import annotations

import atexit
import collections
import math
import os
import sys
import threading
import time
import weakref
from collections.abc import Sequence
from typing import Any, NamedTuple, final

import numpy as np
import tensorflow as tf
from tensorflow.python.ops.resource_variable_ops import ResourceVariable

from mergeable.errors import MergeableError, add_note
from mergeable.keras import loop
from mergeable.keras.call_site import CallSite, Run
from mergeable.keras.ending import end_as_failed
from mergeable.keras.graph_call import DUE, as_written, call_host, eagerly
from mergeable.keras.options import Options
from mergeable.keras.packing import ROW_BYTES, Packed, pack
from mergeable.keras.result_schedule import Schedule
from mergeable.keras.step_values import step_values
from mergeable.metric import Metric
from mergeable.metric.internals import internals, process
from mergeable.strategy import Replicas
from mergeable.wording import shown

QUEUE_BYTES = 8 << 20
"""A step that brings what waits to so many bytes has Python take it before the step goes on."""

QUEUE_BATCHES = 512
"""And so does a step that brings it to so many batches."""


class _Place(NamedTuple):
    """How far the batches were taken: always written as one, so that nothing is lost or taken twice where that is cut off."""

    steps: int
    """The steps since the last reset whose updates have run, or are among ``runs``."""
    packed: Packed | None
    """The batches that are taken apart, the first of those that are not in the queue any more."""
    at: int
    """Where in them the next one begins."""
    runs: Sequence[Run]
    """Updates that were taken apart; each knows how far it has run."""


@final
class BatchQueue:
    """The batches that steps have left for a metric, in the order of the steps.

    They are taken by whoever first needs the states: a step whose result is due or that finds the queue full, or a verb that is
    called from outside. What an update raises is kept until then, and names the step. Nothing that waits is lost: not when a
    step fails or is interrupted, not in a fork, which finds the queue empty, and not when the program ends. It goes with a metric
    that nobody keeps: a graph keeps none.

    Memory: ``QUEUE_BYTES``, and a batch of each step that runs at that moment; beside it, while they are taken, a few copies of
    ``RUN_BYTES``.
    """

    def __init__(self, metric: Metric, schedule: Schedule) -> None:
        self.metric = metric
        self.schedule = schedule
        self._call_sites: list[CallSite] = []  # one for each kind of batch: the first place where batches of the kind came
        self._waiting: collections.deque[Packed] = collections.deque()  # not in the queue any more
        self._place = _Place(0, None, 0, ())
        self._dequeuing = threading.Lock()
        self._failures: list[Exception] = []
        self._per_step = math.inf  # seconds that taking a step takes at least
        self._process = process()
        self._is_behind = False  # in a fork, which came while another thread had the metric to itself
        self._last: dict[Any, list[np.ndarray]] = {}  # results since the last reset, by their structure
        self._shown: dict[tuple[int, ...], Any] = {}  # the same in variables, by their shape
        self._queue: Any = None  # until a step runs where it can put something down
        _queues.add(self)

    @staticmethod
    def serves(replicas: Replicas) -> bool:
        """Return whether a step that is traced here can leave something in a queue: a plain graph can hold none of ours."""
        return replicas.queues and tf.compat.v1.get_default_graph().building_function

    def order(self, replicas: Replicas) -> list[tf.Tensor]:
        """Return inputs for a call of the host, which make it come after what was put down before it and before what comes later."""
        if not self.serves(replicas):
            return []
        if self._queue is None:
            with eagerly():
                self._left = ResourceVariable(np.zeros(2, np.int64), trainable=False)  # batches and bytes, until Python is due
                self._queue = tf.queue.FIFOQueue(-1, [tf.uint8], shapes=[(ROW_BYTES,)])
        return [self._queue.queue_ref]

    # In the graph.

    def put(self, call_site: CallSite, tensors: Sequence[tf.Tensor], replicas: Replicas) -> list[tf.Tensor]:
        """Add to the graph what puts tensors down, and calls Python where it is due; return the result that was computed last."""
        after = self.order(replicas)
        number, shape = self._number(call_site), call_site.structure.packed_shape
        shown = self._shown_of(shape)
        with eagerly():
            always = call_site.traced.always = ResourceVariable(np.int64(0), trainable=False)

        def act(metric: Any, _: tf.Tensor, sent: tf.Tensor) -> list[np.ndarray]:
            return queue_of(metric, call_site.options).wake(call_site, float(sent))

        @as_written
        def wake() -> tf.Tensor:
            value, left = call_host(self.metric, act, [*after, tf.timestamp()], [tf.float64, tf.int64])
            value.set_shape(shape)
            left.set_shape([2])
            shown.assign(value)
            self._left.assign(left)
            return value

        with tf.device("/cpu:0"):
            rows = pack(number, tensors)
            with tf.control_dependencies([self._queue.enqueue_many([rows])]):  # all of them, or none
                self._left.assign_sub(tf.stack([tf.constant(1, tf.int64), tf.size(rows, tf.int64)]))
            due = (tf.reduce_min(self._left.read_value()) <= 0) | (always.read_value() > 0)
            return call_site.structure.unpacked(tf.cond(due, wake, as_written(shown.read_value), name=DUE))

    def _number(self, call_site: CallSite) -> int:
        """Return the number under which batches of a place are put down; a step that is traced again has the one it had."""
        for number, known in enumerate(self._call_sites):
            if known.is_alike(call_site):
                return number
        self._call_sites.append(call_site)
        return len(self._call_sites) - 1

    def _shown_of(self, shape: tuple[int, ...]) -> Any:
        if shape not in self._shown:
            with eagerly():
                self._shown[shape] = ResourceVariable(np.full(shape, np.nan), trainable=False)
        return self._shown[shape]

    # On the host.

    def wake(self, call_site: CallSite, sent: float) -> list[np.ndarray]:
        """Take what waits; return the result, and what may be put down until Python is called next."""
        waking = min(max(0.0, time.time() - sent), 0.1)  # clocks may be set
        return internals(self.metric).enter(self._awake, call_site, waking, time.perf_counter(), self._steps)

    def _awake(self, call_site: CallSite, waking: float, began: float, before: int) -> list[np.ndarray]:
        self.raise_failures()
        taking, steps = time.perf_counter() - began, max(1, self._steps - before)
        self._per_step = min(self._per_step, taking / steps)  # what must be done, whenever it is
        values = self.result(call_site, 2 * waking + taking - steps * self._per_step)  # the way back takes as long as that here
        ahead = 1 if self._is_exact() else max(1, min(QUEUE_BATCHES, self.schedule.next - self._steps))
        ahead = ahead if call_site.traced.wanted else QUEUE_BATCHES
        return [call_site.structure.packed(values), np.array([ahead, QUEUE_BYTES], np.int64)]

    def result(self, call_site: CallSite, beside: float = 0.0) -> list[np.ndarray]:
        """Return the result after the steps so far, computed anew where it is wanted and due.

        ``beside`` is what it took to get here, in seconds.
        """
        due = call_site.traced.is_exact or self._is_exact() or self.schedule.is_due(self._steps)
        if call_site.traced.wanted and due:
            began = time.perf_counter()
            self._last[call_site.structure.key] = step_values(self.metric, call_site.options, call_site.traced)
            self.schedule.computed(self._steps, time.perf_counter() - began, beside)
        return self._last.get(call_site.structure.key) or call_site.structure.placeholder()

    def _is_exact(self) -> bool:
        return self.schedule.delays and loop.Elsewhere.is_running()

    def hurry(self) -> None:
        """Have the next step come to Python."""
        if self._queue is not None and self._process == process():
            with eagerly():
                self._left.assign(np.zeros(2, np.int64))

    def stepped(self) -> None:
        """Count a step whose batches did not go through the queue."""
        self._place = self._place._replace(steps=self._steps + 1)

    def measured(self, cost: float) -> None:
        """Take note that the result, computed elsewhere, took so many seconds."""
        self.schedule.measured(self._steps, cost)

    def settle(self) -> None:
        """Take what waits; what its updates raise is kept. Called by a thread that has the metric to itself."""
        if not self._call_sites:  # nothing was ever put down
            return
        with eagerly():
            if self._process == process():  # the queue is the parent's
                self._fetch()
            while self._opened():
                for run in self._place.runs:
                    self._take_run(run)
                self._place = self._place._replace(runs=())
        if self._is_behind and self._process != process():
            raise MergeableError(
                f"{type(self.metric).__name__}: got a copy of the metric {shown(self.metric.name)} that a fork made while another thread "
                "updated it, so batches that waited are not in it. Fork when no step runs, or make the metric anew in this process."
            )

    @property
    def _steps(self) -> int:
        """The steps since the last reset whose updates have run, or have begun to."""
        return self._place.steps

    def _fetch(self) -> None:
        """Take what is in the queue out of it; in the main thread, where an interrupt would lose it, by another one."""
        if not self._queue.size():
            return
        if threading.current_thread() is threading.main_thread():
            try:
                thread = threading.Thread(target=self._dequeue)
                thread.start()
                thread.join()
            except RuntimeError:  # the program ends, and starts no more threads
                self._dequeue()
        else:
            self._dequeue()

    def _dequeue(self) -> None:
        with self._dequeuing, eagerly():
            waiting = int(self._queue.size())  # as many are there, because nobody else takes any
            if waiting:
                self._waiting.append(Packed(np.asarray(memoryview(self._queue.dequeue_many(waiting)))))

    def _opened(self) -> bool:
        """Take apart the batches of one place that are next, where none were; an update belongs to a step and a replica.

        Tell whether there are any.
        """
        steps, packed, at, runs = self._place
        if runs:
            return True
        if packed is None or at == len(packed):
            while self._waiting and self._waiting[0] is packed:
                self._waiting.popleft()
            if not self._waiting:
                self._place = self._place._replace(packed=None)
                return False
            packed, at = self._waiting[0], 0
        call_site = self._call_sites[packed.number(at)]
        try:
            columns, at = packed.columns(at, call_site.types)
            after = steps + len(columns[0])
            self._place = _Place(after, packed, at, call_site.runs(self.metric, columns, range(steps + 1, after + 1)))
        except Exception as error:  # what comes later is taken all the same
            add_note(
                error, f"in batches after step {steps} since the last reset; those that waited from there on were not taken"
            )
            self._failures.append(error)
            self._place = _Place(steps, packed, len(packed), ())
        return True

    def _take_run(self, run: Run) -> None:
        """Run the updates of one replica; what an interruption leaves is there the next time."""
        if run.join():
            return
        while run:
            step = run.step
            try:
                run.take()
            except Exception as error:
                add_note(error, f"in the batch of step {step} since the last reset")
                self._failures.append(error)
                run.drop()

    def raise_failures(self) -> None:
        """Raise what an update that was taken has raised; told once."""
        failures, self._failures = self._failures, []
        if failures:
            if failures[1:]:
                add_note(failures[0], f"{len(failures) - 1} later updates failed too; the last of them: {shown(failures[-1])}")
            raise failures[0]

    def take_before_fork(self) -> None:
        """Take what waits, or note that it is not in the copy, where another thread has the metric to itself."""
        inner = internals(self.metric)
        self._is_behind = not inner.is_mine and not inner.try_to_enter()  # what user code forks in an update has what was taken

    def reset(self) -> None:
        """Begin to count anew: the result of the next step is due."""
        self._place = self._place._replace(steps=0)
        self._last.clear()
        self.schedule.reset()
        self.hurry()
        if self._shown and self._process == process():
            with eagerly():
                for shown in self._shown.values():
                    shown.assign(np.full(shown.shape, np.nan))


def queue_of(metric: Any, options: Options) -> BatchQueue:
    """Return the queue of a metric, made where there was none: its first options say when steps compute results."""
    inner = internals(metric)
    queue: BatchQueue | None = inner.queue  # type: ignore[assignment]  # nobody else makes any
    if queue is None:
        is_timed = options.sync == "epoch" or options.step_result != "auto"  # all processes of a job exchange in the same steps
        schedule = Schedule(options.step_result if is_timed else "always", type(metric).__name__)
        queue = inner.queue = BatchQueue(metric, schedule)
    return queue


_queues: weakref.WeakSet[BatchQueue] = weakref.WeakSet()


def _take_before_fork() -> None:
    """Take what waits, because the threads of TensorFlow do not live on in a fork; wait for nobody who may wait for the fork."""
    for queue in list(_queues):
        queue.take_before_fork()


def _take_last() -> None:
    """Take what waits when the program ends; the failures of all metrics are told, and its status is not 0."""
    for queue in list(_queues):
        try:
            internals(queue.metric).take_in()
            queue.raise_failures()
        except Exception as error:
            sys.excepthook(type(error), error, error.__traceback__)
            end_as_failed()


os.register_at_fork(before=_take_before_fork)
atexit.register(_take_last)
