"""A metric's states in TensorFlow's checkpoints and in Keras's files of weights.

Not its job: to decide when a metric is saved or reset, or which worker writes which file.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from mergeable.encoding.wire import local_classes
from mergeable.holder import Holder
from mergeable.keras.keras_metric import PythonState
from mergeable.metric.internals import internals
from mergeable.snapshot import read_snapshot


class Checkpointed(Holder, PythonState):
    """A metric that ``tf.train.Checkpoint`` and Keras's files of weights save and restore.

    ``tf.train.Checkpoint(metric=metric)`` finds it; ``tf.train.Checkpoint(model=model)``, ``model.save_weights`` and Keras's
    ``BackupAndRestore`` find metrics that are attributes of the model, for Keras shows them nothing that ``compile`` was given.
    One entry holds the fold of all replicas of all workers, so every worker saves, and each restores from the same file, into
    any number of workers and replicas: what was restored counts once. What comes after has origins of its own.

    The entry is a snapshot's bytes. What in them is pickled is read, so restore only what you trust.

    Raises:
        SnapshotError: the entry is damaged. IncompatibleStates: it is of another metric, other states or other parameters; the metric stays as it was.
            Keras 3's ``load_weights`` tells it in a ``ValueError`` of its own.
        UndeclaredState: there are several workers, and the metric holds values in attributes that are not declared.
        ExchangeTimeout: there are several workers, and one does not save.
    """

    # TensorFlow's hook for Python state; it is called in eager code, by the thread that saves.

    def serialize(self) -> bytes:
        """Return what all replicas of all workers hold."""
        content: bytes = self._host_metric().snapshot().to_bytes()
        return content

    def deserialize(self, string_value: bytes) -> None:
        """Take over what ``serialize`` gave, whatever this metric held."""
        metric = self._host_metric()
        classes = local_classes(internals(metric).declaration.states)
        metric.restore(read_snapshot(string_value, "the checkpoint's entry", trusted=True, classes=classes))

    # Keras's hook for files of weights; it reaches metrics that are attributes of a model.

    def save_own_variables(self, store: Any) -> None:
        """Write the states into a file of weights."""
        store["states"] = np.frombuffer(self.serialize(), np.uint8)

    def load_own_variables(self, store: Any) -> None:
        """Read the states from a file of weights; one that has none leaves the metric as it is."""
        if "states" in store.keys():  # noqa: SIM118 - Keras's stores do not all have __contains__
            self.deserialize(np.asarray(store["states"]).tobytes())

    # An asynchronous checkpoint is written by another thread while training goes on: it gets a copy of now.

    def _copy_trackable_to_cpu(self, object_map: Any) -> None:
        copy = object_map.get(self)
        if copy is None:
            copy = object_map[self] = _Copy()
            copy.take(self)
        else:
            tf.py_function(lambda: copy.take(self), [], [])  # TensorFlow traces this method once and repeats its operations


class _Copy(PythonState):
    """What a metric held when an asynchronous checkpoint began."""

    def __init__(self) -> None:
        self.content = b""

    def take(self, metric: Checkpointed) -> None:
        self.content = metric.serialize()

    def serialize(self) -> bytes:
        return self.content

    def deserialize(self, string_value: bytes) -> None:
        self.content = string_value
