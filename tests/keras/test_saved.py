"""Models that hold a metric are saved, loaded, cloned, copied and pickled."""

import copy
import json
import pickle

import numpy as np
import pytest
import tensorflow as tf

import mergeable as mg
from mergeable import metrics
from mergeable.keras import AUROC, MetricCollection

keras = tf.keras
LEGACY = "tf_keras" in keras.metrics.Metric.__module__


class Worst(mg.Metric):
    """The largest error, scaled."""

    worst = mg.Max()

    def __init__(self, scale=1.0, name=None):
        super().__init__(name)
        self.scale = scale

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.worst.update(np.abs(y_true - y_pred) * self.scale)

    def result(self):
        return self.worst.result()


MAKE = {
    "ready-made": lambda: AUROC(10),
    "hosted": lambda: mg.PyMetric.of(Worst(scale=2.0)),
    "collection": lambda: MetricCollection({"area": metrics.AUROC(), "worst": Worst(scale=3.0)}),
}


def loaded(model, path):
    model.save(path)
    return keras.models.load_model(path)


TAKEN = {
    "keras": lambda model, folder: loaded(model, folder / "model.keras"),
    "h5": lambda model, folder: loaded(model, str(folder / "model.h5")),
    "pickle": lambda model, _: pickle.loads(pickle.dumps(model)),
    "deepcopy": lambda model, _: copy.deepcopy(model),
}


@pytest.mark.filterwarnings(
    "ignore:You are saving your model as an HDF5 file", "ignore:Skipping variable loading for optimizer"
)
@pytest.mark.parametrize("take", TAKEN)
@pytest.mark.parametrize("kind", MAKE)
def test_a_model_comes_back_with_its_metrics(kind, take, rng, tmp_path):
    """A metric of this library needs no custom_objects, whichever way the model goes."""
    x, y = rng.random((12, 1), np.float32), rng.integers(0, 2, (12, 1)).astype(np.float32)
    model = keras.Sequential([keras.layers.Input((1,)), keras.layers.Activation("linear")])
    model.compile(loss=keras.losses.MeanSquaredError(), metrics=[MAKE[kind]()])
    expected = model.evaluate(x, y, verbose=0, return_dict=True)
    keras.models.clone_model(model)

    assert expected == TAKEN[take](model, tmp_path).evaluate(x, y, verbose=0, return_dict=True)


@keras.utils.register_keras_serializable("tests")
def halved(x):
    return x / 2


def unregistered(x):
    return x


@keras.utils.register_keras_serializable("tests")
class Configured(mg.PyMetric):
    """A metric whose arguments are whatever it is given."""

    rows = mg.Count()

    def __init__(self, fn=None, options=None, name="configured", **kwargs):
        super().__init__(name=name, **kwargs)
        self.fn, self.options = fn, options

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.rows += len(y_true)

    def result(self):
        return self.rows.result()


