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
        (faces.AUROC, r"write an instance: metrics=\[AUROC\(\)\]"),
    ],
    ids=["metric", "collection", "class of a metric", "maker"],
)
def test_what_is_no_keras_metric(metric, hint, eager):
    """A metric without Keras, its class, and what makes a Keras metric: the error says how Keras gets one."""
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
        assert [8.0] == [float(shown) for shown in fit(Rows, eager=True)["rows"]]
    assert [] == [float(v) for v in Rows().variables]
