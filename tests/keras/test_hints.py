"""Where a new user of Keras stumbles, an error says what to write instead."""

import numpy as np
import pytest
import tensorflow as tf

import mergeable as mg
from mergeable import keras as faces

LEGACY = not hasattr(tf.keras, "version")


class Rows(mg.PyMetric):
    n = mg.Count()

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.n += len(y_true)

    def result(self):
        return self.n.result()


class Plain(mg.Metric):
    n = mg.Count()
    update_state = Rows.update_state

    def result(self):
        return self.n.result()


def fit(metric, eager=False):
    model = tf.keras.Sequential([tf.keras.layers.Dense(1)])
    model.compile(loss="mse", metrics=[metric], run_eagerly=eager)
    return model.fit(np.ones((8, 1)), np.ones((8, 1)), batch_size=4, verbose=0).history


@pytest.mark.parametrize("eager", [False, True], ids=["graph", "eager"])
@pytest.mark.parametrize(
    ("metric", "hint"),
    [
        (Plain(), r"write metrics=\[mergeable\.PyMetric\.of\(metric\)\]"),
        (mg.MetricCollection([Plain()]), r"write metrics=\[mergeable\.PyMetric\.of\(metric\)\]"),
        (Plain, r"write metrics=\[mergeable\.PyMetric\.of\(metric\)\]|write an instance: metrics=\[Plain\(\)\]"),
    ],
    ids=["metric", "collection", "class of a metric"],
)
def test_what_is_no_keras_metric(metric, hint, eager):
    """A metric without Keras, and its class: the error says how Keras gets a Keras metric."""
    with pytest.raises(TypeError, match=hint):
        fit(metric, eager)


def test_the_class_of_a_keras_metric():
    """A class instead of an instance: the error says what to write, unless Keras makes the instance by itself."""
    with pytest.raises((TypeError, mg.UnsupportedStrategy), match=r"write an instance: metrics=\[Rows\(\)\]"):
        fit(Rows)
    if LEGACY:
        with pytest.raises(TypeError, match=r"write an instance: metrics=\[Rows\(\)\]"):
            fit(Rows, eager=True)
    else:
        history = fit(Rows, eager=True)
        assert [8.0] == [float(shown) for name, (shown,) in history.items() if name != "loss"]
    assert [] == [float(v) for v in Rows().variables]


def test_the_class_of_a_ready_made_metric():
    """It is a Keras metric's class like any other."""
    with pytest.raises((TypeError, mg.UnsupportedStrategy), match=r"write an instance: metrics=\[AUROC\(\)\]"):
        fit(faces.AUROC)
    if LEGACY:
        with pytest.raises(TypeError, match=r"write an instance: metrics=\[AUROC\(\)\]"):
            fit(faces.AUROC, eager=True)
    else:
        assert "auroc" in fit(faces.AUROC, eager=True)


def test_verbs_that_are_not_written():
    """A Keras metric without one of the two says which, as a metric without Keras does."""

    class Empty(mg.PyMetric):
        n = mg.Count()

    with pytest.raises(NotImplementedError, match=r"^Empty\.update_state is not defined; write it\."):
        Empty().update_state([1.0])
    with pytest.raises(NotImplementedError, match=r"^Empty\.result is not defined; write it\."):
        Empty().result()


def logged(function):
    """A decorator without functools.wraps, which hides what it is around."""

    def inner(self, *args, **kwargs):
        return function(self, *args, **kwargs)

    return inner


class Whole(Rows):
    """tf.function around the verb itself is not needed, and left out."""

    @tf.function
    def update_state(self, y_true, y_pred=None, sample_weight=None):
        self.n += len(y_true)

    @tf.function
    def result(self):
        return self.n.result()


class Hidden(Rows):
    @logged
    @tf.function
    def update_state(self, y_true, y_pred=None, sample_weight=None):
        self.n += 1
        return y_true


class Helped(Rows):
    @tf.function
    def total(self, y):
        return tf.reduce_sum(y)

    def update_state(self, y_true, y_pred=None, sample_weight=None):
        self.n += int(self.total(y_true))


class Counting(Rows):
    @tf.function
    def count(self, y):
        self.n.update(1)
        return y

    def update_state(self, y_true, y_pred=None, sample_weight=None):
        self.count(y_true)


class Attribute(Rows):
    def reset_state(self):
        self.k = 0

    @tf.function
    def count(self, y):
        self.k += 1
        return y

    def update_state(self, y_true, y_pred=None, sample_weight=None):
        self.count(y_true)


class Reading(Rows):
    @tf.function
    def half(self):
        return self.n.result() / 2

    def result(self):
        return self.half()


class Inner(mg.Metric):
    n = mg.Count()

    @tf.function
    def count(self, y):
        self.n.update(1)
        return y

    def update_state(self, y_true, y_pred=None, sample_weight=None):
        self.count(tf.constant(y_true))

    def result(self):
        return self.n.result()


@pytest.mark.parametrize(
    ("make", "verb", "name"),
    [
        (Hidden, "update_state", "n"),
        (Counting, "update_state", "n"),
        (Attribute, "update_state", "k"),
        (Reading, "result", "n"),
        (lambda: mg.PyMetric.of(Inner()), "update_state", "n"),
    ],
    ids=["hidden", "helper", "attribute", "result", "hosted"],
)
def test_states_in_a_function_that_is_traced(make, verb, name):
    """What a tf.function does to a metric's values it does once, when it is traced: it is refused, and not done once."""
    metric, y = make(), tf.constant([1.0, 2.0])
    with pytest.raises(mg.UnsupportedStrategy, match=rf"\.{verb}: got '{name}' used in a tf\.function, expected it outside"):
        (metric.update_state(y, y), metric.result())
    assert ((0, 0) if verb == "update_state" else (1, 2)) == (metric.coverage.updates, metric.coverage.rows)


def test_functions_that_are_traced():
    """A tf.function around a verb, and one that touches no state, are no obstacle."""
    whole, helped = Whole(), Helped()
    for _ in range(3):
        whole.update_state(tf.constant([1.0, 2.0]))
        helped.update_state(tf.constant([1.0, 2.0]))
        whole.result()
    assert (6, 9) == (int(whole.result()), int(helped.result()))
