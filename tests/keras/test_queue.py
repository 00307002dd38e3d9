"""Batches that steps leave in a queue: the same bits, fewer calls of Python, and nothing lost."""

import collections
import contextlib
import copy
import os
import pickle
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest
import tensorflow as tf

import mergeable as mg
from mergeable.encoding.canonical import canonical_bytes
from mergeable.holder import host_of
from mergeable.keras import AUROC, batch_queue, packing
from mergeable.metric.internals import internals
from mergeable.metrics import AUROC as PlainAUROC  # noqa: N811 - it is a class
from tests.effort import HANG
from tests.keras.conftest import mirrored
from tests.keras.zoo import Everything, JaccardAsDocumented, RowCount
from tests.lines import interrupted, times
from tests.notes import notes

WAYS = [("now", "always"), ("now", "auto"), ("queued", "auto"), ("queued", 3), ("queued", "never")]


class Log(mg.PyMetric):
    """Keeps every batch, in order."""

    batches = mg.state(list, merge=list.extend, commutative=False)
    rows = mg.Count()
    results = 0
    scratch = ("results",)

    def update_state(self, y_true, y_pred=None, sample_weight=None):
        if 13 in np.ravel(y_true):
            raise LookupError("no row 13")
        self.batches.append(np.ravel(y_true).tolist())
        self.rows += len(y_true)

    def result(self):
        self.results += 1
        return self.rows.result()


def built(cls=Log, *, step_result="never", **options):
    metric = cls(**options)
    metric.step_result = step_result
    return metric


def stepping(metric):
    return tf.function(lambda y: metric.update_state(y, y), reduce_retracing=True)


def feed(metric, *batches):
    """Give the metric batches in a graph, and return the function."""
    step = stepping(metric)
    for batch in batches:
        step(tf.constant(batch, tf.float32))
    return step


@pytest.fixture
def wakes(monkeypatch):
    """The calls of Python that steps make."""
    found = []
    original = batch_queue.BatchQueue.wake

    def spy(self, *args):
        found.append(self.metric.name)
        return original(self, *args)

    monkeypatch.setattr(batch_queue.BatchQueue, "wake", spy)
    return found


# The same bits.


@pytest.mark.parametrize("replicas", [1, 2])
def test_every_way_ends_in_the_same_bits(through, rng, replicas):
    """However batches come to the metric, and whenever its result is shown, the states have the same bytes, and the logs agree."""
    y = rng.integers(0, 2, (45, 1)).astype("float32")
    p = rng.normal(size=(45, 1)).astype("float32")
    strategy = mirrored(replicas) if replicas > 1 else tf.distribute.get_strategy()
    found, logs = [], []
    for hand_over, step_result in WAYS:
        metric = Everything(name="all")
        metric.hand_over, metric.step_result = hand_over, step_result
        model = through(strategy, [metric])
        logs.append(model.evaluate(p, y, batch_size=8, verbose=0, return_dict=True))
        found.append((canonical_bytes(internals(metric).fold()), [c.updates for c in metric.coverage.values()]))

    assert [found[0]] * len(WAYS) == found
    assert [str(logs[0])] * len(WAYS) == [str(each) for each in logs]


@pytest.mark.parametrize("kind", ["dict", "ragged", "sparse", "strings", "weights"])
def test_inputs_of_any_kind_wait(kind):
    """What goes through the queue comes out as what it was."""

    class Keeps(mg.PyMetric):
        seen = mg.state(list, merge=list.extend, commutative=False)

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.seen.append((y_true, y_pred, sample_weight))

        def result(self):
            return len(self.seen)

    given = {
        "dict": {"a": tf.constant([1.0]), "b": (tf.constant([2]), tf.constant([[3]]))},
        "ragged": tf.ragged.constant([[1], [2, 3]]),
        "sparse": tf.sparse.from_dense([[0.0, 1.0]]),
        "strings": tf.constant(["to", "be"]),
        "weights": tf.constant([True]),
    }[kind]
    metrics = [built(Keeps), Keeps()]
    metrics[1].hand_over = "now"
    for metric in metrics:
        tf.function(lambda x: metric.update_state(x, x, sample_weight=x))(given)  # noqa: B023 - called at once
    queued, now = (metric.seen for metric in metrics)

    assert str(now) == str(queued)
    assert internals(metrics[0]).queue._queue is not None


