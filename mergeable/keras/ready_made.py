"""The ready-made metrics as Keras metrics, under the same names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import tensorflow as tf

from mergeable import metrics
from mergeable.keras.hosted import HostedMetric
from mergeable.keras.py_metric import PyMetric
from mergeable.metric import Metric, collection
from mergeable.state.hints import AS_INSTANCE


def AUROC(  # noqa: N802 - it makes what it is called
    precision: int = 7, weighted: bool = False, name: str = "auroc", dtype: Any = None, **options: Any
) -> PyMetric:
    """Return ``mergeable.metrics.AUROC`` as a Keras metric, for ``compile`` and loops of your own.

    In ``weighted_metrics``, or where a layer masks, pass ``weighted=True``. Callbacks of Keras 3 know that more is better; those of
    tf_keras go by the name alone, so give them ``mode="max"``. The options are ``sync``, ``step_result``,
    ``step_failure`` and ``hand_over`` of ``PyMetric``.

    Example:
        >>> from mergeable.keras import AUROC
        >>> metric = AUROC()
        >>> metric.update_state([0, 0, 1, 1], [0.001, 0.004, 0.003, 0.008])
        >>> float(metric.result())
        0.75
        >>> metric.metric.estimate().low
        0.75
    """
    check_made("AUROC", precision)
    return HostedMetric(metrics.AUROC(precision, weighted, name=name), name=name, dtype=dtype, **options)


def MetricCollection(  # noqa: N802 - as above
    metrics: Iterable[Metric] | Mapping[str, Any],
    *,
    reads: Mapping[str, str] | None = None,
    prefix: str = "",
    name: str = "metric_collection",
    dtype: Any = None,
    **options: Any,
) -> PyMetric:
    """Return ``mergeable.MetricCollection`` as a Keras metric: a step calls the host once, however many metrics are in it.

    Keras shows each value by its name in the dict of results. ``metric.metric`` is the collection. The options are
    those of ``AUROC``.

    Example:
        >>> from mergeable.keras import AUROC, MetricCollection
        >>> metric = MetricCollection([AUROC(), AUROC(10, name="fine")], prefix="test_")
        >>> metric.update_state([0, 0, 1, 1], [0.001, 0.004, 0.003, 0.008])
        >>> {name: float(value) for name, value in metric.result().items()}
        {'test_auroc': 0.75, 'test_fine': 0.75}
        >>> metric.metric["fine"].estimate().low
        0.75
    """
    check_made("MetricCollection", metrics)
    several = collection.MetricCollection(metrics, reads=reads, prefix=prefix, name=name)
    return HostedMetric(several, name=name, dtype=dtype, **options)


def check_made(who: str, argument: Any) -> None:
    """Raise ``TypeError`` where Keras calls what makes a metric with a batch, as a function."""
    if tf.is_tensor(argument):
        raise TypeError(f"{who}: got a batch, expected to make a metric. {AS_INSTANCE.format(who)}")
