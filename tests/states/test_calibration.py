"""Calibration of probabilities, against scikit-learn and plain sums."""

import math
from fractions import Fraction

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import mergeable as mg
from mergeable.encoding.canonical import canonical_bytes
from tests import streams

N = 20_000


def fed(*batch, bins=15, weighted=False):
    state = mg.Calibration(bins, weighted)
    state.update(*batch)
    return state


def expected_error(y, p, bins, weights):
    """Return the expected calibration error by plain sums over the bins."""
    places = np.searchsorted(np.arange(1, bins) / bins, p)
    gaps = [abs((weights * (y - p))[places == i].sum()) for i in range(bins)]
    return sum(gaps) / weights.sum()


@pytest.mark.parametrize("bins", [1, 7, 15, 100])
def test_random_data(bins):
    """Curve, calibration error and Brier score are those of scikit-learn and plain sums."""
    rng = np.random.default_rng(bins)
    p = rng.random(N)
    y = rng.random(N) < p**1.5
    state = fed(y, p, bins=bins)
    observed, predicted, counts = state.curve()
    for ours, theirs in zip((observed, predicted), calibration_curve(y, p, n_bins=bins), strict=True):
        assert np.allclose(theirs, ours, rtol=1e-12, atol=0)
    assert (N, np.int64, N) == (counts.sum(), counts.dtype, state.n)
    assert math.isclose(brier_score_loss(y, p), state.brier(), rel_tol=1e-12)
    assert math.isclose(expected_error(y, p, bins, np.ones(N)), state.ece(), rel_tol=1e-9)


def test_breast_cancer():
    """On real probabilities, too, the values are scikit-learn's; empty bins are NaN, where it leaves them out."""
    data = load_breast_cancer()
    model = make_pipeline(StandardScaler(), LogisticRegression(C=1e-3)).fit(data.data[::2], data.target[::2])
    y, p = data.target[1::2], model.predict_proba(data.data[1::2])[:, 1]
    state = fed(y, p, bins=20)
    observed, predicted, counts = state.curve()
    assert (counts == 0).any()
    for ours, theirs in zip((observed, predicted), calibration_curve(y, p, n_bins=20), strict=True):
        assert np.isnan(ours[counts == 0]).all()
        assert np.allclose(theirs, ours[counts > 0], rtol=1e-12, atol=0)
    assert math.isclose(brier_score_loss(y, p), state.brier(), rel_tol=1e-12)
    assert math.isclose(expected_error(y, p, 20, np.ones(y.size)), state.ece(), rel_tol=1e-9)


def test_weights():
    """Weighted values are scikit-learn's and plain sums; weights of 1 are counts, and 0 is no row."""
    rng = np.random.default_rng(0)
    p, weights = rng.random(N), rng.choice([0.0, 0.25, 1.0, 7.5], N)
    y = rng.random(N) < p
    state = fed(y, p, weights, weighted=True)
    assert math.isclose(brier_score_loss(y, p, sample_weight=weights), state.brier(), rel_tol=1e-12)
    assert math.isclose(expected_error(y, p, 15, weights), state.ece(), rel_tol=1e-9)
    assert weights.sum() == state.n == state.curve()[2].sum()
    some = weights > 0
    assert canonical_bytes(fed(y[some], p[some], weights[some], weighted=True)) == canonical_bytes(state)
    assert canonical_bytes(fed(y, p).result()) == canonical_bytes(fed(y, p, weighted=True).result())