def test_order_is_kept():
    """Batches of several functions and of eager code are taken in the order of the program."""
    metric = built()
    first = feed(metric, [1.0], [2.0])
    second = stepping(metric)
    second(tf.constant([3.0]))
    metric.update_state([4.0])
    first(tf.constant([5.0]))
    second(tf.constant([6.0, 7.0]))

    assert [[1.0], [2.0], [3.0], [4.0], [5.0], [6.0, 7.0]] == metric.batches


def test_a_reset_in_the_graph_comes_in_its_place():
    """What a function puts down before it resets the metric is gone, what it puts down later is not."""
    metric = built()

    @tf.function
    def step(y):
        metric.update_state(y)
        metric.reset_state()
        metric.update_state(y + 1)
        metric.update_state(y + 2)

    for start in (0.0, 10.0):
        step(tf.constant([start]))

    assert [[11.0], [12.0]] == metric.batches


def test_a_result_in_a_function_of_its_own_is_up_to_date():
    """A result that a graph reads without an update is computed when it is read."""
    metric = built()
    step = feed(metric, [1.0], [2.0, 3.0])
    read = tf.function(lambda: metric.result())

    assert 3.0 == float(read())
    step(tf.constant([4.0]))
    assert 4.0 == float(read())


# Who reads finds everything.


READS = {
    "result": lambda metric: int(metric.result()),
    "attribute": lambda metric: int(metric.rows),
    "coverage": lambda metric: metric.coverage.rows,
    "snapshot": lambda metric: metric.snapshot().coverage.rows,
    "repr": lambda metric: int(repr(metric).split("= ")[1].split(" ")[0]),
    "pickle": lambda metric: int(pickle.loads(pickle.dumps(metric)).rows),
    "deepcopy": lambda metric: int(copy.deepcopy(metric).rows),
    "merge": lambda metric: int(merged_into_empty(metric).rows),
}


def merged_into_empty(metric):
    empty = type(metric)()
    empty.merge_state([metric])
    return empty


@pytest.mark.parametrize("name", READS)
def test_every_reader_finds_what_waits(name, wakes):
    """Whoever asks for the states, by whatever verb, gets all that steps have put down."""
    metric = built(RowCount)
    step = feed(metric, [1.0], [2.0])
    assert 2 == metric.coverage.updates
    del wakes[:]
    step(tf.constant([3.0, 4.0]))

    assert [] == wakes
    assert 4 == READS[name](metric)


def test_the_metric_inside_reads_too():
    """A metric without a framework that a Keras metric shows has what waits for that one."""

    class Rows(mg.Metric):
        rows = mg.Count()

        def update_state(self, y_true, y_pred):
            assert isinstance(y_true, np.ndarray)
            self.rows += len(y_true)

        def result(self):
            return self.rows.result()

    inner = Rows()
    hosted = mg.PyMetric.of(inner, step_result="never")
    feed(hosted, [1.0], [2.0, 3.0])

    assert 3 == inner.result() == int(hosted.result())


def test_a_copy_has_a_queue_of_its_own():
    """What a copy takes later is not the original's."""
    metric = built()
    feed(metric, [1.0])
    twin = copy.deepcopy(metric)
    feed(twin, [2.0])
    feed(metric, [3.0])

    assert ([[1.0], [3.0]], [[1.0], [2.0]]) == (metric.batches, twin.batches)


def test_two_models_share_a_metric(through, rng):
    """One metric in two models counts what both bring since one of them was reset, in whatever way it gets it."""
    y = rng.normal(size=(6, 1)).astype("float32")
    found = []
    for hand_over in ("now", "queued"):
        metric = built(RowCount, name="rows")
        metric.hand_over = hand_over
        models = [through(tf.distribute.get_strategy(), [metric]) for _ in range(2)]
        for model, rows in zip([*models, *models], (6, 5, 4, 3), strict=True):
            model.test_on_batch(y[:rows], y[:rows])
            found.append(int(metric.result()))

    assert found[:4] == found[4:]
    assert found[0] == 6