VALUES = [
    (1, 2.5, None),
    [("a", (3,))],
    {0: 1.0, 1: 2.0},
    {"a": {(0, 1): "b"}},
    {1, 2},
    frozenset("a"),
    [1, "x"],
    {"k": True},
    b"ab",
    {"class_name": "a", "config": {}},
    {"mergeable": "tuple", "items": []},
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
@pytest.mark.parametrize("through_json", [False, True])
def test_arguments_come_back(value, through_json):
    """Containers keep their kinds and their keys, in the program and through a file."""
    config = Configured(halved, value).get_config()
    twin = Configured.from_config(json.loads(json.dumps(config)) if through_json else config)

    assert (halved, value, type(value)) == (twin.fn, twin.options, type(twin.options))


def test_objects_of_keras_and_arrays_come_back():
    """An object that Keras can write is made anew, and an array is one."""
    config = json.loads(json.dumps(Configured([keras.losses.Huber(0.5)], np.arange(3.0)).get_config()))
    twin = Configured.from_config(config)

    assert keras.losses.Huber(0.5).get_config() == twin.fn[0].get_config()
    assert [0.0, 1.0, 2.0] == twin.options.tolist()
    assert isinstance(twin.options, np.ndarray)


def test_what_no_file_holds_comes_back_in_the_program():
    """A lambda, and an object without a configuration, are themselves as long as no file came between."""
    thing, double = object(), lambda x: 2 * x
    config = Configured(double, thing).get_config()

    for taken in (config, copy.copy(config)):
        twin = Configured.from_config(taken)
        assert (double, thing) == (twin.fn, twin.options)
    assert thing is mg.PyMetric.of(Worst(scale=thing)).get_config()["arguments"]["scale"]


@pytest.mark.parametrize("suffix", ["keras", "h5"])
@pytest.mark.parametrize("scale", [halved, unregistered])
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_a_function_is_found_where_it_is_registered(suffix, scale, tmp_path):
    """A model's file names a function; one that is not registered is refused, with what to do."""
    path = str(tmp_path / f"model.{suffix}")
    model = keras.Sequential([keras.layers.Input((1,)), keras.layers.Activation("linear")])
    model.compile(loss=keras.losses.MeanSquaredError(), metrics=[mg.PyMetric.of(Worst(scale=scale))])
    model.save(path)

    if scale is halved:
        keras.models.load_model(path)
    else:
        with pytest.raises(
            Exception, match=r"got 'unregistered'(?s:.*)decorate it with keras.saving.register_keras_serializable"
        ):
            keras.models.load_model(path).evaluate([[1.0]], [[1.0]], verbose=0)


class Kept(keras.Sequential):
    """A model that has a metric as an attribute."""

    def __init__(self, *layers):
        super().__init__(*layers)
        self.counted = Configured(name="counted")


@pytest.mark.parametrize("kind", MAKE)
def test_a_saved_model_is_written(kind, rng, tmp_path):
    """TensorFlow's SavedModel format takes a model whose metrics have run; tf_keras finds them in it again."""
    x, y = rng.random((12, 1), np.float32), rng.integers(0, 2, (12, 1)).astype(np.float32)
    model = Kept([keras.layers.Input((1,)), keras.layers.Dense(1)])
    model.compile(optimizer="sgd", loss="mse", metrics=[MAKE[kind]()])
    model.fit(x, y, verbose=0)
    expected = model.evaluate(x, y, verbose=0, return_dict=True)
    tf.function(model.counted.update_state)(y, x)
    tf.saved_model.save(model, str(tmp_path / "saved"))
    model.export(str(tmp_path / "exported"))

    assert 12 == int(model.counted.result())
    assert expected == model.evaluate(x, y, verbose=0, return_dict=True)
    if LEGACY:
        model.save(str(tmp_path / "folder"))
        model.fit(x, y, verbose=0, callbacks=[keras.callbacks.ModelCheckpoint(str(tmp_path / "checkpoint"))])
        again = keras.models.load_model(str(tmp_path / "folder")).evaluate(x, y, verbose=0, return_dict=True)
        assert pytest.approx(expected) == again


@pytest.mark.parametrize("hand_over", ["queued", "now"])
def test_a_metric_is_read_in_a_plain_graph(hand_over):
    """What waits is taken also where a plain graph is the default; a session may update the metric too."""
    metric = Configured()
    metric.hand_over = hand_over
    tf.function(lambda y: metric.update_state(y, y))(tf.ones(3))
    with tf.Graph().as_default():
        seen = (metric.coverage.rows, metric.snapshot().coverage.rows, "= 3 " in repr(metric), len(metric.serialize()) > 0)
        metric.update_state(tf.ones(4), tf.ones(4))
        with tf.compat.v1.Session() as session:
            shown = session.run(metric.result())

    assert (3, 3, True, True) == seen
    assert (7, 7) == (int(shown), int(metric.result()))
