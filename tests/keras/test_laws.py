"""The laws hold for Keras metrics too."""

import numpy as np
import pytest
from hypothesis import strategies as st

import mergeable as mg
from mergeable import laws
from tests.keras.zoo import JaccardDeclared

PAIRS = st.integers(1, 4).flatmap(lambda n: st.tuples(*[st.lists(st.integers(0, 2), min_size=n, max_size=n)] * 2))


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
    assert len(laws.LAWS) == len(laws.check_metric(Jaccard(), PAIRS, examples=10))


def test_the_documented_score_depends_on_its_batches():
    """The mean over batches merges exactly, and the law of the batch split finds what it is."""
    laws.check_metric(JaccardDeclared(), PAIRS, laws=["homomorphism", "any tree", "serialisation"], examples=10)

    with pytest.raises(laws.LawBroken, match="JaccardDeclared: the value depends on how the rows are batched"):
        laws.check_metric(JaccardDeclared(), PAIRS, laws=["batch split"], examples=50)
