"""compile, fit and evaluate in all their forms."""

import gc
import weakref

import numpy as np
import pytest
import tensorflow as tf

import mergeable as mg
from tests.keras.graphs import calls
from tests.keras.zoo import RowCount, Total, flat
from tests.notes import notes


class WeightedMean(mg.PyMetric):
    """The weighted mean of predictions, and the shapes of the weights that came."""

    mean = mg.Mean()
    scratch = ("shapes",)

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.shapes = getattr(self, "shapes", set()) | {None if sample_weight is None else len(sample_weight.shape)}
        self.mean.update(y_pred, None if sample_weight is None else sample_weight)

    def result(self):
        return self.mean.result()


def test_weighted_metrics(replicated, through, rng):
    """``weighted_metrics`` get the weights, ``metrics`` do not."""
    plain, weighted = WeightedMean(name="plain"), WeightedMean(name="weighted")
    model = through(replicated, [plain], weighted_metrics=[weighted])
    p = rng.normal(size=(12, 1)).astype("float32")
    w = rng.integers(0, 3, 12).astype("float32")
    logs = model.evaluate(p, p, sample_weight=w, batch_size=8, verbose=0, return_dict=True)
    expected, expected_weighted = mg.Mean(), mg.Mean()
    expected.update(p)
    expected_weighted.update(p, w)

    assert expected.result() == logs["plain"]
    assert expected_weighted.result() == logs["weighted"]


@pytest.mark.parametrize("shape", [(12,), (12, 1)])
def test_weights_of_every_shape_that_keras_passes(through, rng, shape):
    """Weights for each row come as (n,) or (n, 1)."""
    metric = WeightedMean(name="weighted")
    model = through(tf.distribute.get_strategy(), None, weighted_metrics=[metric])
    p = rng.normal(size=(12, 1)).astype("float32")
    w = rng.integers(0, 3, shape).astype("float32")
    model.evaluate(p, p, sample_weight=w, batch_size=4, verbose=0)
    expected = mg.Mean()
    expected.update(p[:, 0], w.reshape(-1))

    assert expected.result() == float(metric.result())


def test_temporal_weights(rng):
    """Weights for each step of a sequence come as (n, steps)."""
    keras = tf.keras
    model = keras.Sequential([keras.layers.Input((5, 1)), keras.layers.Activation("linear")])
    p = rng.normal(size=(6, 5, 1)).astype("float32")
    w = rng.integers(0, 3, (6, 5)).astype("float32")

    class PerStep(WeightedMean):
        def update_state(self, y_true, y_pred, sample_weight=None):
            self.mean.update(y_pred[..., 0], sample_weight[..., 0] if len(sample_weight.shape) == 3 else sample_weight)

    metric = PerStep(name="weighted")
    model.compile(loss="mse", weighted_metrics=[metric])
    model.evaluate(p, p, sample_weight=w, batch_size=4, verbose=0)
    expected = mg.Mean()
    expected.update(p[..., 0], w)

    assert expected.result() == float(metric.result())


def test_weights_that_do_not_fit_are_refused():
    """Weights of a wrong length name the shapes, the metric and its method."""
    metric = WeightedMean(name="weighted")

    with pytest.raises(ValueError, match=r"weights of shape \(2,\) for values of shape \(3,\)") as caught:
        metric.update_state([0.0, 0.0, 0.0], [1.0, 2.0, 3.0], [1.0, 1.0])
    assert "WeightedMean.update_state (metric 'weighted', replica 0)" in notes(caught.value)[0]
    assert not metric.coverage


def test_class_weights_reach_weighted_metrics(trained, rng):
    """``class_weight`` arrives as weights."""
    metric = WeightedMean(name="weighted")
    model = trained(tf.distribute.get_strategy(), None, weighted_metrics=[metric])
    x, y = rng.normal(size=(8, 3)).astype("float32"), np.tile([[0], [1]], (4, 1))
    model.fit(x, y, class_weight={0: 1.0, 1: 3.0}, batch_size=4, verbose=0)

    assert metric.shapes in ({1}, {2})
    assert 16.0 == metric.mean.weight


def test_several_outputs(replicated, rng):
    """Each output has metrics of its own."""
    keras = tf.keras
    with replicated.scope():
        entry = keras.layers.Input((2,))
        left = keras.layers.Lambda(lambda x: x[:, :1], name="left", output_shape=(1,))(entry)
        right = keras.layers.Lambda(lambda x: x[:, 1:], name="right", output_shape=(1,))(entry)
        model = keras.Model(entry, {"left": left, "right": right})
        model.compile(
            loss={"left": "mse", "right": "mse"},
            metrics={"left": [Total(name="t")], "right": [Total(name="t"), RowCount(name="n")]},
        )
    p = rng.normal(size=(10, 2)).astype("float32")
    logs = model.evaluate(p, {"left": p[:, :1], "right": p[:, 1:]}, batch_size=8, verbose=0, return_dict=True)

    def exact(column):
        total = mg.Sum()
        total.update(p[:, column])
        return total.result()

    assert (exact(0), exact(1), 10) == (logs["left_t"], logs["right_t"], logs["right_n"])


