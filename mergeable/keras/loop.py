"""Stack inspection: whether Keras's own loop runs a step, and reads the step's results anew at its end.

A step may show the last value that was computed only where both are known: its result is read by Keras's own step, whose logs
have the names that Keras looks for, and the step runs in Keras's own ``fit`` or ``evaluate``, which ends by reading results. All
else that calls a step or reads a result in one (a ``train_step`` of the user's own, ``train_on_batch``, a loop) gets exact values.
Python's frames tell who it is.
"""

from __future__ import annotations

import inspect
import sys
import threading
import weakref
from collections.abc import Iterator
from types import CodeType, FrameType
from typing import Any, Protocol, final

import tensorflow as tf

_Model: Any = tf.keras.Model
_READERS = ("metrics", "_get_metrics_result_or_logs", "_validate_and_get_metrics_result")  # of a model, at a loop's end
_LIBRARIES = frozenset({"keras", "tf_keras", "tensorflow", "mergeable", "contextlib", "functools", "threading"})
_REPLICAS = "tensorflow.python.distribute.mirrored_run"
_COORDINATOR = "tensorflow.python.distribute.coordinator."


def _code(verb: str) -> CodeType:
    code: CodeType = inspect.unwrap(getattr(_Model, verb)).__code__
    return code


_LOOPS = {id(code): code for code in map(_code, ("fit", "evaluate"))}
_CALLS = {id(code): code for code in map(_code, ("train_on_batch", "test_on_batch"))}


class Late(Protocol):
    """What steps of Keras's loops may show late values of."""

    def hurry(self) -> None:
        """Have the next step compute what it shows."""


late: weakref.WeakSet[Any] = weakref.WeakSet()
"""The ``Late`` ones of which a graph may show late values."""

is_watched = False
"""Whether ``Elsewhere`` is told of every call of a graph. Where it cannot be, no step shows a late value."""


def library(frame: FrameType) -> str:
    """Return the name of the package whose code a frame runs."""
    name: str = frame.f_globals.get("__name__", "")
    return name.partition(".")[0]


def is_read_anew() -> bool:
    """Return whether the result that is read here, while a step is traced, is one that Keras reads anew when its loop ends."""
    by_keras = False
    for frame in _callers(sys._getframe(1)):
        if id(frame.f_code) in _LOOPS or id(frame.f_code) in _CALLS:
            return by_keras
        if library(frame) not in _LIBRARIES:
            return False
        if frame.f_code.co_name == "get_metrics_result":
            by_keras = all(_is_keras_own(frame.f_locals["self"], name) for name in _READERS)
    return False


def is_in_loop() -> bool:
    """Return whether the graph that is called here is a step of Keras's own ``fit`` or ``evaluate``, or part of one."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        if id(frame.f_code) in _LOOPS:
            return True
        if library(frame) not in _LIBRARIES or id(frame.f_code) in _CALLS:
            return False
        name: str = frame.f_globals.get("__name__", "")
        if name == "mergeable.keras.graph_call":  # a graph that users' code calls on the host, within a step
            return True
        if name.startswith(_COORDINATOR):  # a worker's thread, which takes what others schedule
            return any(id(caller.f_code) in _LOOPS for top in sys._current_frames().values() for caller in _stack(top))
        frame = frame.f_back
    return False


def is_in_step() -> bool:
    """Return whether this is part of a step of a Keras model, as it is traced, or run eagerly."""
    return is_within("one_step_on_data", "run_step")  # of Keras 3, of tf_keras


def is_within(*names: str) -> bool:
    """Return whether one of these functions of Keras's is running here, called by a loop of Keras's or by anybody."""
    return any(
        frame.f_code.co_name in names and library(frame) in ("keras", "tf_keras") for frame in _callers(sys._getframe(1))
    )


@final
class Elsewhere:
    """A call of a graph that is no step of Keras's loops: what it shows is exact."""

    _lock = threading.Lock()
    _entered = 0

    def __enter__(self) -> None:
        with Elsewhere._lock:
            Elsewhere._entered += 1
        for one in list(late):
            one.hurry()

    def __exit__(self, *_: object) -> None:
        with Elsewhere._lock:
            Elsewhere._entered -= 1

    @classmethod
    def is_running(cls) -> bool:
        """Return whether there is one now, or may be."""
        return cls._entered > 0 or not is_watched


def _is_keras_own(model: Any, name: str) -> bool:
    found = inspect.getattr_static(model, name, None)
    function = getattr(found, "fget", found)
    return function is None or getattr(function, "__module__", "").partition(".")[0] in ("keras", "tf_keras")


def _callers(frame: FrameType | None) -> Iterator[FrameType]:
    """Return the frames from this one outwards; what a replica's thread runs was called by the thread that waits for it."""
    while frame is not None:
        yield frame
        if frame.f_code.co_name == "run" and frame.f_globals.get("__name__") == _REPLICAS:
            frame = _waiting_for(frame.f_locals["self"])
        else:
            frame = frame.f_back


def _waiting_for(thread: threading.Thread) -> FrameType | None:
    for top in sys._current_frames().values():
        for frame in _stack(top):
            is_runner = frame.f_code.co_name == "_call_for_each_replica" and frame.f_globals.get("__name__") == _REPLICAS
            if is_runner and thread in frame.f_locals.get("threads", ()):
                return frame
    return None


def _stack(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back
