"""A result is a number, an array, or dicts of them, and keeps its structure."""

import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import roc_auc_score

import mergeable as mg


class Scores(mg.PyMetric):
    """Returns what it is told to, computed from exact sums."""

    total = mg.Sum()

    def __init__(self, kind, name="scores", **kwargs):
        super().__init__(name=name, **kwargs)
        self.kind = kind

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.total += y_pred

    def result(self):
        total = self.total.result()
        return {
            "scalar": total,
            "whole": int(total),
            "array": np.array([total, total + 1]),
            "dict": {"a": total, "b": np.array([total, 0.0])},
            "nested": {"outer": {"inner": total, "list": [total, 2]}},
        }[self.kind]


@pytest.mark.parametrize("kind", ["scalar", "whole", "array", "dict", "nested"])
def test_in_a_function_and_in_eager_code(kind):
    """Both give the same structure and the same values."""
    metric = Scores(kind)
    step = tf.function(lambda p: (metric.update_state(p, p), metric.result())[1])
    shown = step(tf.constant([1.0, 2.0]))
    tf.nest.assert_same_structure(metric.result(), shown)

    for left, right in zip(tf.nest.flatten(metric.result()), tf.nest.flatten(shown), strict=True):
        assert np.array_equal(left.numpy(), right.numpy())
        assert left.shape == right.shape


def test_in_fit(replicated, trained, rng):
    """Every structure passes through ``fit`` and ``evaluate``, under a strategy too."""
    kinds = ["scalar", "whole", "array", "dict"]  # lists within a nested one Keras cannot show
    model = trained(replicated, [Scores(kind, name=kind) for kind in kinds])
    x, y = rng.normal(size=(8, 3)).astype("float32"), np.ones((8, 1), "float32")
    history = model.fit(x, y, batch_size=4, verbose=0).history
    logs = model.evaluate(x, y, batch_size=4, verbose=0, return_dict=True)

    assert set(history) == set(logs) | ({"loss"} & set(history))
    names = {"scalar", "whole", "array", "dict_a", "dict_b"}
    assert names <= set(logs)
    assert {*map(float, logs["array"] - logs["scalar"])} == {0.0, 1.0}


def test_nested_dicts_in_fit(replicated, trained, rng):
    """A dict in a dict reaches the logs."""

    class Nested(mg.PyMetric):
        rows = mg.Count()

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.rows += len(y_true)

        def result(self):
            return {"outer": {"rows": self.rows.result()}}

    metric = Nested(name="nested")
    model = trained(replicated, [metric])
    x, y = rng.normal(size=(8, 3)).astype("float32"), np.ones((8, 1), "float32")
    logs = model.evaluate(x, y, batch_size=4, verbose=0, return_dict=True)

    assert 8 == logs["nested_outer_rows"]


def test_double_precision():
    """A result keeps the bits of a float64."""
    metric = Scores("scalar")
    step = tf.function(lambda p: (metric.update_state(p, p), metric.result())[1])

    assert np.float64(0.1).tobytes() == step(tf.constant([0.1], tf.float64)).numpy().tobytes()


def test_static_shape():
    """The tensors of a step have known shapes."""
    metric = Scores("dict")
    step = tf.function(lambda p: (metric.update_state(p, p), metric.result())[1])
    outputs = step.get_concrete_function(tf.TensorSpec([None], tf.float32)).structured_outputs

    assert {"a": (), "b": (2,)} == {name: tuple(t.shape) for name, t in outputs.items()}


def test_changed_structure_is_refused():
    """A result that changes its structure between calls names both and says what to do."""

    class Changing(mg.PyMetric):
        rows = mg.Count()

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.rows += len(y_true)

        def result(self):
            return {"a": 0.0, "b": 1.0} if self.rows else {"a": 0.0}

    metric = Changing()
    step = tf.function(lambda p: (metric.update_state(p, p), metric.result())[1])

    with pytest.raises(ValueError, match=r"Changing.result: got \{'a': 0.0, 'b': 1.0\}, expected the structure .*empty_result"):
        step(tf.ones([2]))


def test_changed_shape_is_refused():
    """An array that grows is refused in a step, and fine in eager code."""

    class Growing(mg.PyMetric):
        rows = mg.Rows("p")

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.rows.update(y_pred)

        def result(self):
            return self.rows.result()["p"]

    metric = Growing()
    step = tf.function(lambda p: (metric.update_state(p, p), metric.result())[1])

    with pytest.raises(ValueError, match="expected the structure and shapes"):
        step(tf.ones([2]))
    assert [1.0, 1.0] == metric.result().numpy().tolist()


