"""Delegation: what a framework takes for a metric of its own holds one of ours."""

from __future__ import annotations

from typing import Any, ClassVar


class Holder:
    """What stands for a metric in a framework: it holds the metric, or it is the metric itself."""

    metric_class: ClassVar[type | None] = None
    """The class of the metrics that all of this class hold; None where they hold any."""

    def _host_metric(self) -> Any:
        """Return the metric that is held. Not a property: Keras walks along those, and this may lead to itself."""
        raise NotImplementedError


def host_of(metric: Any) -> Any:
    """Return the metric that a holder holds, or the class of those that a class of holders holds; anything else as it is."""
    if isinstance(metric, Holder):
        return metric._host_metric()
    if isinstance(metric, type) and issubclass(metric, Holder):
        return metric.metric_class or metric
    return metric
