"""Scores of two classes, against scikit-learn and SciPy."""

import math

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

import mergeable as mg
from mergeable.encoding.canonical import canonical_bytes
from mergeable.states import scores as scores_module
from tests import streams

N = 20_000
EDGES = [0, 1, 0x7F_FFFF, 0x80_0000, 0x3EFF_FFFF, 0x3F00_0000, 0x3F00_0001, 0x3F7F_FFFF, 0x3F80_0000, 0x7F7F_FFFF, 0x7F80_0000]
KINDS = {  # by name: scores from a normal random number, whose mean is higher for positives
    "logits": lambda z: z,
    "probabilities": lambda z: 1 / (1 + np.exp(-z)),
    "confident": lambda z: 1 / (1 + np.exp(-8 * z)),
    "float32": lambda z: (1 / (1 + np.exp(-8 * z))).astype(np.float32),
    "bfloat16": lambda z: (1 / (1 + np.exp(-z))).astype(ml_dtypes.bfloat16),
    "below 0.01": lambda z: np.minimum(np.exp(z - 7), 0.0099),
    "clipped": lambda z: np.clip(1 / (1 + np.exp(-4 * z)), 0.01, 0.99),
    "near 1": lambda z: 1 - 1e-6 / (1 + np.exp(z)),
    "percent": lambda z: np.round(100 / (1 + np.exp(-z))).astype(np.int64),
    "hard": lambda z: z > 0.5,
    "constant": np.zeros_like,
    "huge and tiny": lambda z: np.sign(z) * np.exp(np.abs(z) * 200 - 300),
}


def labelled(kind, seed=0, n=N):
    rng = np.random.default_rng(seed)
    y = rng.random(n) < 0.3
    return y, KINDS[kind](rng.normal(size=n) + y)


def fed(*batch, precision=7, weighted=False):
    histogram = mg.ScoreHistogram(precision, weighted)
    histogram.update(*batch)
    return histogram


@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_any_scores_fall_where_one_does(kind):
    """Batches with scores above 2 beside them, batches of a few rows, and one of all, end in the same bytes."""
    y, scores = labelled(kind, n=300)
    batches = [(y[i : i + 7], scores[i : i + 7]) for i in range(0, 300, 7)]
    whole, parts, beside = fed(y, scores), mg.ScoreHistogram(), fed([0, 1], [3.0, -3.0])
    for batch in batches:
        parts.merge(fed(*batch))
        beside.update(*batch)
    whole_beside = fed([0, 1], [3.0, -3.0])
    whole_beside.merge(whole)
    assert canonical_bytes(whole) == canonical_bytes(parts)
    assert canonical_bytes(whole_beside) == canonical_bytes(beside)


def exact_values(y, scores, weights=None):
    """Return ROC AUC, average precision and the Kolmogorov-Smirnov statistic of scikit-learn."""
    false, true, _ = roc_curve(y, scores, sample_weight=weights, drop_intermediate=False)
    return (
        roc_auc_score(y, scores, sample_weight=weights),
        average_precision_score(y, scores, sample_weight=weights),
        np.abs(true - false).max(),
    )


def estimates(histogram):
    return histogram.roc_auc_estimate(), histogram.pr_auc_estimate(), histogram.ks_estimate()


def assert_holds(histogram, expected):
    """Assert that the bounds hold what is expected, and the values that the state shows."""
    for estimate, value, shown in zip(estimates(histogram), expected, histogram.result().values(), strict=True):
        assert shown == estimate.value
        assert estimate.low <= estimate.value <= estimate.high
        assert estimate.low - 1e-12 <= value <= estimate.high + 1e-12


@pytest.mark.parametrize("kind", KINDS)
def test_scores_of_every_kind(kind):
    """Values are near those of all scores, and those are between the certain bounds, which are narrow."""
    y, scores = labelled(kind)
    expected = exact_values(y, scores.astype(np.float64))
    histogram = fed(y, scores)
    assert_holds(histogram, expected)
    errors = [abs(estimate.value - value) for estimate, value in zip(estimates(histogram), expected, strict=True)]
    assert (np.array(errors) < [3e-5, 1e-4, 1e-3]).all()
    assert all(estimate.high - estimate.low < 0.01 for estimate in estimates(histogram))


