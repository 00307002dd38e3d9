"""Delegation: what a framework takes for a metric of its own holds one of ours."""

from __future__ import annotations

from typing import Any


class Holder:
    """What stands for a metric in a framework: it holds the metric, or it is the metric itself."""

    def _host_metric(self) -> Any:
        """Return the metric that is held. Not a property: Keras walks along those, and this may lead to itself."""
        raise NotImplementedError


def host_of(metric: Any) -> Any:
    """Return the metric that a holder holds; anything else is returned as it is."""
    return metric._host_metric() if isinstance(metric, Holder) else metric
