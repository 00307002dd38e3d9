"""A result that fails only for a step to show does not end training; where a number counts, it raises."""

import warnings

import numpy as np
import pytest
import tensorflow as tf

import mergeable as mg
from tests.keras.conftest import STRATEGIES

keras = tf.keras
LEGACY = not hasattr(keras, "version")
Y = np.repeat([0.0, 1.0], 4).astype("float32")[:, None]  # the first two batches of two have one class


class Classes(mg.PyMetric):
    """As scikit-learn's AUROC, fails while there is one class; else returns the mean label."""

    labels = mg.Rows("y")
    error = ValueError

    def update_state(self, y_true, y_pred, sample_weight=None):
        if 13 in np.ravel(y_true):
            raise LookupError("no row 13")
        self.labels.update(np.ravel(y_true))

    def result(self):
        labels = self.labels.result()["y"]
        if len(labels) and len(set(labels)) < 2:
            raise self.error("Only one class is present in y_true.")
        mean = float(np.mean(labels, dtype=float)) if len(labels) else float("nan")
        return {"a": mean, "b": [mean, 1.0]} if self.is_dict else mean

    is_dict = False


def built(kind=keras.Model, strategy="none", step_result="always", metric=Classes, **options):
    metric = metric(name="classes")
    metric.step_result = step_result
    with (STRATEGIES[strategy]() or tf.distribute.get_strategy()).scope():
        inputs = keras.layers.Input((1,))
        model = kind(inputs, keras.layers.Activation("linear")(inputs))
        model.compile(loss="mse", metrics=[metric], **options)
    return model, metric


def shown_by(model, y=Y, name="classes"):
    """Return what the steps of ``evaluate`` show, and what it ends with."""
    shown = []
    keep = keras.callbacks.LambdaCallback(on_test_batch_end=lambda batch, logs: shown.append(float(logs[name])))
    return shown, model.evaluate(y, y, batch_size=2, verbose=0, callbacks=[keep], return_dict=True)[name]


class Custom(keras.Model):
    def test_step(self, data):
        return {**super().test_step(data), "extra": tf.constant(1.0)}


MESSAGE = r"Classes\.result \(metric 'classes'\): steps show NaN while it raises ValueError: Only one class.*step_failure"


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (keras.Model, {}),
        (keras.Model, {"step_result": "auto"}),
        (keras.Model, {"run_eagerly": True}),
        (keras.Model, {"strategy": "one-device"}),
        (Custom, {}),
        (Custom, {"step_result": "auto"}),
        (Custom, {"step_result": "auto", "run_eagerly": True}),
    ],
)
def test_a_step_shows_nan(kind, options):
    """Steps show NaN, one warning names the metric and the exception, and the end is right."""
    model, _ = built(kind, **options)
    with pytest.warns(RuntimeWarning, match=MESSAGE) as told:
        (_, _), (shown, end) = [shown_by(model) for _ in range(2)]
    late = options.get("step_result") == "auto" and kind is keras.Model

    assert np.array_equal([np.nan, np.nan, 1 / 3], shown[:3], equal_nan=True) or late
    assert 0.5 == end
    assert 1 == len([warning for warning in told if warning.category is RuntimeWarning])


def test_the_structure_is_kept():
    """A dict of which no value is known yet has NaN for each."""

    class Dict(Classes):
        is_dict = True

    model, _ = built(metric=Dict)
    with pytest.warns(RuntimeWarning, match="Dict.result"):
        logs = model.test_on_batch(Y[:2], Y[:2], return_dict=True)
    shown = [value for name, value in logs.items() if name != "loss"]

    assert 2 == len(shown)
    assert np.isnan(tf.nest.flatten(shown)[0]).all()


def test_the_end_raises():
    """At the end of an epoch and of ``evaluate``, in eager code and in functions of one's own, it raises as itself."""
    model, metric = built()
    step = tf.function(lambda y: (metric.update_state(y, y), metric.result())[1])
    for end in (lambda: model.evaluate(Y[:4], Y[:4], batch_size=2, verbose=0), metric.result, lambda: step(Y[:2])):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with pytest.raises(ValueError, match=r"^Only one class is present in y_true\."):
                end()


def test_a_type_error_is_not_passed_over():
    """tf_keras passes over a ``TypeError`` at an end, and would show what the last step showed."""

    class Typed(Classes):
        error = TypeError

    model, _ = built(metric=Typed)
    expected = RuntimeError if LEGACY else TypeError
    with pytest.warns(RuntimeWarning), pytest.raises(expected, match="Only one class"):
        model.evaluate(Y[:4], Y[:4], batch_size=2, verbose=0)


@pytest.mark.parametrize("step_result", ["always", "auto"])
def test_raising_at_once(step_result):
    """``step_failure = "raise"`` has the step raise it."""
    model, metric = built(step_result=step_result)
    metric.step_failure = "raise"

    with pytest.raises(ValueError, match=r"^Only one class is present in y_true\."):
        model.evaluate(Y, Y, batch_size=2, verbose=0)


def test_an_update_that_fails_raises():
    """What ``update_state`` raises is no failure of the result."""
    model, _ = built()
    with pytest.raises(LookupError, match="no row 13"):
        model.evaluate(Y[:4], np.array([[0], [1], [13], [13]]), batch_size=2, verbose=0)


def test_what_step_failure_takes():
    """Anything else is refused."""

    class Wrong(Classes):
        step_failure = "warn"

    with pytest.raises(ValueError, match=r"^Wrong\.step_failure: got 'warn', expected 'nan' or 'raise'\.$"):
        Wrong()
    assert "raise" == mg.PyMetric.of(mg.metrics.AUROC(), step_failure="raise").get_config()["step_failure"]
