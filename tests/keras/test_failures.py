"""Errors surface as themselves, in time, and leave the states as they were."""

import collections
import threading

import numpy as np
import pytest
import tensorflow as tf

import mergeable as mg
from mergeable.encoding.canonical import canonical_bytes
from mergeable.keras import graph_errors
from mergeable.metric.internals import internals
from tests.effort import HANG
from tests.keras.zoo import Everything, RowCount
from tests.notes import notes


class Unlucky(mg.PyMetric):
    """Fails half-way through an update that sees a 13."""

    total = mg.Sum()
    words = mg.Counter()
    seen = mg.state(set, merge=set.update)

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.total += y_pred
        self.words.update([str(v) for v in np.ravel(y_pred)])
        self.seen.add(float(np.ravel(y_pred)[0]))
        if 13 in np.ravel(y_pred):
            raise LookupError("no row 13")

    def result(self):
        return self.total.result()


def contents(metric):
    return canonical_bytes(internals(metric).fold())


def test_in_eager_code():
    """The exception is the user's own, with a note; the states are as before."""
    metric = Unlucky(name="unlucky")
    metric.update_state([0.0], [1.0])
    before = contents(metric)

    with pytest.raises(LookupError, match="no row 13") as caught:
        metric.update_state([0.0, 0.0], [2.0, 13.0])
    assert ["in Unlucky.update_state (metric 'unlucky', replica 0); the state is as before this update"] == notes(caught.value)
    assert before == contents(metric)
    assert 1 == metric.coverage.updates


def test_in_a_function():
    """In a graph it is the user's exception too, not TensorFlow's, with the user's line in its traceback."""
    metric = Unlucky(name="unlucky")
    metric.hand_over = "now"
    step = tf.function(lambda p: metric.update_state(p, p), input_signature=[tf.TensorSpec([None], tf.float32)])
    step(tf.constant([1.0]))
    before = contents(metric)

    with pytest.raises(LookupError, match="no row 13") as caught:
        step(tf.constant([2.0, 13.0]))
    assert "Unlucky.update_state (metric 'unlucky', replica 0)" in notes(caught.value)[0]
    assert any(entry.name == "update_state" and "test_failures" in str(entry.path) for entry in caught.traceback)
    assert before == contents(metric)
    step(tf.constant([2.0]))
    assert 3.0 == float(metric.result())


def test_in_fit(replicated, trained, rng):
    """``fit`` raises the user's exception, which names the replica."""

    class Fails(RowCount):
        def update_state(self, y_true, y_pred, sample_weight=None):
            super().update_state(y_true, y_pred)
            if 7 in np.asarray(y_true):
                raise ZeroDivisionError("seven")

    metric = Fails(name="fails")
    model = trained(replicated, [metric])
    x, y = rng.normal(size=(8, 3)).astype("float32"), np.ones((8, 1), "float32")
    y[-2:] = 7  # the last replica's part of the last batch, of which replica 0 is the only one without a strategy
    replica = replicated.num_replicas_in_sync - 1

    with pytest.raises(ZeroDivisionError, match="seven") as caught:
        model.fit(x, y, batch_size=8 if replica else 2, shuffle=False, verbose=0)
    assert f"(metric 'fails', replica {replica})" in notes(caught.value)[0]
    assert replica not in {c.replica for c in metric.coverage.values()} or replica == 0


def test_in_result():
    """An exception in ``result`` names it."""

    class Fails(RowCount):
        def result(self):
            if self.rows:
                raise KeyError("label")
            return 0.0

    metric = Fails(name="fails")
    step = tf.function(lambda p: (metric.update_state(p, p), metric.result())[1])

    with pytest.raises(KeyError, match="label") as caught:
        step(tf.ones([2]))
    assert "in Fails.result (metric 'fails')" in notes(caught.value)[0]
    assert 2 == metric.rows.result()  # the update itself succeeded


def test_other_errors_of_tensorflow_stay():
    """An error that is not a metric's is TensorFlow's own."""

    @tf.function
    def step():
        tf.debugging.assert_equal(tf.constant(1) + tf.random.uniform([], 1, 2, tf.int32), 5)

    with pytest.raises(tf.errors.InvalidArgumentError):
        step()


def test_without_the_hook_tensorflows_error_begins_with_ours(monkeypatch):
    """Where TensorFlow's place for errors is missing, its error still says what happened, and where."""
    from tensorflow.python.eager import context

    graph_errors.watch_calls()
    monkeypatch.setattr(context.Context, "call_function", context.Context.call_function.__wrapped__)
    metric = Unlucky(name="unlucky")
    step = tf.function(lambda p: metric.update_state(p, p))

    with pytest.raises(tf.errors.UnknownError, match=r"LookupError: no row 13 in Unlucky\.update_state"):
        step(tf.constant([13.0]))
    graph_errors._waiting.clear()


def test_failures_do_not_pile_up():
    """Exceptions that nobody picks up are dropped after a few."""
    for i in range(50):
        graph_errors.passed_on(ValueError(str(i)))

    assert len(graph_errors._waiting) <= 16
    graph_errors._waiting.clear()