def test_evaluate_inside_of_fit(trained, rng):
    """An evaluation in the midst of an epoch resets the metric in its place, as Keras does with every metric."""
    metric = RowCount(name="rows")
    model = trained(tf.distribute.get_strategy(), [metric])
    x, y = rng.normal(size=(12, 3)).astype("float32"), np.ones((12, 1), "float32")
    seen = []

    class Evaluates(tf.keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 1:
                seen.append(model.evaluate(x[:5], y[:5], verbose=0, return_dict=True)["rows"])

    history = model.fit(x, y, batch_size=2, epochs=2, verbose=0, callbacks=[Evaluates()]).history

    assert [5, 5] == seen
    assert [5 + 8, 5 + 8] == [int(v) for v in history["rows"]]  # Keras does not reset after an evaluation


# How often Python is called.


def test_python_is_called_seldom(wakes):
    """A step that shows nothing calls Python once in so many batches as may wait, and at most once."""
    metric = built()
    step = stepping(metric)
    for _ in range(3 * batch_queue.QUEUE_BATCHES):
        step(tf.ones([2]))

    assert 1 + 2 == len(wakes)  # the first step after a reset is one of them
    assert 6 * batch_queue.QUEUE_BATCHES == int(metric.result())
    assert 3 == len(wakes)


@pytest.mark.parametrize(("step_result", "expected"), [(1, 0), (4, 5), ("never", 1), ("auto", None)])
def test_steps_call_python_at_most_once(step_result, expected, wakes, through, rng):
    """In ``evaluate`` a step calls Python where its result is due, and the result is computed there and at the end."""
    metric = built(step_result=step_result, name="log")
    model = through(tf.distribute.get_strategy(), [metric])
    y = rng.normal(size=(40, 1)).astype("float32")
    model.evaluate(y, y, batch_size=2, verbose=0)
    metric.results = 0
    del wakes[:]
    model.evaluate(y, y, batch_size=2, verbose=0)

    assert len(wakes) <= 20
    if expected is not None:
        assert expected == len(wakes)
        assert {1: 20, 4: 5, "never": 0}[step_result] + 1 == metric.results


def test_a_step_shows_the_last_value(through, rng):
    """Every third step shows the rows up to it, and the others what was shown before; the end is exact."""
    shown = []

    class Spy(tf.keras.callbacks.Callback):
        def on_test_batch_end(self, batch, logs=None):
            shown.append(int(logs["rows"]))

    y = rng.normal(size=(14, 1)).astype("float32")
    model = through(tf.distribute.get_strategy(), [built(RowCount, name="rows", step_result=3)])
    for _ in range(2):
        logs = model.evaluate(y, y, batch_size=2, verbose=0, callbacks=[Spy()], return_dict=True)
        assert 14 == logs["rows"]

    assert 2 * [2, 2, 2, 8, 8, 8, 14] == shown


def test_never_shows_nan(through, rng):
    """``"never"`` shows NaN in steps, and the value at the end."""
    shown = []

    class Spy(tf.keras.callbacks.Callback):
        def on_test_batch_end(self, batch, logs=None):
            shown.append(logs["rows"])

    y = rng.normal(size=(6, 1)).astype("float32")
    model = through(tf.distribute.get_strategy(), [built(RowCount, name="rows")])
    logs = model.evaluate(y, y, batch_size=2, verbose=0, callbacks=[Spy()], return_dict=True)

    assert np.isnan(shown).all()
    assert 6 == logs["rows"]


def test_memory_is_bounded(monkeypatch, wakes):
    """The step that brings what waits to the bound takes it: no more than that and one batch ever waits."""
    monkeypatch.setattr(batch_queue, "QUEUE_BYTES", 10 * packing.ROW_BYTES)
    metric = built()
    step = stepping(metric)
    most = 0
    for _ in range(30):
        step(tf.ones([1000]))  # twice 4000 bytes, once as y_true and once as y_pred: two rows, with the header
        most = max(most, int(internals(metric).queue._queue.size()))

    assert most < 10
    assert 1 + 29 // 5 == len(wakes)


def test_strings_count_as_what_they_take(monkeypatch, wakes):
    """The bytes of strings are counted too."""
    monkeypatch.setattr(batch_queue, "QUEUE_BYTES", 10_000)
    metric = built(mg.PyMetric.of, metric=Words())
    step = tf.function(lambda words: metric.update_state(words))
    for _ in range(10):
        step(tf.constant(["x" * 5000]))

    assert 1 + 4 == len(wakes)
    assert 10 == int(metric.result())


class Words(mg.Metric):
    words = mg.Count()

    def update_state(self, words):
        self.words += len(words)

    def result(self):
        return self.words.result()


# Metrics that take the rows of several batches at once.


class Joined(mg.Metric):
    """The exact sum and the number of calls."""

    joins = True
    total = mg.Sum()
    scratch = ("calls",)

    def __init__(self):
        super().__init__()
        self.calls = []

    def update_state(self, y_true, y_pred, sample_weight=None):
        if 13 in y_true:
            raise LookupError("no row 13")
        self.calls.append(len(y_true))
        self.total.update(y_true * (1.0 if sample_weight is None else sample_weight))

    def result(self):
        return self.total.result()


def hosted_and_fed(batches):
    inner = Joined()
    metric = mg.PyMetric.of(inner, step_result="never")
    step = tf.function(lambda y, w: metric.update_state(y, y, sample_weight=w), reduce_retracing=True)
    for y, w in batches:
        step(tf.constant(y, tf.float64), None if w is None else tf.constant(w, tf.float64))
    return inner, metric


def test_rows_that_wait_are_one_update(rng):
    """A metric that says so gets what waits at once, shape by shape: the same bits, and all updates are counted."""
    batches = [(rng.normal(size=n) * 1e9, rng.random(n)) for n in (5, 3, 3, 0, 0, 7, 7, 7)]
    inner, metric = hosted_and_fed(batches)
    one_by_one = Joined()
    for y, w in batches:
        if len(y):
            one_by_one.update_state(y, y, sample_weight=w)

    assert canonical_bytes(internals(one_by_one).fold()) == canonical_bytes(internals(metric.metric).fold())
    assert [5, 6, 21] == inner.calls
    assert (6, 32) == (inner.coverage.updates, inner.coverage.rows)


def test_a_failure_among_joined_rows_is_told_by_its_step():
    """Where one of the batches fails, each is taken by itself, and the others count."""
    inner, metric = hosted_and_fed([([1.0], None), ([2.0], None), ([13.0], None), ([4.0, 5.0], None)])

    with pytest.raises(LookupError, match="no row 13") as caught:
        metric.result()
    assert "in the batch of step 3 since the last reset" in notes(caught.value)
    assert 12.0 == float(metric.result())
    assert [1, 1, 2] == inner.calls


def test_batches_that_do_not_fit_are_taken_one_by_one():
    """Rows of other shapes, and weights that are one number for a batch, are not joined."""
    weighted, _ = hosted_and_fed([([1.0], 1.0), ([2.0], 2.0), ([3.0, 4.0], 3.0)])
    shaped, _ = hosted_and_fed([([[1.0]], None), ([[2.0]], None), ([[3.0, 4.0]], None)])

    assert (26.0, [1, 1, 2]) == (weighted.result(), weighted.calls)
    assert 10.0 == shaped.result()


def test_replicas_join_their_own_rows(through, rng):
    """Each replica's rows are joined in its slot: as many bytes as with calls in each step."""
    y = rng.integers(0, 2, (45, 1)).astype("float32")
    p = rng.random((45, 1)).astype("float32")
    found = []
    for hand_over in ("now", "queued"):
        metric = AUROC(hand_over=hand_over, step_result="never")
        through(mirrored(2), [metric]).evaluate(p, y, batch_size=8, verbose=0)
        found.append(
            (canonical_bytes(internals(metric.metric).fold()), [(c.updates, c.rows) for c in metric.coverage.values()])
        )

    assert found[0] == found[1]


def test_a_collection_joins_where_all_its_members_do():
    """One member that must see its batches keeps them apart for all."""
    assert mg.MetricCollection([PlainAUROC(), PlainAUROC(10, name="fine")]).joins
    assert not mg.MetricCollection([PlainAUROC(), Words()]).joins


# What does not go through the queue.


def test_plain_attributes_are_there_at_once(wakes):
    """A metric whose values are in attributes that are not declared is called in every step: anybody may read them."""
    metric = built(JaccardAsDocumented)
    feed(metric, [1.0, 0.0], [1.0, 1.0])

    assert 2.0 == metric.count
    assert [] == wakes


def test_now_is_now():
    """``hand_over = "now"`` calls ``update_state`` before the step goes on."""
    seen = []

    class Watched(RowCount):
        hand_over = "now"

        def update_state(self, y_true, y_pred, sample_weight=None):
            seen.append(len(y_true))
            super().update_state(y_true, y_pred)

    step = stepping(built(Watched))
    for n in (1, 2):
        step(tf.ones([n]))
        assert n == seen[-1]


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("hand_over", "later", r"Log\.hand_over: got 'later', expected 'queued' or 'now'\."),
        (
            "step_result",
            "often",
            r"Log\.step_result: got 'often', expected 'auto', 'always', 'never', or a number of steps from 1 on\.",
        ),
        ("step_result", 0, r"Log\.step_result: got 0, expected 'auto', 'always', 'never', or a number"),
        ("step_result", True, r"Log\.step_result: got True, expected 'auto'"),
    ],
)
def test_other_ways_are_refused(name, value, text):
    """A switch that does not exist is named, and what there is."""
    with pytest.raises(ValueError, match=text):
        type("Log", (Log,), {name: value})()


