"""Ready-made metrics of ranking, against scikit-learn."""

import math

import numpy as np
import pytest
from hypothesis import strategies as st
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import roc_auc_score

import mergeable as mg
from mergeable import laws
from mergeable.metrics import AUROC

ROWS = st.lists(st.tuples(st.integers(0, 1), st.floats(-1, 1)), max_size=6)
BATCHES = ROWS.map(lambda rows: tuple(np.array(rows).reshape(-1, 2).T))


def test_laws():
    """The value is the same however rows are batched, cut and merged, and comes back from pickles and files."""
    tested = laws.check_metric(AUROC(), BATCHES, examples=20)
    assert {"idempotence", "model"} == set(laws.LAWS) - set(tested)
    weighted = BATCHES.map(lambda batch: (*batch, np.abs(batch[1])))
    laws.check_metric(AUROC(weighted=True), weighted, laws=["homomorphism", "any tree", "batch split"], examples=20)


@pytest.mark.parametrize("column", range(0, 30, 5))
@pytest.mark.parametrize("weighted", [False, True])
def test_agrees_with_scikit_learn(column, weighted):
    """On real data the value is that of scikit-learn, between bounds that are certain."""
    data = load_breast_cancer()
    scores = -data.data[:, column]
    weights = data.data[:, 0] if weighted else None
    metric = AUROC(precision=10, weighted=weighted)
    for rows in np.array_split(np.arange(569), 7):
        metric.update_state(data.target[rows], scores[rows], None if weights is None else weights[rows])
    value, low, high = metric.estimate()
    exact = roc_auc_score(data.target, scores, sample_weight=weights)
    assert low - 1e-12 <= exact <= high + 1e-12
    assert abs(exact - value) < 1e-4
    assert value == metric.result()


def test_small_scores():
    """Scores below every threshold of Keras's own metric are ranked all the same."""
    metric = AUROC()
    metric.update_state([0, 0, 1, 1], np.array([[1e-9], [4e-9], [3e-9], [8e-9]], np.float32))
    assert 0.75 == metric.result()


def test_empty_or_one_label():
    """Without rows of both labels there is no area."""
    metric = AUROC()
    assert math.isnan(metric.result())
    metric.update_state([1], [0.5])
    assert math.isnan(metric.result())


def test_files_know_the_metric():
    """A snapshot gives its result by the registered class."""
    metric = AUROC(precision=9)
    metric.update_state([0, 1], [0.1, 0.2])
    saved = mg.Snapshot.from_bytes(metric.snapshot().to_bytes())
    assert ("AUROC", 1.0) == (saved.metric, saved.result())


@pytest.mark.parametrize(
    ("batch", "match"),
    [
        (([0, 1], [0.1, 0.2], [1.0, 1.0]), r"^AUROC\.update_state: got sample_weight, expected none.*AUROC\(weighted=True\)"),
        (([0, 2], [0.1, 0.2]), r"^ScoreHistogram\.update: got the label 2, expected 0 and 1"),
        (([0, 1], [[0.1, 0.9], [0.2, 0.8]]), r"expected one score for each label\. Of two columns take that of the positive"),
    ],
)
def test_what_is_refused(batch, match):
    """Weights that nobody declared, other labels and other shapes are refused, and nothing is counted."""
    metric = AUROC()
    with pytest.raises(ValueError, match=match):
        metric.update_state(*batch)
    assert 0 == metric.coverage.updates
