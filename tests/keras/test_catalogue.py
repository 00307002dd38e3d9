"""States of the catalogue inside a Keras metric: under every strategy what one process would show."""

import numpy as np
import pytest
import tensorflow as tf

import mergeable as mg
from mergeable.encoding.canonical import canonical_bytes


class Errors(mg.Metric):
    """A metric without a framework, to be sliced."""

    mean = mg.Mean()

    def update_state(self, y_true, y_pred):
        self.mean.update(np.abs(y_true - y_pred))

    def result(self):
        return self.mean.result()


class BySign(mg.PyMetric):
    """Slices found at run time, with intervals, of a window of rows."""

    errors = mg.Sliced(mg.Bootstrap(Errors(), replicates=5), by=lambda ids, y_true, _: (y_true.ravel() > 0).tolist())
    recent = mg.Windowed(mg.Sum(), last=40)
    once = mg.Deduplicated(mg.Sum(), "y_true")

    def update_state(self, y_true, y_pred, sample_weight=None):
        y_true, y_pred = y_true.numpy(), y_pred.numpy()
        ids = (1e3 * np.abs(y_true.ravel())).astype(int)
        self.errors.update(ids, y_true, y_pred)
        self.once.update(ids, y_true.ravel())
        for i, value in zip(ids.tolist(), y_true.ravel(), strict=True):
            self.recent.update(i, value)

    def result(self):
        return {"all": self.errors.overall(), "recent": self.recent.result(), "once": self.once.result()}

    def by_sign(self):
        """Return the interval of each slice."""
        return {key: tuple(self.errors[key].estimate()) for key in self.errors.result().slices}


@pytest.fixture(scope="module")
def data():
    x = np.random.default_rng(0).integers(-20, 20, (120, 1)).astype(np.float32) / 10
    return x + np.float32(0.05), x


@pytest.fixture(scope="module")
def alone(data):
    metric = BySign()
    metric.update_state(*data[::-1])
    return metric


def test_replicas_show_the_same(replicated, through, data, alone):
    """The value of an epoch, and what is read afterwards, have the bytes of one process and one pass."""
    with replicated.scope():
        metric = BySign()
    model = through(replicated, metrics=[metric])
    y, x = data
    shown = model.evaluate(y, x, batch_size=8, verbose=0, return_dict=True)
    expected = alone.result()
    assert {np.float32(value) for value in expected.values()} <= {np.float32(value) for value in shown.values()}
    assert canonical_bytes(alone.by_sign()) == canonical_bytes(metric.by_sign())


def test_keras_metrics_are_states_too():
    """A Keras metric, and one that hosts another, has a state of its own under each key, and gets NumPy arrays."""

    class Largest(mg.PyMetric):
        largest = mg.Max()

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.largest.update(y_true - y_pred)

        def result(self):
            return self.largest.result()

    for metric in (Largest(), mg.PyMetric.of(Errors())):
        keyed = mg.Keyed(metric)
        keyed.update(["a", "b"], tf.constant([1.0, 2.0]), tf.constant([0.0, 0.0]))
        assert {"a": 1.0, "b": 2.0} == keyed.result()


def test_snapshots_of_replicas_merge(data, alone):
    """Halves in two metrics merge, by their files, into the whole."""
    halves = [BySign(), BySign()]
    for half, rows in zip(halves, (slice(None, 51), slice(51, None)), strict=True):
        half.update_state(tf.constant(data[1][rows]), tf.constant(data[0][rows]))
    merged = BySign()
    merged.merge_state([half.snapshot() for half in halves])
    assert canonical_bytes(alone.by_sign()) == canonical_bytes(merged.by_sign())
    assert canonical_bytes(alone.result()) == canonical_bytes(merged.result())