def test_how_a_metric_is_shown_is_no_parameter():
    """Metrics merge whatever their switches."""
    metrics = [built(step_result=3), built(step_result="auto")]
    metrics[1].hand_over = "now"
    for metric in metrics:
        feed(metric, [1.0])
    metrics[0].merge_state(metrics[1:])

    assert 2 == int(metrics[0].rows)


# Failures.


def test_a_failure_surfaces_at_the_next_result():
    """The exception is the user's own, names the step, leaves the states as they were, and is told once."""
    metric = built(name="log")
    feed(metric, [1.0], [2.0], [13.0], [4.0])

    with pytest.raises(LookupError, match="no row 13") as caught:
        metric.result()
    assert [
        "in Log.update_state (metric 'log', replica 0); the state is as before this update",
        "in the batch of step 3 since the last reset",
    ] == notes(caught.value)
    assert 3 == int(metric.result())
    assert [[1.0], [2.0], [4.0]] == metric.batches


@pytest.mark.parametrize("verb", ["reset_state", "snapshot", "merge_state", "restore"])
def test_a_failure_surfaces_at_other_verbs(verb):
    """Who resets, saves, merges or restores learns of it too."""
    metric, other = built(), built()
    feed(other, [7.0])
    arguments = {"merge_state": ([other],), "restore": (other.snapshot(),)}.get(verb, ())
    feed(metric, [1.0], [13.0])

    with pytest.raises(LookupError, match="no row 13"):
        getattr(metric, verb)(*arguments)
    getattr(metric, verb)(*arguments)
    assert {"reset_state": 0, "snapshot": 1, "merge_state": 2, "restore": 1}[verb] == int(metric.rows)


