"""What a coordinator of the tests runs: ``observe`` and ``fit`` are programs for one process, which starts its servers itself."""

import collections
import contextlib
import threading

import numpy as np
import tensorflow as tf

import mergeable as mg
from mergeable.encoding.canonical import canonical_bytes
from mergeable.metric.internals import internals
from mergeable.strategies import parameter_server
from tests.effort import HANG
from tests.notes import notes
from tests.strategies import conformance
from tests.strategies.cluster import Cluster
from tests.strategies.programs import KerasJob

STEPS, TURNS = 40, 3
KILLS = {(5, 0): "before", (12, 1): "after", (20, 2): "after", (28, 0): "after"}  # the step, and the turn of the loop in it


class Seen(mg.PyMetric):
    """Exact states, whose bytes tell an update that is lost or counts twice; and which threads called."""

    total = mg.Sum()
    rows = mg.Count()
    words = mg.Counter()
    kept = mg.Rows("x")
    scratch = ("threads",)
    step_result = "always"

    def __init__(self, **options):
        super().__init__(**options)
        self.threads = set()

    def update_state(self, y_true, y_pred=None, sample_weight=None):
        self.threads.add(threading.get_ident())
        x = np.ravel(y_true).astype(np.float64)
        self.total.update(x)
        self.rows += len(x)
        self.words.update([f"{v:.0f}" for v in x])
        self.kept.update(x)

    def result(self):
        return {"total": self.total.result(), "rows": self.rows.result()}


class Fails(Seen):
    """Fails at a 7, with a text of the length that it is told, after it has written."""

    def __init__(self, length, **options):
        super().__init__(**options)
        self.length = length

    def update_state(self, y_true):
        super().update_state(y_true)
        if 7 in np.ravel(y_true):
            raise LookupError("7" * self.length)


def contents(metric):
    return canonical_bytes(internals(metric).fold())


def one_process(batches):
    metric = Seen()
    for batch in batches:
        metric.update_state(batch)
    return contents(metric)


def told(metric, batches):
    """Return what a metric has counted, and the bytes of its states beside those of one process."""
    coverage = metric.coverage
    return {
        "slots": coverage.replicas,
        "updates": coverage.updates,
        "rows": coverage.rows,
        "bytes": contents(metric),
        "one process": one_process(batches),
    }


def raised(act):
    """Return the type, the text and the notes of what is raised."""
    try:
        act()
    except Exception as error:
        return type(error).__name__, str(error), notes(error)
    return None


class PSJob(KerasJob):
    """A job whose coordinator schedules a step for each batch."""

    ordered, rank, size, replicas = False, 0, 1, 2

    def __init__(self, coordinator):
        self.strategy, self.coordinator = coordinator.strategy, coordinator

    def update(self, metric, batches):
        step = tf.function(lambda *batch: self.strategy.run(metric.update_state, args=batch), reduce_retracing=True)
        for batch in batches:
            self.coordinator.schedule(step, args=tuple(tf.constant(np.asarray(part)) for part in batch))
        self.coordinator.join()


def epochs(coordinator):
    """Two epochs of steps that show a result; the first two steps wait for each other, so both workers take one."""
    both = threading.Barrier(2)
    with coordinator.strategy.scope():
        metric = Seen()

    @tf.function
    def step(x, waits):
        def replica_step(x, waits):
            tf.py_function(lambda waits: both.wait(HANG) if waits else 0, [waits], tf.int64)
            metric.update_state(x)
            return metric.result()["rows"]

        return coordinator.strategy.run(replica_step, args=(x, waits))

    seen = []
    for epoch in range(2):
        batches = [np.random.default_rng(100 * epoch + i).choice(conformance.POOL[:5], 8) for i in range(30)]
        metric.reset_state()
        values = [coordinator.schedule(step, args=(tf.constant(batch), tf.constant(i < 2))) for i, batch in enumerate(batches)]
        coordinator.join()
        shown = sorted(float(value.fetch()) for value in values)
        seen.append({**told(metric, batches), "in steps": shown, "threads": len(metric.threads)})
    return seen


def failures(coordinator):
    """Exceptions of the user's with a short text and a long one, between two steps that go well."""
    seen = []
    for length in (1, 6000):
        with coordinator.strategy.scope():
            metric = Fails(length, name="fails")
        step = tf.function(lambda x, metric=metric: coordinator.strategy.run(metric.update_state, args=(x,)))

        def run(value, step=step):
            coordinator.schedule(step, args=(tf.constant([value]),))
            coordinator.join()

        run(1.0)
        error = raised(lambda run=run: run(7.0))
        run(2.0)
        seen.append({"error": error, **told(metric, [[1.0], [2.0]])})
    return seen


