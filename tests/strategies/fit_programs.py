"""What the workers of the tests with ``fit`` run: each function returns what it saw."""

import functools
import hashlib
import os
import signal
import sys

import numpy as np
import tensorflow as tf

import mergeable as mg
from mergeable.encoding.canonical import canonical_bytes
from mergeable.exchange import watch
from mergeable.keras import SaveSnapshots
from mergeable.metric.internals import internals
from mergeable.strategies.multi_worker import disable_fit, enable_fit, set_timeout
from tests.effort import LONG
from tests.strategies.programs import workers

ROWS, VALIDATION_ROWS, BATCH = 61, 43, 12  # the last batches have 1 and 7 rows: some replicas get none
BATCH_OF_ITS_OWN = 20
EXCHANGED = (1, 5, 20) if LONG else (1, 4, 11)  # as many metrics: few and many


class Labels(mg.PyMetric):
    """States of many kinds that hold the labels and their weights, which no training changes; the digest shows every bit."""

    rows = mg.Count()
    total = mg.Sum()
    words = mg.Counter()
    per_word = mg.Keyed(mg.Mean())
    kept = mg.Rows("y")

    def update_state(self, y_true, y_pred, sample_weight=None):
        y = np.asarray(y_true, np.float64).reshape(-1)
        weights = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight, np.float64).reshape(-1)
        words = [f"word {abs(int(value)) % 7}" for value in y]
        self.rows += len(y)
        self.total.update(y * weights)
        self.words.update(words)
        self.per_word.update(words, y, weights)
        self.kept.update(y)

    def result(self):
        states = canonical_bytes({name: getattr(self, name) for name in internals(self).declaration.states})
        digest = hashlib.blake2b(states, digest_size=6).digest()  # as many bits as a float has room for
        return {"rows": self.rows.result(), "total": self.total.result(), "digest": int.from_bytes(digest, "big")}


class RowsSeen(mg.Metric):
    """The number of rows."""

    rows = mg.Count()

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.rows += len(y_true)

    def result(self):
        return self.rows.result()


def arrays(n, seed=0):
    """Return inputs, labels of very different sizes, and weights."""
    rng = np.random.default_rng(seed)
    y = rng.normal(size=(n, 1)) * 10.0 ** rng.integers(-3, 4, (n, 1))
    return rng.normal(size=(n, 2)).astype("float32"), y.astype("float32"), rng.random(n).astype("float32")


def dataset(n, columns=3):
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return tf.data.Dataset.from_tensor_slices(arrays(n)[:columns]).batch(BATCH).with_options(options)


def compiled(strategy, *metrics, weighted=(), enable="after"):
    """Return a model and its metrics, each built by a function; ``enable`` says when ``enable_fit`` is called."""
    keras = tf.keras
    with strategy.scope():
        made = [build() for build in (*metrics, *weighted)]
        model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1)])
        if enable == "before":
            enable_fit(model)
        plain, others = made[: len(metrics)], made[len(metrics) :]
        model.compile(keras.optimizers.SGD(1e-6), "mse", metrics=plain, weighted_metrics=others or None)
    if enable == "after":
        enable_fit(model)
    return model, made


