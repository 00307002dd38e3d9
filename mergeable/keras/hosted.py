"""A metric without a framework, as a Keras metric."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, final

import tensorflow as tf

from mergeable.coverage import Coverage
from mergeable.keras.batch import is_empty, to_numpy
from mergeable.keras.configuration import read, written
from mergeable.keras.py_metric import PyMetric
from mergeable.metric import Metric
from mergeable.metric.internals import internals
from mergeable.metric.operations import update
from mergeable.metric.saving import is_saved
from mergeable.registry import subclasses
from mergeable.snapshot import Snapshot
from mergeable.state import State
from mergeable.wording import shown


@tf.keras.utils.register_keras_serializable("mergeable")  # a model that holds one loads without custom_objects
@final
class HostedMetric(PyMetric):
    """What ``PyMetric.of`` returns: it hands batches over to ``metric``, as NumPy arrays, and shows its result."""

    _takes_arrays = True

    def __init__(
        self,
        metric: Metric,
        name: str | None = None,
        dtype: Any = None,
        *,
        sync: str = "epoch",
        step_result: str | int = "auto",
        step_failure: str = "nan",
        hand_over: str = "queued",
    ) -> None:
        if not isinstance(metric, Metric) or isinstance(metric, PyMetric):
            raise TypeError(
                f"PyMetric.of: got {type(metric).__name__}, expected a mergeable.Metric. A PyMetric is a Keras metric already."
            )
        self._join_keras(name=name or metric.name, dtype=dtype)
        self.metric = metric
        if hasattr(metric, "_direction"):
            self._direction = metric._direction  # Keras's callbacks look for it, to know which way is better
        self.sync, self.step_result, self.step_failure, self.hand_over = sync, step_result, step_failure, hand_over
        self._join_job()

    def _host_update(
        self, replica: int, args: tuple[Any, ...], kwargs: dict[str, Any], then: Callable[[], None], updates: int = 1
    ) -> None:
        update(self.metric, replica, to_numpy(args), to_numpy(kwargs), updates, then=then)

    def _take_joined(
        self, replica: int, args: tuple[Any, ...], kwargs: dict[str, Any], updates: int, then: Callable[[], None]
    ) -> bool:
        joins = self.metric.joins and not is_empty(args, kwargs)
        if joins:
            self._host_update(replica, args, kwargs, then, updates)
        return joins

    def _on_host(self) -> Metric:
        """Return the metric that is hosted."""
        return self.metric

    def _dispatch_merge_state(self, metrics: Iterable[Metric]) -> None:
        if not isinstance(metrics, Metric) and not is_saved(metrics):
            metrics = [m.metric if isinstance(m, HostedMetric) else m for m in metrics]
        self.metric.merge_state(metrics)

    def as_state(self) -> State:
        """Return the empty state of the hosted metric."""
        return self.metric.as_state()

    def snapshot(
        self, metadata: Mapping[str, Any] | None = None, *, local: bool = False, origin: str | None = None
    ) -> Snapshot:
        """Return what the hosted metric holds, as a snapshot of that."""
        return self.metric.snapshot(metadata, local=local, origin=origin)

    def restore(self, snapshot: Snapshot | str | os.PathLike[str]) -> None:
        """Let the hosted metric take over a snapshot."""
        self.metric.restore(snapshot)

    @property
    def coverage(self) -> Coverage:
        """Which updates the result holds."""
        return self.metric.coverage

    @property
    def _who(self) -> str:
        return type(self.metric).__name__

    def __repr__(self) -> str:
        return f"PyMetric.of({shown(self.metric)})"

    def get_config(self) -> dict[str, Any]:
        """Return the metric's class, by name, and its constructor's arguments."""
        return {
            "metric": _full_name(type(self.metric)),
            "arguments": written(internals(self.metric).declaration.arguments),
            "name": self.name,
            "dtype": self.dtype,
            "sync": self.sync,
            "step_result": self.step_result,
            "step_failure": self.step_failure,
            "hand_over": self.hand_over,
        }

    @classmethod
    def _of_config(cls, config: dict[str, Any]) -> HostedMetric:
        """Return a fresh metric of the class that the configuration names; the class must be defined already."""
        known = {_full_name(found): found for found in subclasses(Metric)}
        if config["metric"] not in known:
            raise TypeError(
                f"PyMetric.of: got a configuration of {config['metric']}, expected a metric class that is defined here. Import "
                "the module that defines it first; a configuration does not decide what is imported."
            )
        options = {name: value for name, value in config.items() if name not in ("metric", "arguments")}
        return cls(known[config["metric"]]._configured(read(config["arguments"])), **options)


def _full_name(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"
