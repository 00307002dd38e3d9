"""Any metric without a framework is a Keras metric too."""

import numpy as np
import pytest
import tensorflow as tf

import mergeable as mg


class Worst(mg.Metric):
    """The largest error; written for NumPy."""

    worst = mg.Max()
    rows = mg.Count()

    def __init__(self, scale=1.0, name=None):
        super().__init__(name=name)
        self.scale = scale

    def update_state(self, y_true, y_pred, sample_weight=None):
        assert isinstance(y_true, np.ndarray)
        self.worst += np.abs(y_true - y_pred).max() * self.scale
        self.rows += len(y_true)

    def result(self):
        return {"worst": self.worst.result(), "rows": self.rows.result()}


def test_in_fit(replicated, through, rng):
    """In Keras it gives what it gives without, to the bit."""
    y, p = rng.normal(size=(11, 1)).astype("float32"), rng.normal(size=(11, 1)).astype("float32")
    metric = Worst(scale=2.0)
    logs = through(replicated, [mg.PyMetric.of(metric)]).evaluate(p, y, batch_size=8, verbose=0, return_dict=True)
    alone = Worst(scale=2.0)
    alone.update_state(y, p)

    assert alone.result() == metric.result()
    assert alone.result()["worst"] == logs["worst_worst"]
    assert 11 == int(logs["worst_rows"])


def test_name_coverage_and_repr():
    """The face has the metric's name and coverage."""
    face = mg.PyMetric.of(Worst(name="biggest"))
    face.update_state([1.0], [2.0])

    assert ("biggest", 1) == (face.name, face.coverage.rows)
    assert "PyMetric.of(<Worst biggest = {'worst': 1.0, 'rows': 1} (1 update, 1 row, replica 0)>)" == repr(face)


def test_merge_and_reset():
    """Merging faces merges their metrics; what a metric held before is kept when it gets a face."""
    a, b = Worst(), Worst()
    a.update_state(np.ones(2), np.zeros(2))
    b.update_state(np.ones(3), np.zeros(3))
    face = mg.PyMetric.of(a)
    face.merge_state([mg.PyMetric.of(b)])

    assert 5 == int(face.result()["rows"])

    face.reset_state()

    assert 0 == a.result()["rows"]


def test_configuration():
    """A configuration names the class and its arguments, and builds only what is defined already."""
    face = mg.PyMetric.of(Worst(scale=3.0), name="w")
    twin = type(face).from_config(face.get_config())

    assert (3.0, "w", Worst) == (twin.metric.scale, twin.name, type(twin.metric))
    with pytest.raises(TypeError, match="expected a metric class that is defined here"):
        type(face).from_config(face.get_config() | {"metric": "os.system"})


def test_other_things_are_refused():
    """What is not a metric, or is a Keras metric already, is refused."""
    with pytest.raises(TypeError, match=r"PyMetric.of: got Mean, expected a mergeable.Metric"):
        mg.PyMetric.of(tf.keras.metrics.Mean())


class Seen(mg.Metric):
    """A metric that knows no weights."""

    rows = mg.Count()

    def update_state(self, y_true, y_pred):
        self.rows += len(y_true)

    def result(self):
        return self.rows.result()


def test_a_metric_without_weights(through, rng):
    """Keras may pass None for weights that a metric does not know; weights themselves are refused."""
    y = rng.normal(size=(6, 1)).astype("float32")
    metric = mg.PyMetric.of(Seen())
    through(tf.distribute.get_strategy(), [metric]).evaluate(y, y, verbose=0)

    assert 6 == int(metric.result())
    with pytest.raises(TypeError, match="sample_weight"):
        metric.update_state(y, y, sample_weight=[1.0] * 6)


def test_an_unknown_sync_is_refused():
    """What a step shows is one of two things."""
    with pytest.raises(ValueError, match=r"Seen\.sync: got 'batch', expected 'epoch' or 'step'"):
        mg.PyMetric.of(Seen(), sync="batch")


@pytest.mark.parametrize("call", ["update_state", "result", "reset_state", "merge_state", "snapshot", "restore"])
def test_its_verbs_inside_of_the_hosted_metric(call):
    """A hosted metric whose update reaches for the Keras metric around it is refused what it may not call of itself."""

    class Reaching(mg.Metric):
        n = mg.Count()
        around = None

        def update_state(self, xs):
            self.n += len(xs)
            if Reaching.around:
                getattr(Reaching.around, call)(*arguments)

        def result(self):
            return self.n.result()

    arguments = {"update_state": [[3.0]], "merge_state": [[Reaching()]], "restore": [Reaching().snapshot()]}.get(call, [])
    metric = mg.PyMetric.of(Reaching())
    metric.update_state([1.0, 2.0])
    Reaching.around = metric
    with pytest.raises(
        mg.MergeableError, match=rf"^Reaching\.{call}: called inside of update_state, expected a call when that"
    ):
        metric.update_state([3.0])
    assert (2, 1) == (int(metric.result()), metric.coverage.updates)