def refusals(coordinator):
    """What is refused when a step is traced."""
    with coordinator.strategy.scope():
        ordered = mg.PyMetric.of(conformance.InOrder())

    def refusal(replica_step):
        step = tf.function(lambda x: coordinator.strategy.run(replica_step, args=(x,)))
        return raised(lambda: coordinator.schedule(step, args=(tf.constant([1.0]),)))

    return {"not commutative": refusal(ordered.update_state), "made in a step": refusal(lambda x: Seen().update_state(x))}


@contextlib.contextmanager
def watched_admissions():
    """Note which worker's step the update of this thread is, and count the updates that are left out."""
    original, here, counts = parameter_server.ParameterServer.admit, threading.local(), collections.Counter()

    @contextlib.contextmanager
    def admit(self, place, ticket):
        with original(self, place, ticket) as slot:
            here.worker = int(ticket[0].numpy()[2])
            counts["left out"] += slot is None
            yield slot

    parameter_server.ParameterServer.admit = admit
    try:
        yield here, counts
    finally:
        parameter_server.ParameterServer.admit = original


def kills(coordinator, cluster):
    """Steps of several updates, some of which kill the worker that runs the step, which so cannot end there."""
    to_kill = dict(KILLS)
    with watched_admissions() as (here, counts), coordinator.strategy.scope():

        class Deadly(Seen):
            def update_state(self, x, turn):
                now = to_kill.pop((int(x[0]), int(turn)), None)
                if now == "before":
                    cluster.restart("worker", here.worker)
                super().update_state(x)
                if now == "after":
                    cluster.restart("worker", here.worker)

        metric = Deadly()

        @tf.function
        def step(x):
            def replica_step(x):
                for turn in tf.range(TURNS):
                    metric.update_state(x, turn)

            coordinator.strategy.run(replica_step, args=(x,))

        batches = [np.array([i, i / 3, 1e16]) for i in range(STEPS)]
        for batch in batches:
            coordinator.schedule(step, args=(tf.constant(batch),))
        coordinator.join()
        return {**told(metric, batches * TURNS), "not killed": to_kill, "left out": counts["left out"]}


def kills_without_tickets(coordinator, cluster):
    """The same where TensorFlow does not say which step runs."""
    original = parameter_server._ticket_here
    parameter_server._ticket_here = lambda replicas: tf.concat([parameter_server._no_ticket()[:2], original(replicas)[2:]], 0)
    try:
        return kills(coordinator, cluster)
    finally:
        parameter_server._ticket_here = original


def one_left(coordinator, cluster):
    """Steps while a worker is away."""
    with coordinator.strategy.scope():
        metric = Seen()
    step = tf.function(lambda x: coordinator.strategy.run(metric.update_state, args=(x,)))
    batches = [np.array([float(i)]) for i in range(20)]
    cluster.kill("worker", 1)
    for batch in batches:
        coordinator.schedule(step, args=(tf.constant(batch),))
    coordinator.join()
    cluster.start("worker", 1)
    return told(metric, batches)


def observe():
    """Return what the coordinator of two workers sees with Keras 3."""
    tf.config.threading.set_inter_op_parallelism_threads(8)  # more than there are workers, whatever the machine
    with Cluster() as cluster:
        coordinator = tf.distribute.coordinator.ClusterCoordinator(cluster.strategy())
        return {
            "conformance": conformance.shown(PSJob(coordinator)),
            "epochs": epochs(coordinator),
            "failures": failures(coordinator),
            "refusals": refusals(coordinator),
            "kills": kills(coordinator, cluster),
            "again": epochs(coordinator),  # both workers are back
            "one left": one_left(coordinator, cluster),
            "kills without tickets": kills_without_tickets(coordinator, cluster),
            "at last": epochs(coordinator),
        }


def fit():
    """Return what ``fit`` and ``evaluate`` of tf_keras show, whose workers each go through the data on their own."""
    x = np.random.default_rng(0).normal(size=(64, 3)).astype("float32")
    y = x.sum(axis=1, keepdims=True)
    with Cluster() as cluster:
        strategy = cluster.strategy()

        def model(**options):
            with strategy.scope():
                made, metric = tf.keras.Sequential([tf.keras.Input((3,)), tf.keras.layers.Dense(1)]), Seen()
                made.compile("sgd", "mse", metrics=[metric], **options)
            return made, metric

        data = tf.data.Dataset.from_tensor_slices((x, y)).batch(16)
        trained, metric = model()
        history = trained.fit(data.repeat(), epochs=2, steps_per_epoch=8, verbose=0).history
        evaluation = trained.evaluate(data.repeat(), steps=4, verbose=0, return_dict=True)
        sharded, _ = model(pss_evaluation_shards=2)
        sharded.fit(data.repeat(), steps_per_epoch=1, verbose=0)
        refused = raised(lambda: sharded.evaluate(data, verbose=0))
        return {
            "keras": tf.keras.Model.__module__.split(".")[0],
            "history": history["seen_rows"],
            "evaluation": evaluation["seen_rows"],
            "updates": metric.coverage.updates,
            "shards": refused,
        }
