"""Shelf 3: strategies, one way that replicas meet a file."""

from typing import TYPE_CHECKING

from mergeable.errors import UnsupportedStrategy

if TYPE_CHECKING:
    from mergeable.strategy import Strategy

if __name__ != "mergeable.strategies":
    raise ImportError(f"import mergeable.strategies, not {__name__}: one file under two names makes two classes of each.")


def current() -> "Strategy":
    """Return the strategy for the ``tf.distribute`` strategy in force where this is called.

    Raises:
        UnsupportedStrategy: no file on this shelf serves it.
    """
    import tensorflow as tf  # this shelf is also for engines without TensorFlow

    from mergeable.strategies.local import Local  # they need TensorFlow
    from mergeable.strategies.multi_worker import MultiWorker
    from mergeable.strategies.parameter_server import ParameterServer

    in_force = tf.distribute.get_strategy() if tf.distribute.has_strategy() else None
    for shelf in (Local, MultiWorker, ParameterServer):
        strategy = shelf.serving(in_force)
        if strategy is not None:
            return strategy
    raise UnsupportedStrategy(
        f"mergeable: got {type(in_force).__name__}, expected no strategy, OneDeviceStrategy, MirroredStrategy, "
        "CentralStorageStrategy, MultiWorkerMirroredStrategy or ParameterServerStrategy. A TPU cannot call Python on the host. "
        "Evaluate in one process, or merge the metrics of several with merge_state."
    )
