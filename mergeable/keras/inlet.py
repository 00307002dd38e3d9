"""Where steps leave batches for a metric: a queue that a step fills without Python, and that Python empties many at once."""

from __future__ import annotations

import atexit
import collections
import math
import os
import sys
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, final

import numpy as np
import tensorflow as tf
from tensorflow.python.ops.resource_variable_ops import ResourceVariable

from mergeable.errors import add_note
from mergeable.keras import loop
from mergeable.keras.ending import end_as_failed
from mergeable.keras.hand_over import DUE, as_written, call_host, eagerly
from mergeable.keras.packing import ROW_BYTES, Packed, pack
from mergeable.keras.schedule import Schedule
from mergeable.keras.site import Run, Site
from mergeable.metric import Metric
from mergeable.strategy import Strategy

QUEUE_BYTES = 8 << 20
"""A step that brings what waits to so many bytes has Python take it before the step goes on."""

QUEUE_BATCHES = 512
"""And so does a step that brings it to so many batches."""


@final
class Inlet:
    """The batches that steps have left for a metric, in the order of the steps.

    They are taken by whoever first needs the states: a step whose result is due or that finds the queue full, or a verb that is
    called from outside. What an update raises is kept until then, and names the step. Nothing that waits is lost: not when a
    step fails or is interrupted, not in a fork, which finds the queue empty, and not when the program ends.

    Memory: ``QUEUE_BYTES``, and a batch of each step that runs at that moment; beside it, while they are taken, a few copies of
    ``RUN_BYTES``.
    """

    def __init__(self, metric: Metric, schedule: Schedule) -> None:
        self._metric = metric
        self.schedule = schedule
        self._steps = 0  # that were taken since the last reset
        self._sites: list[tuple[Site, list[tf.DType]]] = []
        self._waiting: collections.deque[Packed] = collections.deque()  # not in the queue any more
        self._runs: collections.deque[Run] = collections.deque()  # and taken apart
        self._failures: list[Exception] = []
        self._per_step = math.inf  # seconds that taking a step takes at least
        self._is_taking = False
        self._process = os.getpid()
        self._last: dict[Any, list[np.ndarray]] = {}  # results since the last reset, by their structure
        self._shown: dict[tuple[int, ...], Any] = {}  # the same in variables, by their shape
        self._queue: Any = None  # until a step runs where it can put something down
        _inlets.add(self)

    @staticmethod
    def serves(strategy: Strategy) -> bool:
        """Return whether a step that is traced here can leave something in a queue: a plain graph can hold none of ours."""
        return strategy.queues and tf.compat.v1.get_default_graph().building_function

    def order(self, strategy: Strategy) -> list[tf.Tensor]:
        """Return inputs for a call of the host, which make it come after what was put down before it and before what comes later."""
        if not self.serves(strategy):
            return []
        if self._queue is None:
            with eagerly():
                self._left = ResourceVariable(np.zeros(2, np.int64), trainable=False)  # batches and bytes, until Python is due
                self._queue = tf.queue.FIFOQueue(-1, [tf.uint8], shapes=[(ROW_BYTES,)])
        return [self._queue.queue_ref]

    # In the graph.

    def put(self, site: Site, tensors: Sequence[tf.Tensor], strategy: Strategy) -> list[tf.Tensor]:
        """Add to the graph what puts tensors down, and calls Python where it is due; return the result that was computed last."""
        queue = self.order(strategy)
        number, shape = len(self._sites), site.structure.packed_shape
        self._sites.append((site, [tensor.dtype for tensor in tensors]))
        shown = self._shown_of(shape)

        def act(_: tf.Tensor, sent: tf.Tensor) -> list[np.ndarray]:
            return self._wake(site, float(sent))

        @as_written
        def wake() -> tf.Tensor:
            value, left = call_host(site.who, act, [*queue, tf.timestamp()], [tf.float64, tf.int64])
            value.set_shape(shape)
            left.set_shape([2])
            shown.assign(value)
            self._left.assign(left)
            return value

        with tf.device("/cpu:0"):
            rows = pack(number, tensors)
            with tf.control_dependencies([self._queue.enqueue_many([rows])]):  # all of them, or none
                self._left.assign_sub(tf.stack([tf.constant(1, tf.int64), tf.size(rows, tf.int64)]))
            due = tf.reduce_min(self._left.read_value()) <= 0
            return site.structure.unpacked(tf.cond(due, wake, as_written(shown.read_value), name=DUE))

    def _shown_of(self, shape: tuple[int, ...]) -> Any:
        if shape not in self._shown:
            with eagerly():
                self._shown[shape] = ResourceVariable(np.full(shape, np.nan), trainable=False)
        return self._shown[shape]

    # On the host.

    def _wake(self, site: Site, sent: float) -> list[np.ndarray]:
        """Take what waits; return the result, and what may be put down until Python is called next."""
        waking = min(max(0.0, time.time() - sent), 0.1)  # clocks may be set
        began, before = time.perf_counter(), self._steps
        with self._metric._lock, self._taking() as taken:
            if not taken:
                self._take()
            self.raise_failures()
            taking, steps = time.perf_counter() - began, max(1, self._steps - before)
            self._per_step = min(self._per_step, taking / steps)  # what must be done, whenever it is
            values = self.result(site, 2 * waking + taking - steps * self._per_step)  # the way back takes as long as that here
        ahead = 1 if self._is_exact() else max(1, min(QUEUE_BATCHES, self.schedule.next - self._steps))
        ahead = ahead if site.traced.wanted else QUEUE_BATCHES
        return [site.structure.packed(values), np.array([ahead, QUEUE_BYTES], np.int64)]

    def result(self, site: Site, beside: float = 0.0) -> list[np.ndarray]:
        """Return the result after the steps so far, computed anew where it is wanted and due.

        ``beside`` is what it took to get here, in seconds.
        """
        due = site.traced.is_exact or self._is_exact() or self.schedule.is_due(self._steps)
        if site.traced.wanted and due:
            began = time.perf_counter()
            self._last[site.structure.key] = site.compute()
            self.schedule.computed(self._steps, time.perf_counter() - began, beside)
        return self._last.get(site.structure.key) or site.structure.placeholder()

    def _is_exact(self) -> bool:
        return self.schedule.delays and loop.Elsewhere.is_running()

    def hurry(self) -> None:
        """Have the next step come to Python."""
        if self._queue is not None and self._process == os.getpid():
            with eagerly():
                self._left.assign(np.zeros(2, np.int64))

    def stepped(self) -> None:
        """Count a step whose batches did not go through the queue."""
        self._steps += 1

    def measured(self, cost: float) -> None:
        """Take note that the result, computed elsewhere, took so many seconds."""
        self.schedule.measured(self._steps, cost)

    def settle(self) -> None:
        """Take what waits; what its updates raise is kept."""
        if self._sites and self._process == os.getpid() and not self._metric._is_inside:  # else nothing was ever put down
            with self._metric._lock, self._taking() as taken:
                if not taken:
                    self._take()

    @contextmanager
    def _taking(self) -> Iterator[bool]:
        """Note that this thread, which has the metric's lock, takes what waits; tell whether it does so already."""
        before, self._is_taking = self._is_taking, True
        try:
            yield before
        finally:
            self._is_taking = before

    def _take(self) -> None:
        with eagerly():
            self._fetch()
            while self._waiting or self._runs:
                if not self._runs:
                    self._open()
                self._take_run(self._runs[0])
                self._runs.popleft()

    def _fetch(self) -> None:
        waiting = int(self._queue.size())
        if waiting:  # as many are there, because nobody else takes any
            self._waiting.append(Packed(np.asarray(memoryview(self._queue.dequeue_many(waiting)))))

    def _open(self) -> None:
        """Take apart the batches of one place that are next; an update belongs to a step and a replica."""
        packed = self._waiting[0]
        site, types = self._sites[packed.number]
        columns = packed.columns(types)
        steps = range(self._steps + 1, self._steps + 1 + len(columns[0]))
        self._runs.extend(site.runs(columns, steps))
        self._steps += len(steps)
        packed.drop()
        if not packed:
            self._waiting.popleft()

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

    def raise_failures(self) -> None:
        """Raise what an update that was taken has raised; told once."""
        failures, self._failures = self._failures, []
        if failures:
            if failures[1:]:
                add_note(failures[0], f"{len(failures) - 1} later updates failed too; the last of them: {failures[-1]!r}")
            raise failures[0]

    def reset(self) -> None:
        """Begin to count anew: the result of the next step is due."""
        self._steps = 0
        self._last.clear()
        self.schedule.reset()
        self.hurry()
        if self._shown and self._process == os.getpid():
            with eagerly():
                for shown in self._shown.values():
                    shown.assign(np.full(shown.shape, np.nan))


_inlets: weakref.WeakSet[Inlet] = weakref.WeakSet()


def _take_all() -> None:
    for inlet in list(_inlets):
        inlet.settle()


def _take_last() -> None:
    """Take what waits when the program ends; the failures of all metrics are told, and its status is not 0."""
    for inlet in list(_inlets):
        try:
            inlet.settle()
            inlet.raise_failures()
        except Exception as error:
            sys.excepthook(type(error), error, error.__traceback__)
            end_as_failed()


os.register_at_fork(before=_take_all)  # the threads of TensorFlow do not live on in the copy
atexit.register(_take_last)
