"""The ready-made metrics as Keras metrics, under the same names."""

from __future__ import annotations

from typing import Any

from mergeable import metrics
from mergeable.keras.hosted import HostedMetric
from mergeable.keras.py_metric import PyMetric


def AUROC(  # noqa: N802 - it makes what it is called
    precision: int = 7, weighted: bool = False, name: str = "auroc", dtype: Any = None, **options: Any
) -> PyMetric:
    """Return ``mergeable.metrics.AUROC`` as a Keras metric, for ``compile`` and loops of your own.

    In ``weighted_metrics``, or where a layer masks, pass ``weighted=True``. The options are ``sync``, ``step_result``
    and ``hand_over`` of ``PyMetric``.

    Example:
        >>> from mergeable.keras import AUROC
        >>> metric = AUROC()
        >>> metric.update_state([0, 0, 1, 1], [0.001, 0.004, 0.003, 0.008])
        >>> float(metric.result())
        0.75
        >>> metric.metric.estimate().low
        0.75
    """
    return HostedMetric(metrics.AUROC(precision, weighted, name=name), name=name, dtype=dtype, **options)