def test_a_failure_of_what_is_merged_surfaces():
    """A metric that is to be merged tells its own failure before anything is merged."""
    metric, other = built(), built()
    feed(other, [1.0], [13.0])

    with pytest.raises(LookupError, match="no row 13"):
        metric.merge_state([other])
    assert 0 == int(metric.rows)


def test_readers_that_must_not_fail_leave_it_to_the_next_verb():
    """A failure is not lost on ``repr`` and ``coverage``."""
    metric = built()
    feed(metric, [1.0], [13.0])

    assert 1 == metric.coverage.rows
    assert "LookupError" in repr(metric) or "= 1 " in repr(metric)
    with pytest.raises(LookupError, match="no row 13"):
        metric.result()


def test_several_failures_are_one():
    """The first is raised, and says how many more there were."""
    metric = built()
    feed(metric, [1.0], [13.0], [13.0, 2.0], [3.0])

    with pytest.raises(LookupError, match="no row 13") as caught:
        metric.result()
    assert "1 later updates failed too; the last of them: LookupError('no row 13')" in notes(caught.value)
    assert 2 == int(metric.result())


def test_a_failure_ends_fit(trained, rng):
    """``fit`` raises it at the end of the epoch at the latest."""
    metric = built(name="log")
    model = trained(tf.distribute.get_strategy(), [metric])
    x, y = rng.normal(size=(8, 3)).astype("float32"), np.ones((8, 1), "float32")
    y[5] = 13

    with pytest.raises(LookupError, match="no row 13") as caught:
        model.fit(x, y, batch_size=2, epochs=2, shuffle=False, verbose=0)
    assert "in the batch of step 3 since the last reset" in notes(caught.value)
    assert 6 == int(metric.rows)


