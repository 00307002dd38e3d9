"""A metric goes when its model does, and what a step leaves behind in it does not grow."""

import gc
import weakref

import numpy as np
import pytest
import tensorflow as tf

import mergeable as mg
from mergeable.keras import AUROC
from mergeable.metric.internals import internals
from tests.keras.zoo import RowCount


def now():
    metric = RowCount()
    metric.hand_over = "now"
    return metric


def in_fit(metric, trained):
    model = trained(tf.distribute.get_strategy(), [metric])
    x, y = np.ones((8, 3), np.float32), np.tile([[0.0], [1.0]], (4, 1)).astype(np.float32)
    model.fit(x, y, epochs=2, batch_size=4, validation_data=(x, y), verbose=0)


def in_a_loop(metric, _):
    @tf.function
    def step(y):
        metric.reset_state()
        metric.update_state(y, y)
        return metric.result()

    step(tf.constant([0.0, 1.0]))
    step(tf.constant([1.0, 0.0]))


@pytest.mark.parametrize("use", [in_fit, in_a_loop])
@pytest.mark.parametrize("make", [RowCount, now, AUROC, tf.keras.metrics.AUC])
def test_a_metric_that_was_used_is_collected(make, use, trained):
    """Once its model is gone, and nobody else keeps it, it is gone with its rows, as Keras's own is."""
    metric = make()
    use(metric, trained)
    left = weakref.ref(metric), weakref.ref(metric.metric if make is AUROC else metric)
    del metric
    gc.collect()

    assert (None, None) == tuple(ref() for ref in left)


def test_the_step_of_a_metric_that_is_gone_says_so():
    """A graph keeps a metric alive as little as a variable; a step that outlives it raises."""

    def concrete():
        metric = now()
        return tf.function(lambda y: metric.update_state(y, y), autograph=False).get_concrete_function(tf.ones(2))

    step = concrete()
    gc.collect()

    with pytest.raises(RuntimeError, match=r"RowCount: got a step of a metric that is gone(?s:.*)Keep the metric"):
        step(tf.ones(2))


def test_a_hosted_metric_keeps_its_face():
    """What waits is taken also where a model took the Keras metric with it and its host is kept."""

    class Rows(mg.Metric):
        rows = mg.Count()

        def update_state(self, y_true, y_pred):
            self.rows += len(y_true)

        def result(self):
            return self.rows.result()

    def run(metric):
        face = mg.PyMetric.of(metric)
        step = tf.function(lambda y: face.update_state(y, y))
        for _ in range(3):
            step(tf.ones(2))

    metric = Rows()
    run(metric)
    gc.collect()

    assert 6 == metric.result()


def test_steps_that_are_traced_again_leave_nothing_behind():
    """However often a step is traced, its batches have one place; arguments that differ have places of their own."""
    seen = []

    class Kinds(mg.PyMetric):
        rows = mg.Count()

        def update_state(self, y_true, kind=None):
            seen.append(repr(kind))
            self.rows += 1

        def result(self):
            return self.rows.result()

    metric = Kinds()
    kinds = [1, True, 1.0, 0.0, -0.0, None, "1", 1, 0.0, None]
    for kind in kinds:
        tf.function(lambda y, kind=kind: metric.update_state(y, kind))(tf.ones(2))

    assert len(kinds) == int(metric.result())
    assert [*map(repr, kinds)] == seen
    assert len({repr(kind) for kind in kinds}) == len(internals(metric).queue._call_sites)
