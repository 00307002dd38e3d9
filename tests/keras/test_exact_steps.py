"""A number that leaves a step, and that Keras is not known to read anew, is that of the step."""

import numpy as np
import pytest
import tensorflow as tf

import mergeable as mg
from mergeable.keras import loop
from tests.keras.conftest import STRATEGIES

keras = tf.keras
LEGACY = not hasattr(keras, "version")
Y = np.arange(14, dtype="float32")[:, None]  # seven batches: "auto" computes the first, and one or two before the last


class Rows(mg.PyMetric):
    """The number of rows."""

    rows = mg.Count()

    def update_state(self, y_true, y_pred=None, sample_weight=None):
        self.rows += len(y_true)

    def result(self):
        return self.rows.result()


def built(kind=keras.Model, strategy=None, metric=None, **options):
    """Return a compiled model of a class that passes its input on, and its metric."""
    metric = metric or Rows(name="rows")
    OtherMetrics.extra = (keras.metrics.Mean(name="extra"),)
    with (strategy or tf.distribute.get_strategy()).scope():
        inputs = keras.layers.Input((1,))
        model = kind(inputs, keras.layers.Dense(1)(inputs))
        model.compile(optimizer=keras.optimizers.SGD(0.0), loss="mse", metrics=[metric], **options)
    return model, metric


def ended(model, batch_size=2):
    """Return what ``fit``, its validation and ``evaluate`` end with."""
    data = {"batch_size": batch_size, "verbose": 0}
    history = model.fit(
        Y, Y, epochs=2, validation_data=(Y[:10], Y[:10]), validation_batch_size=2, shuffle=False, **data
    ).history
    return history["rows"] + history["val_rows"] + [model.evaluate(Y, Y, return_dict=True, **data)["rows"]]


# Steps of the user's own.


class Guide(keras.Model):
    """The step of Keras's guide, which files the metrics of ``compile`` under one name."""

    def train_step(self, data):
        logs = super().train_step(data)
        return logs if LEGACY else {m.name: m.result() for m in self.metrics}

    def test_step(self, data):
        logs = super().test_step(data)
        return logs if LEGACY else {m.name: m.result() for m in self.metrics}


class Renamed(keras.Model):
    """Returns the rows alone, as the example of the variational autoencoder does."""

    def _rows(self):
        return next(m for m in getattr(self, "_compile_metrics", self).metrics if m.name == "rows").result()

    def train_step(self, data):
        super().train_step(data)
        return {"rows": self._rows()}

    def test_step(self, data):
        super().test_step(data)
        return {"rows": self._rows()}


class Extra(keras.Model):
    """Adds a log."""

    def train_step(self, data):
        return {**super().train_step(data), "extra": tf.constant(1.0)}

    def test_step(self, data):
        return {**super().test_step(data), "extra": tf.constant(1.0)}


class ExtraMetric(keras.Model):
    """Adds a log where the metrics are computed."""

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        return {**super().compute_metrics(x, y, y_pred, sample_weight), "extra": tf.constant(1.0)}


class ExtraAfterwards(keras.Model):
    """Adds a log outside of the graph."""

    def make_train_function(self, force=False):
        super().make_train_function(force)
        step, self.train_function = self.train_function, lambda it: {**step(it), "extra": 1.0}
        return self.train_function

    def make_test_function(self, force=False):
        super().make_test_function(force)
        step, self.test_function = self.test_function, lambda it: {**step(it), "extra": 1.0}
        return self.test_function


class OtherMetrics(keras.Model):
    """Says that it has other metrics in a step than at the end."""

    extra = ()

    @property
    def metrics(self):
        return [*super().metrics, *(() if tf.executing_eagerly() else OtherMetrics.extra)]


STEPS = [keras.Model, Guide, Renamed, Extra, ExtraMetric, ExtraAfterwards, OtherMetrics]


@pytest.mark.parametrize(("kind", "hand_over"), [*((kind, "queued") for kind in STEPS), (Extra, "now")])
def test_custom_steps(kind, hand_over):
    """Whatever a step returns its results as, every epoch, validation and ``evaluate`` ends with all rows."""
    metric = Rows(name="rows")
    metric.hand_over = hand_over

    assert [14, 14, 10, 10, 14] == ended(built(kind, metric=metric)[0])


@pytest.mark.parametrize("kind", [keras.Model, Extra])
@pytest.mark.parametrize("options", [{"steps_per_execution": 3}, {"run_eagerly": True}], ids=str)
def test_custom_steps_run_otherwise(kind, options):
    """So it is where several steps are one call, and where there is no graph."""
    assert [14, 14, 10, 10, 14] == ended(built(kind, **options)[0])


@pytest.mark.skipif(LEGACY, reason="tf_keras adds up what the replicas' steps return")
def test_custom_steps_of_replicas():
    """So it is where replicas take the step, whose threads are not that of ``fit``."""
    model, _ = built(Extra, STRATEGIES["mirrored-2"]())

    assert 14 == model.evaluate(Y, Y, batch_size=2, verbose=0, return_dict=True)["rows"]


def test_plain_fit_shows_late_values():
    """What Keras reads anew may be late in a step, so that the result is computed a few times, and is exact at the end."""
    computed = []

    class Counted(Rows):
        def result(self):
            computed.append(int(self.rows))
            return self.rows.result()

    y = np.ones((80, 1), "float32")
    for strategy in ("none", "mirrored-2"):
        del computed[:]
        model, _ = built(strategy=STRATEGIES[strategy](), metric=Counted(name="rows"))
        history = model.fit(y, y, batch_size=2, verbose=0).history

        assert [80] == history["rows"]
        assert len(computed) < 20


# Steps that Keras's loop does not call.


