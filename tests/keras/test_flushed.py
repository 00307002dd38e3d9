"""TensorFlow's threads flush subnormal numbers to zero; exact states do not notice."""

import numpy as np
import pytest
import tensorflow as tf

import mergeable as mg
from mergeable.encoding.canonical import canonical_bytes
from mergeable.metric.internals import internals
from mergeable.state.access import assign, check_mergeable

TINY = np.array([5e-324, -5e-324, 3e-310, 2.2250738585072014e-308, 1e-300, 0.0, -0.0, 1.5, -1e-309])
STATES = {
    "BottomK": mg.BottomK(k=3),
    "Sum": mg.Sum(),
    "Mean": mg.Mean(),
    "Moments": mg.Moments(),
    "Min": mg.Min(),
    "Max": mg.Max(),
    "FrequentItems": mg.FrequentItems(),
    "LogLinearHistogram": mg.LogLinearHistogram(),
    "CountMin": mg.CountMin(width=9),
    "HyperLogLog": mg.HyperLogLog(4),
    "Histogram": mg.Histogram([-1e-309, 0.0, 5e-324, 1e-308, 1.0]),
    "RankQuantiles": mg.RankQuantiles(),
    "Rows": mg.Rows("x"),
    "Set": mg.Set(),
    "Counter": mg.Counter(),
    "TopK": mg.TopK(3),
    "Tuple": mg.Tuple(mg.Sum(), mg.Max()),
}


class Feeds(mg.PyMetric):
    def __init__(self, state, weighted=False, **kwargs):
        super().__init__(**kwargs)
        self.add_state("fed", state)
        self.weighted = weighted

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.fed.update(*([y_pred, y_true] if self.weighted else [y_pred]))

    def result(self):
        return 0.0


class ScoreFeeds(Feeds):
    def update_state(self, y_true, y_pred, sample_weight=None):
        self.fed.update(y_true, y_pred, sample_weight)


def test_a_callback_flushes():
    """The hazard is real: in a callback the sum of a subnormal number and zero is zero."""
    seen = []

    @tf.function
    def step(x):
        tf.py_function(lambda v: seen.append(float(v.numpy()) + 0.0), [x], [])

    step(tf.constant(5e-324, tf.float64))

    assert [0.0] == seen


@pytest.mark.parametrize("name", STATES)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_same_bytes_inside_and_outside(name, dtype):
    """A state that is fed in a callback ends in the bytes of one that is fed here."""
    values = (TINY if dtype == "float64" else np.float32([1e-45, -1e-45, 1e-40, 3.0, 0.0, -0.0])).astype(dtype)
    inside, outside = Feeds(STATES[name]), STATES[name].empty()
    tf.function(lambda x: inside.update_state(x, x))(tf.constant(values))
    outside.update(values)

    assert canonical_bytes(outside) == canonical_bytes(internals(inside).fold()["fed"])
    assert canonical_bytes(outside.result()) == canonical_bytes(inside.fed.result())


WEIGHTED = {
    "CoMoments": mg.CoMoments(),
    "First": mg.First(),
    "Last": mg.Last(),
    "Mean": mg.Mean(),
    "Moments": mg.Moments(),
    "WeightedBottomK": mg.WeightedBottomK(k=3),
}


@pytest.mark.parametrize("name", WEIGHTED)
def test_weights_inside_and_outside(name):
    """Products, quotients and orders of values and weights are exact in a callback too."""
    weights = np.abs(TINY[::-1]).copy()
    inside, outside = Feeds(WEIGHTED[name], weighted=True), WEIGHTED[name].empty()
    tf.function(lambda w, x: inside.update_state(w, x))(tf.constant(weights), tf.constant(TINY))
    outside.update(TINY, weights)

    assert canonical_bytes(outside) == canonical_bytes(internals(inside).fold()["fed"])


@pytest.mark.parametrize(
    "state", [mg.ScoreHistogram(weighted=True), mg.Calibration(weighted=True)], ids=["scores", "calibration"]
)
def test_labels_and_scores_inside_and_outside(state):
    """Scores and weights are told apart by their bits in a callback too, and a subnormal label is refused there."""
    labels, scores, weights = np.arange(TINY.size) % 2, np.minimum(np.abs(TINY), 1.0), np.abs(TINY[::-1]).copy()
    inside, outside = ScoreFeeds(state), state.empty()
    step = tf.function(lambda y, x, w: inside.update_state(y, x, w))
    step(*map(tf.constant, (labels, scores, weights)))
    outside.update(labels, scores, weights)

    assert canonical_bytes(outside) == canonical_bytes(internals(inside).fold()["fed"])
    step(*(tf.constant([value], tf.float64) for value in (5e-324, 0.5, 1.0)))
    with pytest.raises(Exception, match="expected 0 and 1"):
        inside.result()


KEYS, F32 = TINY[[0, 5, 1, 2, 6]], np.array([1e-45, 0.0, 1.0], np.float32)
NEGATIVE = [np.array([1.0, -5e-324]), np.array([1.0, -1e-45], np.float32)]
UNITS = np.array([5e-324, 1.5e-323, 3.5e-323])


def fed(state, *batch):
    """Return a state that took a batch."""
    state.update(*batch)
    return state


def alone(act):
    """Return the canonical bytes of what an act gives, or the kind of its error."""
    try:
        return canonical_bytes(act())
    except (ValueError, TypeError) as error:
        return type(error)


def in_a_callback(act):
    """Return what an act gives in a thread that flushes."""
    seen = []

    @tf.function
    def step(x):
        tf.py_function(lambda _: seen.append(alone(act)), [x], [])

    step(tf.constant(1.0))
    return seen[0]


