"""The ready-made metrics in Keras: the bits of one process under every strategy, and classes that are derived from the metrics'."""

import copy
import inspect
import pickle
import subprocess
import sys
import textwrap

import cloudpickle
import numpy as np
import pytest
import tensorflow as tf

import mergeable as mg
from mergeable import metrics
from mergeable.encoding.canonical import canonical_bytes
from mergeable.keras import AUROC, MetricCollection, PyMetric
from tests.effort import HANG


@pytest.fixture
def data(rng):
    scores = (rng.random((101, 1)) * 0.01).astype(np.float32)
    return scores, (rng.random((101, 1)) < 50 * scores).astype(np.float32)


@pytest.mark.parametrize("weighted", [False, True])
def test_replicas_show_the_same(replicated, through, data, rng, weighted):
    """``evaluate`` and ``fit`` show the value of one process and one pass, also of weighted rows."""
    scores, labels = data
    weights = rng.integers(0, 3, 101).astype(np.float32) if weighted else None
    with replicated.scope():
        metric = AUROC(weighted=weighted)
    model = through(replicated, **{"weighted_metrics" if weighted else "metrics": [metric]})
    shown = model.evaluate(scores, labels, sample_weight=weights, batch_size=8, verbose=0, return_dict=True)
    alone = metrics.AUROC(weighted=weighted)
    alone.update_state(labels, scores, weights)

    assert np.float32(alone.result()) == np.float32(shown["auroc"])
    assert canonical_bytes(tuple(alone.estimate())) == canonical_bytes(tuple(metric.metric.estimate()))


def test_configuration():
    """The metric comes back from its configuration, which has its arguments and options by name."""
    metric = AUROC(precision=9, weighted=True, name="mine", step_result=3)
    twin = AUROC.from_config(metric.get_config())
    assert isinstance(twin, AUROC)
    assert ("mine", 9, True, 3) == (twin.name, twin.metric.scores.precision, twin.metric.scores.weighted, twin.step_result)
    assert {"precision": 9, "weighted": True, "name": "mine", "step_result": 3}.items() <= metric.get_config().items()
    assert tf.keras.metrics.Metric in type(twin).__mro__


READY_MADE = [*metrics.__all__, "MetricCollection"]


@pytest.mark.parametrize("name", READY_MADE)
def test_a_class_is_derived(name):
    """A metric's class in Keras has its name, page and arguments, beside those of every Keras metric."""
    ours, keras = getattr(mg, name, None) or getattr(metrics, name), getattr(mg.keras, name)
    parameters = inspect.signature(keras).parameters
    options = ["dtype", "sync", "step_result", "step_failure", "hand_over"]

    assert [*inspect.signature(ours.__init__).parameters][1:] + options == [*parameters]
    assert (name, "mergeable.keras") == (keras.__qualname__, keras.__module__)
    assert inspect.getdoc(ours) in inspect.getdoc(keras)
    where = "mergeable.metrics" if name in metrics.__all__ else "mergeable"
    assert keras.__doc__.startswith(f"``{where}.{name}`` as a Keras metric")
    assert {name} <= {*mg.keras.__all__}
    assert issubclass(keras, ours)
    assert issubclass(keras, mg.PyMetric)
    with pytest.raises(TypeError, match=rf"^{name}: got an unexpected keyword argument 'binz'. Write {name}\("):
        keras(*[[]][: name == "MetricCollection"], binz=3)


def make(name):
    """Return a ready-made Keras metric that holds something, and its arguments."""
    made = (
        MetricCollection([AUROC(), AUROC(10, name="fine")], prefix="x_")
        if name == "MetricCollection"
        else getattr(mg.keras, name)()
    )
    made.update_state([0, 1, 1, 0], [0.1, 0.7, 0.2, 0.3])
    return made


def held(metric):
    """The bits of what a Keras metric holds, and the options that it has."""
    return metric.snapshot().to_bytes(), metric.name, metric.dtype, metric.sync, metric.step_result