@pytest.mark.parametrize("hand_over", ["now", "queued"])
def test_other_replicas_are_not_lost_on_a_failure(hand_over, through, rng):
    """Where one replica's update fails, those of the others count."""
    metric = built(RowCountBut13, name="rows")
    metric.hand_over = hand_over
    model = through(mirrored(2), [metric])
    y = np.array([[13.0], [1.0], [2.0], [3.0]], "float32")

    with pytest.raises(LookupError, match="no row 13"):
        model.evaluate(y, y, batch_size=4, verbose=0)
    assert {1: 2} == {c.replica: c.rows for c in metric.coverage.values()}


class RowCountBut13(RowCount):
    def update_state(self, y_true, y_pred, sample_weight=None):
        super().update_state(y_true, y_pred)
        if 13 in np.ravel(y_true):
            raise LookupError("no row 13")


def test_an_interruption_loses_nothing():
    """An update that is interrupted runs again, and those behind it wait for it."""
    answers = collections.deque([None, KeyboardInterrupt(), None])

    class Interrupted(Log):
        def update_state(self, y_true, y_pred=None, sample_weight=None):
            super().update_state(y_true)
            error = answers.popleft() if answers else None
            if error is not None:
                raise error

    metric = built(Interrupted)
    feed(metric, [1.0], [2.0], [3.0])

    with pytest.raises(KeyboardInterrupt):
        metric.result()
    assert 3 == int(metric.result())
    assert [[1.0], [2.0], [3.0]] == metric.batches


def test_a_step_that_fails_elsewhere_loses_nothing():
    """What waits when another part of a step fails is there."""
    metric = built()

    @tf.function
    def step(y):
        metric.update_state(y)
        tf.debugging.assert_less(y, 3.0)

    for value in (1.0, 2.0):
        step(tf.constant([value]))
    with pytest.raises(tf.errors.InvalidArgumentError):
        step(tf.constant([3.0]))

    assert [[1.0], [2.0]] == metric.batches[:2]
    assert len(metric.batches) <= 3


def test_threads_that_step_and_read():
    """Several threads that step, and one that reads, count each batch once."""
    metric = built(RowCount, step_result=5)
    step = tf.function(lambda y: (metric.update_state(y, y), metric.result())[1], input_signature=[tf.TensorSpec([None])])
    step(tf.ones([1]))
    seen = []

    def work():
        for _ in range(50):
            step(tf.ones([2]))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        seen.append(int(metric.result()))
    for thread in threads:
        thread.join()

    assert sorted(seen) == seen
    assert 301 == int(metric.result())


# Other processes, and the end.

PROGRAM = """
import os, sys
os.environ.update(CUDA_VISIBLE_DEVICES="-1", TF_CPP_MIN_LOG_LEVEL="3")
import numpy as np, tensorflow as tf, mergeable as mg
from mergeable.metric import operations
from mergeable.metric.internals import internals

class Writes(mg.PyMetric):
    rows = mg.Count()
    step_result = "never"
    def update_state(self, y_true, y_pred=None, sample_weight=None):
        if 13 in np.ravel(y_true):
            raise LookupError("no row 13")
        self.rows += len(y_true)
        print("took", np.ravel(y_true).tolist(), os.getpid() == here, flush=True)
    def result(self):
        return self.rows.result()

here = os.getpid()
metric = Writes()
step = tf.function(lambda y: metric.update_state(y), input_signature=[tf.TensorSpec([None])])
"""