ACTS = {
    "Counter": lambda: fed(mg.Counter(), KEYS).result(),
    "Counter of a list": lambda: fed(mg.Counter(), KEYS.tolist()).result(),
    "FrequentItems": lambda: fed(mg.FrequentItems(), KEYS).result(),
    "Keyed": lambda: fed(mg.Keyed(mg.Sum()), KEYS, np.arange(5.0)).result(),
    "Keyed of tuples": lambda: fed(mg.Keyed(mg.Sum()), [(key, "a") for key in KEYS.tolist()], np.arange(5.0)).result(),
    "Sliced": lambda: fed(mg.Sliced(mg.Sum()), KEYS, np.arange(5.0)).result(),
    "sizes": lambda: fed(mg.Sliced(mg.Sum()), KEYS, np.arange(5.0)).sizes(),
    "labels": lambda: fed(mg.ConfusionMatrix(2), KEYS[:2], np.array([0, 1])).result(),
    "labels of float32": lambda: fed(mg.ConfusionMatrix(2), F32, np.array([0, 1, 1])).result(),
    "positives of float32": lambda: fed(mg.ScoreHistogram(), F32, TINY[:3]).result(),
    "Count": lambda: fed(mg.Count(), TINY[1]).result(),
    "Count of an array": lambda: fed(mg.Count(), TINY[[0, 7]]).result(),
    "Count of float32": lambda: fed(mg.Count(), F32).result(),
    "times": lambda: fed(mg.CountMin(4, 1), ["a", "b"], TINY[[1, 5]]).result(),
    "Windowed": lambda: (
        fed(mg.Windowed(mg.Sum(), 2), TINY[1], 1.0).newest,
        fed(mg.Windowed(mg.Sum(), 2), TINY[0], 1.0).newest,
    ),
    "a mean that is set": lambda: mean_set_to(TINY[0]),
    "ddof": lambda: mg.Moments(ddof=float(TINY[0])).parameters,
    "WeightedBottomK": lambda: fed(mg.WeightedBottomK(k=2), ["a", "b", "c"], UNITS).total(),
    "weights of 0": lambda: fed(mg.Keyed(mg.Mean()), ["a", "b", "c"], TINY[:3], np.array([5e-324, 0.0, -0.0])).result(),
    "parameters": lambda: check_mergeable(mg.Histogram([float(TINY[0]), 1.0]), mg.Histogram([0.0, 1.0])),
    **{
        f"negative weights in {type(state).__name__} of {weights.dtype}": lambda state=state, columns=columns, weights=weights: (
            fed(state.empty(), *columns, weights).result()
        )
        for weights in NEGATIVE
        for state, columns in (
            (mg.Mean(), ([1.0, 1.0],)),
            (mg.Moments(), ([1.0, 1.0],)),
            (mg.CoMoments(), ([1.0, 1.0], [1.0, 1.0])),
            (mg.Histogram([0, 1], weighted=True), ([1.0, 1.0],)),
            (mg.ScoreHistogram(weighted=True), ([0, 1], [0.5, 0.5])),
            (mg.Calibration(weighted=True), ([0, 1], [0.5, 0.5])),
            (mg.ConfusionMatrix(weighted=True), ([0, 1], [1, 1])),
            (mg.WeightedBottomK(), (["a", "b"],)),
            (mg.Keyed(mg.Mean()), (["a", "b"], [1.0, 1.0])),
            (mg.Bootstrap(mg.Mean(), 2), (["a", "b"], [1.0, 1.0])),
        )
    },
}


def mean_set_to(value):
    """Return a mean that was set to a number, and its weight."""
    mean = mg.Mean()
    assign(mean, value)
    return mean.result(), mean.weight


@pytest.mark.parametrize("name", ACTS)
def test_what_is_told_apart_by_its_bits(name):
    """Weights, labels, counts, steps and keys of results are in a callback what they are here: taken alike, or refused alike."""
    assert alone(ACTS[name]) == in_a_callback(ACTS[name])


@pytest.mark.parametrize(
    ("name", "values"), [("Sum", [3e-310, -1e-310]), ("Mean", [3e-310, 5e-324]), ("Min", [5e-324, 1e-310])]
)
def test_subnormal_results_leave_the_callback(name, values):
    """A result that is subnormal comes out of a step with its bits."""

    class Shows(Feeds):
        def result(self):
            return self.fed.result()

    metric = Shows(STATES[name])
    step = tf.function(lambda x: (metric.update_state(x, x), metric.result())[1])
    expected = STATES[name].empty()
    expected.update(values)

    assert np.float64(expected.result()).tobytes() == step(tf.constant(values, tf.float64)).numpy().tobytes()
    assert expected.result() != 0.0


@pytest.mark.parametrize("name", STATES)
def test_snapshots_are_written_and_read_inside(name):
    """A snapshot that is written, or read, in a callback is the one that is written and read here."""
    metric = Feeds(STATES[name])
    metric.update_state(TINY, TINY)
    seen = []

    @tf.function
    def step(x):
        def inside(_):
            snapshot = metric.snapshot()
            again = mg.Snapshot.from_bytes(snapshot.to_bytes())
            seen.extend((snapshot.to_bytes(), again.to_bytes(), canonical_bytes(again.states["fed"])))

        tf.py_function(inside, [x], [])

    step(tf.constant(1.0))
    here = metric.snapshot()

    assert [here.to_bytes(), here.to_bytes(), canonical_bytes(here.states["fed"])] == seen
