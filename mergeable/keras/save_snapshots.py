"""A callback that writes a snapshot of each metric in every epoch, on every worker.

Not its job: to merge them, or to resume training.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, final

import tensorflow as tf

from mergeable.coverage import check_name
from mergeable.holder import host_of
from mergeable.keras.py_metric import PyMetric
from mergeable.metric.internals import internals
from mergeable.snapshot import SUFFIX, disk
from mergeable.wording import shown

_Callback: Any = tf.keras.callbacks.Callback

PATTERN = "{metric}-{phase}-{epoch:04d}-{worker:03d}" + SUFFIX
ORIGIN = "night 7/{metric}-{phase}-{epoch}-{worker}"

_LONGEST = 80  # characters of a metric's name in that of a piece


@final
class SaveSnapshots(_Callback):  # type: ignore[misc]  # the base class is chosen when TensorFlow loads
    """Writes what each PyMetric of the model holds on this worker, when an epoch or an evaluation ends.

    Each worker writes files of its own, without an exchange, and ``mergeable.merge`` of an epoch's files is what the epoch showed. In
    ``fit`` the phases are ``"train"`` and, where there are validation data, ``"val"``; ``evaluate`` alone is ``"test"``, in the
    epoch that was trained last. An epoch that is trained again after a crash, also by fewer workers, replaces its files.

    Args:
        folder: where to write; it is made where it is missing.
        pattern: the name of a file, from ``metric`` (its name, in which ``/`` and what no file's name can have is written as
            ``%2F``), ``phase``, ``epoch`` (from 0) and ``worker`` (from 0).
        metadata: values that every snapshot keeps, beside its phase, epoch and worker.
        origin: the name of the piece that a file holds, such as ``"night 7/{metric}-{phase}-{epoch}-{worker}"``, from the same
            four: a run that is tried again, wherever it saves, then gives the same pieces, and merging both is refused.

    Raises:
        ValueError: the pattern or the origin does not tell files apart, or the model has two metrics of one name. OSError: as ``Snapshot.save``.

    Example:
        >>> import tempfile
        >>> import mergeable as mg
        >>> class Rows(mg.PyMetric):
        ...     rows = mg.Count()
        ...     def update_state(self, y_true, y_pred, sample_weight=None):
        ...         self.rows += len(y_true)
        ...     def result(self):
        ...         return self.rows.result()
        >>> model = tf.keras.Sequential([tf.keras.layers.Input((1,)), tf.keras.layers.Dense(1)])
        >>> model.compile(loss="mse", metrics=[Rows(name="rows")])
        >>> folder = tempfile.mkdtemp()
        >>> history = model.fit(tf.zeros((8, 1)), tf.zeros((8, 1)), verbose=0, callbacks=[SaveSnapshots(folder)])
        >>> mg.load(f"{folder}/rows-train-0000-000.mg").result(Rows)
        8
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        pattern: str = PATTERN,
        metadata: Mapping[str, Any] | None = None,
        origin: str | None = None,
    ) -> None:
        super().__init__()
        _check_pattern("pattern", pattern, PATTERN)
        if origin is not None:
            _check_pattern("origin", origin, ORIGIN)
            check_name(origin.format(metric="x" * _LONGEST, phase="train", epoch=10**6, worker=10**3), "SaveSnapshots: ")
        self.folder, self.pattern, self.metadata, self.origin = (
            disk.local(folder, "SaveSnapshots"),
            pattern,
            dict(metadata or {}),
            origin,
        )
        self._epoch = 0
        self._is_training = False  # an epoch is under way, and was not saved yet
        self._is_fitting = False

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002 - Keras's signature
        """Note the epoch."""
        self._epoch, self._is_training, self._is_fitting = epoch, True, True

    def on_test_begin(self, logs: Any = None) -> None:  # noqa: ARG002 - Keras's signature
        """Save what was trained, before the validation resets it."""
        if self._is_training:
            self._save("train")
        self._is_training = False

    def on_test_end(self, logs: Any = None) -> None:  # noqa: ARG002 - Keras's signature
        """Save what was validated or tested."""
        self._save("val" if self._is_fitting else "test")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002 - Keras's signature
        """Save what was trained, where no validation came."""
        if self._is_training:
            self._save("train")
        self._is_training = self._is_fitting = False

    def _save(self, phase: str) -> None:
        metrics = [*_py_metrics(self.model.metrics)]
        names = [metric.name for metric in metrics]
        if len(set(names)) < len(names):
            raise ValueError(
                f"SaveSnapshots: got metrics with the names {names}, expected names that differ, because files bear them."
            )
        for metric in metrics:
            job = internals(host_of(metric)).membership.job
            worker, workers = (0, 1) if job is None else (job.rank, job.size)
            facts = {"phase": phase, "epoch": self._epoch, "worker": worker}
            path = self._path(metric, facts)
            origin = self.origin and self.origin.format(metric=disk.as_file_name(metric.name, _LONGEST), **facts)
            path.parent.mkdir(parents=True, exist_ok=True)
            metric.snapshot({**self.metadata, **facts}, local=True, origin=origin).save(path)
            if not worker:
                self._remove_others(metric, facts, workers)

    def _path(self, metric: PyMetric, facts: Mapping[str, Any]) -> Path:
        return self.folder / self.pattern.format(metric=disk.as_file_name(metric.name), **facts)

    def _remove_others(self, metric: PyMetric, facts: Mapping[str, Any], workers: int) -> None:
        """Remove the files of an earlier try with more workers, whose rows are in the files of this one."""
        with contextlib.suppress(FileNotFoundError):
            for worker in itertools.count(workers):
                self._path(metric, {**facts, "worker": worker}).unlink()


def _check_pattern(noun: str, pattern: str, example: str) -> None:
    """Refuse a pattern that gives several snapshots one name."""
    several = itertools.product("ab", ("train", "val"), (0, 1), (0, 1))
    names = {pattern.format(metric=m, phase=p, epoch=e, worker=w) for m, p, e, w in several}
    if len(names) < 16:
        raise ValueError(
            f"SaveSnapshots: got the {noun} {shown(pattern)}, which gives several snapshots one name, expected one with "
            f"{{metric}}, {{phase}}, {{epoch}} and {{worker}}, such as {shown(example)}."
        )


def _py_metrics(metrics: Any) -> Iterator[PyMetric]:
    """Return the PyMetrics among metrics and what Keras wraps them in, each once."""
    seen: set[int] = set()
    todo = list(metrics)
    for metric in todo:
        if isinstance(metric, PyMetric):
            if id(metric) not in seen:
                seen.add(id(metric))
                yield metric
        else:
            todo.extend(getattr(metric, "metrics", ()))