@pytest.mark.parametrize(
    ("name", "weighted"), [*((name, False) for name in streams.STREAMS), ("600 decades", True), ("NaN and infinities", True)]
)
def test_every_stream(name, weighted):
    """The Brier score is the exact one rounded once; merged from 1,000 shards the state is the same bytes."""
    values = streams.stream(name, N)
    p = np.where(np.abs(values) <= 1, np.abs(values), 1 / np.maximum(np.abs(values), 1))
    rng = np.random.default_rng(0)
    columns = [rng.random(N) < np.where(np.isnan(p), 0.5, p), p]
    if weighted:
        columns.append(rng.choice([0.1, 1.0, 3e-9], N))
    whole = fed(*columns, weighted=weighted)
    assert canonical_bytes(whole) == canonical_bytes(
        streams.sharded(lambda: mg.Calibration(weighted=weighted), columns, shards=200 if weighted else 1_000)
    )
    y, p, w = (column[~np.isnan(p)][:2000] for column in (columns[0], p, columns[2] if weighted else np.ones(N)))
    rows = [(Fraction(a) - b, Fraction(c)) for a, b, c in zip(p.tolist(), y.tolist(), w.tolist(), strict=True)]
    expected = float(sum(c * gap**2 for gap, c in rows) / sum(c for _, c in rows))
    assert expected == fed(y, p, *([w] if weighted else []), weighted=weighted).brier()


def test_edges_belong_below():
    """A probability on an edge is in the bin below it, 0 in the first one, by the bits of the quotients."""
    p = np.array([0.0, -0.0, 5e-324, 0.1, np.nextafter(0.1, 1), 0.3, np.nextafter(0.3, 1), 1.0])
    state = fed(np.zeros(8), p, bins=10)
    assert [4, 1, 1, 1, 0, 0, 0, 0, 0, 1] == state.curve()[2].tolist()
    assert (0.0, 0.1, 0.3, 1.0) == tuple(state.edges[[0, 1, 3, 10]])


@pytest.mark.parametrize("bins", [1, 2, 3, 49, 1000])
def test_numbers_near_the_edges(bins):
    """Every edge, and the numbers next to it, fall where bisection puts them."""
    edges = np.arange(bins + 1) / bins
    p = np.concatenate([edges, np.nextafter(edges, 0), np.nextafter(edges[:-1], 1), [5e-324, 1e-310]])
    expected = np.bincount(np.searchsorted(edges[1:-1], p), minlength=bins)
    assert expected.tolist() == fed(np.zeros(p.size), p, bins=bins).curve()[2].tolist()


def test_as_many_bins_as_there_may_be():
    """The last of 65,536 bins holds 1."""
    assert [65_535] == np.flatnonzero(fed([1], [1.0], bins=65_536).curve()[2]).tolist()


def test_nan_and_empty():
    """NaN are counted apart; of nothing the values are NaN."""
    state = fed([0, 1], [math.nan, math.nan])
    assert (2, 0) == (state.n_nan, state.n)
    assert canonical_bytes({"ece": math.nan, "brier": math.nan}) == canonical_bytes(state.result())
    assert np.isnan(state.curve()[0]).all()
    assert 0.5 == fed([0, 1], [math.nan, 0.5], [0.5, 1.0], weighted=True).n_nan


@pytest.mark.parametrize("p", [-0.1, 1.000002, -5e-324, math.inf, -math.inf, 2], ids=str)
def test_what_is_no_probability_is_refused(p):
    """A number outside of [0, 1] raises ValueError that says what to do, and nothing is counted."""
    state = mg.Calibration()
    with pytest.raises(ValueError, match=r"^Calibration\.update: got the probability .*, expected numbers from 0 to 1\. Apply"):
        state.update([0, 1], [0.5, p])
    assert canonical_bytes(mg.Calibration()) == canonical_bytes(state)


