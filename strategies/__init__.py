"""Shelf 3: strategies. Each file has one way in which replicas, or processes, meet."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mergeable.errors import UnsupportedStrategy

if TYPE_CHECKING:
    from mergeable.strategy import Replicas

if __name__ != "mergeable.strategies":
    raise ImportError(f"import mergeable.strategies, not {__name__}: one file under two names makes two classes of each.")


def current() -> "Replicas":
    """Return the replicas of the ``tf.distribute`` strategy in force where this is called.

    Raises:
        UnsupportedStrategy: no file on this shelf serves it.
    """
    import tensorflow as tf  # this shelf is also for engines without TensorFlow

    in_force = tf.distribute.get_strategy() if tf.distribute.has_strategy() else None
    for way in _ways():
        replicas = way.serving(in_force)
        if replicas is not None:
            return replicas
    raise UnsupportedStrategy(
        f"mergeable: got {type(in_force).__name__}, expected no strategy, OneDeviceStrategy, MirroredStrategy, "
        "CentralStorageStrategy, MultiWorkerMirroredStrategy or ParameterServerStrategy. A TPU cannot call Python on the host. "
        "Evaluate in one process, or merge the metrics of several with merge_state."
    )


def _ways() -> "Iterator[type[Replicas]]":
    """Yield the classes for TensorFlow's strategies; each is imported when none before serves the strategy in force."""
    from mergeable.strategies.local import Local

    yield Local
    from mergeable.strategies.multi_worker import MultiWorker

    yield MultiWorker
    from mergeable.strategies.parameter_server import ParameterServer

    yield ParameterServer
