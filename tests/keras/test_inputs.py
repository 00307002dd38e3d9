"""Whatever TensorFlow can hold arrives on the host as it was sent."""

import numpy as np
import pytest
import tensorflow as tf

import mergeable as mg
from tests.keras.zoo import RowCount, Total


class Spy(mg.PyMetric):
    """Keeps the arguments of the last update."""

    scratch = ("seen",)
    rows = mg.Count()

    def update_state(self, y_true, y_pred=None, sample_weight=None):
        self.seen = y_true, y_pred, sample_weight
        self.rows += 1

    def result(self):
        return self.rows.result()


def send(metric, in_graph, *args, **kwargs):
    """Update in eager code, or in a ``tf.function`` whose arguments are the tensors."""
    if in_graph:
        tf.function(lambda a, k: metric.update_state(*a, **k))(args, kwargs)
    else:
        metric.update_state(*args, **kwargs)
    return metric.seen


@pytest.fixture(params=[False, True], ids=["eager", "graph"])
def in_graph(request):
    return request.param


def test_dicts_and_tuples(in_graph):
    """Nested structures keep their keys and order."""
    sent = {"boxes": tf.ones([2, 4]), "labels": (tf.constant([1, 2]), tf.constant([b"a", b"b"]))}
    y_true, y_pred, _ = send(Spy(), in_graph, sent, tf.constant([0.5, 0.6]))

    assert {"boxes", "labels"} == set(y_true)
    assert [1, 2] == y_true["labels"][0].numpy().tolist()
    assert [b"a", b"b"] == y_true["labels"][1].numpy().tolist()
    assert 2 == len(y_pred)


def test_ragged(in_graph):
    """A ragged tensor is a ragged tensor on the host."""
    y_true, _, _ = send(Spy(), in_graph, tf.ragged.constant([[1, 2], [], [3]]))

    assert [[1, 2], [], [3]] == y_true.to_list()


def test_sparse(in_graph):
    """A sparse tensor is a sparse tensor on the host."""
    y_true, _, _ = send(Spy(), in_graph, tf.sparse.from_dense([[0, 1], [2, 0]]))

    assert [[0, 1], [2, 0]] == tf.sparse.to_dense(y_true).numpy().tolist()


def test_strings(in_graph):
    """Strings arrive as bytes, and a confusion matrix reads them as text."""

    class Named(mg.PyMetric):
        pairs = mg.ConfusionMatrix()

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.pairs.update(y_true, y_pred)

        def result(self):
            return self.pairs.result().sum()

    metric = Named()
    y, p = tf.constant(["cat", "Zoë", "dog"]), tf.constant(["cat", "cat", "dog"])
    if in_graph:
        tf.function(metric.update_state)(y, p)
    else:
        metric.update_state(y, p)

    assert ("Zoë", "cat", "dog") == tuple(sorted(metric.pairs.labels, key=lambda s: (s[0] != "Z", s)))
    assert [[0, 1, 0], [0, 1, 0], [0, 0, 1]] == metric.pairs.result().tolist()


def test_bfloat16_and_float16(in_graph):
    """Narrow floats are widened before they are added."""
    for dtype in (tf.bfloat16, tf.float16):
        metric = Total()
        values = tf.cast([1.0, 2.0**-7, 256.0], dtype)
        if in_graph:
            tf.function(metric.update_state)(values, values)
        else:
            metric.update_state(values, values)

        assert 257.0 + 2.0**-7 == float(metric.result())


def test_keywords_and_plain_values(in_graph):
    """Keyword arguments, None and Python values arrive as they are."""
    metric = Spy()
    if in_graph:
        tf.function(lambda y: metric.update_state(y_true=y, y_pred=None, sample_weight=0.1))(tf.ones([2]))
    else:
        metric.update_state(y_true=tf.ones([2]), y_pred=None, sample_weight=0.1)

    assert (None, 0.1) == metric.seen[1:]


def test_lists_of_floats_keep_their_bits():
    """A list of Python floats is not narrowed to float32."""
    metric = Total()
    metric.update_state([0.0], [0.1])

    assert 0.1 == float(metric.result())


def test_variables_are_read():
    """A variable is its value."""
    metric = Total()
    metric.update_state(tf.Variable([0.0]), tf.Variable([2.5]))
    kept = tf.keras.metrics.Sum()
    kept.update_state([4.0])
    metric.update_state([0.0], kept.variables[0])

    assert 6.5 == float(metric.result())