def test_bad_batches_are_refused():
    """Other labels, shapes that differ, weights that are not declared or do not fit raise, and nothing is counted."""
    state = mg.Calibration()
    with pytest.raises(ValueError, match=r"^Calibration\.update: got the label .*2.*, expected 0 and 1"):
        state.update([0, 2], [0.5, 0.5])
    with pytest.raises(ValueError, match=r"got labels of shape \(2,\) and scores of shape \(3,\)"):
        state.update([0, 1], [0.5, 0.5, 0.5])
    with pytest.raises(ValueError, match=r"got weights, expected none.*Calibration\(bins, weighted=True\)"):
        state.update([0, 1], [0.5, 0.5], [1.0, 1.0])
    with pytest.raises(TypeError, match=r"^Calibration\.update: got values of dtype"):
        state.update([0, 1], ["a", "b"])
    assert canonical_bytes(mg.Calibration()) == canonical_bytes(state)
    weighted = mg.Calibration(weighted=True)
    with pytest.raises(ValueError, match=r"^Calibration\.update: got the weight nan"):
        weighted.update([0, 1], [0.5, 0.5], [math.nan, 1.0])
    assert canonical_bytes(mg.Calibration(weighted=True)) == canonical_bytes(weighted)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_probabilities_an_ulp_above_1_are_1(kind):
    """Sums of softmax outputs just above 1 are 1; what is farther off is refused."""
    near, exactly = mg.Calibration(bins=4), mg.Calibration(bins=4)
    over = [np.nextafter(kind(1), kind(2)), kind(1 + 5e-7), kind(-0.0), kind("nan"), kind(0.5)]
    near.update([1, 0, 0, 1, 1], np.array(over, kind))
    exactly.update([1, 0, 0, 1, 1], [1.0, 1.0, 0.0, math.nan, 0.5])
    assert canonical_bytes(exactly) == canonical_bytes(near)
    for bad in (kind(1.000002), kind(-1e-7), kind("inf")):
        with pytest.raises(
            ValueError, match=r"^Calibration\.update: got the probability .*, expected numbers from 0 to 1\. Apply"
        ):
            near.update([0, 1], np.array([over[0], bad], kind))
    assert canonical_bytes(exactly) == canonical_bytes(near)


def test_sums_of_softmax_outputs():
    """Float32 probabilities of many classes, added up in every order, are taken."""
    logits = np.random.default_rng(0).normal(size=(5_000, 50)).astype(np.float32) * 3
    softmax = np.exp(logits - logits.max(1, keepdims=True))
    softmax /= softmax.sum(1, keepdims=True)
    sums = np.cumsum(softmax, axis=1)[:, -1]
    assert (sums > 1).any()
    mg.Calibration().update(np.ones(len(sums)), sums)


@pytest.mark.parametrize("bins", [0, -1, 2**17, 10.0, [0.0, 1.0]], ids=str)
def test_bad_bins_are_refused(bins):
    """A number of bins that is no whole number from 1 to 65536 raises ValueError."""
    with pytest.raises(ValueError, match=r"^Calibration: got .* bins, expected a whole number from 1 to 65536"):
        mg.Calibration(bins)


def test_counts_overflow_loudly():
    """More than 2**63 - 1 rows raise OverflowError, and both sides stay as they were."""
    state = fed([0, 1], [0.25, 0.75])
    for _ in range(61):
        state.merge(state)
    before = canonical_bytes(state)
    with pytest.raises(OverflowError, match=r"there would be more than 2\*\*63 - 1 rows"):
        state.merge(state)
    assert before == canonical_bytes(state)
    assert (2**62, 0.25, 0.0625) == (state.n, state.ece(), state.brier())


def saved(**change):
    """Return what two rows leave in two bins, with a change."""
    return {**fed([0, 1], [0.25, 0.75], bins=2).to_data(), **change}


def test_a_value_from_a_file():
    """What two rows leave is read back."""
    state = mg.Calibration(2)
    state.from_data(saved())
    assert canonical_bytes(fed([0, 1], [0.25, 0.75], bins=2)) == canonical_bytes(state)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"negative": np.array([1])}, "expected 2 whole numbers"),
        ({"negative": np.array([1, -1])}, "whole number"),
        ({"negative": np.array([0, 0])}, "its bin does not hold"),
        ({"negative": np.array([0, 1])}, "its bin does not hold"),
        ({"predicted": [0, 2**1074 + 1]}, "its bin does not hold"),
        ({"nan": 2**63 - 2}, "more rows than"),
        ({"nan": -1}, "whole number"),
        ({"squares": 2**2149 + 1}, "whole number"),
        ({"squares": -1}, "whole number"),
        ({"squares": 0, "predicted": [0, 2**1073]}, "sum of squares that no probabilities have"),
    ],
)
def test_what_no_rows_leave_is_refused(change, text):
    """Sums that do not fit one another raise ValueError."""
    with pytest.raises(ValueError, match=text):
        mg.Calibration(2).from_data(saved(**change))
