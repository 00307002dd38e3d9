"""A metric that was written for the PyMetric of Keras 2 runs unchanged; declared, it also merges."""

import copy

import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import jaccard_score

import mergeable as mg
from tests.keras.zoo import JaccardAsDocumented, JaccardDeclared

Y = np.array([0, 1, 2, 1, 0, 2])
P = np.array([0, 2, 2, 1, 1, 2])


@pytest.mark.parametrize("cls", [JaccardAsDocumented, JaccardDeclared])
def test_standalone(cls):
    """In eager code it is the mean of the batches' scores, and a reset empties it."""
    metric = cls()
    for start in (0, 3):
        metric.update_state(Y[start : start + 3], P[start : start + 3])
    expected = (jaccard_score(Y[:3], P[:3], average="macro") + jaccard_score(Y[3:], P[3:], average="macro")) / 2

    assert expected == pytest.approx(float(metric.result()), rel=1e-15)

    metric.reset_state()
    metric.update_state(Y[:3], P[:3])

    assert jaccard_score(Y[:3], P[:3], average="macro") == pytest.approx(metric.result().numpy(), rel=1e-15)


@pytest.mark.parametrize("cls", [JaccardAsDocumented, JaccardDeclared])
def test_in_a_function(cls):
    """In a ``tf.function`` it runs on the host, and the result in the same function comes after the update."""
    metric = cls()

    @tf.function
    def step(y, p):
        metric.update_state(y, p)
        return metric.result()

    assert jaccard_score(Y, P, average="macro") == float(step(Y, P))
    assert jaccard_score(Y, P, average="macro") == float(step(Y, P))  # the mean of two equal batches


@pytest.mark.parametrize("cls", [JaccardAsDocumented, JaccardDeclared])
def test_in_fit(replicated, cls):
    """In ``fit`` and ``evaluate`` it is the mean over the batches that the replicas see."""

    class Rounded(cls):
        def update_state(self, y_true, y_pred, sample_weight=None):
            super().update_state(np.ravel(y_true).astype(int), np.ravel(y_pred).astype(int), sample_weight)

    keras = tf.keras
    metric = Rounded(name="jaccard")
    with replicated.scope():
        model = keras.Sequential([keras.layers.Input((1,)), keras.layers.Activation("linear")])
        model.compile(loss="mse", metrics=[metric])
    p, y = np.tile(P, 4).astype("float32").reshape(-1, 1), np.tile(Y, 4).astype("float32").reshape(-1, 1)
    logs = model.evaluate(p, y, batch_size=8, verbose=0, return_dict=True)
    size = 8 // replicated.num_replicas_in_sync
    scores = [jaccard_score(y[i : i + size, 0], p[i : i + size, 0], average="macro") for i in range(0, 24, size)]

    assert np.mean(scores) == pytest.approx(logs["jaccard"], rel=1e-14)


def test_as_documented_needs_a_merge_that_it_does_not_have():
    """A merge names the attributes that nobody declared, and changes nothing."""
    a, b = JaccardAsDocumented(), JaccardAsDocumented()
    a.update_state(Y, P)
    b.update_state(Y, Y)
    before = float(a.result()), float(b.result())

    with pytest.raises(mg.UndeclaredState, match=r"not declared as states: count, jaccard_sum"):
        a.merge_state([b])
    assert before == (float(a.result()), float(b.result()))


def test_as_documented_with_its_own_merge():
    """A ``merge_state`` that was written for Keras 2 works."""

    class Merging(JaccardAsDocumented):
        def merge_state(self, metrics):
            for metric in metrics:
                self.jaccard_sum += metric.jaccard_sum
                self.count += metric.count

    a, b = Merging(), Merging()
    a.update_state(Y, P)
    b.update_state(Y, Y)
    a.merge_state([b])

    assert (jaccard_score(Y, P, average="macro") + 1.0) / 2 == float(a.result())
    assert 1.0 == float(b.result())


def test_declared_merges():
    """Declared, it merges without a line about it."""
    a, b = JaccardDeclared(), JaccardDeclared()
    a.update_state(Y, P)
    b.update_state(Y, Y)
    a.merge_state([b])

    assert (jaccard_score(Y, P, average="macro") + 1.0) / 2 == float(a.result())


def test_declared_with_a_reset_of_its_own():
    """States may be declared and still be set in ``reset_state``, as numbers."""

    class Both(JaccardDeclared):
        def reset_state(self):
            self.jaccard_sum = 0.0
            self.count = 0.0

    metric = Both()
    metric.update_state(Y, P)
    metric.reset_state()
    metric.update_state(Y, Y)

    assert 1.0 == float(metric.result())
    assert 1.0 == float(copy.deepcopy(metric).result())


def test_empty_declared_is_nan():
    """An empty sum over an empty count is NaN, not an exception."""
    assert np.isnan(float(JaccardDeclared().result()))


def test_update_gets_eager_tensors_on_the_cpu():
    """``numpy()`` works in an update, and TensorFlow's operations run eagerly on the CPU."""
    seen = []

    class Spy(mg.PyMetric):
        def update_state(self, y_true, y_pred, sample_weight=None):
            doubled = tf.add(y_pred, y_pred)
            seen.append((tf.executing_eagerly(), doubled.device, y_true.numpy().tolist()))

        def result(self):
            return 0.0

    metric = Spy()
    metric.update_state([1, 2], [3.0, 4.0])
    tf.function(lambda y, p: metric.update_state(y, p))(tf.constant([1, 2]), tf.constant([3.0, 4.0]))

    assert [(True, [1, 2])] * 2 == [(eager, values) for eager, _, values in seen]
    assert all(device.endswith("CPU:0") for _, device, _ in seen)


def test_call_updates_and_returns_the_result():
    """Calling the metric is an update and its result."""
    assert 1.0 == float(JaccardDeclared()(Y, Y))
