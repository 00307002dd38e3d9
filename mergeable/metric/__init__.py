"""Idea 2: a metric is a set of declared states; everything else is derived."""

from mergeable.metric.collection import MetricCollection
from mergeable.metric.metric import Metric
from mergeable.metric.metric import blank as _blank  # noqa: F401 - the name in older pickles

__all__ = ["Metric", "MetricCollection"]
