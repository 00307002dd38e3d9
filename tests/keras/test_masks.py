"""A mask on the predictions is a weight of 0 for what it hides, as in Keras's own metrics."""

import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import roc_auc_score

import mergeable as mg
from mergeable import metrics
from mergeable.keras import AUROC, MetricCollection

keras = tf.keras
ROWS, STEPS = 11, 5


class MeanError(mg.PyMetric):
    """The mean absolute error of all steps."""

    error = mg.Mean()

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.error.update(np.abs(y_true.numpy() - y_pred.numpy()), sample_weight)

    def result(self):
        return self.error.result()


class Dtype(mg.PyMetric):
    """The dtypes of the weights that came."""

    seen = mg.Set()

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.seen.update([sample_weight.dtype.name])

    def result(self):
        return len(self.seen)


def test_a_mask_becomes_numbers(data):
    """In both Kerases the weights are numbers, by which errors can be multiplied."""
    x, y, *_ = data
    metric = Dtype()
    passing(tf.distribute.get_strategy(), metrics=[metric]).evaluate(x, y, verbose=0)

    assert {"float32"} == set(metric.seen.result())


class HostError(mg.Metric):
    """The same without a framework."""

    error = mg.Mean()

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.error.update(np.abs(y_true - y_pred), sample_weight)

    def result(self):
        return self.error.result()


@pytest.fixture
def data(rng):
    """Sequences whose last steps are padding, labels, the mask, and weights."""
    mask = np.arange(STEPS) < rng.integers(1, STEPS, (ROWS, 1))
    x = rng.random((ROWS, STEPS, 1), np.float32) * mask[..., None]
    return x, rng.integers(0, 2, (ROWS, STEPS, 1)).astype(np.float32), mask, rng.random((ROWS, STEPS), np.float32)


def passing(strategy, **compiled):
    """Return a model that masks its input and passes it on."""
    with strategy.scope():
        steps = keras.layers.Input((STEPS, 1))
        model = keras.Model(steps, keras.layers.Activation("linear")(keras.layers.Masking(0.0)(steps)))
        model.compile(loss="mse", **compiled)
    return model


@pytest.mark.parametrize("hand_over", ["queued", "now"])
def test_a_masked_step_does_not_count(replicated, data, hand_over):
    """In ``metrics`` and ``weighted_metrics``, of a PyMetric and of a hosted metric, the hidden steps have no weight."""
    x, y, mask, w = data
    plain, weighted = MeanError(), mg.PyMetric.of(HostError(), name="weighted", hand_over=hand_over)
    plain.hand_over = hand_over
    model = passing(replicated, metrics=[plain], weighted_metrics=[weighted])
    model.evaluate(x, y, sample_weight=w, batch_size=4, verbose=0)
    error, weight = np.abs(y - x)[..., 0].astype(float), (w * mask).astype(float)

    assert pytest.approx(error[mask].mean(), rel=1e-12) == float(plain.result())
    assert pytest.approx((error * weight).sum() / weight.sum(), rel=1e-12) == float(weighted.result())


@pytest.mark.parametrize("row_weights", [None, "rows", "steps"])
def test_it_is_what_keras_does(data, row_weights):
    """Keras's own metric gives the same; weights of a row are those of its steps."""
    x, y, mask, w = data
    weights = {None: None, "rows": w[:, 0], "steps": w}[row_weights]
    if row_weights == "rows":  # which Keras's own metric does not take beside a mask
        y_pred = passing(tf.distribute.get_strategy())(x)
        ours = MeanError()
        ours.update_state(y, y_pred, weights)
        full = np.broadcast_to(weights[:, None], mask.shape) * mask
        assert pytest.approx(np.average(np.abs(y - x)[..., 0], weights=full), rel=1e-6) == float(ours.result())
        return
    ours, theirs = MeanError(), keras.metrics.MeanAbsoluteError(name="theirs")
    shown = passing(tf.distribute.get_strategy(), weighted_metrics=[ours, theirs]).evaluate(
        x, y, sample_weight=weights, verbose=0, return_dict=True
    )

    assert pytest.approx(float(shown["theirs"]), rel=1e-6) == float(ours.result())


def test_ready_made_metrics(data):
    """The area under the curve of weighted rows leaves masked steps out, alone and in a collection."""
    x, y, mask, w = data
    alone = AUROC(precision=23, weighted=True)
    several = MetricCollection({"fine": metrics.AUROC(23, weighted=True), "error": HostError()})
    model = passing(tf.distribute.get_strategy(), weighted_metrics=[alone, several])
    model.evaluate(x, y, sample_weight=w, batch_size=4, verbose=0)
    expected = roc_auc_score(y[mask].ravel(), x[mask].ravel(), sample_weight=w[mask].astype(float))

    assert pytest.approx(expected, rel=1e-9) == float(alone.result()) == float(several.result()["fine"])


def test_temporal_weights_without_a_mask(data):
    """Weights (n, steps) belong to labels (n, steps, 1)."""
    _, y, _, w = data
    x = np.random.default_rng(3).random(y.shape, np.float32)
    model = keras.Sequential([keras.layers.Input((STEPS, 1)), keras.layers.Activation("linear")])
    area = AUROC(precision=23, weighted=True)
    model.compile(loss="mse", weighted_metrics=[area])
    model.evaluate(x, y, sample_weight=w, batch_size=4, verbose=0)

    assert pytest.approx(roc_auc_score(y.ravel(), x.ravel(), sample_weight=w.ravel().astype(float))) == float(area.result())


