"""In Keras's logs every value of a result has a name of its own, and arrays are arrays."""

import csv
import re
import warnings

import numpy as np
import pytest
import tensorflow as tf

import mergeable as mg
from mergeable.keras import AUROC, MetricCollection
from tests.keras.conftest import STRATEGIES

keras = tf.keras
LEGACY = not hasattr(keras, "version")
Y = np.arange(6, dtype="float32")[:, None]


class Report(mg.PyMetric):
    """Returns what it is given, filled with the number of rows."""

    rows = mg.Count()

    def __init__(self, shape, name="report", **kwargs):
        super().__init__(name=name, **kwargs)
        self.shape = shape

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.rows += len(y_true)

    def result(self):
        return tf.nest.map_structure(lambda times: times * int(self.rows), self.shape)


def built(metrics, outputs=("left",), strategy="none", kind=keras.Model, **options):
    with (STRATEGIES[strategy]() or tf.distribute.get_strategy()).scope():
        inputs = keras.layers.Input((1,))
        ends = {name: keras.layers.Activation("linear", name=name)(inputs) for name in outputs}
        model = kind(inputs, ends if len(ends) > 1 else ends["left"])
        model.compile(loss="mse", metrics=metrics, **options)
    return model


def logged(model, outputs=("left",)):
    """Return what ``evaluate`` ends with, without the losses."""
    y = dict.fromkeys(outputs, Y) if len(outputs) > 1 else Y
    logs = model.evaluate(Y, y, batch_size=4, verbose=0, return_dict=True)
    return {name: value for name, value in logs.items() if "loss" not in name}


NESTED = {"0": {"precision": 1, "recall": 2}, "1": {"precision": 3, "recall": 4}, "mean": {"all": [5, 6]}}
NAMES = {
    "report_0_precision": 6,
    "report_0_recall": 12,
    "report_1_precision": 18,
    "report_1_recall": 24,
    "report_mean_all": [30, 36],
}


@pytest.mark.parametrize(("strategy", "eagerly"), [("none", False), ("none", True), ("mirrored-2", False)])
def test_names(strategy, eagerly):
    """The keys of nested dicts are joined, and the metric's name comes first."""
    logs = logged(built([Report(NESTED)], strategy=strategy, run_eagerly=eagerly))

    assert NAMES == {name: np.asarray(value).tolist() for name, value in logs.items()}


def test_names_in_history_callbacks_and_files(tmp_path):
    """``fit`` shows the same names to callbacks, to ``history`` and to files, and validation has its prefix; a callback finds them."""
    steps = []
    model = built([Report(NESTED)])
    callbacks = [
        keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: steps.append(set(logs))),
        keras.callbacks.CSVLogger(str(tmp_path / "log.csv")),
        keras.callbacks.EarlyStopping(monitor="val_report_0_precision", mode="min", patience=0),
    ]
    history = model.fit(Y, Y, validation_data=(Y[:2], Y[:2]), batch_size=4, epochs=3, verbose=0, callbacks=callbacks).history
    names = {"loss", *NAMES}

    assert [names, names] == steps[:2]
    assert names | {f"val_{name}" for name in names} == set(history)
    assert [6, 6] == history["report_0_precision"]
    assert [2, 2] == history["val_report_0_precision"]
    with (tmp_path / "log.csv").open(newline="") as file:
        assert "6" == next(csv.DictReader(file))["report_0_precision"].removesuffix(".0")


def test_a_result_keeps_its_structure_in_code():
    """Eager code and functions of one's own get what ``result`` returns."""
    metric = Report(NESTED)
    step = tf.function(lambda y: (metric.update_state(y, y), metric.result())[1])

    assert 3 == int(step(Y[:1])["1"]["precision"])
    assert 6 == int(metric.result()["mean"]["all"][1])


def test_two_metrics_with_one_key():
    """Flat keys carry the metric's name, so equal keys of two metrics stay two."""
    logs = logged(built([Report({"rows": 1}, name="one"), Report({"rows": 2}, name="two")]))

    assert {"one_rows": 6, "two_rows": 12} == logs


def test_outputs():
    """The name of an output comes in front, as Keras has it, also of the names of a collection."""
    several = {
        name: [Report({"rows": times}), MetricCollection([AUROC(), Report(times, name="times")], name="all")]
        for name, times in (("left", 1), ("right", 2))
    }
    logs = built(several, ("left", "right")).evaluate(
        Y / 9, {"left": Y > 2, "right": Y > 2}, batch_size=4, verbose=0, return_dict=True
    )
    logs = {name: value for name, value in logs.items() if "loss" not in name}

    assert {"left_report_rows": 6, "left_auroc": 1.0, "left_times": 6} == {k: v for k, v in logs.items() if "left" in k}
    assert {"right_report_rows": 12, "right_auroc": 1.0, "right_times": 12} == {k: v for k, v in logs.items() if "right" in k}


