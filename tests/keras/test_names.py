"""Names that Keras uses, and constructors that do not call ours."""

import copy
import dataclasses
import pickle

import cloudpickle
import numpy as np
import pytest
import tensorflow as tf

import mergeable as mg
from mergeable.keras.keras_metric import keras_names

LEGACY = "tf_keras" in tf.keras.metrics.Metric.__module__


class Rows(mg.PyMetric):
    n = mg.Count()

    def update_state(self, y_true, y_pred=None, sample_weight=None):
        self.n += len(y_true)

    def result(self):
        return self.n.result()


def refused(name):
    return pytest.raises(
        TypeError, match=rf"^\w+\.{name}: got an attribute of this name, expected another name, because mergeable uses this"
    )


KERAS = sorted({"_metrics", "_dtype_policy"} | ({"_losses", "_trainable"} if LEGACY else {"_variables", "_tracker"}))


def test_keras_says_what_it_uses():
    """The names that Keras's constructor sets are found."""
    assert {*KERAS} <= keras_names()


@pytest.mark.parametrize("name", [*KERAS, "_mergeable", "_face_state", "_host_metric", "_face_options", "_take"])
def test_a_name_that_keras_or_we_use(name):
    """A name is refused where it is set, before and after our constructor, on the class, as a state and later."""

    class Set(Rows):
        def __init__(self, when=None):
            if when == "before":
                setattr(self, name, [])
            super().__init__()
            if when == "after":
                setattr(self, name, [])
            if when == "state":
                self.add_state(name, mg.Sum())

        def update_state(self, y_true, y_pred=None, sample_weight=None):
            super().update_state(y_true)
            setattr(self, name, [])

    for when in ("before", "after"):
        with refused(name):
            Set(when)
    with pytest.raises(ValueError, match="the name is taken"):
        Set("state")
    metric = Set()
    with refused(name):
        metric.update_state([1.0])
    assert 0 == float(metric.result())
    for value in (lambda self: 1, mg.Sum()):
        with refused(name):
            type("Own", (Rows,), {name: value})()


def test_the_users_names():
    """Attributes set before or after our constructor are the user's, and copies, pickles and merges have them."""

    class Named(Rows):
        def __init__(self, k=1, name="named", **kwargs):
            self.k, self._memo = k, [k]
            super().__init__(name=name, **kwargs)
            self._direction = "up"

        def result(self):
            return self.k * super().result()

    metric, other = Named(3), Named(3)
    metric.update_state([1.0, 2.0])
    other.update_state([1.0])
    metric.merge_state([other])
    assert type(metric._memo) is list
    for twin in (copy.deepcopy(metric), pickle.loads(cloudpickle.dumps(metric))):
        assert (9, 3, [3], "up", "named") == (float(twin.result()), twin.k, twin._memo, twin._direction, twin.name)
    if LEGACY:
        metric._name = "another"  # a way that people have to rename a metric
        assert "another" == metric.name


class Forgetful(mg.PyMetric):
    n = mg.Count()

    def __init__(self, k=1, name=None):
        self.k = [k]

    def update_state(self, y_true, y_pred, sample_weight=None):
        if len(y_true) > 8:
            raise KeyError("the user's own mistake")
        self.n += len(y_true)

    def result(self):
        return self.n.result()


@dataclasses.dataclass(eq=False)
class Above(mg.PyMetric):
    threshold: float = 0.5
    n = mg.Count()

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.n += int((y_true.numpy() > self.threshold).sum())

    def result(self):
        return self.n.result()


@pytest.mark.parametrize(("make", "name", "value"), [(lambda: Forgetful(2, name="given"), "given", 8), (Above, "above", 4)])
def test_a_constructor_that_forgets_ours(make, name, value):
    """It works in fit and alone, with the name that it was given or that of the class."""
    metric = make()
    model = tf.keras.Sequential([tf.keras.layers.Dense(1)])
    model.compile(loss="mse", metrics=[metric], run_eagerly=False)
    y = np.array([[0.0], [1.0]] * 4)
    history = model.fit(np.ones((8, 1)), y, batch_size=4, verbose=0).history
    assert [float(value)] == [float(shown) for shown in history[name]]

    twin = pickle.loads(pickle.dumps(make()))
    twin.update_state(y, y)
    assert (value, name) == (float(twin.result()), twin.name)
    assert f" {name} = {value} " in mg.Metric.__repr__(twin)


def test_its_own_exception_is_not_hidden():
    """What an update of such a metric raises comes as itself."""
    with pytest.raises(KeyError, match="the user's own mistake") as caught:
        Forgetful().update_state([0.0] * 9, [0.0] * 9)
    assert [
        "in Forgetful.update_state (metric 'forgetful', replica 0); the state is as before this update"
    ] == caught.value.__notes__


def test_a_variable_is_refused():
    """A weight is none of the states, and the error says what to write."""

    class Weighted(Rows):
        def __init__(self):
            super().__init__()
            self.total = self.add_weight(name="total", initializer="zeros")

    with pytest.raises(
        TypeError,
        match=r"^Weighted\.add_weight: got a variable, expected a declared state, because variables do not merge in Python\. Write "
        r"total = mergeable\.Sum\(\) on the class, or self\.add_state\('total', mergeable\.Sum\(\)\) in __init__\.$",
    ):
        Weighted()