def test_embedding_and_several_outputs(replicated, rng):
    """``Embedding(mask_zero=True)`` masks too, and each of several named outputs has its own weights."""
    tokens = rng.integers(0, 3, (ROWS, STEPS))
    tokens[:, 0] = 1
    y = rng.normal(size=(ROWS, STEPS, 1)).astype("float32")
    a, b = MeanError(name="m"), MeanError(name="m")
    with replicated.scope():
        steps = keras.layers.Input((STEPS,), dtype="int32")
        embedded = keras.layers.Embedding(3, 1, mask_zero=True)(steps)
        outputs = {"a": keras.layers.Dense(1, name="a")(embedded), "b": keras.layers.Dense(1, name="b")(embedded)}
        model = keras.Model(steps, outputs)
        model.compile(loss={"a": "mse", "b": "mse"}, metrics={"a": [a], "b": [b]})
    model.evaluate(tokens, {"a": y, "b": y + 1}, batch_size=4, verbose=0)
    predicted, mask = model.predict(tokens, verbose=0), tokens > 0

    assert pytest.approx(np.abs(y - predicted["a"])[mask].mean(), rel=1e-5) == float(a.result())
    assert pytest.approx(np.abs(y + 1 - predicted["b"])[mask].mean(), rel=1e-5) == float(b.result())


@pytest.mark.parametrize("in_graph", [False, True], ids=["eager", "graph"])
def test_a_loop_of_ones_own(data, in_graph):
    """In a loop of one's own the mask counts as well; of a dict of predictions, the weights are a dict too."""
    x, y, mask, w = data
    model, seen = passing(tf.distribute.get_strategy()), []

    class Both(mg.PyMetric):
        rows = mg.Count()

        def update_state(self, y_true, y_pred, sample_weight=None):
            seen.append(sample_weight)
            self.rows += len(y_true["a"])

        def result(self):
            return self.rows.result()

    def step(x, y, w):
        y_pred = model(x)
        mean.update_state(y, y_pred)
        weighed.update_state(y, y_pred=y_pred, sample_weight=w)
        both.update_state({"a": y, "b": y}, {"a": y_pred, "b": tf.identity(y_pred)}, sample_weight={"a": w, "b": None})

    mean, weighed, both = MeanError(), MeanError(), Both()
    (tf.function(step) if in_graph else step)(x, y, w)
    error = np.abs(y - x)[..., 0].astype(float)

    assert pytest.approx(error[mask].mean(), rel=1e-12) == float(mean.result())
    assert pytest.approx(np.average(error, weights=w * mask), rel=1e-6) == float(weighed.result())
    assert ROWS == int(both.result())
    assert (w * mask).tolist() == seen[0]["a"].numpy().tolist()
    assert seen[0]["b"] is None


class NoWeights(mg.Metric):
    rows = mg.Count()

    def update_state(self, y_true, y_pred):
        self.rows += y_true.size

    def result(self):
        return self.rows.result()


class NoWeightsInKeras(mg.PyMetric):
    rows = mg.Count()

    def update_state(self, y_true, y_pred):
        self.rows += len(y_true)

    def result(self):
        return self.rows.result()


@pytest.mark.parametrize(
    "make", [NoWeightsInKeras, lambda: mg.PyMetric.of(NoWeights()), lambda: MetricCollection([NoWeights()])]
)
def test_a_metric_that_takes_no_weights_says_so(data, make):
    """Given a mask, it is an error that names the metric and says how to take weights; nothing was counted."""
    x, y, *_ = data
    metric = make()
    model = passing(tf.distribute.get_strategy(), metrics=[metric])

    with pytest.raises(
        TypeError, match=r"NoWeights\w*\.update_state: got a sample_weight, or the mask of a layer, which is one"
    ) as caught:
        model.evaluate(x, y, verbose=0)
    assert "Write update_state(self, y_true, y_pred, sample_weight=None)" in str(caught.value)
    assert not metric.coverage


def test_an_unweighted_area_refuses_a_mask(data):
    """``AUROC()`` counts rows; where a layer masks it asks for ``weighted=True``."""
    x, y, *_ = data
    model = passing(tf.distribute.get_strategy(), metrics=[AUROC()])

    with pytest.raises(ValueError, match=r"Write AUROC\(weighted=True\)"):
        model.evaluate(x, y, verbose=0)


def test_predictions_of_another_name(data):
    """The predictions are the second argument, whatever its name, or the only one; the weights may come by position."""
    x, _, mask, w = data
    y_pred = passing(tf.distribute.get_strategy())(x)

    class Renamed(mg.PyMetric):
        mean = mg.Mean()

        def update_state(self, truth, guess, sample_weight=None):
            self.mean.update(guess, sample_weight)

        def result(self):
            return self.mean.result()

    class Lone(Renamed):
        def update_state(self, values, sample_weight=None):
            self.mean.update(values, sample_weight)

    class Any(Renamed):
        def update_state(self, *args, **kwargs):
            self.mean.update(args[1], args[2] if args[2:] else kwargs.get("sample_weight"))

    renamed, lone, both, bare = Renamed(), Lone(), Any(), Any()
    renamed.update_state(x, guess=y_pred)
    lone.update_state(y_pred)
    both.update_state(x, y_pred, w)
    bare.update_state(x, y_pred)
    expected = x[mask].astype(float).mean()

    assert [pytest.approx(expected, rel=1e-12)] * 3 == [float(m.result()) for m in (renamed, lone, bare)]
    assert pytest.approx(np.average(x[..., 0], weights=w * mask), rel=1e-6) == float(both.result())