@pytest.mark.parametrize(
    ("metrics", "name"),
    [
        (lambda: [Report({"a": {"b_c": 1}, "a_b": {"c": 2}})], "report_a_b_c"),
        (lambda: [Report({"b_c": 1}, name="a"), Report({"c": 1}, name="a_b")], "a_b_c"),
        (lambda: [Report({"a": 1}), Report(1, name="report_a")], "report_a"),
        (lambda: [Report(1, name="report_a"), Report({"a": 1})], "report_a"),
        (lambda: [AUROC(), MetricCollection([AUROC()])], "auroc"),
        (lambda: [MetricCollection([AUROC()], name="one"), MetricCollection([AUROC()], name="two")], "auroc"),
        (lambda: [MetricCollection([Report(1, name="loss")])], "loss"),
    ],
)
def test_names_that_meet_are_refused(metrics, name):
    """Two values never share a name: the error says what to do."""
    with pytest.raises(
        ValueError, match=rf"got two values of the name '{name}' in Keras's logs, expected names of their own\. Re"
    ):
        logged(built(metrics()))


def test_a_collection_names_its_values():
    """The values of a collection have the names that it documents, without its own."""
    metric = MetricCollection({"a": Report({"x": 1}), "b": Report(2)}, prefix="p_")

    assert {"p_a_x": 6, "p_b": 12} == logged(built([metric]))


@pytest.mark.skipif(LEGACY, reason="tf_keras keeps dicts whole")
def test_a_step_of_ones_own():
    """Keras 3 loses values of nested dicts that a step returns: where one reads such a dict, a warning says what to do."""

    class Own(keras.Model):
        def test_step(self, data):
            logs = super().test_step(data)
            return {"loss": logs["loss"], "report": report.result()}

    class Guide(keras.Model):
        def test_step(self, data):
            super().test_step(data)
            return {metric.name: metric.result() for metric in self.metrics}

    report = Report(NESTED)
    with pytest.warns(
        UserWarning, match=r"Report\.result .*several values under precision, recall.*self\.get_metrics_result\(\)"
    ):
        logged(built([report], kind=Own))
    assert set(NAMES) == set(logged(built([Report(NESTED)], kind=Guide)))


@pytest.mark.parametrize(
    "read", [lambda report: report.result(), lambda report: report.result()["0"]["recall"]], ids=["all", "one"]
)
def test_an_attribute_in_a_step_of_ones_own(read):
    """At the end of an epoch a dict that a step returned has its names; a number that a step took from it is left alone."""

    class Own(keras.Model):
        def test_step(self, data):
            logs = super().test_step(data)
            self.report.update_state(data[1], data[1])
            return {"loss": logs["loss"], "report": read(self.report)}

    model = built([], kind=Own)
    model.report = Report(NESTED)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logs = logged(model)

    expected = NAMES if "report" not in logs else {"report": 12}

    assert expected == {name: np.asarray(value).tolist() for name, value in logs.items()}
    assert ("report" in logs) == (len(logs) == 1)


# Arrays.


@pytest.mark.parametrize("shape", [[1, 2], (1, 2), np.array([1, 2]), [[1, 2], [3, 4]]], ids=str)
@pytest.mark.parametrize("eagerly", [False, True])
def test_arrays(shape, eagerly):
    """Arrays, and lists of numbers, are NumPy arrays in ``history``, in ``evaluate`` and in what callbacks get."""
    steps = []
    model = built([Report(shape)], run_eagerly=eagerly)
    keep = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: steps.append(logs["report"]))
    history = model.fit(Y, Y, batch_size=4, verbose=0, callbacks=[keep]).history["report"]
    expected = 6 * np.asarray(shape)

    for value in (history[0], model.evaluate(Y, Y, verbose=0, return_dict=True)["report"], model.evaluate(Y, Y, verbose=0)[1]):
        assert isinstance(value, np.ndarray)
        assert np.array_equal(expected, value)
    assert expected.shape == np.shape(steps[0])


@pytest.mark.parametrize("shape", [1, [1, 2], {"a": [1, 2]}], ids=str)
def test_replicas_in_eager_code(shape):
    """Replicas show one value in eager code too, which tf_keras does not add up."""
    model = built([Report(shape)], strategy="mirrored-2", run_eagerly=True)
    shown = next(value for name, value in model.test_on_batch(Y, Y, return_dict=True).items() if name != "loss")

    assert np.array_equal(6 * np.asarray(shape["a"] if isinstance(shape, dict) else shape), shown)


def test_lists_of_several_shapes():
    """What is no array has a name for each part."""
    assert {"report_0": 6, "report_1_a": 12} == logged(built([Report([1, {"a": 2}])]))


