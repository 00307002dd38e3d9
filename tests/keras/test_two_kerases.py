"""Keras 3 and tf_keras in one program, and what one of them does with a metric that a model shares."""

import importlib

import numpy as np
import pytest
import tensorflow as tf

import mergeable as mg
from mergeable import metrics
from mergeable.keras import AUROC

keras = tf.keras
LEGACY = "tf_keras" in keras.metrics.Metric.__module__


class Rows(mg.PyMetric):
    rows = mg.Count()

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.rows += len(y_true)

    def result(self):
        return self.rows.result()


@pytest.mark.parametrize("run_eagerly", [False, True])
@pytest.mark.parametrize("make", [Rows, AUROC])
def test_the_other_keras_is_refused(make, run_eagerly):
    """A model of the other Keras would average what the metric shows; its call is refused, with the variable that chooses."""
    other = importlib.import_module("keras" if LEGACY else "tf_keras")
    model = other.Sequential([other.layers.Input((1,)), other.layers.Dense(1)])
    model.compile(loss="mse", metrics=[make()], run_eagerly=run_eagerly)
    x = np.ones((4, 1), np.float32)

    with pytest.raises(TypeError, match=r"got a call by (Keras 3|tf_keras), expected one by(?s:.*)TF_USE_LEGACY_KERAS"):
        model.evaluate(x, x, verbose=0)


def test_a_call_of_ones_own_is_none_of_theirs():
    """A metric is called like a function in a program's own loop, also in a graph."""
    metric = Rows()

    assert 3 == int(metric(tf.ones(3), tf.ones(3)))
    assert 5 == int(tf.function(lambda y: metric(y, y))(tf.ones(2)))


@pytest.mark.skipif(not LEGACY, reason="Keras 3 refuses one metric for several outputs itself")
@pytest.mark.parametrize("run_eagerly", [False, True])
def test_one_metric_for_several_outputs(replicated, rng, run_eagerly):
    """tf_keras copies the metric for each output while it traces the first step; each copy has the value of its output."""
    if run_eagerly and replicated.num_replicas_in_sync > 1:
        pytest.skip("tf_keras runs replicas in graphs")
    labels = rng.integers(0, 2, (11, 2)).astype(np.float32)
    scores = rng.random((11, 1), np.float32)
    with replicated.scope():
        i = keras.layers.Input((1,))
        model = keras.Model(i, [keras.layers.Activation("linear", name="a")(i), keras.layers.Activation("linear", name="b")(i)])
        model.compile(loss="mse", metrics=[AUROC(precision=20), Rows(name="rows")], run_eagerly=run_eagerly)
    expected = []
    for column in labels.T:
        alone = metrics.AUROC(precision=20)
        alone.update_state(column, scores)
        expected.append(alone.result())

    for _ in range(2):  # they are reset in between
        shown = model.evaluate(scores, [labels[:, :1], labels[:, 1:]], batch_size=4, verbose=0, return_dict=True)
        assert pytest.approx(expected) == [shown["a_auroc"], shown["b_auroc"]]
        assert (11, 11) == (shown["a_rows"], shown["b_rows"])
