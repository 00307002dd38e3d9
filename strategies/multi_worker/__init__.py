"""Workers, processes of one job with replicas each: MultiWorkerMirroredStrategy."""

from mergeable.strategies.multi_worker.keras_fit import disable_fit, enable_fit
from mergeable.strategies.multi_worker.workers import MultiWorker, connect, set_timeout

__all__ = ["MultiWorker", "connect", "disable_fit", "enable_fit", "set_timeout"]