@pytest.mark.parametrize("name", READY_MADE)
@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m)), lambda m: cloudpickle.loads(cloudpickle.dumps(m))])  # fmt: skip
def test_copies(name, copied):
    """A copy and a pickle hold the same and go their own ways."""
    metric = make(name)
    metric.sync = "step"
    twin = copied(metric)

    assert held(metric) == held(twin)
    assert type(metric) is type(twin)
    assert isinstance(twin, (PyMetric, mg.Metric))
    twin.update_state([1.0], [0.5])
    assert (1, 2) == (metric.coverage.updates, twin.coverage.updates)


@pytest.mark.parametrize("name", READY_MADE)
def test_a_saved_model_needs_no_custom_objects(name, tmp_path, trained):
    """A model that was compiled with one loads in a process that has only imported the library."""
    if name != "MetricCollection":
        metric = getattr(mg.keras, name)(step_result="never")
    else:
        metric = MetricCollection([AUROC(), AUROC(10, name="fine")], step_result="never")
    model = trained(tf.distribute.get_strategy(), [metric])
    model.save(tmp_path / "model.keras")
    program = f"""
        import tensorflow as tf
        import mergeable.keras as keras
        model = tf.keras.models.load_model({str(tmp_path / "model.keras")!r})
        model.evaluate(tf.zeros((4, 3)), tf.constant([[0.0], [1.0], [1.0], [0.0]]), verbose=0)
        (metric,) = [one for one in (*model.metrics, *getattr(model._compile_metrics, "metrics", ())) if isinstance(one, keras.{name})] if hasattr(model, "_compile_metrics") else [one for one in model.metrics if isinstance(one, keras.{name})]
        assert metric.step_result == "never" and metric.coverage.rows == 4, metric
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True, timeout=HANG)


def test_attributes_are_those_of_the_metric():
    """What is asked of the Keras metric or set, and is no affair of Keras's, is the metric's; another name is refused or its own."""
    metric = AUROC()
    metric.update_state([0, 1], [0.1, 0.2])

    assert metric.metric.estimate() == metric.estimate()
    assert metric.metric.scores.result() == metric.scores.result()
    assert {"roc": "scores", "precision recall": "scores"} == metric.plots
    with pytest.raises(AttributeError, match=r"AUROC'? object has no attribute 'estimat'"):
        metric.estimat()
    metric.scores = metric.scores.empty()
    assert np.isnan(metric.metric.result())
    metric.note = "mine"
    assert ("mine", False) == (metric.note, hasattr(metric.metric, "note"))
    with pytest.raises(ValueError, match=r"AUROC\.sync: got 'batch', expected 'epoch' or 'step'"):
        metric.sync = "batch"
    assert "epoch" == metric.sync


@pytest.mark.skipif("tf_keras" in tf.keras.metrics.Metric.__module__, reason="tf_keras asks no metric, but its name")
@pytest.mark.parametrize("callback", [tf.keras.callbacks.EarlyStopping, tf.keras.callbacks.ReduceLROnPlateau])
def test_callbacks_know_which_way_is_better(callback, trained, data):
    """A callback that monitors a ready-made metric needs no mode; of a metric that does not say, Keras asks for one."""
    x = np.tile(data[0], (1, 3))
    chosen = callback(monitor="val_auroc", patience=1)
    model = trained(tf.distribute.get_strategy(), [AUROC()])
    model.fit(x, data[1], validation_data=(x, data[1]), verbose=0, callbacks=[chosen])

    assert tf.keras.ops.greater is chosen.monitor_op
    assert all(hasattr(getattr(metrics, name), "_direction") for name in metrics.__all__)
    assert not hasattr(PyMetric.of(Silent()), "_direction")


class Silent(mg.Metric):
    """A metric that does not say which way is better."""


def test_stateless_verbs_are_refused():
    """What must not change the metric cannot be done, and does not change it."""
    metric = AUROC()
    metric.update_state([0, 1], [0.1, 0.2])
    for verb, arguments in (("update_state", ([], [0, 1], [0.5, 0.1])), ("reset_state", ())):
        with pytest.raises(TypeError, match=rf"AUROC.stateless_{verb}: got a call that must not change the metric"):
            getattr(metric, f"stateless_{verb}")(*arguments)

    assert 1.0 == float(metric.result())
