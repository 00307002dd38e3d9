"""The ready-made metrics in Keras: the bits of one process under every strategy."""

import numpy as np
import pytest
import tensorflow as tf

from mergeable import metrics
from mergeable.canonical import canonical_bytes
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