def test_float32_scores_apart():
    """Bins of 23 bits tell all float32 scores apart, those next to 1/2 and 1 and the smallest too, and nothing is left open."""
    rng = np.random.default_rng(0)
    ends = np.array([2.0**-149, 2.0**-126, 2.0**-20, 0.5, 1.0, 2.0, 3e38])
    near = [np.nextafter(np.float32(ends), np.float32(way)) for way in (0, np.inf)]
    scores = np.concatenate([np.float32(ends), *near, rng.random(5000).astype(np.float32)])
    scores = np.concatenate([scores, -scores])
    y = rng.random(scores.size) < 0.5
    histogram = fed(y, scores, precision=23)
    assert len(np.unique(scores.view(np.int32) * (scores != 0))) == len(histogram.to_data()["low"])
    assert all(estimate.high - estimate.low < 1e-15 for estimate in estimates(histogram))
    assert math.isclose(roc_auc_score(y, scores.astype(np.float64)), histogram.roc_auc())


@given(
    scores=st.lists(st.integers(0, 2**32 - 1) | st.sampled_from(EDGES), max_size=60),
    precision=st.sampled_from([0, 3, 7, 23]),
    same_sign=st.booleans(),
)
def test_float32_scores_give_the_bytes_of_float64(scores, precision, same_sign):
    """Which of two ways a batch goes depends on its dtype, signs and subnormal numbers; its bytes do not."""
    bits = np.array(scores, np.uint32) & np.uint32(0x7FFF_FFFF if same_sign else 0xFFFF_FFFF)
    if same_sign:
        bits = bits[(bits == 0) | (bits >= 0x80_0000)]
    narrow = bits.view(np.float32)
    y = np.arange(narrow.size) % 3 == 0
    wide = fed(y, [float(score) for score in narrow], precision=precision)
    assert canonical_bytes(wide) == canonical_bytes(fed(y, narrow, precision=precision))
    assert canonical_bytes(wide) == canonical_bytes(fed(y.astype(np.float32), narrow, precision=precision))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_batch_of_many_blocks(dtype):
    """A batch that is sorted in parts gives the bytes of small ones, also where its last part is empty or short."""
    rng = np.random.default_rng(2)
    for n in (2 * scores_module._BLOCK, 2 * scores_module._BLOCK + 3):
        y, scores = rng.random(n) < 0.5, rng.random(n).astype(dtype)
        parts = mg.ScoreHistogram()
        for start in range(0, n, 1000):
            parts.update(y[start : start + 1000], scores[start : start + 1000])
        assert canonical_bytes(fed(y, scores)) == canonical_bytes(parts)


@pytest.mark.parametrize("name", streams.STREAMS)
def test_every_stream(name):
    """On every stream the bounds hold the values of the scores' ranks; merged from 1,000 shards the state is the same bytes."""
    scores = streams.stream(name, N)
    rng = np.random.default_rng(1)
    y = rng.random(N) < np.where(scores > np.nanmedian(scores), 0.4, 0.2)
    whole = fed(y, scores)
    assert canonical_bytes(whole) == canonical_bytes(streams.sharded(mg.ScoreHistogram, (y, scores)))

    some = ~np.isnan(scores)
    ranks = np.unique(scores[some], return_inverse=True)[1]
    assert_holds(whole, exact_values(y[some], ranks))


def test_scores_near_zero_where_even_thresholds_fail():
    """Where all scores are below 0.01, evenly spaced thresholds see one bin; these bins tell the scores apart."""
    y, scores = labelled("below 0.01")
    even = np.linspace(0, 1, 200)
    assert abs(roc_auc_score(y, np.searchsorted(even, scores)) - 0.5) < 0.1
    auc, low, high = fed(y, scores).roc_auc_estimate()
    assert abs(roc_auc_score(y, scores) - auc) < 1e-5
    assert high - low < 0.002