@pytest.mark.parametrize("where", ["compile", "function"])
def test_xla_is_refused_when_traced(trained, rng, where):
    """A step for XLA is refused when it is traced, and the error says what to pass."""
    metric = RowCount(name="rows")
    x, y = rng.normal(size=(4, 3)).astype("float32"), np.ones((4, 1), "float32")
    model = trained(tf.distribute.get_strategy(), [metric], jit_compile=True)
    step = tf.function(lambda p: metric.update_state(p, p), jit_compile=True)
    run = {"compile": lambda: model.fit(x, y, verbose=0), "function": lambda: step(y)}[where]

    with pytest.raises(mg.UnsupportedStrategy, match=r"RowCount: got a step that is compiled by XLA.*jit_compile=False"):
        run()
    assert not metric.coverage


def test_other_strategies_are_refused_when_traced(monkeypatch):
    """A TPU is refused by name; it cannot be had here, so its class stands in for it."""
    cls = tf.distribute.TPUStrategy
    stand_in = cls.__new__(cls)
    monkeypatch.setattr(tf.distribute, "has_strategy", lambda: True)
    monkeypatch.setattr(tf.distribute, "get_strategy", lambda: stand_in)
    metric = RowCount()

    with pytest.raises(mg.UnsupportedStrategy, match=rf"got {cls.__name__}, expected no strategy, OneDeviceStrategy"):
        metric.update_state([1.0], [1.0])
    assert not metric.coverage


def test_other_backends_are_refused(monkeypatch):
    """Keras with another backend is refused when the metric is made."""
    monkeypatch.setattr(tf.keras.backend, "backend", lambda: "jax")

    with pytest.raises(mg.UnsupportedStrategy, match="RowCount: got Keras with the backend 'jax', expected 'tensorflow'"):
        RowCount()


def test_a_state_that_does_not_pickle():
    """A user's object that cannot pickle is refused at the first update, by the name of what made it."""

    class Locked(mg.PyMetric):
        locks = mg.state(threading.Lock, merge=lambda a, b: None)

        def update_state(self, y_true, y_pred, sample_weight=None):
            pass

        def result(self):
            return 0.0

    metric = Locked()

    with pytest.raises(mg.MergeableError, match=r"mergeable.state\(.*[lL]ock.*\): got a lock that does not pickle") as caught:
        metric.update_state([1.0], [1.0])
    assert "Locked.update_state (metric" in notes(caught.value)[0]


@pytest.mark.parametrize(
    ("y_true", "y_pred", "text"),
    [
        ([0, 2], [0, 1], "got the label 2 in y_true, expected one of"),
        ([0, 1], [0, float("nan")], "got the label nan in y_pred, expected whole numbers"),
        ([0, 1, 1], [0, 1], "expected one predicted label for each true one"),
    ],
    ids=["outside", "nan", "shapes"],
)
def test_bad_labels(y_true, y_pred, text):
    """Labels that do not fit name the value, and change nothing."""

    class Matrix(mg.PyMetric):
        rows = mg.Count()
        matrix = mg.ConfusionMatrix(2)

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.rows += len(y_true)
            self.matrix.update(y_true, y_pred)

        def result(self):
            return self.matrix.result()

    metric = Matrix()
    metric.update_state([0, 1], [0, 1])
    before = contents(metric)

    with pytest.raises(ValueError, match=text):
        metric.update_state(y_true, y_pred)
    assert before == contents(metric)


def test_every_kind_of_state_is_undone(rng):
    """A failure after all states were written leaves every byte as it was."""

    class Late(Everything):
        def update_state(self, y_true, y_pred, sample_weight=None):
            super().update_state(y_true, y_pred, sample_weight)
            if len(y_true) == 3:
                raise RuntimeError("too late")

    metric = Late()
    y, p = rng.integers(0, 2, 30000).astype("float32"), rng.normal(size=30000).astype("float32")
    metric.update_state(y, p)
    metric.update_state(y[:5], p[:5])
    before = contents(metric)

    with pytest.raises(RuntimeError, match="too late"):
        metric.update_state(y[:3], p[:3] * 100)
    assert before == contents(metric)


def test_threads_do_not_meet_in_one_slot():
    """Steps from several threads update one metric one after another."""

    class Slow(mg.PyMetric):
        rows = mg.Count()
        scratch = ("inside", "most")
        inside = 0
        most = 0

        def update_state(self, y_true, y_pred, sample_weight=None):
            type(self).inside += 1
            type(self).most = max(type(self).most, type(self).inside)
            tf.reduce_sum(tf.random.normal([50, 50]))
            self.rows += len(y_true)
            type(self).inside -= 1

        def result(self):
            return self.rows.result()

    metric = Slow()
    step = tf.function(lambda p: metric.update_state(p, p))
    step(tf.ones([1]))
    threads = [threading.Thread(target=lambda: collections.deque((step(tf.ones([1])) for _ in range(25)), 0)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(HANG)

    assert 1 == Slow.most
    assert 101 == int(metric.result())
