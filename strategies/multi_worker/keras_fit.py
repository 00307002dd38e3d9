"""Keras 3's ``fit`` with several workers: ``enable_fit`` replaces two faulty methods of one model (keras issue 20585)."""

import functools
import inspect
import sys
from collections.abc import Callable
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import tensorflow as tf

from mergeable.errors import UnsupportedStrategy, add_note
from mergeable.wording import shown

_ARGUMENTS = {"_make_function": ["step_function"], "_maybe_symbolic_build": ["iterator", "data_batch"]}  # what is replaced


def enable_fit(model: Any) -> None:
    """Let ``fit``, ``evaluate``, ``train_on_batch`` and ``test_on_batch`` of a Keras 3 model run in several workers.

    Under ``tf.distribute.MultiWorkerMirroredStrategy`` they fail in two places before the first step ends. Keras averages the
    first batch over the workers with one call for the whole batch, and needs only its shapes: here it gets this worker's own
    first batch. And it averages a step's logs, which are scalars, along their axis 0: here each gets an axis 0 of length one.
    Nothing else of Keras and no other model changes. Call it in every worker, before or after ``compile``; once is enough.

    Nothing happens to a model with another strategy or one worker, a model of tf_keras, or where Keras has mended the faults.
    ``disable_fit`` takes the replacements away, and a copy of the model does not have them.

    Raises:
        UnsupportedStrategy: Keras has changed so that the replacements do not fit.
    """
    strategy = getattr(model, "distribute_strategy", None)
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return
    if not strategy.extended._in_multi_worker_mode():  # noqa: SLF001 - TensorFlow says it nowhere else
        return
    if any(kind.__module__.startswith("tf_keras.") for kind in type(model).__mro__):
        return
    disable_fit(model)
    trainer = next((kind for kind in type(model).__mro__ if kind.__name__ == "TensorFlowTrainer"), None)
    trials = {"_make_function": _average, "_maybe_symbolic_build": _build}
    old: dict[str, Any] = {name: getattr(model, name, None) for name, trial in trials.items() if _fails(trial, trainer)}
    for name, function in old.items():
        if (got := function and list(inspect.signature(function).parameters)) != _ARGUMENTS[name]:
            raise UnsupportedStrategy(_changed(f"a Keras whose {name} takes {got}, expected {_ARGUMENTS[name]}"))

    def make_function(step_function: Callable[[Any], Any]) -> Any:
        def with_axis(data: Any) -> Any:
            return tf.nest.map_structure(lambda log: tf.expand_dims(log, 0), step_function(data))

        return old["_make_function"](with_axis)

    def build_from_own(iterator: Any = None, data_batch: Any = None) -> None:
        if iterator is not None:
            batch = next(next(iter(iterator))[-1])  # a step is two or three things, and the last of them gives the batches
            data_batch = tf.nest.map_structure(lambda part: strategy.experimental_local_results(part)[0], batch)
        old["_maybe_symbolic_build"](data_batch=data_batch)

    new: dict[str, Any] = {"_make_function": make_function, "_maybe_symbolic_build": build_from_own}
    for name in old:
        new[name].before = vars(model).get(name)  # what somebody else has put there
        vars(model)[name] = new[name]


def disable_fit(model: Any) -> None:
    """Make the model as it was before ``enable_fit``; its next step is traced anew."""
    for name in _ARGUMENTS:
        found = vars(model).get(name)
        if getattr(found, "__module__", "") == __name__:  # not what somebody else has put over it
            del vars(model)[name]
            if found.before is not None:
                vars(model)[name] = found.before
    model.train_function = model.test_function = None


def hint_at(strategy: Any) -> Any:
    """Let the error by which Keras 3's ``fit`` fails under this strategy name ``enable_fit``; return the strategy."""
    reduce = strategy.reduce

    def reduced(reduce_op: Any, value: Any, axis: Any = None) -> Any:
        try:
            return reduce(reduce_op, value, axis)
        except Exception as error:
            if _is_faulty(value, axis):
                add_note(
                    error,
                    "Keras 3's fit and evaluate fail here under several workers (keras issue 20585): call "
                    "mergeable.strategies.multi_worker.enable_fit(model) on every worker before them.",
                )
            raise

    if not hasattr(reduce, "__wrapped__"):
        strategy.reduce = functools.wraps(reduce)(reduced)
    return strategy


def _is_faulty(value: Any, axis: Any) -> bool:
    """Return whether Keras asks for a reduction that no strategy can do: of a whole batch, or of a scalar along its axis."""
    parts = value.values if isinstance(value, tf.distribute.DistributedValues) else [value]
    return isinstance(value, tuple) or (axis is not None and any(getattr(part, "shape", None) == () for part in parts))


class _Fault(Exception):
    """Keras asked the stand-in for a reduction that the strategy cannot do."""


class _StandIn(tf.distribute.MultiWorkerMirroredStrategy):  # type: ignore[misc]  # TensorFlow has no types
    """A stand-in for a strategy with two workers, with what the two methods of Keras use; it opens no connection."""

    extended = SimpleNamespace(_in_multi_worker_mode=lambda: True)
    scope = nullcontext

    def __init__(self) -> None:
        """Leave out the meeting with the other workers."""

    def experimental_distribute_dataset(self, dataset: Any, options: Any = None) -> Any:  # noqa: ARG002 - TensorFlow's names
        return [(tf.distribute.DistributedValues(), tf.distribute.DistributedValues())]

    def experimental_local_results(self, value: Any) -> Any:
        return (value,)

    def reduce(self, reduce_op: Any, value: Any, axis: Any = None) -> Any:  # noqa: ARG002 - TensorFlow's names
        if _is_faulty(value, axis):
            raise _Fault
        return value


def _average(trainer: Any) -> None:
    sys.modules[trainer.__module__].reduce_per_replica({"loss": tf.constant(0.0)}, _StandIn(), "auto")


def _build(trainer: Any) -> None:
    strategy, data = _StandIn(), tf.data.Dataset.from_tensors((0.0, 0.0))
    model = SimpleNamespace(_distribute_strategy=strategy, distribute_strategy=strategy, _symbolic_build=lambda **_: None)
    batches = sys.modules[trainer.__module__].TFEpochIterator(x=data, distribute_strategy=strategy)
    trainer._maybe_symbolic_build(model, iterator=batches)  # noqa: SLF001 - one of the two faulty methods


def _fails(part_of_keras: Callable[[Any], None], trainer: Any) -> bool:
    try:
        part_of_keras(trainer)
    except _Fault:
        return True
    except Exception as error:  # whatever it is, this is not a Keras that the replacements were written for
        raise UnsupportedStrategy(_changed(f"{shown(error)} from a trial of Keras, expected a known fault or none")) from error
    return False


def _changed(what: str) -> str:
    return (
        f"enable_fit: got {what}, as in Keras 3.8 to 3.15. Call fit without enable_fit, because this Keras may not need it; else "
        "install one of those, use tf_keras (TF_USE_LEGACY_KERAS=1), or write the training loop yourself."
    )