def test_steps_per_execution(trained, rng):
    """Several steps in one execution count every row, and the value is that of all of them."""
    model = trained(tf.distribute.get_strategy(), [RowCount(name="rows")], steps_per_execution=3)
    x, y = rng.normal(size=(20, 3)).astype("float32"), np.ones((20, 1), "float32")
    history = model.fit(x, y, batch_size=4, epochs=2, verbose=0).history

    assert [20, 20] == [int(v) for v in history["rows"]]
    assert 20 == int(model.evaluate(x, y, batch_size=4, verbose=0, return_dict=True)["rows"])


@pytest.mark.parametrize("run_eagerly", [False, True])
def test_fit_on_a_data_set(replicated, trained, rng, run_eagerly):
    """A ``tf.data`` pipeline with a short last batch counts every row."""
    metric = RowCount(name="rows")
    model = trained(replicated, [metric], run_eagerly=run_eagerly)
    x, y = rng.normal(size=(18, 3)).astype("float32"), np.ones((18, 1), "float32")
    model.fit(tf.data.Dataset.from_tensor_slices((x, y)).batch(8), epochs=2, verbose=0)

    assert 18 == int(metric.result())


def test_one_callback_a_step(through, rng):
    """A step's graph calls the host once for each metric, and the user's methods run once a step."""
    from tests.keras.conftest import mirrored

    class Counted(RowCount):
        pass

    y = rng.normal(size=(16, 1)).astype("float32")
    model = through(mirrored(2), [Counted(name="rows")])
    model.evaluate(y, y, batch_size=8, verbose=0)
    Counted.updates = Counted.results = 0
    model.evaluate(y, y, batch_size=8, verbose=0)

    assert 4 == Counted.updates  # two steps of two replicas
    assert Counted.results <= 3  # one a step, and the last one for the logs


@pytest.mark.parametrize("hand_over", ["now", "queued"])
def test_a_function_calls_the_host_once(hand_over):
    """An update and its result in one function are one call of the host, in each step or in a branch for those where it is due."""
    metric = RowCount()
    metric.hand_over = hand_over

    @tf.function
    def step(y):
        metric.update_state(y, y)
        return metric.result()

    graph = step.get_concrete_function(tf.TensorSpec([None], tf.float32)).graph

    assert {"now": {"step": 1, "branch": 0}, "queued": {"step": 0, "branch": 1}}[hand_over] == calls(graph)


def test_a_traced_function_can_go():
    """A metric keeps no graph alive: a function that was traced with it is collected when its user lets go."""
    metric = RowCount()

    def trace():
        step = tf.function(lambda y: (metric.update_state(y, y), metric.result())[1])
        step(tf.ones([2]))
        return weakref.ref(step.get_concrete_function(tf.TensorSpec([2], tf.float32)).graph)

    graph = trace()
    gc.collect()

    assert graph() is None
    assert 2 == int(metric.result())


def test_a_result_that_nobody_reads_is_not_computed():
    """A function that only updates does not compute the result."""

    class Counted(RowCount):
        pass

    metric = Counted()
    step = tf.function(lambda y: metric.update_state(y, y))
    step(tf.ones([3]))
    Counted.results = 0
    step(tf.ones([3]))

    assert 0 == Counted.results
    assert 6 == int(metric.result())


def test_no_update_before_the_first_step(replicated, trained, rng):
    """What Keras traces to build a model is not counted."""
    metric = RowCount(name="rows")
    model = trained(replicated, [metric])
    x, y = rng.normal(size=(8, 3)).astype("float32"), np.ones((8, 1), "float32")
    model.fit(x, y, batch_size=8, verbose=0)

    assert 8 == metric.coverage.rows


def test_evaluate_inside_fit(trained, rng):
    """A validation in an epoch does not disturb the metric of the training."""

    class Evaluates(tf.keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.inner = self.model.evaluate(x[:3], y[:3], verbose=0, return_dict=True)

    callback = Evaluates()
    model = trained(tf.distribute.get_strategy(), [RowCount(name="rows")])
    x, y = rng.normal(size=(9, 3)).astype("float32"), np.ones((9, 1), "float32")
    history = model.fit(x, y, batch_size=4, epochs=2, verbose=0, callbacks=[callback]).history

    assert [9, 9] == [int(v) for v in history["rows"]]
    assert 3 == int(callback.inner["rows"])


def test_a_metric_in_fit_and_then_in_eager_code(trained, rng):
    """A metric that was used in ``fit`` goes on outside of it."""
    metric = RowCount(name="rows")
    model = trained(tf.distribute.get_strategy(), [metric])
    x, y = rng.normal(size=(9, 3)).astype("float32"), np.ones((9, 1), "float32")
    model.fit(x, y, batch_size=4, verbose=0)
    metric.update_state(flat(y), flat(y))

    assert 18 == int(metric.result())


def test_progress_bar_shows_the_value(trained, rng, capfd):
    """The progress bar shows the metric by its name."""
    model = trained(tf.distribute.get_strategy(), [RowCount(name="rows_seen")])
    x, y = rng.normal(size=(8, 3)).astype("float32"), np.ones((8, 1), "float32")
    model.fit(x, y, batch_size=4, verbose=2)

    assert "rows_seen: 8.0" in capfd.readouterr().out
