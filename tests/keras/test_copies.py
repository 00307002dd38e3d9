"""Metrics copy, pickle, and survive configurations and saved models."""

import copy
import pickle
import subprocess
import sys
import textwrap

import cloudpickle
import numpy as np
import pytest
import tensorflow as tf

import mergeable as mg
from mergeable.encoding.canonical import canonical_bytes
from mergeable.metric.internals import internals
from tests.effort import HANG
from tests.keras.zoo import Everything, JaccardAsDocumented, RowCount


class Above(mg.PyMetric):
    """Counts predictions above a threshold; configured by its constructor."""

    above = mg.Count()

    def __init__(self, threshold=0.5, name="above", **kwargs):
        super().__init__(name=name, **kwargs)
        self.threshold = threshold
        self.add_state("edges", mg.Histogram([0, threshold, 10]))

    def update_state(self, y_true, y_pred, sample_weight=None):
        p = np.ravel(y_pred)
        self.above += int((p > self.threshold).sum())
        self.edges.update(p)

    def result(self):
        return self.above.result()


@pytest.mark.parametrize(
    "copied",
    [copy.deepcopy, copy.copy, lambda m: pickle.loads(pickle.dumps(m)), lambda m: pickle.loads(cloudpickle.dumps(m))],
)
def test_copies_are_equal_and_independent(copied):
    """A copy holds the same bytes, and neither sees what the other takes later."""
    metric = Everything()
    metric.update_state(np.array([0, 1]), np.array([0.25, 1.5]))
    twin = copied(metric)

    assert canonical_bytes(internals(metric).fold()) == canonical_bytes(internals(twin).fold())
    assert (metric.name, metric.dtype, metric.coverage) == (twin.name, twin.dtype, twin.coverage)

    twin.update_state(np.array([0, 1]), np.array([0.25, 1.5]))

    assert 2 == metric.coverage.rows
    assert 4 == twin.coverage.rows


def test_undeclared_attributes_are_copied_too():
    """What a metric of Keras 2 keeps in plain attributes travels with it."""
    metric = JaccardAsDocumented()
    metric.update_state([0, 1], [0, 1])

    twin = pickle.loads(pickle.dumps(metric))

    assert (1.0, 1.0) == (twin.jaccard_sum, twin.count)


def test_a_copy_works_in_a_function():
    """A copy of a metric that was traced is traced anew."""
    metric = RowCount()
    tf.function(lambda p: metric.update_state(p, p))(tf.ones([2]))
    twin = copy.deepcopy(metric)
    tf.function(lambda p: twin.update_state(p, p))(tf.ones([3]))

    assert (2, 5) == (int(metric.result()), int(twin.result()))


def test_configuration():
    """The constructor's arguments are the configuration, also where nobody wrote ``get_config``."""
    metric = Above(threshold=0.25, name="a")
    twin = Above.from_config(metric.get_config())

    assert (0.25, "a") == (twin.threshold, twin.name)
    assert {"threshold": 0.25, "name": "a", "dtype": "float32"} == metric.get_config()


def test_other_parameters_do_not_merge():
    """Metrics of other thresholds are refused, and the text says which."""
    a, b = Above(0.25), Above(0.75)
    a.update_state([0.0], [0.5])

    with pytest.raises(mg.IncompatibleStates, match=r"Above.merge_state: threshold is 0.25 here and 0.75 there"):
        a.merge_state([b])
    assert 1 == int(a.result())


def test_save_and_load(tmp_path, trained, rng):
    """A saved model keeps its compiled metric's configuration."""
    model = trained(tf.distribute.get_strategy(), [Above(threshold=0.125, name="high")])
    x, y = rng.normal(size=(8, 3)).astype("float32"), np.ones((8, 1), "float32")
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = tf.keras.models.load_model(tmp_path / "model.keras", custom_objects={"Above": Above})

    assert (
        model.evaluate(x, y, verbose=0, return_dict=True)["high"] == loaded.evaluate(x, y, verbose=0, return_dict=True)["high"]
    )


def test_a_class_of_main_travels_by_cloudpickle(tmp_path):
    """A metric whose class is defined in a script loads in a process that has never seen it."""
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""
        import sys, cloudpickle, mergeable as mg
        class Mine(mg.PyMetric):
            rows = mg.Count()
            def update_state(self, y_true, y_pred, sample_weight=None):
                self.rows += len(y_true)
            def result(self):
                return self.rows.result()
        metric = Mine(name="mine")
        metric.update_state([1.0, 2.0], [1.0, 2.0])
        open(sys.argv[1], "wb").write(cloudpickle.dumps(metric))
        """)
    )
    subprocess.run([sys.executable, script, tmp_path / "metric.pkl"], check=True, timeout=HANG)
    metric = pickle.loads((tmp_path / "metric.pkl").read_bytes())
    metric.update_state([3.0], [3.0])
    metric.merge_state([])

    assert 3 == int(metric.result())
    assert "mine" == metric.name


def test_merge_of_metrics():
    """Any number of metrics merge, and none too; the metric itself and a lone one are refused."""
    a, b, c = (RowCount(name=n) for n in "abc")
    for n, metric in enumerate((a, b, c), 1):
        metric.update_state([0.0] * n, [0.0] * n)
    a.merge_state([])
    a.merge_state([b, c])

    assert (6, 2, 3) == tuple(int(m.result()) for m in (a, b, c))
    with pytest.raises(mg.IncompatibleStates, match="got the metric itself"):
        a.merge_state([a])
    with pytest.raises(TypeError, match=r"Write merge_state\(\[metric\]\)"):
        a.merge_state(b)
    with pytest.raises(mg.DuplicateOrigin, match="came twice"):
        a.merge_state([b])
    assert 6 == int(a.result())


def test_repr_shows_value_and_coverage():
    """The repr says what the value is, and what it covers."""
    metric = RowCount(name="rows")
    metric.update_state([0.0, 0.0], [0.0, 0.0])

    assert "<RowCount rows = 2 (1 update, 2 rows, replica 0)>" == repr(metric) == str(metric)


def test_names_that_keras_takes_are_refused():
    """A state may not hide an attribute of Keras's own."""
    with pytest.raises(TypeError, match=r"Clash.variables: a base class has an attribute of that name"):

        class Clash(mg.PyMetric):
            variables = mg.Sum()
