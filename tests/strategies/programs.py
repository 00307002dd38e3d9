"""What the workers of the tests run: each function is a program for one process of a job."""

import numpy as np
import tensorflow as tf

import mergeable as mg
from mergeable.strategies import multi_worker
from tests.strategies import conformance


class KerasJob:
    """A job that a ``tf.distribute`` strategy runs, with Keras metrics."""

    ordered = True

    def __init__(self, strategy):
        self.strategy = strategy
        resolver = strategy.cluster_resolver
        self.rank = resolver.task_id or 0 if resolver else 0
        self.size = max(1, len(resolver.cluster_spec().as_dict().get("worker", ()))) if resolver else 1
        self.replicas = strategy.num_replicas_in_sync // self.size

    def build(self, cls):
        with self.strategy.scope():
            return mg.PyMetric.of(cls())

    def update(self, metric, batches):
        batches = [tuple(tf.constant(np.asarray(a)) for a in batch) for batch in batches]

        @tf.function(reduce_retracing=True)
        def step(*batch):
            self.strategy.run(metric.update_state, args=batch)

        def of(replica, i):
            return batches[replica.replica_id_in_sync_group][i]

        step(
            *(
                self.strategy.experimental_distribute_values_from_function(lambda replica, i=i: of(replica, i))
                for i in range(len(batches[0]))
            )
        )

    def update_here(self, metric, batch):
        metric.update_state(*batch)

    def result(self, metric):
        value = metric.result()
        return value.decode() if isinstance(value, bytes) else value

    def reset(self, metric):
        metric.reset_state()


def several_cpus(replicas):
    """Let MultiWorkerMirroredStrategy take several logical CPUs of a process as its replicas, as it takes several GPUs."""
    from tensorflow.python.distribute.collective_all_reduce_strategy import CollectiveAllReduceExtended

    if replicas > 1:
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * replicas)

        def devices(self, cluster_resolver, worker_device):
            return tuple(f"{worker_device}/device:CPU:{i}" for i in range(replicas)), "CPU"

        CollectiveAllReduceExtended._initialize_local_devices = devices


def workers(replicas=1, timeout=20):
    """Return the strategy of a real job of several workers."""
    several_cpus(replicas)
    multi_worker.set_timeout(timeout)
    return tf.distribute.MultiWorkerMirroredStrategy()


def conform(replicas):
    """Run every scenario of the conformance."""
    job = KerasJob(workers(replicas))
    assert job.replicas == replicas
    return conformance.shown(job)
