"""Metrics in checkpoints and in files of weights: what was saved comes back, counts once, and the loop goes on from there."""

import contextlib
import copy
import itertools
import pickle

import numpy as np
import pytest
import tensorflow as tf

import mergeable as mg
from mergeable.encoding.canonical import canonical_bytes
from mergeable.metric.internals import internals
from mergeable.metric.slots import RESTORED
from tests.effort import some
from tests.keras.conftest import mirrored
from tests.keras.zoo import Everything, JaccardAsDocumented, RowCount, Total, flat

LEGACY = not hasattr(tf.keras, "version")
STEPS, ROWS, SAVED_AFTER = 5, 8, 3


def batch(step):
    """Return the labels and predictions of one step, of mixed magnitudes."""
    rng = np.random.default_rng(step)
    return rng.integers(0, 2, ROWS).astype(np.float64), rng.normal(size=ROWS) * 10.0 ** rng.integers(-9, 9, ROWS)


def under(replicas):
    return tf.distribute.get_strategy() if replicas == 1 else mirrored(replicas)


def loop(strategy, metric):
    """Return a function that gives the metric one step's rows, cut over the replicas, and returns the step's value of them."""
    metric.step_result = "always"

    @tf.function
    def run(y, p):
        def replica_step(y, p):
            metric.update_state(y, p)
            return metric.result()["rows"]

        return strategy.run(replica_step, args=(y, p))

    def step(number):
        n = strategy.num_replicas_in_sync
        parts = [np.array_split(array, n) for array in batch(number)]

        def value(part):
            return strategy.experimental_distribute_values_from_function(
                lambda context: tf.constant(part[context.replica_id_in_sync_group])
            )

        return int(strategy.experimental_local_results(run(*map(value, parts)))[0])

    return step


def held(metric):
    """Return all that a metric holds, as bytes."""
    return canonical_bytes((internals(metric).fold(), dict(metric.coverage)))


def states(metric):
    """Return what the states hold, as bytes, without the origins, which are random."""
    return canonical_bytes(internals(metric).fold())


def filled(metric, *sizes):
    """Return the metric after one update with each number of rows."""
    for size in sizes:
        metric.update_state(np.arange(size) % 2.0, np.linspace(-1, 1, size))
    return metric


