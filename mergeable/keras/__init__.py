"""The rooms with Keras: ``PyMetric``, a callback, and the faces of the ready-made metrics."""

try:
    import tensorflow as tf  # noqa: F401 - only whether it is there
except ImportError as error:
    raise ImportError("mergeable.PyMetric needs TensorFlow: pip install 'mergeable[tensorflow]'") from error

from mergeable.keras.py_metric import PyMetric
from mergeable.keras.ready_made import AUROC, MetricCollection
from mergeable.keras.save_snapshots import SaveSnapshots

__all__ = ["AUROC", "MetricCollection", "PyMetric", "SaveSnapshots"]