@pytest.mark.parametrize("precision", [0, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_bounds_on_random_data(weighted, precision):
    """On small random data with ties, in wide bins, the bounds hold the exact values, whatever the weights."""
    rng = np.random.default_rng(precision)
    for _ in range(15):
        n = int(rng.integers(2, 60))
        y = rng.random(n) < rng.uniform(0.1, 0.9)
        y[:2] = [False, True]
        scores = rng.choice(rng.normal(size=int(rng.integers(1, 40))) * rng.choice([0.01, 1, 100]), n) + y * rng.choice(
            [0, 0.1]
        )
        weights = rng.choice([0.0, 0.5, 1.0, 3.0, 1e-3], n) if weighted else None
        if weighted:
            weights[:2] = 1.0
        histogram = fed(y, scores, *([weights] if weighted else []), precision=precision, weighted=weighted)
        assert_holds(histogram, exact_values(y, scores, weights))


def test_bounds_are_reached():
    """Both ends of each bound are the value of some scores that leave the same bins."""
    ends = [0.5, 0.74]  # of one bin, with two negatives and two positives between, in either order
    for inner in ([0.6, 0.61], [0.61, 0.6]):
        y, scores = [0, 1, 0, 0, 1, 1], np.array([*ends, *np.repeat(inner, 2)])
        expected = exact_values(np.array(y, bool), scores)
        found = estimates(fed(y, scores, precision=0))
        ends_met = [estimate[1 + (inner[0] < inner[1])] for estimate in found]
        assert np.allclose(expected[:2], ends_met[:2], rtol=0, atol=0.02 if inner[0] > inner[1] else 1e-12)
        assert math.isclose(expected[0], ends_met[0])
        assert found[2].low - 1e-12 <= expected[2] <= found[2].high + 1e-12


def test_breast_cancer():
    """On real data, with few rows in a bin, the values are scikit-learn's, and the curves its points."""
    bunch = load_breast_cancer()
    y = bunch.target == 0
    for column in (0, 7, 22, 29):
        scores = bunch.data[:, column]
        histogram = fed(bunch.target == 0, scores, precision=16)
        expected = exact_values(y, scores)
        assert np.allclose(expected, [*histogram.result().values()], rtol=0, atol=1e-12)
        assert all(estimate.high - estimate.low < 1e-12 for estimate in estimates(histogram))
        for ours, theirs in zip(histogram.roc_curve(), roc_curve(y, scores, drop_intermediate=False), strict=True):
            assert np.allclose(theirs, ours, rtol=1e-15, atol=0)
        for ours, theirs in zip(histogram.precision_recall_curve(), precision_recall_curve(y, scores), strict=True):
            assert np.allclose(theirs, ours, rtol=1e-15, atol=0)
        coarse = fed(bunch.target == 0, scores)
        assert_holds(coarse, expected)
        assert (np.abs(np.subtract(expected, [*coarse.result().values()])) < [1e-3, 1e-3, 1e-2]).all()


def test_kolmogorov_smirnov():
    """Where each bin holds one score, the statistic is SciPy's."""
    y, scores = labelled("percent", n=1000)
    assert math.isclose(ks_2samp(scores[y], scores[~y], method="asymp").statistic, fed(y, scores).ks())


def test_points_of_curves_are_exact():
    """Each threshold has the rates of all rows whose score is at least that."""
    y, scores = labelled("probabilities", n=3000)
    histogram = fed(y, scores, precision=3)
    false, true, thresholds = histogram.roc_curve()
    assert (0.0, 0.0, math.inf) == (false[0], true[0], thresholds[0])
    assert (np.diff(thresholds) < 0).all()
    for f, t, threshold in zip(false, true, thresholds, strict=True):
        assert (f, t) == ((scores[~y] >= threshold).sum() / (~y).sum(), (scores[y] >= threshold).sum() / y.sum())
    precision, recall, thresholds = histogram.precision_recall_curve()
    assert (1.0, 0.0, precision.size - 1) == (precision[-1], recall[-1], thresholds.size)
    for p, r, threshold in zip(precision[:-1], recall[:-1], thresholds, strict=True):
        assert (p, r) == (y[scores >= threshold].mean(), (scores[y] >= threshold).sum() / y.sum())


def test_weights():
    """Weighted values are scikit-learn's, rows without weight leave no trace, and weights of 1 are counts."""
    y, scores = labelled("clipped", n=5000)
    weights = np.random.default_rng(0).choice([0.0, 0.25, 1.0, 7.5], y.size)
    whole = fed(y, scores, weights, weighted=True)
    assert_holds(whole, exact_values(y, scores, weights))
    some = weights > 0
    assert canonical_bytes(fed(y[some], scores[some], weights[some], weighted=True)) == canonical_bytes(whole)
    merged = streams.sharded(lambda: mg.ScoreHistogram(weighted=True), (y, scores, weights), shards=100)
    assert canonical_bytes(whole) == canonical_bytes(merged)
    assert (weights[y].sum(), weights[~y].sum()) == (whole.n_positive, whole.n_negative)
    ones, counts = fed(y, scores, weighted=True), fed(y, scores)
    assert (counts.roc_auc(), counts.ks()) == (ones.roc_auc(), ones.ks())
    assert abs(counts.pr_auc() - ones.pr_auc()) < 1e-3


def test_subnormal_scores_and_weights():
    """Scores and weights below the normal numbers are told apart, and weigh what they weigh."""
    histogram = fed([0, 1, 1], [5e-324, 1e-323, -5e-324], [5e-324, 1e-323, 5e-324], weighted=True)
    assert (2 / 3, 2 / 3) == (histogram.roc_auc(), histogram.roc_auc_estimate().high)
    assert (1.5e-323, 5e-324) == (histogram.n_positive, histogram.n_negative)


def test_nan_and_infinities():
    """NaN are counted apart by label; infinities rank; -0.0 and 0.0 tie."""
    scores = [math.nan, -math.nan, math.nan, math.inf, -math.inf, 0.0, -0.0]
    histogram = fed([0, 1, 1, 1, 0, 1, 0], scores)
    assert ((1, 2), 2, 2) == (histogram.n_nan, histogram.n_negative, histogram.n_positive)
    assert mg.Estimate(3.5 / 4, 3.5 / 4, 3.5 / 4) == histogram.roc_auc_estimate()
    weighted = fed([0, 1], [math.nan, math.nan], [0.5, 0.25], weighted=True)
    assert ((0.5, 0.25), 0.0) == (weighted.n_nan, weighted.n_positive)


@pytest.mark.parametrize("labels", [[], [1, 1], [0, 0]], ids=str)
def test_a_label_missing(labels):
    """Without one of the labels every value and bound is NaN, but for the average precision of positives alone; its rates too.

    The curve of precision and recall ends in (1, 0) nonetheless.
    """
    histogram = fed(labels, [0.25] * len(labels))
    nan, pr = mg.Estimate(math.nan, math.nan, math.nan), 1.0 if labels == [1, 1] else math.nan
    assert canonical_bytes([nan, mg.Estimate(pr, pr, pr), nan]) == canonical_bytes([*estimates(histogram)])
    assert canonical_bytes({"roc_auc": math.nan, "pr_auc": pr, "ks": math.nan}) == canonical_bytes(histogram.result())
    precision, recall, thresholds = histogram.precision_recall_curve()
    assert (1.0, 0.0, len(thresholds) + 1) == (precision[-1], recall[-1], len(recall))
    assert (1 not in labels) == np.isnan(recall[:-1]).all() or not labels
    if labels == [1, 1]:
        assert (
            1.0 == average_precision_score(labels, [0.25, 0.25]) == fed(labels, [0.25, 0.5], [1.0, 2.0], weighted=True).pr_auc()
        )
    false, true, thresholds = histogram.roc_curve()
    assert [math.inf, *([0.25] if labels else [])] == thresholds.tolist()
    assert (1 not in labels, 0 not in labels) == (np.isnan(true).all(), np.isnan(false).all())


@pytest.mark.parametrize(
    "labels", [[2, 0], [-1, 1], [0.5, 0], [math.nan, 1], [5e-324, 1], np.array([0, 2**63], np.uint64)], ids=str
)
def test_other_labels_are_refused(labels):
    """Labels that are neither 0 nor 1 raise ValueError with the label, and nothing is counted."""
    histogram = mg.ScoreHistogram()
    with pytest.raises(
        ValueError, match=r"^ScoreHistogram\.update: got the label .*, expected 0 and 1\. Compare with the positive"
    ):
        histogram.update(labels, [0.1, 0.2])
    assert canonical_bytes(mg.ScoreHistogram()) == canonical_bytes(histogram)


@pytest.mark.parametrize(
    "dtype", [bool, np.int8, np.uint64, np.float16, np.float32, np.float64], ids=lambda d: np.dtype(d).name
)
def test_labels_of_every_type(dtype):
    """Labels may be bools, whole numbers or floats, in a column too."""
    assert 1.0 == fed(np.array([0, 1], dtype), [0.1, 0.2]).roc_auc()
    assert 1.0 == fed(np.array([[0], [1]], dtype), [0.1, 0.2]).roc_auc()


def test_bad_batches_are_refused():
    """Shapes that differ, weights that do not fit or are not declared, text and objects raise, and nothing is counted."""
    histogram = mg.ScoreHistogram()
    with pytest.raises(ValueError, match=r"got labels of shape \(2,\) and scores of shape \(2, 2\).*the positive class"):
        histogram.update([0, 1], [[0.9, 0.1], [0.2, 0.8]])
    with pytest.raises(ValueError, match=r"got weights, expected none.*ScoreHistogram\(weighted=True\)"):
        histogram.update([0, 1], [0.1, 0.2], [1.0, 1.0])
    for labels, scores in ((["a", "b"], [0.1, 0.2]), ([0, 1], ["a", "b"]), ([0, None], [0.1, 0.2])):
        with pytest.raises(TypeError, match=r"^ScoreHistogram\.update: got values of dtype"):
            histogram.update(labels, scores)
    assert canonical_bytes(mg.ScoreHistogram()) == canonical_bytes(histogram)
    weighted = mg.ScoreHistogram(weighted=True)
    with pytest.raises(ValueError, match=r"^ScoreHistogram\.update: got the weight -1\.0"):
        weighted.update([0, 1], [0.1, 0.2], [-1.0, 1.0])
    assert canonical_bytes(mg.ScoreHistogram(weighted=True)) == canonical_bytes(weighted)


@pytest.mark.parametrize("precision", [-1, 24, 7.0, None], ids=str)
def test_bad_precision_is_refused(precision):
    """A precision that is no whole number from 0 to 23 raises ValueError."""
    with pytest.raises(ValueError, match=r"^ScoreHistogram: got precision .*, expected a whole number from 0 to 23"):
        mg.ScoreHistogram(precision)


def test_counts_of_any_size():
    """Values are right where products pass int64; more than 2**63 - 1 rows raise OverflowError, and both sides stay as they were."""
    histogram = fed([0, 1, 1, 0], [0.1, 0.2, 0.3, 0.25])
    for _ in range(60):
        histogram.merge(histogram)
    assert 2**61 == histogram.n_positive
    assert (0.75, 0.5) == (histogram.roc_auc(), histogram.ks())
    before = canonical_bytes(histogram)
    with pytest.raises(OverflowError, match=r"there would be more than 2\*\*63 - 1 rows"):
        histogram.merge(histogram)
    assert before == canonical_bytes(histogram)


def saved(**change):
    """Return what three rows leave, one of them changed."""
    data = fed([0, 1, 1], [0.51, 0.5101, 0.75]).to_data()
    return {**data, **change}


def test_a_value_from_a_file():
    """What three rows leave is read back."""
    histogram = mg.ScoreHistogram()
    histogram.from_data(saved())
    assert canonical_bytes(fed([0, 1, 1], [0.51, 0.5101, 0.75])) == canonical_bytes(histogram)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"low": np.array([0.51, np.nan])}, "lowest score is NaN"),
        ({"low": np.array([0.5102, 0.75])}, "above the highest"),
        ({"low": np.array([0.3, 0.75])}, "several bins in one"),
        ({"low": np.array([0.75, 0.75]), "high": np.array([0.75, 0.75])}, "do not increase"),
        ({"low": np.array([0.51])}, "expected 2 whole numbers|expected 1 whole numbers"),
        ({"low": [0.51, 0.75]}, "expected"),
        ({"negative": np.array([1, -1])}, "whole number"),
        ({"negative": np.array([2**63 - 1, 0])}, "more rows than"),
        ({"nan": [2**63 - 1, 0]}, "more rows than"),
        ({"nan": [0]}, "expected 2 whole numbers"),
        ({"negative": np.array([0, 0])}, "more than there is"),
        ({"positive_at_high": np.array([2, 1])}, "more than there is"),
        ({"positive_at_high": np.array([0, 1])}, "which nothing has|nothing has"),
        ({"positive_at_low": np.array([0, 0])}, "more than there is"),
        ({"high": np.array([0.51, 0.75])}, "more than there is"),
    ],
)
def test_what_no_rows_leave_is_refused(change, text):
    """Scores and amounts that do not fit one another raise ValueError."""
    with pytest.raises(ValueError, match=text):
        mg.ScoreHistogram().from_data(saved(**change))