@pytest.fixture
def save(tmp_path):
    """Return a function that writes a checkpoint of objects and returns its path."""
    return lambda **objects: tf.train.Checkpoint(**objects).save(tmp_path / "saved")


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Checkpoints, and the bytes that were saved, by the number of replicas that the loop had; it was cut after three steps."""
    found = {}
    for replicas in (1, 2, 4):
        with under(replicas).scope():
            metric = Everything()
        step = loop(under(replicas), metric)
        for number in range(SAVED_AFTER):
            step(number)
        path = tf.train.Checkpoint(metric=metric).save(tmp_path_factory.mktemp("saved") / "after-three")
        found[replicas] = path, held(metric)
    return found


@pytest.fixture(scope="module")
def uninterrupted():
    """The bytes of the states after all steps in one replica."""
    metric = Everything()
    for number in range(STEPS):
        metric.update_state(*batch(number))
    return states(metric)


# What comes back.


@pytest.mark.parametrize(("before", "after"), some(itertools.product([1, 2, 4], repeat=2), 4))
def test_a_loop_goes_on_from_a_checkpoint(saved, uninterrupted, before, after):
    """Any number of replicas goes on from what any number has saved, and ends in the bytes of a loop that was never cut."""
    path, content = saved[before]
    with under(after).scope():
        metric = Everything()
    tf.train.Checkpoint(metric=metric).restore(path).assert_consumed()

    assert content == held(metric)

    step = loop(under(after), metric)
    shown = [step(number) for number in range(SAVED_AFTER, STEPS)]

    assert [ROWS * (number + 1) for number in range(SAVED_AFTER, STEPS)] == shown
    assert uninterrupted == states(metric)
    assert (ROWS * STEPS, before + after) == (metric.coverage.rows, len(metric.coverage))


def test_a_step_that_was_traced_goes_on_too(save):
    """A step that was traced before the restoration sees what was restored."""
    path = save(metric=filled(Everything(), 6))
    metric = Everything()
    step = loop(tf.distribute.get_strategy(), metric)
    step(0)
    tf.train.Checkpoint(metric=metric).restore(path)

    assert 6 + ROWS == step(1)


@pytest.mark.parametrize("times", [1, 2])
def test_restoring_replaces(save, times):
    """However often a metric restores, and whatever it held, it holds what was saved."""
    saved = filled(Everything(), 3, 4)
    path = save(metric=saved)
    metric = filled(Everything(), 5)
    for _ in range(times):
        tf.train.Checkpoint(metric=metric).restore(path)

    assert held(saved) == held(metric)
    assert {RESTORED} == set(internals(metric).slots.parts) - {0}


def test_an_empty_metric_restores_empty(save):
    """What was saved empty empties what it is restored into."""
    path = save(metric=Everything())
    metric = filled(Everything(), 5)
    tf.train.Checkpoint(metric=metric).restore(path)

    assert held(Everything()) == held(metric)


def test_a_reset_empties_what_was_restored(save):
    """After a reset nothing of it is left, and the next checkpoint has none of it."""
    path = save(metric=filled(Everything(), 5))
    metric, last = Everything(), Everything()
    tf.train.Checkpoint(metric=metric).restore(path)
    metric.reset_state()

    assert held(Everything()) == held(metric)

    filled(metric, 2)
    tf.train.Checkpoint(metric=last).restore(save(metric=metric))

    assert (held(metric), 2) == (held(last), last.coverage.rows)


def test_saved_restored_and_saved_again(save):
    """A second interruption loses nothing of what was before the first."""
    alone, metric = Everything(), Everything()
    for sizes in ((3,), (4, 2), (1,)):
        filled(alone, *sizes)
        path = save(metric=filled(metric, *sizes))
        metric = Everything()
        tf.train.Checkpoint(metric=metric).restore(path)

    assert states(alone) == states(metric)
    assert (10, 4) == (metric.coverage.rows, metric.coverage.updates)


def test_what_was_restored_counts_once(save):
    """A metric that holds the saved updates does not merge with one that has restored them; one with later ones does."""
    saved, first, second = filled(Total(), 4), Total(), Total()
    path = save(metric=saved)
    for metric in (first, second):
        tf.train.Checkpoint(metric=metric).restore(path)

    for other in (saved, second):
        with pytest.raises(mg.DuplicateOrigin, match=r"came twice; its updates would count twice"):
            first.merge_state([other])
    assert held(saved) == held(first)

    later = filled(Total(), 3)
    first.merge_state([later])

    assert (7, {*saved.coverage, *later.coverage}) == (first.coverage.rows, set(first.coverage))


def test_updates_after_a_restoration_have_origins_of_their_own(save):
    """Two that go on from one checkpoint do not merge, for they share what was before; what they took since differs."""
    metrics = [RowCount(), RowCount()]
    path = save(metric=filled(RowCount(), 4))
    for metric in metrics:
        tf.train.Checkpoint(metric=metric).restore(path)
        filled(metric, 2)
    shared = metrics[0].coverage.keys() & metrics[1].coverage.keys()

    assert [4] == [metrics[0].coverage[origin].rows for origin in shared]
    assert [6, 6] == [metric.coverage.rows for metric in metrics]


def test_copies_hold_what_was_restored(save):
    """Copies and pickles of a metric that a checkpoint tracks hold the same, and go on by themselves."""
    metric = RowCount()
    tf.train.Checkpoint(metric=metric).restore(save(metric=filled(RowCount(), 4)))
    twins = [copy.deepcopy(metric), pickle.loads(pickle.dumps(metric))]

    assert [held(metric)] * 2 == [held(twin) for twin in twins]
    assert [7, 7, 4] == [int(filled(twin, 3).result()) for twin in twins] + [int(metric.result())]


def test_a_metric_without_a_framework(save):
    """A metric that ``PyMetric.of`` shows is saved, and restored where it is."""

    class Largest(mg.Metric):
        largest = mg.Max()

        def update_state(self, y_true, y_pred):
            self.largest += y_pred

        def result(self):
            return self.largest.result()

    inner, shown = Largest(), mg.PyMetric.of(filled(Largest(), 5))
    path = save(metric=shown)
    again = mg.PyMetric.of(inner)
    tf.train.Checkpoint(metric=again).restore(path).assert_consumed()

    assert held(shown.metric) == held(inner)
    assert 1.0 == float(again.result()) == inner.result()


def test_undeclared_attributes_come_back(save):
    """What a metric of Keras 2 keeps in plain attributes is saved too, and goes on."""
    alone, metric, again = (JaccardAsDocumented() for _ in range(3))
    alone.update_state([0, 1, 1], [0, 1, 0])
    metric.update_state([0, 1, 1], [0, 1, 0])
    tf.train.Checkpoint(metric=again).restore(save(metric=metric)).assert_consumed()
    for later in (alone, again):
        later.update_state([0, 1], [0, 1])

    assert (alone.jaccard_sum, 2) == (again.jaccard_sum, again.count)
    assert 2 == again.coverage.updates

    again.reset_state()

    assert (0.0, 0.0) == (again.jaccard_sum, again.count)


def test_undeclared_attributes_of_several_workers_are_refused(save):
    """Where there are several processes, nothing says how their attributes become one entry."""
    metric = JaccardAsDocumented()
    metric.update_state([0, 1], [0, 1])
    internals(metric).membership.job = object()  # any job will do: it is not asked

    with pytest.raises(mg.UndeclaredState, match="not declared as states: count, jaccard_sum"):
        save(metric=metric)


def test_an_object_of_a_class_made_in_a_function(save):
    """A state may hold an object whose class no name finds; it comes back as one of the class that is here."""

    class Tally:
        def __init__(self):
            self.rows = 0

    def add(a, b):
        a.rows += b.rows

    class Tallied(mg.PyMetric):
        tally = mg.state(Tally, merge=add)

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.tally.rows += len(y_true)

        def result(self):
            return self.tally.rows

    metric = Tallied()
    tf.train.Checkpoint(metric=metric).restore(save(metric=filled(Tallied(), 4)))

    assert Tally is type(metric.tally)
    assert 6 == int(filled(metric, 2).result())


# What is refused.


class Bins(mg.PyMetric):
    """Counts predictions above a threshold, and in bins."""

    above = mg.Count()

    def __init__(self, edges=(0, 1), threshold=0.5, missing=float("nan"), logger=None, name="bins", **kwargs):
        super().__init__(name=name, **kwargs)
        self.threshold = threshold
        self.add_state("bins", mg.Histogram(edges))

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.above += int((flat(y_pred) > self.threshold).sum())
        self.bins.update(flat(y_pred))

    def result(self):
        return self.above.result()


def of_states(**declared):
    """Return a metric named ``Made`` with these states."""
    return type("Made", (Bins,), {"__qualname__": "Made", **declared})()


REFUSED = {
    "class": (RowCount, Total, r"RowCount: restoring what mergeable \S+ saved: got a Total, expected a RowCount\."),
    "states": (
        lambda: of_states(best=mg.Max()),
        lambda: of_states(least=mg.Max()),
        r"the states are \['above', 'best', 'bins'\] here and \['above', 'bins', 'least'\] there",
    ),
    "kind of state": (
        lambda: of_states(best=mg.Max()),
        lambda: of_states(best=mg.Min()),
        r"state 'best' is a Max here and a Min there. Build the metric as it was when it was saved",
    ),
    "parameter of a state": (
        lambda: of_states(best=mg.ConfusionMatrix(2)),
        lambda: of_states(best=mg.ConfusionMatrix(3)),
        r"Made: restoring what mergeable \S+ saved: state 'best': classes is \(0, 1\) here and \(0, 1, 2\) there. Build the metric",
    ),
    "argument": (
        lambda: Bins(threshold=0.25),
        lambda: Bins(threshold=0.75),
        r"Bins: restoring what mergeable \S+ saved: threshold is 0.25 here and 0.75 there. Build the metric as it was",
    ),
}


@pytest.mark.parametrize(("here", "there", "text"), REFUSED.values(), ids=REFUSED)
def test_what_does_not_fit_is_refused(save, here, there, text):
    """Another class, other states and other parameters are named, and the metric stays as it was."""
    metric = filled(here(), 3)
    before = held(metric)
    path = save(metric=filled(there(), 4))

    with pytest.raises(mg.IncompatibleStates, match=text):
        tf.train.Checkpoint(metric=metric).restore(path)
    assert before == held(metric)
    assert 5 == filled(metric, 2).coverage.rows


def test_what_does_not_matter_is_not_refused(save):
    """Names, arguments that are no plain values, and one that is not a number may be what they are."""
    path = save(metric=filled(Bins(logger=object(), name="a"), 4))
    metric = Bins(logger=print, name="b")
    tf.train.Checkpoint(metric=metric).restore(path).assert_consumed()

    assert (4, "b") == (metric.coverage.rows, metric.name)


def test_what_cannot_be_saved_says_so(save):
    """What a state holds and does not pickle fails the checkpoint as itself; the metric stays as it was."""

    class Stuck:
        def __deepcopy__(self, memo):
            return self

        def __reduce__(self):
            raise TypeError("a Stuck does not pickle")

    class Held(mg.PyMetric):
        things = mg.state(list, merge=list.extend)

        def update_state(self, y_true, y_pred, sample_weight=None):
            pass

        def result(self):
            return len(self.things)

    metric = Held()
    metric.things = [Stuck()]

    with pytest.raises(TypeError, match="a Stuck does not pickle"):
        save(metric=metric)
    assert 1 == int(metric.result())


# TensorFlow's ways to save and restore.


def test_write_and_read(tmp_path):
    """``write`` and ``read`` do what ``save`` and ``restore`` do."""
    saved, metric = filled(Everything(), 4), Everything()
    path = tf.train.Checkpoint(metric=saved).write(tmp_path / "written")
    tf.train.Checkpoint(metric=metric).read(path).assert_consumed()

    assert held(saved) == held(metric)


def test_a_manager_keeps_several(tmp_path):
    """Each checkpoint of a manager holds what the metric held then, and the manager finds the latest."""
    metric, again = RowCount(), RowCount()
    manager = tf.train.CheckpointManager(tf.train.Checkpoint(metric=metric), tmp_path, max_to_keep=2)
    for size in (1, 2, 3):
        filled(metric, size)
        manager.save()
    found = tf.train.CheckpointManager(tf.train.Checkpoint(metric=again), tmp_path, max_to_keep=2)

    assert manager.latest_checkpoint == found.restore_or_initialize()
    assert 6 == int(again.result())

    rows = []
    for path in found.checkpoints:
        tf.train.Checkpoint(metric=again).restore(path)
        rows.append(again.coverage.rows)

    assert [3, 6] == rows


def test_a_manager_without_a_checkpoint_leaves_the_metric(tmp_path):
    """The first start of a loop, where there is nothing to restore, begins with what the metric holds."""
    metric = filled(RowCount(), 2)
    manager = tf.train.CheckpointManager(tf.train.Checkpoint(metric=metric), tmp_path, max_to_keep=1)

    assert manager.restore_or_initialize() is None
    assert 2 == int(metric.result())


def test_a_checkpoint_from_before_leaves_the_metric(save):
    """A checkpoint of a program that had no metric restores, and the metric stays as it is."""
    path = save(step=tf.Variable(3))
    metric, step = filled(RowCount(), 2), tf.Variable(0)
    tf.train.Checkpoint(metric=metric, step=step).restore(path)

    assert (2, 3) == (int(metric.result()), int(step.numpy()))


def test_a_program_without_the_metric_restores_the_rest(save):
    """What else a checkpoint holds is there for a program that has no metric."""
    path = save(metric=filled(RowCount(), 2), step=tf.Variable(3))
    step = tf.Variable(0)
    tf.train.Checkpoint(step=step).restore(path).expect_partial()

    assert 3 == int(step.numpy())


def test_deferred_restoration(save):
    """A metric that is made, or tracked, after ``restore`` gets what was saved, whatever it held."""
    saved = filled(Everything(), 4)
    checkpoint = tf.train.Checkpoint()
    status = checkpoint.restore(save(metric=saved))
    checkpoint.metric = metric = filled(Everything(), 5)
    status.assert_consumed()

    assert held(saved) == held(metric)


@pytest.mark.parametrize("replicas", [1, 2])
def test_an_asynchronous_checkpoint_holds_the_moment(tmp_path, replicas):
    """Each of several asynchronous checkpoints holds what the metric held when it was begun, with the variables of then."""
    with under(replicas).scope():
        metric, seen = Everything(), tf.Variable(0)
    step = loop(under(replicas), metric)
    checkpoint = tf.train.Checkpoint(metric=metric, seen=seen)
    options = tf.train.CheckpointOptions(experimental_enable_async_checkpoint=True)
    expected, paths = [], []
    for number in range(STEPS):
        seen.assign(step(number))
        if number % 2 == 0:
            paths.append(checkpoint.save(tmp_path / "async", options=options))
            expected.append((held(metric), ROWS * (number + 1)))
    step(STEPS)
    checkpoint.sync()
    found = []
    for path in paths:
        again, number = Everything(), tf.Variable(0)
        tf.train.Checkpoint(metric=again, seen=number).restore(path).assert_consumed()
        found.append((held(again), int(number.numpy())))

    assert expected == found


def test_a_metric_that_is_tracked_still_merges(save):
    """What TensorFlow notes on an object that it saves is not a parameter of the metric."""
    a, b, fresh = filled(Total(), 3), filled(Total(), 4), filled(Total(), 5)
    save(metric=a)
    save(metric=b)
    a.merge_state([b])
    fresh.merge_state([a])

    assert (7, 12) == (a.coverage.rows, fresh.coverage.rows)


@pytest.mark.parametrize("kind", ["list", "dict", "module"])
def test_metrics_inside_of_other_objects(save, kind):
    """A metric in a list, a dict or a ``tf.Module`` is found there."""

    def around(metric):
        module = tf.Module()
        module.metric = metric
        return {"list": [metric], "dict": {"metric": metric}, "module": module}[kind]

    saved, metric = filled(Total(), 3), Total()
    tf.train.Checkpoint(owner=around(metric)).restore(save(owner=around(saved))).assert_consumed()

    assert held(saved) == held(metric)


def test_a_loop_goes_on_with_its_data(save):
    """Saved together with the iterator of the data, a metric sees each row once."""

    def start():
        return {
            "metric": Total(),
            "rows": iter(tf.data.Dataset.range(14).map(lambda n: 10.0 ** tf.cast(n, tf.float64)).batch(4)),
        }

    first, second = start(), start()
    for _ in range(2):
        rows = next(first["rows"])
        first["metric"].update_state(rows, rows)
    tf.train.Checkpoint(**second).restore(save(**first)).assert_consumed()
    for rows in second["rows"]:
        second["metric"].update_state(rows, rows)

    assert sum(10.0**n for n in range(14)) == float(second["metric"].result())
    assert (14, 4) == (second["metric"].coverage.rows, second["metric"].coverage.updates)


# Keras: metrics that are attributes of the model.


class Owned(mg.PyMetric):
    """The rows and the exact sum of the predictions."""

    rows = mg.Count()
    total = mg.Sum()

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.rows += len(y_true)
        self.total += flat(y_pred).astype(np.float64)

    def result(self):
        return {"rows": self.rows.result(), "total": self.total.result()}


@pytest.fixture
def owner(trained):
    """Return a model, and a metric that is an attribute of it."""

    def build(strategy=None, metric=None):
        metric = metric or Owned(name="owned")
        model = trained(strategy or tf.distribute.get_strategy(), [metric])
        model.owned = metric
        return model, metric

    return build


X = np.linspace(-1, 1, 36, dtype="float32").reshape(12, 3)
Y = X.sum(1, keepdims=True)


def test_a_checkpoint_of_a_model(owner, save, replicated):
    """``tf.train.Checkpoint(model=model)`` brings back a metric that is an attribute of the model."""
    model, metric = owner(replicated)
    model.fit(X, Y, batch_size=8, verbose=0)
    again, found = owner(replicated)
    tf.train.Checkpoint(model=again).restore(save(model=model)).assert_existing_objects_matched()

    assert (held(metric), 12) == (held(found), found.coverage.rows)


FILES = ["model.weights.h5", "model"] if LEGACY else ["model.weights.h5"]  # the second is TensorFlow's format


@pytest.mark.parametrize("file", FILES)
def test_files_of_weights(owner, tmp_path, file, replicated):
    """``save_weights`` and ``load_weights`` bring it back, and the next evaluation starts empty."""
    model, metric = owner(replicated)
    model.fit(X, Y, batch_size=8, verbose=0)
    model.save_weights(tmp_path / file)
    again, found = owner()
    again.load_weights(tmp_path / file)

    assert held(metric) == held(found)

    again.evaluate(X[:5], Y[:5], verbose=0)

    assert 5 == found.coverage.rows


def test_a_file_without_states_leaves_the_metric(owner, trained, tmp_path):
    """Weights that were saved without the metric load, and it stays as it is."""
    trained(tf.distribute.get_strategy()).save_weights(tmp_path / "old.weights.h5")
    model, metric = owner()
    before = held(filled(metric, 3))
    model.load_weights(tmp_path / "old.weights.h5")

    assert before == held(metric)


def test_a_file_with_states_loads_without_the_metric(owner, trained, tmp_path):
    """Weights that were saved with the metric load into a model that has none."""
    model, _ = owner()
    model.fit(X, Y, verbose=0)
    model.save_weights(tmp_path / "new.weights.h5")
    plain = trained(tf.distribute.get_strategy())
    plain.load_weights(tmp_path / "new.weights.h5")

    assert canonical_bytes(model.get_weights()) == canonical_bytes(plain.get_weights())


def test_large_states_in_a_file_of_weights(owner, tmp_path):
    """A state of many rows goes into a file of weights."""
    model, metric = owner(metric=filled(Everything(name="owned"), 30_000))
    model.save_weights(tmp_path / "large.weights.h5")
    again, found = owner(metric=Everything(name="owned"))
    again.load_weights(tmp_path / "large.weights.h5")

    assert held(metric) == held(found)


def test_a_file_of_another_metric_is_refused(owner, tmp_path):
    """Where the model has another metric in that place, the text says so, and the metric stays as it was."""
    model, _ = owner()
    model.fit(X, Y, verbose=0)
    model.save_weights(tmp_path / "owned.weights.h5")
    other, metric = owner(metric=filled(Total(name="owned"), 3))
    before = held(metric)

    with pytest.raises(ValueError, match="got a Owned, expected a Total"):  # Keras 3 tells it in an error of its own
        other.load_weights(tmp_path / "owned.weights.h5")
    assert before == held(metric)


def test_a_saved_model_brings_the_compiled_metric_back_empty(owner, tmp_path):
    """``.keras`` holds the compiled metric's configuration; the loaded model counts from nothing."""
    model, _ = owner()
    model.fit(X, Y, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = tf.keras.models.load_model(tmp_path / "model.keras", custom_objects={"Owned": Owned})

    assert 5 == loaded.evaluate(X[:5], Y[:5], verbose=0, return_dict=True)["owned_rows"]


# fit, cut and started again.


class Logs(tf.keras.callbacks.Callback):
    """Keeps the logs of each epoch, and raises in the middle of one."""

    def __init__(self, cut_in=None):
        super().__init__()
        self.cut_in, self.epoch, self.logs = cut_in, None, {}

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == self.cut_in:
            raise InterruptedError

    def on_epoch_end(self, epoch, logs=None):
        self.logs[epoch] = {name: float(value) for name, value in logs.items()}


@pytest.mark.parametrize(
    ("replicas", "cut_in", "is_attribute"),
    [(1, (0, 1), False), (1, (2, 2), True), (2, (1, 0), True), (2, (2, 2), False)],
)
def test_fit_goes_on_from_a_backup(trained, tmp_path, replicas, cut_in, is_attribute):
    """Cut in any epoch and started again with a new model, ``fit`` shows in every epoch what it shows when it is not cut."""

    def fit(folder, cut_in=None):
        tf.keras.utils.set_random_seed(3)
        metric, logs = Owned(name="owned"), Logs(cut_in)
        model = trained(under(replicas), [metric])
        if is_attribute:
            model.owned = metric
        backup = tf.keras.callbacks.BackupAndRestore(str(tmp_path / folder), save_freq="epoch")
        with pytest.raises(InterruptedError) if cut_in else contextlib.nullcontext():
            model.fit(X, Y, batch_size=4, epochs=3, shuffle=False, verbose=0, callbacks=[backup, logs])
        return logs.logs

    expected = fit("whole")
    first = fit("cut", cut_in)
    second = fit("cut")

    assert [12.0] * 3 == [logs["owned_rows"] for logs in expected.values()]
    assert (list(range(cut_in[0])), list(range(cut_in[0], 3))) == (list(first), list(second))
    assert expected == first | second