@pytest.fixture(params=["traced", "fitted", "interrupted"])
def used(request):
    """A model before ``fit``, after it, and after one that was interrupted."""
    model, metric = built()
    if request.param == "fitted":
        model.fit(Y, Y, batch_size=2, verbose=0)
    if request.param == "interrupted":

        def stop(batch, logs=None):
            if batch == 4:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            model.fit(Y, Y, batch_size=2, verbose=0, callbacks=[keras.callbacks.LambdaCallback(on_train_batch_end=stop)])
    metric.reset_state()
    return model


def test_the_step_of_keras_in_a_loop_of_ones_own(used):
    """The function that ``fit`` calls shows every step's own value where somebody else calls it."""
    used.make_train_function()
    data = iter(tf.data.Dataset.from_tensor_slices((Y, Y)).batch(2))
    shown = [used.train_function(data) for _ in range(7)]

    assert [2, 4, 6, 8, 10, 12, 14] == [int(logs["rows"]) for logs in shown]


def test_on_batches(used):
    """``train_on_batch`` and ``test_on_batch`` show the rows so far: those of the batch, or in tf_keras of all since a reset."""
    options = {"return_dict": True, **({"reset_metrics": False} if LEGACY else {})}
    for verb in (used.train_on_batch, used.test_on_batch):
        used.reset_metrics()
        shown = [verb(Y[:k], Y[:k], **options)["rows"] for k in (1, 2, 3, 4, 5, 6, 7)]

        assert ([1, 3, 6, 10, 15, 21, 28] if LEGACY else [1, 2, 3, 4, 5, 6, 7]) == shown


def test_on_batches_within_fit():
    """A callback that trains on a batch in the middle of an epoch gets that step's value, and so do all others that it calls."""
    model, _ = built()
    data = iter(tf.data.Dataset.from_tensor_slices((Y, Y)).batch(1).repeat())
    shown = []

    def extra(batch, logs=None):
        shown.append(int(model.train_function(data)["rows"]))

    model.fit(Y, Y, batch_size=2, verbose=0, callbacks=[keras.callbacks.LambdaCallback(on_train_batch_end=extra)])

    assert [3, 6, 9, 12, 15, 18, 21] == shown


@pytest.mark.parametrize("strategy", ["none", "mirrored-2"])
def test_functions_of_ones_own(strategy):
    """A ``tf.function`` with Keras's own step in it shows every step's value, and so does one with the metric alone."""
    strategy = STRATEGIES[strategy]() or tf.distribute.get_strategy()
    model, metric = built(strategy=strategy)
    step = tf.function(lambda x, y: strategy.run(model.test_step, args=((x, y),)))
    data = strategy.experimental_distribute_dataset(tf.data.Dataset.from_tensor_slices((Y, Y)).batch(2))
    shown = [strategy.experimental_local_results(step(x, y)["rows"])[0] for x, y in data]

    assert [2, 4, 6, 8, 10, 12, 14] == [int(n) for n in shown]

    alone = tf.function(lambda y: (metric.update_state(y, y), metric.result())[1])
    metric.reset_state()

    assert [2, 4, 6, 8, 10, 12, 14] == [int(alone(tf.ones([2, 1]))) for _ in range(7)]


def test_what_a_user_sets_is_the_users_word():
    """``step_result`` holds in a step of the user's own, too."""

    class Never(Rows):
        step_result = "never"

    class Third(Rows):
        step_result = 3

    assert np.isnan(ended(built(Extra, metric=Never(name="rows"))[0])).all()
    assert [14, 14, 8, 8, 14] == ended(built(Extra, metric=Third(name="rows"))[0])


def test_calls_of_the_host_stay_few():
    """A step of the user's own has one call of the host, or one branch that makes it."""
    for hand_over, expected in (("queued", [0, 1]), ("now", [1, 0])):
        metric = Rows()
        metric.hand_over = hand_over
        step = tf.function(lambda y, m: (m.update_state(y, y), m.result(), m.result()))
        kinds = [op.type for op in step.get_concrete_function(tf.ones([2]), metric).graph.get_operations()]

        assert expected == [kinds.count("EagerPyFunc"), kinds.count("If")]


def test_where_calls_cannot_be_watched_all_is_exact(monkeypatch):
    """Without the private place of TensorFlow where calls are seen, no step shows a late value."""
    monkeypatch.setattr(loop, "is_watched", False)
    shown = []
    model, _ = built()
    keep = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: shown.append(int(logs["rows"])))
    model.fit(Y, Y, batch_size=2, verbose=0, callbacks=[keep])

    assert [2, 4, 6, 8, 10, 12, 14] == shown


# Metrics that Keras meets more than once, or late.


class Named(Rows):
    """The number of rows, in a dict."""

    def result(self):
        return {"rows": self.rows.result()}


@pytest.mark.parametrize("kind", [Rows, Named])
@pytest.mark.parametrize("is_attribute", [False, True], ids=["compiled", "an attribute too"])
def test_a_metric_of_the_model_that_comes_after_its_step_was_traced(kind, is_attribute):
    """Keras finds other names at the end than in the logs of the last step, and shows these: they are those of now."""
    model, metric = built(metric=kind(name="rows" if kind is Rows else "all"))
    if is_attribute:
        model.owned = metric
    name = "rows" if kind is Rows else "all_rows"
    data = {"batch_size": 2, "verbose": 0}
    assert [14.0] == model.fit(Y, Y, **data).history[name]
    assert 10.0 == model.evaluate(Y[:10], Y[:10], return_dict=True, **data)[name]
    model.later = keras.metrics.Mean(name="later")
    assert [14.0, 14.0] == model.fit(Y, Y, epochs=2, **data).history[name]
    assert 10.0 == model.evaluate(Y[:10], Y[:10], return_dict=True, **data)[name]
