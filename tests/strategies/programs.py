"""What the workers of the tests run: each function is a program for one process of a job."""

import contextlib
import json
import os
import signal
import time

import numpy as np
import tensorflow as tf
from tensorflow.python.eager import context

import mergeable as mg
from mergeable.exchange import watch
from mergeable.metric.internals import internals
from mergeable.strategies import current, multi_worker
from tests.effort import HANG
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


def workers(replicas=1, timeout=HANG):
    """Return the strategy of a real job of several workers."""
    several_cpus(replicas)
    multi_worker.set_timeout(timeout)
    return tf.distribute.MultiWorkerMirroredStrategy()


def conform(replicas):
    """Run every scenario of the conformance."""
    job = KerasJob(workers(replicas))
    assert job.replicas == replicas
    return conformance.shown(job)


class Total(mg.PyMetric):
    """An exact sum, and who has given to it."""

    total = mg.Sum()
    givers = mg.Set()

    def update_state(self, x, giver=0):
        self.total += np.asarray(x)
        self.givers.update([int(giver)])

    def result(self):
        return {"total": self.total.result(), "givers": len(self.givers)}


class InOrder(mg.PyMetric):
    """Who has given, in order."""

    seen = mg.state(list, merge=list.extend, commutative=False)

    def update_state(self, rank, job):
        self.seen.append((int(rank[0]), job.numpy()[0].decode()))

    def result(self):
        return str(self.seen)


def attempt(metric):
    """Return the result, or the error's class and text."""
    try:
        return {name: float(value) for name, value in metric.result().items()}
    except mg.MergeableError as error:
        return type(error).__name__, str(error)


def say(word, rank):
    """Tell the other workers that this one is so far."""
    context.context().set_config_key_value(f"tests/{word}/{rank}", "")


def hear(word, ranks):
    """Wait until these workers are so far."""
    for rank in ranks:
        context.context().get_config_key_value(f"tests/{word}/{rank}", 1000 * HANG)


def absences():
    """Go through exchanges to which a worker does not come, each followed by one to which all come."""
    strategy = workers()
    rank = strategy.cluster_resolver.task_id
    with strategy.scope():
        metric = Total(name="total")
    seen = {}

    def all_come(name):
        say(f"before {name}", rank)
        hear(f"before {name}", range(3))
        multi_worker.set_timeout(HANG)
        seen[name] = attempt(metric)
        say(name, rank)
        hear(name, range(3))
        multi_worker.set_timeout(3)

    metric.update_state([1.0], rank)
    all_come("all")
    if rank == 0:
        seen["one only"] = attempt(metric)  # the others do not ask
    metric.reset_state()
    metric.update_state([2.0], rank)
    all_come("after one only")
    for late, name in ((2, "one late"), (0, "the first late")):  # the first worker keeps the keys
        if rank == late:
            hear(name, {0, 1, 2} - {late})
        seen[name] = attempt(metric)
        say(name, rank)
        all_come(f"after {name}")
    return seen


def deaths(victim, how):
    """Lose a worker, and return what the others hear, twice."""
    strategy = workers()
    rank = strategy.cluster_resolver.task_id
    with strategy.scope():
        metric = Total(name="total")
    metric.update_state([1.0], rank)
    seen = [attempt(metric)]
    say("all came", rank)
    hear("all came", range(3))  # and have read what the others sent; from here on nobody waits for a slow one
    with contextlib.suppress(tf.errors.UnavailableError):  # the first worker keeps the keys
        say("all go on", rank)
    if rank == victim:
        hear("all go on", range(3))
        if how == "raise":
            raise RuntimeError("the user's own")
        if how == "kill in a swap":
            multi_worker.workers.Workers._swap = lambda self, partner, payload: os.kill(os.getpid(), signal.SIGKILL)
            metric.result()
        os.kill(os.getpid(), signal.SIGKILL if how == "kill" else signal.SIGSTOP)
    multi_worker.set_timeout(3)
    metric.update_state([1.0], rank)
    before = metric.total.result(), dict(internals(metric).coverage())
    seen += [attempt(metric), attempt(metric)]
    assert before == (metric.total.result(), dict(internals(metric).coverage()))
    return seen


def connected():
    """Connect, the chief later than the others, and exchange a few bytes, and a megabyte."""
    task = json.loads(os.environ["TF_CONFIG"])["task"]
    time.sleep(task["type"] == "chief")
    strategy = multi_worker.connect(timeout_seconds=HANG)
    with strategy.scope():
        order, wide = InOrder(name="order"), mg.PyMetric.of(conformance.Wide())
        rank = current().processes.rank
    order.update_state([rank], [task["type"]])
    reports = []
    with watch(reports.append):
        shown = order.result()
        wide.update_state(np.arange(8))
        wide.result()
    return rank, shown, [(report.metrics, report.sent, report.received) for report in reports]


def resumed(folder, kill_at=None, replicas=1):
    """Go through the steps of an epoch from where the checkpoint is, save every third step, and be killed in the middle."""
    job = KerasJob(workers(replicas))
    metric = job.build(conformance.Everything)
    step = tf.Variable(0, dtype=tf.int64)
    checkpoint = tf.train.Checkpoint(metric=metric, step=step)
    checkpoint.restore(tf.train.latest_checkpoint(f"{folder}/0"))
    manager = tf.train.CheckpointManager(checkpoint, f"{folder}/{job.rank}", max_to_keep=1)
    resumed_at = int(step.numpy())
    while int(step.numpy()) < 10:
        x, labels = conformance.rows(24, seed=int(step.numpy()))
        job.update(metric, zip(conformance.parts(job, x), conformance.parts(job, labels), strict=True))
        step.assign_add(1)
        if int(step.numpy()) % 3 == 0:
            manager.save()
        if kill_at is not None and int(step.numpy()) == kill_at + job.rank % 2:
            try:
                say("before the end", job.rank)
                hear("before the end", range(job.size))  # and have read what this one sent when all saved
            finally:
                os.kill(os.getpid(), signal.SIGKILL)
    value = job.result(metric)
    return value, metric.coverage.rows, sorted(metric.coverage.workers), resumed_at


class Scaled(Total):
    """A total with a parameter."""

    def __init__(self, scale=1.0, **kwargs):
        super().__init__(**kwargs)
        self.scale = scale


def differences():
    """Ask for results with another parameter on the last worker, and then with a metric more."""
    strategy = workers()
    rank = strategy.cluster_resolver.task_id
    with strategy.scope():
        right, wrong = Total(name="right"), Scaled(scale=1.0 + rank // 2, name="wrong")
    for metric in (right, wrong):
        metric.update_state([1.0], rank)
    seen = {"another parameter": attempt(wrong), "rides along": attempt(right)}
    wrong.reset_state()
    seen["alone"] = attempt(right)
    if rank == 2:
        with strategy.scope():
            seen["one more"] = Total(name="more")
    seen["one more"] = attempt(right)
    return seen
