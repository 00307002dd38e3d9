"""The ready-made metrics in Keras: the bits of one process under every strategy."""

import numpy as np
import pytest
import tensorflow as tf

import mergeable as mg
from mergeable import metrics
from mergeable.encoding.canonical import canonical_bytes
from mergeable.keras import AUROC, PyMetric


@pytest.fixture
def data(rng):
    scores = (rng.random((101, 1)) * 0.01).astype(np.float32)
    return scores, (rng.random((101, 1)) < 50 * scores).astype(np.float32)


@pytest.mark.parametrize("weighted", [False, True])
def test_every_strategy_shows_the_same(strategy, through, data, rng, weighted):
    """``evaluate`` and ``fit`` show the value of one process and one pass, also of weighted rows."""
    scores, labels = data
    weights = rng.integers(0, 3, 101).astype(np.float32) if weighted else None
    with strategy.scope():
        metric = AUROC(weighted=weighted)
    model = through(strategy, **{"weighted_metrics" if weighted else "metrics": [metric]})
    shown = model.evaluate(scores, labels, sample_weight=weights, batch_size=8, verbose=0, return_dict=True)
    alone = metrics.AUROC(weighted=weighted)
    alone.update_state(labels, scores, weights)

    assert np.float32(alone.result()) == np.float32(shown["auroc"])
    assert canonical_bytes(tuple(alone.estimate())) == canonical_bytes(tuple(metric.metric.estimate()))


def test_configuration():
    """The metric comes back from its configuration."""
    metric = AUROC(precision=9, weighted=True, name="mine")
    twin = type(metric).from_config(metric.get_config())
    assert isinstance(twin, PyMetric)
    assert ("mine", 9, True) == (twin.name, twin.metric.scores.precision, twin.metric.scores.weighted)
    assert tf.keras.metrics.Metric in type(twin).__mro__


@pytest.mark.skipif("tf_keras" in tf.keras.metrics.Metric.__module__, reason="tf_keras asks no metric, but its name")
@pytest.mark.parametrize("callback", [tf.keras.callbacks.EarlyStopping, tf.keras.callbacks.ReduceLROnPlateau])
def test_callbacks_know_which_way_is_better(callback, trained, data):
    """A callback that monitors a ready-made metric needs no mode; of a metric that does not say, Keras asks for one."""
    x = np.tile(data[0], (1, 3))
    chosen = callback(monitor="val_auroc", patience=1)
    model = trained(tf.distribute.get_strategy(), [AUROC()])
    model.fit(x, data[1], validation_data=(x, data[1]), verbose=0, callbacks=[chosen])

    assert tf.keras.ops.greater is chosen.monitor_op
    assert all(hasattr(getattr(metrics, name), "_direction") for name in metrics.__all__)
    assert not hasattr(PyMetric.of(Silent()), "_direction")


class Silent(mg.Metric):
    """A metric that does not say which way is better."""


def test_stateless_verbs_are_refused():
    """What must not change the metric cannot be done, and does not change it."""
    metric = AUROC()
    metric.update_state([0, 1], [0.1, 0.2])
    for verb, arguments in (("update_state", ([], [0, 1], [0.5, 0.1])), ("reset_state", ())):
        with pytest.raises(TypeError, match=rf"AUROC.stateless_{verb}: got a call that must not change the metric"):
            getattr(metric, f"stateless_{verb}")(*arguments)

    assert 1.0 == float(metric.result())
