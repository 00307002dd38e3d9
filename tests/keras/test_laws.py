"""The laws hold for Keras metrics too."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies as st

import mergeable as mg
from mergeable import laws
from mergeable.keras import MetricCollection
from tests.keras.zoo import JaccardDeclared

PAIRS = st.integers(1, 4).flatmap(lambda n: st.tuples(*[st.lists(st.integers(0, 2), min_size=n, max_size=n)] * 2))


def keras_of(metric):
    return MetricCollection([metric])


class Jaccard(mg.PyMetric):
    """Read from a confusion matrix, so it does not depend on the batches."""

    matrix = mg.ConfusionMatrix(3)

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.matrix.update(y_true, y_pred)

    def result(self):
        matrix = self.matrix.result()
        union = matrix.sum(0) + matrix.sum(1) - matrix.diagonal()
        return np.mean(matrix.diagonal() / np.maximum(union, 1))


def test_a_score_from_a_matrix_keeps_every_law():
    """Nothing depends on batches, order or trees."""
    tested = laws.check_metric(Jaccard(), PAIRS, examples=10)
    assert {"idempotence", "model"} == set(laws.LAWS) - set(tested)


def test_the_documented_score_depends_on_its_batches():
    """The mean over batches merges exactly, and the law of the batch split finds what it is."""
    laws.check_metric(JaccardDeclared(), PAIRS, laws=["homomorphism", "any tree", "serialisation"], examples=10)

    with pytest.raises(laws.LawBroken, match="JaccardDeclared: the value depends on how the rows are batched"):
        laws.check_metric(JaccardDeclared(), PAIRS, laws=["batch split"], examples=50)


class MeanOverBatches(mg.Metric):
    total = mg.Sum()
    batches = mg.Count()

    def update_state(self, y_true, y_pred):
        self.total += np.mean(y_true)
        self.batches += 1

    def result(self):
        return float(self.total / self.batches)


class Losing(mg.Metric):
    """A merge that leaves out an item of what it takes."""

    def reset_state(self):
        self.items = []

    def update_state(self, y_true, y_pred):
        self.items = sorted([*self.items, *np.asarray(y_true).tolist()])

    def merge_state(self, metrics):
        for metric in metrics:
            self.items = sorted([*self.items, *metric.items[1:]])

    def result(self):
        return len(self.items)


class Words(mg.Metric):
    """In the order of arrival, which says that it has one."""

    words = mg.state(list, merge=list.extend, commutative=False)

    def update_state(self, y_true, y_pred):
        self.words.extend(np.asarray(y_true).tolist())

    def result(self):
        return len(self.words)


@pytest.mark.parametrize(
    ("metric", "law"),
    [
        (mg.PyMetric.of(MeanOverBatches()), "batch split"),
        (mg.PyMetric.of(Losing()), "homomorphism"),
        (keras_of(MeanOverBatches()), "batch split"),
    ],
    ids=["hosted", "hosted, a merge that loses", "a hosted collection"],
)
def test_what_a_hosted_metric_holds_is_what_the_laws_compare(metric, law):
    """The laws read the states of the metric on the host, not those of the one that Keras sees, which has none."""
    with pytest.raises(laws.LawBroken, match=rf"^{law}: "):
        laws.check_metric(metric, PAIRS, laws=[law], examples=30)


def test_a_hosted_metric_keeps_the_laws():
    """A good one passes what it claims, with tensors as batches too."""
    names = [law for law in laws.LAWS if law not in ("commutativity", "idempotence", "model")]
    assert tuple(names) == laws.check_metric(mg.PyMetric.of(Words()), PAIRS, laws=[*names, "commutativity"], examples=5)

    tensors = PAIRS.map(lambda batch: tuple(map(tf.constant, batch)))
    with pytest.raises(laws.LawBroken, match=r"^batch split: "):
        laws.check_metric(mg.PyMetric.of(MeanOverBatches()), tensors, laws=["batch split"], examples=30)