@pytest.mark.parametrize("verbose", [1, 2])
def test_the_progress_bar(capsys, verbose):
    """It shows numbers as they are, not averaged over steps, and no array as one number."""
    model = built([Report({"rows": 1, "list": [1, 5]}), Report([1, 2], name="array"), Report(7, name="number")])
    model.fit(Y, Y, batch_size=2, verbose=verbose)
    shown = re.sub(r"\x1b\[[0-9;]*m|\x08", "", capsys.readouterr().out).splitlines()[-1].split("\r")[-1]

    assert "report_rows: 6.0000" in shown
    assert "number: 42.0000" in shown
    assert "array" not in shown
    assert "list" not in shown


@pytest.mark.skipif(not LEGACY, reason="Keras 3 takes dicts apart before")
def test_the_progress_bar_of_dicts(capsys):
    """What a step of the user's own puts into tf_keras's logs as a dict is shown by its keys."""

    class Guide(keras.Model):
        def train_step(self, data):
            super().train_step(data)
            return {metric.name: metric.result() for metric in self.metrics}

    history = built([Report(NESTED)], kind=Guide).fit(Y, Y, batch_size=2).history

    assert "report_1_recall: 24.0000" in capsys.readouterr().out
    assert 24 == history["report_1_recall"][0]


# Keys that are found.


class Found(mg.PyMetric):
    """The number of rows of each label."""

    labels = mg.Counter()

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.labels.update([f"y{int(y)}" for y in np.ravel(y_true)])

    def result(self):
        return {"n": dict(self.labels.result())} if self.nested else dict(self.labels.result())

    nested = False


@pytest.mark.parametrize("empty", [{}, []])
def test_keys_that_no_step_knows_are_refused(empty):
    """A dict or list that is empty at first gets the sentence that growing arrays get."""

    class Growing(Found):
        def result(self):
            found = super().result()
            return found if empty == {} else list(found.values())

    with pytest.raises(
        ValueError, match=r"Growing\.result: got .*, expected the structure and shapes of .*empty_result = \.\.\."
    ):
        logged(built([Growing(name="found")]))


@pytest.mark.parametrize("how", ["compiled", "attribute"])
def test_keys_that_are_found_come_at_the_end(how):
    """With ``empty_result`` declared, keys that it does not name are in the logs at the end of an epoch, and other values are right."""

    class Declared(Found):
        empty_result = {"y1": 0}

    class WithAttribute(keras.Model):
        def compute_metrics(self, x, y, y_pred, sample_weight=None):
            self.found.update_state(y, y_pred)
            return super().compute_metrics(x, y, y_pred, sample_weight)

    rows = Report(1, name="rows")
    if how == "compiled":
        model = built([Declared(name="found"), rows])
    else:
        model = built([rows], kind=WithAttribute)
        model.found = Declared(name="found")
    history = model.fit(Y, Y, batch_size=2, epochs=2, verbose=0).history

    assert {"loss", "rows", *(f"found_y{i}" for i in range(6))} == set(history)
    assert [[1, 1], [1, 1], [6, 6]] == [history[name] for name in ("found_y1", "found_y5", "rows")]
    logs = logged(model)

    assert (6, 1) == (logs["rows"], logs["found_y5"])


def test_declared_keys_that_are_not_found():
    """A declared key that a result lacks is NaN, in steps and at the end."""

    class Declared(Found):
        empty_result = {"n": {"y1": 0, "y9": 0}}
        nested = True

    logs = logged(built([Declared(name="found")]))

    assert {f"found_n_y{i}" for i in (0, 1, 2, 3, 4, 5, 9)} == set(logs)
    assert np.isnan(logs["found_n_y9"])
    assert 1 == logs["found_n_y1"]


@pytest.mark.parametrize("how", ["compiled", "attribute"])
def test_a_dict_that_steps_did_not_know(how):
    """Where steps took a result that failed for one number, its values are in the logs at the end, and other values are right."""

    class Late(Report):
        def result(self):
            if self.rows < 5:
                raise ValueError("too few rows")
            return super().result()

    class WithAttribute(keras.Model):
        def compute_metrics(self, x, y, y_pred, sample_weight=None):
            self.late.update_state(y, y_pred)
            return super().compute_metrics(x, y, y_pred, sample_weight)

    late, rows = Late({"a": 1}, name="late"), Report(1, name="rows")
    if how == "compiled":
        model = built([late, rows])
    else:
        model = built([rows], kind=WithAttribute)
        model.late = late
        late.step_result = "never"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logs = model.evaluate(Y, Y, batch_size=2, verbose=0, return_dict=True)

    assert {"late_a": 6, "rows": 6} == {name: value for name, value in logs.items() if name != "loss"}
