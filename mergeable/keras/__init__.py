"""Metrics in Keras: ``PyMetric``, a callback, and a Keras class of the same name for each ready-made metric."""

from typing import TYPE_CHECKING, Any

try:
    import tensorflow as tf  # noqa: F401 - only whether it is there
except ImportError as error:
    raise ImportError("mergeable.PyMetric needs TensorFlow: pip install 'mergeable[tensorflow]'") from error

from mergeable import metrics
from mergeable.keras.hosted import ready_made
from mergeable.keras.py_metric import PyMetric
from mergeable.keras.save_snapshots import SaveSnapshots
from mergeable.metric import MetricCollection

_ready_made = {name: ready_made(vars(metrics)[name], "mergeable.metrics") for name in metrics.__all__}
_ready_made["MetricCollection"] = ready_made(MetricCollection, "mergeable")
globals().update(_ready_made)
if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...


__all__ = ["PyMetric", "SaveSnapshots"]
__all__ += list(_ready_made)
