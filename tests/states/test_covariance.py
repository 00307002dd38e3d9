"""Means and covariances of vectors in float64, within their bounds."""

import copy
import math
import pickle
from fractions import Fraction

import numpy as np
import pytest

import mergeable as mg
from mergeable.encoding.canonical import canonical_bytes
from tests import register, streams

N = 20_000


def fed(rows, d=2):
    state = mg.Covariance(d)
    state.update(rows)
    return state


def whole_numbers(values):
    """Return floats as whole numbers of units of 2**-1074: sums of them take no fractions."""
    return [n * (2**1074 // d) for n, d in map(float.as_integer_ratio, values.tolist())]


def exact_moments(rows):
    """Return the exact means of columns, and the exact covariances of pairs of them, by Python's whole numbers."""
    columns, (n, d) = [whole_numbers(column) for column in rows.T], rows.shape
    sums = [sum(column) for column in columns]
    products = {(j, k): sum(a * b for a, b in zip(columns[j], columns[k], strict=True)) for j in range(d) for k in range(j, d)}
    covariances = {pair: Fraction(n * value - sums[pair[0]] * sums[pair[1]], n * n << 2148) for pair, value in products.items()}
    return [Fraction(total, n << 1074) for total in sums], covariances


def worst(state, exact):
    """Return the largest ratio of an error to its bound."""
    ratios, (means, covariances) = [], exact
    for j in range(state.d):
        for k in range(state.d):
            answers = (state.mean_estimate(j), means[j]), (state.estimate(j, k), covariances[min(j, k), max(j, k)])
            for estimate, answer in answers:
                assert estimate.low <= answer <= estimate.high
                if all(map(math.isfinite, estimate)) and estimate.high > estimate.low:
                    bound = Fraction(estimate.high) - Fraction(estimate.low)
                    ratios.append(float(2 * abs(Fraction(estimate.value) - answer) / bound))
    return max(ratios, default=0.0)


@pytest.mark.parametrize("name", [name for name in streams.STREAMS if name != "NaN and infinities"])
def test_every_stream_keeps_the_bound(name):
    """Means and covariances of every stream and another of its kind are within their bounds, whole and in 1,000 shards."""
    rows = np.stack([streams.stream(name, N), streams.stream(name, N, seed=1)], axis=1)
    whole, merged = fed(rows), streams.sharded(lambda: mg.Covariance(2), (rows,))
    exact = exact_moments(rows)
    assert [1.0 > worst(state, exact) for state in (whole, merged)] == [True, True]
    assert N == whole.n == merged.n


@pytest.mark.parametrize("shift", [0.0, 1e8, -1e12, 1e300, 1e-300])
def test_noise_on_a_large_shift(shift):
    """The bound holds for correlated noise at any shift, and is narrow: 1e-9 of the deviations at 1e8."""
    noise = np.random.default_rng(3).standard_normal((5_000, 2)) @ [[1.0, 0.5], [0.0, 1.0]]
    rows = shift + noise * (1e-300 if shift == 1e-300 else 1.0)
    exact = exact_moments(rows)
    for state in (fed(rows), streams.sharded(lambda: mg.Covariance(2), (rows,), shards=100)):
        assert worst(state, exact) < 1.0
        assert shift != 1e8 or state.estimate(0, 1).high - state.estimate(0, 1).low < 1e-3


def test_agrees_with_numpy():
    """NumPy's mean, covariance and correlation are near."""
    rows = np.random.default_rng(0).standard_normal((3_000, 4)) @ np.random.default_rng(1).standard_normal((4, 4))
    state = fed(rows, 4)
    assert np.allclose(rows.mean(axis=0), state.mean, rtol=0, atol=1e-15)
    assert np.allclose(np.cov(rows.T, ddof=1), state.covariance(ddof=1), rtol=1e-13)
    assert np.allclose(np.corrcoef(rows.T), state.correlation, rtol=1e-13)


def test_special_values_stay_in_their_columns():
    """NaN and infinities show in their column's mean and covariances, are counted, and leave the other columns' bits."""
    rows = np.stack([streams.stream("NaN and infinities", N), *np.random.default_rng(0).random((2, N))], axis=1)
    state, others = fed(rows, 3), fed(np.where(np.isfinite(rows), rows, 0.0), 3)
    assert int(np.isnan(rows[:, 0]).sum()) == state.n_nan[0]
    assert [True, False, False] == np.isnan(state.mean).tolist()
    assert np.isnan([state.result()[0], state.result()[:, 0], state.correlation[0]]).all()
    assert others.result()[1:, 1:].tobytes() == state.result()[1:, 1:].tobytes()
    assert (math.inf, -math.inf) == tuple(fed([[math.inf, 1.0], [1.0, -math.inf]]).mean)
    assert canonical_bytes((math.inf,) * 3) == canonical_bytes(tuple(fed([[math.inf, 1.0]]).mean_estimate(0)))
    assert canonical_bytes((math.nan,) * 3) == canonical_bytes(tuple(fed([[math.nan, 1.0]]).estimate(0, 1)))


def test_edges():
    """Empty, single and constant rows have defined results."""
    empty, single, constant = mg.Covariance(2), fed([1.0, 2.0]), fed([[0.1, 3.0]] * 3000)
    assert np.isnan([*empty.mean, *empty.result().ravel(), *empty.correlation.ravel()]).all()
    assert all(map(math.isnan, (*empty.estimate(0, 1), *empty.mean_estimate(0))))
    assert ([1.0, 2.0], [[0.0] * 2] * 2, 1) == (single.mean.tolist(), single.result().tolist(), single.n)
    assert np.isnan(single.covariance(ddof=1)).all()
    assert np.isnan(single.correlation).all()
    assert ([0.1, 3.0], [[0.0] * 2] * 2) == (constant.mean.tolist(), constant.result().tolist())


def test_nothing_overflows_that_the_result_holds():
    """Values of the ends of the range have their covariances, also beside each other and after merges."""
    state = fed([[1.7e308, 1e-300], [-1.7e308, -1e-300]])
    state.merge(fed([[1.0, 3e-300], [1.0, -3e-300]]))
    covariance = state.result()
    assert math.inf == covariance[0, 0]
    assert covariance[0, 1] == pytest.approx(1.7e308 * 1e-300 / 2, rel=1e-15)
    assert [0.5, 0.0] == state.mean.tolist()


def test_merges_commute_to_the_bit():
    """Two states merge to the same bytes in either order, equal and unequal ones."""
    rng = np.random.default_rng(0)
    for n, m in ((5, 5), (5, 3000), (1, 2)):
        a, b = rng.standard_normal((n, 3)), 1e5 * rng.standard_normal((m, 3))
        ab, ba = fed(a, 3), fed(b, 3)
        ab.merge(fed(b, 3))
        ba.merge(fed(a, 3))
        assert canonical_bytes(ab) == canonical_bytes(ba)


def test_copies_share_nothing_that_changes():
    """Copies, pickles and results stay as they are when the state goes on."""
    state = fed([[1.0, 2.0], [3.0, 5.0]])
    before, copies = canonical_bytes(state), [copy.deepcopy(state), pickle.loads(pickle.dumps(state))]
    shown = state.mean, state.result(), state.n_nan
    for array in shown:
        array[...] = 7
    assert [before] * 3 == [canonical_bytes(c) for c in (state, *copies)]
    state.update([9.0, 9.0])
    assert [before] * 2 == list(map(canonical_bytes, copies))


@pytest.mark.parametrize("d", [0, -1, 1.0, True, None, "2"], ids=str)
def test_bad_sizes_are_refused(d):
    """The number of columns is a whole number of at least 1."""
    with pytest.raises(ValueError, match=r"^Covariance: got d = .*, expected a whole number of at least 1"):
        mg.Covariance(d)


@pytest.mark.parametrize(
    ("rows", "error", "text"),
    [
        ([1.0, 2.0, 3.0], ValueError, r"^Covariance\.update: got rows of shape \(3,\), expected \(\.\.\., 2\)\. The last axis"),
        (1.0, ValueError, r"got rows of shape \(\)"),
        ([[1.0], [2.0]], ValueError, r"got rows of shape \(2, 1\)"),
        ([["a", "b"]], TypeError, r"^Covariance\.update: got values of dtype <U1"),
        (np.array([[None, 1]]), TypeError, r"got values of dtype object"),
        ([[2**53 + 1, 1]], ValueError, r"got the integer 9007199254740993"),
    ],
    ids=str,
)
def test_bad_rows_are_refused_and_nothing_is_taken(rows, error, text):
    """What is no row of d numbers raises and leaves every byte."""
    state = fed([[1.0, 2.0]])
    before = canonical_bytes(state)
    with pytest.raises(error, match=text):
        state.update(rows)
    assert before == canonical_bytes(state)


def test_empty_batches_and_leading_axes():
    """Batches without rows change nothing, and all leading axes are rows."""
    state = fed(np.zeros((0, 2)))
    assert canonical_bytes(mg.Covariance(2)) == canonical_bytes(state)
    cube = np.arange(12.0).reshape(2, 3, 2)
    assert canonical_bytes(fed(cube.reshape(6, 2))) == canonical_bytes(fed(cube))


def test_too_many_rows_are_refused():
    """More than 2**53 rows raise OverflowError and leave both sides."""
    state = fed([[1.0, 2.0], [3.0, 5.0]])
    for _ in range(52):
        state.merge(state)
    before = canonical_bytes(state)
    with pytest.raises(OverflowError, match=r"^Covariance: there would be 18014398509481984 rows, expected at most 2\*\*53"):
        state.merge(state)
    assert (before, 2**53) == (canonical_bytes(state), state.n)


ROWS = [[1.0, 2.0], [3.0, 5.0], [4.0, 1.0]]


@pytest.mark.parametrize(
    "change",
    [
        {"n": -1},
        {"n": 0},
        {"n": 2**53 + 1},
        {"merges": 3},
        {"scale": np.array([3, 1025])},
        {"scale": np.array([3, -1023])},
        {"scale": np.zeros(3, np.int64)},
        {"mean": np.array([0.0, 1.1])},
        {"mean": np.array([0.0, math.nan])},
        {"mean": np.zeros(2, np.float32)},
        {"scatter": np.array([[1.0, 0.5], [0.4, 1.0]])},
        {"scatter": np.array([[1.0, 2.0], [2.0, 1.0]])},
        {"scatter": np.array([[-1.0, 0.0], [0.0, 1.0]])},
        {"scatter": np.array([[13.0, 0.0], [0.0, 1.0]])},
        {"scatter": np.array([[math.inf, 0.0], [0.0, 1.0]])},
        {"special": np.array([[4, 0, 0], [0, 0, 0]])},
        {"special": np.array([[2, 1, 1], [0, 0, 0]])},
        {"special": np.array([[-1, 0, 0], [0, 0, 0]])},
        {"more": 1},
    ],
    ids=str,
)
def test_data_that_no_rows_give_is_refused(change):
    """What a file says is refused where no rows have such means and products."""
    with pytest.raises(ValueError, match=r"^found"):
        mg.Covariance(2).from_data(fed(ROWS).to_data() | change)


def test_data_of_no_rows():
    """Data without rows are those of the empty state, and no others."""
    saved = mg.Covariance(2).to_data()
    with pytest.raises(ValueError, match=r"^found means or products of no rows"):
        mg.Covariance(2).from_data(saved | {"mean": np.array([0.5, 0.0])})


def test_a_bound_that_is_broken_shows():
    """A wrong mean or product is outside of its bounds."""
    rows = np.random.default_rng(0).random((100, 2))
    state = fed(rows)
    saved = state.to_data()
    for name in ("mean", "scatter"):
        wrong = mg.Covariance(2)
        wrong.from_data(saved | {name: saved[name] * (1 + 1e-11)})
        assert not register.within_covariances(wrong, [rows])
    assert register.within_covariances(state, [rows])