def for_this_worker(strategy, batch):
    """Return the batch that this worker gives to ``train_on_batch``, such that all of them give the rows of one batch.

    In Keras 3 a worker gives rows of its own, of which all of its replicas get a copy; in tf_keras every worker gives the whole
    batch, of which each replica gets its share.
    """
    resolver = strategy.cluster_resolver
    if resolver is None or tf.keras.Model.__module__.startswith("tf_keras."):
        return batch
    size, rank = len(resolver.cluster_spec().as_dict()["worker"]), resolver.task_id
    edges = [len(batch[0]) * i * (i + 1) // (size * (size + 1)) for i in range(size + 1)]  # unequal parts
    return tuple(array[edges[rank] : edges[rank + 1]] for array in batch)


def values_but_losses(logs):
    """Return the bytes of each value but the losses."""
    return {name: np.asarray(value, np.float64).tobytes() for name, value in logs.items() if "loss" not in name}


def bits(strategy):
    """Show the results of a metric, and of one with weights, in every way that Keras and a user ask for them."""
    train, test = dataset(ROWS), dataset(VALIDATION_ROWS)
    plain, weighted = (lambda name=name: Labels(name=name) for name in ("plain", "weighted"))
    model, metrics = compiled(strategy, plain, weighted=[weighted], enable="before")

    def read():
        return {
            f"{metric.name}_{name}": value for metric in metrics for name, value in values_but_losses(metric.result()).items()
        }

    shown = {"fit": values_but_losses(model.fit(train, validation_data=test, epochs=2, verbose=0).history)}
    shown["evaluate"] = values_but_losses(model.evaluate(test, verbose=0, return_dict=True))
    shown["read after evaluate"] = read()
    rows = for_this_worker(strategy, arrays(BATCH_OF_ITS_OWN))
    for name in ("train_on_batch", "test_on_batch"):
        model.reset_metrics()  # Keras 3.12 does not do it by itself
        getattr(model, name)(*rows)
        shown[f"read after {name}"] = read()
    with strategy.scope():
        metrics = [plain(), weighted()]

    @tf.function
    def step(batch):
        strategy.run(lambda _, y, w: (metrics[0].update_state(y, y), metrics[1].update_state(y, y, w)), args=batch)

    shown["custom loop"] = []
    for data in (train, test):
        for batch in strategy.experimental_distribute_dataset(data):
            step(batch)
        shown["custom loop"].append((read(), [metric.coverage.rows for metric in metrics]))
        for metric in metrics:
            metric.reset_state()
    return shown


def mine():
    return mg.PyMetric.of(RowsSeen(), name="mine", step_result="always")


def everyones():
    return mg.PyMetric.of(RowsSeen(), name="all", sync="step")


def steps(strategy):
    """Show what a step shows, of a metric that covers this worker's rows there and of one that covers all."""
    logged, reports = [], []

    class Steps(tf.keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            logged.append((float(logs["mine"]), float(logs["all"])))

    shown = {}
    model, metrics = compiled(strategy, mine, everyones)
    with watch(reports.append):
        history = model.fit(dataset(ROWS, 2), verbose=0, callbacks=[Steps()]).history
    shown["fit"] = {"steps": logged, "history": (history["mine"], history["all"]), "exchanges": len(reports)}
    batch = for_this_worker(strategy, arrays(BATCH_OF_ITS_OWN)[:2])
    for name in ("train_on_batch", "test_on_batch"):
        model.reset_metrics()
        logs = getattr(model, name)(*batch, return_dict=True)
        shown[name] = float(logs["mine"]), float(logs["all"]), *(float(metric.result()) for metric in metrics)
    return shown


def loop(strategy, *, in_graph=True):
    """Show what a custom loop shows in its steps and after them, of the same two metrics."""
    reports, seen = [], []
    with strategy.scope():
        metrics = [mine(), everyones()]

    def replica_step(x, y):
        for metric in metrics:
            metric.update_state(y, y)
        return [metric.result() for metric in metrics]

    def step(*batch):
        return strategy.run(replica_step, args=batch)

    run = tf.function(step) if in_graph else step
    with watch(reports.append):
        for batch in strategy.experimental_distribute_dataset(dataset(ROWS, 2)):
            shown = run(*batch)
            seen.append([[float(value) for value in strategy.experimental_local_results(of_replicas)] for of_replicas in shown])
        in_steps = len(reports)
        last = [float(metric.result()) for metric in metrics]
    return {"steps": seen, "last": last, "exchanges": (in_steps, len(reports) - in_steps)}


def eager_loop(strategy):
    """Show what a custom loop without a graph shows."""
    return loop(strategy, in_graph=False)


def exchanges(strategy):
    """Show the exchanges of an epoch, an evaluation, and two epochs with a validation, for some numbers of metrics."""
    train, test, shown = dataset(ROWS, 2), dataset(VALIDATION_ROWS, 2), {}
    for n in EXCHANGED:
        model, _ = compiled(strategy, *[lambda i=i: mg.PyMetric.of(RowsSeen(), name=f"rows_{i}") for i in range(n)])
        calls = {
            "an epoch": functools.partial(model.fit, train, verbose=0),
            "an evaluation": functools.partial(model.evaluate, test, verbose=0),
            "two epochs with validation": functools.partial(model.fit, train, validation_data=test, epochs=2, verbose=0),
        }
        shown[n] = {}
        for name, call in calls.items():
            reports = []
            with watch(reports.append):
                call()
            shown[n][name] = [(len(report.metrics), report.sent, report.received) for report in reports]
    return shown


def faults(strategy):
    """Show how ``fit`` ends as Keras is, with each of its two faults bridged, with both, and when ``disable_fit`` was called."""
    model, _ = compiled(strategy, lambda: mg.PyMetric.of(RowsSeen(), name="rows"), enable="not")
    attributes = set(vars(model))

    def outcome():
        try:
            return model.fit(dataset(ROWS, 2), verbose=0).history["rows"]
        except Exception as error:
            return "\n".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", [])])

    shown = {"as it is": outcome()}
    for left_out in ("_maybe_symbolic_build", "_make_function"):
        enable_fit(model)
        del vars(model)[left_out]
        shown[f"without {left_out}"] = outcome()
    enable_fit(model)
    enable_fit(model)
    shown["enabled"] = outcome()
    disable_fit(model)
    shown["disabled"] = outcome()
    shown["attributes"] = set(vars(model)) - attributes
    return shown


def untouched(strategy):
    """Show which attributes ``enable_fit`` adds to a model."""
    model, _ = compiled(strategy, mine, enable="not")
    before = set(vars(model))
    enable_fit(model)
    return set(vars(model)) - before


def observe(replicas, names):
    """Run several of these functions in one job and return what they show by their names."""
    strategy = workers(replicas)
    return {name: globals()[name](strategy) for name in names}


def backed_up(folder, killed):
    """Fit three epochs with Keras's backup, which the first worker keeps; be killed in the third, or go on from the backup."""
    strategy = workers()
    rank = strategy.cluster_resolver.task_id
    model, _ = compiled(strategy, lambda: Labels(name="plain"))
    begun = []

    class Watching(tf.keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            begun.append(epoch)
            if killed and epoch == 2:
                set_timeout(60)  # who is not killed waits in vain

        def on_train_batch_begin(self, batch, logs=None):
            if killed and begun[-1] == 2 and batch == 2:
                os.kill(os.getpid(), signal.SIGKILL)

    backup = tf.keras.callbacks.BackupAndRestore
    callbacks = [backup(f"{folder}/{rank}"), Watching()]
    if rank:  # all start from what the first worker saved last; the own folder is for what this one saves
        callbacks.insert(1, backup(f"{folder}/0", save_freq=sys.maxsize, delete_checkpoint=False))
    history = model.fit(dataset(ROWS, 2), epochs=3, verbose=0, callbacks=callbacks).history
    return begun, {
        name: [np.float64(value).tobytes() for value in values] for name, values in history.items() if name != "loss"
    }


NAMES = "job 7/{metric}-{phase}-{epoch}-{worker}"


def saved(folder):
    """Fit with a callback that writes this worker's snapshots; return what Keras showed, and the snapshot of all workers."""
    strategy = workers()
    model, (metric,) = compiled(strategy, lambda: Labels(name="labels"))
    history = model.fit(dataset(ROWS, 2), epochs=2, verbose=0, callbacks=[SaveSnapshots(folder, origin=NAMES)]).history
    return values_but_losses(history), metric.snapshot({"epoch": 1}, origin="job 7").to_bytes()


def taken_over(path, replicas):
    """Restore a snapshot of other workers, go on, and return what all workers then hold."""
    strategy = workers(replicas)
    with strategy.scope():
        metric = Labels(name="labels")
    metric.restore(path)
    rank = strategy.cluster_resolver.task_id
    rows = arrays(10, seed=rank)[1]
    metric.update_state(rows, rows)
    return values_but_losses(metric.result()), metric.coverage.rows, metric.snapshot().to_bytes()