def run(program):
    code = PROGRAM + textwrap.dedent(program)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=HANG, check=False)


@pytest.fixture(scope="module")
def ended():
    """A program that ends while the updates of several metrics wait."""
    return run("""
        import atexit
        for value in (1.0, 2.0, 13.0, 3.0):
            step(tf.constant([value]))
        others = [Writes(name=f"other_{i}") for i in range(3)]
        for other in others:
            tf.function(lambda y: other.update_state(y), input_signature=[tf.TensorSpec([None])])(tf.constant([1.0]))
            tf.function(lambda y: other.update_state(y), input_signature=[tf.TensorSpec([None])])(tf.constant([13.0]))
        atexit.register(lambda: print("before", flush=True))
        print("end", flush=True)
        sys.exit(0)
    """)


def test_the_end_of_the_program_takes_what_waits(ended):
    """An update that nobody has asked for runs at the end, and its failure is shown."""
    took = [*["took [1.0] True"] * 4, "end", "before", "took [2.0] True", "took [3.0] True"]
    assert took == ended.stdout.splitlines()
    assert "LookupError: no row 13" in ended.stderr
    assert 120 == ended.returncode


def test_the_end_of_the_program_tells_the_failures_of_all_metrics(ended):
    """Every metric that fails there is told, what else happens at the end happens, and the status says that something failed."""
    assert 4 == ended.stderr.count("LookupError: no row 13"), ended.stderr
    assert all(f"metric 'other_{i}'" in ended.stderr for i in range(3))
    assert (120, True) == (ended.returncode, "before" in ended.stdout.splitlines())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_fork_finds_the_queue_empty():
    """What waits is taken before the process is copied; the copy has it, and can take more, and the original too."""
    ended = run("""
        for value in (1.0, 2.0):
            step(tf.constant([value]))
        child = os.fork()
        if not child:
            operations.update(metric, 0, (np.array([5.0]),), {})
            print("child", operations.result_here(metric), metric.coverage.rows, flush=True)
            os._exit(0)
        os.waitpid(child, 0)
        step(tf.constant([3.0]))
        print("parent", int(metric.result()), flush=True)
    """)

    assert [
        "took [1.0] True",
        "took [2.0] True",
        "took [5.0] False",
        "child 3 3",
        "took [3.0] True",
        "parent 3",
    ] == ended.stdout.splitlines(), ended.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_fork_beside_an_update_says_what_it_lacks():
    """A copy that a fork makes while another thread updates has not what waits in the queue: it gives no result."""
    ended = run("""
        import threading
        inside, go = threading.Event(), threading.Event()
        slow = Writes(name="slow")

        def update(replica, args, kwargs, **options):
            inside.set()
            go.wait()

        slow_step = tf.function(lambda y: slow.update_state(y), input_signature=[tf.TensorSpec([None])])
        slow_step(tf.constant([1.0]))
        slow_step(tf.constant([1.0]))

        def enter():
            try:
                internals(slow).enter(update, 0, (), {})
            finally:
                inside.set()  # also where it failed

        thread = threading.Thread(target=enter)
        thread.start()
        inside.wait()
        child = os.fork()
        if not child:
            for read in (lambda: operations.result_here(slow), slow.snapshot, lambda: slow.rows.result()):
                try:
                    print("gave", read(), flush=True)
                except mg.MergeableError as error:
                    print(error, flush=True)
            os._exit(0)
        os.waitpid(child, 0)
        go.set()
        thread.join()
        print("parent", int(slow.result()), flush=True)
    """)

    lines = ended.stdout.splitlines()
    assert 3 == sum(line.startswith("Writes: got a copy of the metric 'slow' that a fork made while") for line in lines), ended
    assert "parent 2" == lines[-1]
    assert not any(line.startswith("gave") for line in lines)