def test_an_empty_batch_is_nobodys_update(in_graph):
    """A batch without rows does not reach ``update_state``."""
    metric = RowCount()
    empty = tf.zeros([0, 3])
    if in_graph:
        tf.function(lambda t: metric.update_state(t, t))(empty)
    else:
        metric.update_state(empty, empty)

    assert not metric.coverage
    assert 0 == int(metric.result())


def test_rows_of_unknown_number(in_graph):
    """A step that is traced once takes batches of any length."""
    metric = RowCount()
    step = tf.function(lambda y: metric.update_state(y, y), input_signature=[tf.TensorSpec([None], tf.float32)])
    for n in (3, 1, 5):
        step(tf.ones([n])) if in_graph else metric.update_state(tf.ones([n]), tf.ones([n]))

    assert 9 == int(metric.result())


def test_structured_outputs_in_evaluate():
    """Ids beside the labels, and strings in a data set, reach the metric in a custom loop."""

    class Missed(mg.PyMetric):
        ids = mg.Set()

        def update_state(self, y_true, y_pred, sample_weight=None):
            wrong = np.asarray(y_true["label"]) != np.asarray(y_pred)
            self.ids.update(y_true["id"].numpy()[wrong])

        def result(self):
            return len(self.ids)

    metric = Missed()
    data = tf.data.Dataset.from_tensor_slices({"label": [1, 0, 1], "id": ["a", "b", "c"]}).batch(2)

    @tf.function
    def step(batch):
        metric.update_state(batch, tf.ones_like(batch["label"]))

    for batch in data:
        step(batch)

    assert [b"b"] == metric.ids.result()


@pytest.mark.parametrize("make", [Total, Spy, lambda: mg.PyMetric.of(mg.metrics.AUROC())], ids=["state", "plain", "hosted"])
def test_masked_cells_are_refused(make):
    """An array with masked cells, of which a tensor would show what the mask hides, raises; one that masks nothing is taken."""
    metric = make()
    metric.update_state([1.0, 0.0], np.ma.masked_array([1.0, 0.5], mask=[0, 0]))
    for batch in (np.ma.masked_array([1.0, 9.0], mask=[0, 1]), [np.ma.masked_array([9], mask=[1]), np.zeros(1)]):
        with pytest.raises(ValueError, match=r"got an array of \d cells of which 1 are masked, expected none"):
            metric.update_state([1.0, 0.0], batch)


@pytest.mark.parametrize(
    ("items", "match"),
    [
        ([2**53 + 1, 0.5], rf"got the integer {2**53 + 1}, expected values that a float64 holds exactly"),
        ([1, "1"], r"got values of dtype object \(for instance '1'\), expected real numbers"),
        ([0.5, None], r"got values of dtype object \(for instance None\), expected real numbers"),
        ([[1], [1, 2]], r"got a list of rows of unequal lengths"),
    ],
    ids=repr,
)
def test_listed_items_that_a_tensor_would_change_are_refused(items, match):
    """A list of which one tensor cannot hold every item as it is raises an error that names the item."""
    with pytest.raises((TypeError, ValueError), match=match):
        Spy().update_state(items)


def test_listed_strings_and_large_numbers_arrive_as_they_are():
    """Strings keep the zero bytes that end them, and whole numbers above 2**63 their last digit."""
    metric = Spy()
    metric.update_state(["a\0", "b"], [2**63 + 1, 5])
    assert [b"a\0", b"b"] == metric.seen[0].numpy().tolist()
    assert [2**63 + 1, 5] == metric.seen[1].numpy().tolist()


@pytest.mark.parametrize("way", ["queued", "now", "eager"])
def test_a_gradient_in_an_update(way):
    """A tape in ``update_state`` records, however the batch comes, and also where a tape outside is recording."""

    class Slope(mg.PyMetric):
        total = mg.Sum()

        def update_state(self, y_true, y_pred):
            with tf.GradientTape() as tape:
                tape.watch(y_pred)
                loss = tf.reduce_sum(y_pred * y_pred)
            self.total.update(tape.gradient(loss, y_pred))

        def result(self):
            return self.total.result()

    metric = Slope()
    metric.hand_over = "now" if way == "now" else "queued"
    step = metric.update_state if way == "eager" else tf.function(lambda y, p: metric.update_state(y, p))
    with tf.GradientTape():
        step(tf.ones(3), tf.constant([1.0, 2.0, 3.0]))
        step(tf.ones(3), tf.constant([1.0, 2.0, 3.0]))
        shown = float(metric.result())

    assert 24.0 == shown