def test_a_result_that_fails_on_nothing_is_a_number(through):
    """scikit-learn's functions fail on empty arrays; the step then takes one number."""

    class Auroc(mg.PyMetric):
        rows = mg.Rows("y", "p")

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.rows.update(y=np.ravel(y_true), p=np.ravel(y_pred))

        def result(self):
            rows = self.rows.result()
            return roc_auc_score(rows["y"], rows["p"])

    rng = np.random.default_rng(0)
    y, p = np.tile([[0.0], [1.0]], (8, 1)).astype("float32"), rng.normal(size=(16, 1)).astype("float32")
    logs = through(tf.distribute.get_strategy(), [Auroc(name="auroc")]).evaluate(
        p, y, batch_size=4, verbose=0, return_dict=True
    )

    assert roc_auc_score(y, p) == logs["auroc"]


def test_a_declared_structure():
    """A metric whose result fails on nothing may declare its structure."""

    class Report(mg.PyMetric):
        empty_result = {"first": 0.0, "all": [0.0, 0.0]}
        rows = mg.Rows("p")

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.rows.update(y_pred)

        def result(self):
            values = self.rows.result()["p"]
            return {"first": values[0], "all": list(values[:2])}

    metric = Report()
    step = tf.function(lambda p: (metric.update_state(p, p), metric.result())[1])

    assert 1.0 == float(step(tf.constant([2.0, 1.0]))["first"])


def test_strings_and_what_a_step_cannot_show():
    """Strings can be shown by a step; a set cannot, and the error says so when the step is traced."""

    class Answers(mg.PyMetric):
        answer = "text"

        def update_state(self, y_true, y_pred, sample_weight=None):
            pass

        def result(self):
            return {"text": "yes", "set": {1}}[self.answer]

    metric = Answers()
    step = tf.function(lambda: metric.result())

    assert b"yes" == step().numpy()

    metric.answer = "set"

    with pytest.raises(TypeError, match=r"Answers.result: got \{1\} \(set\), expected a number"):
        tf.function(lambda: metric.result())()
    assert {1} == metric.result()


def test_result_after_an_update_in_a_nested_function():
    """An update hidden in an inner function is not missed by a result in the outer one."""
    metric = Scores("scalar")
    inner = tf.function(lambda p: metric.update_state(p, p))

    @tf.function
    def outer(p):
        metric.update_state(p, p)
        inner(p * 10)
        return metric.result()

    assert 33.0 == float(outer(tf.constant([1.0, 2.0])))


def test_reset_in_a_function():
    """A reset in a graph takes place in the order of the program."""
    metric = Scores("scalar")

    @tf.function
    def step(p):
        metric.update_state(p, p)
        before = metric.result()
        metric.reset_state()
        return before, metric.result()

    for _ in range(2):
        before, after = step(tf.constant([1.0, 2.0]))

        assert (3.0, 0.0) == (float(before), float(after))


class Computed(mg.PyMetric):
    """Returns what TensorFlow or Keras compute from its states."""

    right = mg.Sum()
    rows = mg.Count()

    def __init__(self, compute, **kwargs):
        super().__init__(**kwargs)
        self.compute = compute

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.right += tf.reduce_sum(y_true)
        self.rows += len(y_true)

    def result(self):
        return self.compute(tf.constant(self.right.result()), tf.constant(float(self.rows)))


COMPUTED = {
    "number": tf.math.divide_no_nan,
    "dict": lambda right, rows: {"mean": tf.sqrt(tf.math.divide_no_nan(right, rows)) ** 2},
    "array": lambda right, rows: tf.stack([tf.math.divide_no_nan(right, rows), rows]),
    "keras": lambda right, rows: (
        tf.keras.ops.mean(tf.keras.ops.divide_no_nan(right, rows))
        if hasattr(tf.keras, "ops")
        else tf.keras.backend.mean(tf.math.divide_no_nan(right, rows))
    ),
}


def test_tensors(replicated, through):
    """What a result computes with TensorFlow or Keras passes through ``evaluate``, as eager code gives it."""
    y = np.arange(8, dtype="float32")[:, None]
    metrics = [Computed(compute, name=name) for name, compute in COMPUTED.items()]
    logs = through(replicated, metrics).evaluate(y, y, batch_size=4, verbose=0, return_dict=True)
    shown = [float(np.ravel(logs[name])[0]) for name in ("number", "dict_mean", "array", "keras")]

    assert [pytest.approx(3.5)] * 4 == shown


def test_tensors_in_attributes(through):
    """So does the result of a metric written for tf_keras's ``PyMetric``, without declared states."""

    class Accuracy(mg.PyMetric):
        def reset_state(self):
            self.right, self.rows = 0, 0

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.right += int(tf.reduce_sum(tf.cast(tf.equal(y_true > 3, y_pred > 3), tf.int32)))
            self.rows += int(tf.size(y_true))

        def result(self):
            return tf.math.divide_no_nan(tf.constant(self.right, tf.float32), tf.constant(self.rows, tf.float32))

    y = np.arange(8, dtype="float32")[:, None]
    model = through(tf.distribute.get_strategy(), [Accuracy(name="accuracy")])

    assert 1.0 == model.evaluate(y, y, batch_size=4, verbose=0, return_dict=True)["accuracy"]