def test_an_interrupt_while_batches_are_taken():
    """Wherever an interrupt falls while what waits is taken, each batch counts once, in order."""
    metric = built(Log)
    step = stepping(metric)
    batches = [[1.0], [2.0, 3.0], [4.0], [5.0]]

    def wait():
        metric.reset_state()
        for batch in batches:
            step(tf.constant(batch))

    wait()
    metric.result()
    wait()
    found = times(lambda metric: metric.result(), metric)
    came = 0
    for n in found:
        wait()
        came += interrupted(lambda metric: metric.result(), metric, n) is not None
        assert batches == list(metric.batches)
        assert (5, 4, 5) == (int(metric.result()), metric.coverage.updates, metric.coverage.rows)
    assert came > 0.9 * len(found) > 20


class Witness(mg.Metric):
    """Counts what came, by dtype, shape and bytes; or, where updates join, only rows and cells."""

    seen = mg.Counter()

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.seen.update(
            [
                repr(
                    [
                        (a.dtype.name, a.shape, a.tobytes() if a.dtype != object else a.tolist())
                        for a in map(np.asarray, (y_true, y_pred))
                    ]
                )
            ]
        )

    def result(self):
        return self.seen.total


class JoiningWitness(mg.Metric):
    joins = True
    rows, cells = mg.Count(), mg.Count()

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.rows += len(y_true)
        self.cells += np.size(y_true) + np.size(y_pred)

    def result(self):
        return self.rows.result()


class TensorWitness(mg.PyMetric):
    seen = mg.Counter()
    update_state, result = Witness.update_state, Witness.result


SHAPES = [
    (),
    (1,),
    (3,),
    (3, 0),
    (0,),
    (0, 2),
    (3, 2),
    (1, 0, 2),
    (2, 3, 0),
    (2, 1, 2),
    (1,) * 8,
    (2, *(1,) * 30),
    (3,),
    (3, 0),
    (3, 0),
]


@pytest.mark.parametrize("kind", [tf.bool, tf.string, tf.bfloat16, tf.complex128], ids=lambda kind: kind.name)
def test_no_batch_stops_the_queue(kind, rng):
    """Batches of any shape and type come out of the queue as they come without it, and the verbs go on to work."""

    def tensor(shape):
        values = rng.integers(0, 2, shape)
        return tf.constant(values.astype(str), tf.string) if kind == tf.string else tf.cast(values, kind)

    batches = [(tensor(shape), tensor(SHAPES[int(rng.integers(len(SHAPES)))])) for shape in SHAPES]
    batches += [(tensor((3,)), tensor((3, 0)))] * 3
    for make in (TensorWitness, lambda: mg.PyMetric.of(Witness()), lambda: mg.PyMetric.of(JoiningWitness())):
        found = []
        for hand_over in ("queued", "now"):
            metric = make()
            metric.hand_over = hand_over
            spec = tf.TensorSpec(None, kind)
            step = tf.function(lambda y, p, metric=metric: metric.update_state(y, p), input_signature=[spec, spec])
            failures = 0
            for batch in batches:
                try:
                    step(*batch)
                except Exception:  # len() of a scalar
                    failures += 1
            with contextlib.suppress(Exception):
                metric.result()
            host = host_of(metric)
            found.append({name: state.result() for name, state in internals(host).fold().items()})
            metric.reset_state()
            step(tf.cast(tf.ones(2), kind) if kind != tf.string else tf.constant(["a", "b"]), tensor((2, 0)))
            assert 1 == metric.coverage.updates
        assert found[0] == found[1]


def test_batches_that_cannot_be_taken_apart_are_told(monkeypatch):
    """Whatever is wrong with waiting batches, it is raised once, and those that come later are taken."""
    metric = RowCount()
    step = tf.function(lambda y: metric.update_state(y, y))
    step(tf.ones(3))  # the first step takes what waits
    step(tf.ones(5))
    with monkeypatch.context() as broken:
        broken.setattr("mergeable.keras.call_site.CallSite.runs", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError) as caught:
            metric.result()
    step(tf.ones(4))

    assert "in batches after step 1 since the last reset; those that waited from there on were not taken" in notes(caught.value)
    assert 7 == int(metric.result())
