"""Covariance, correlation, regression and R² of pairs from exact sums."""

import math
import sys

import ml_dtypes
import numpy as np
import pytest

import mergeable as mg
from mergeable.encoding.canonical import canonical_bytes
from tests import register, streams

N = 2_000


def fed(*batch):
    state = mg.CoMoments()
    state.update(*batch)
    return state


def exactly(x, y, weights=None):
    ones = [1.0] * len(x)
    return register.comoments(zip(list(map(float, x)), list(map(float, y)), ones if weights is None else weights, strict=True))


@pytest.mark.parametrize("name", streams.STREAMS)
def test_every_stream_whole_and_in_shards(name):
    """Every stream, with another of its kind beside it, has the results of exact fractions, and the same bytes in 1,000 shards."""
    x, y = streams.stream(name, 20_000), streams.stream(name, 20_000, seed=1)
    few = x[::25], y[::25]  # fractions take their time
    assert canonical_bytes(exactly(*(side.tolist() for side in few))) == canonical_bytes(fed(*few).result())
    assert canonical_bytes(fed(x, y)) == canonical_bytes(streams.sharded(mg.CoMoments, (x, y)))


@pytest.mark.parametrize("shift", [0.0, 1e8, -1e12, 1e300])
def test_noise_on_a_large_shift(shift):
    """Correlated noise at any shift has the results of exact fractions, to the bit."""
    rng = np.random.default_rng(3)
    noise = rng.standard_normal(N)
    x, y = shift + noise, -shift + 0.5 * noise + rng.standard_normal(N)
    assert canonical_bytes(exactly(x.tolist(), y.tolist())) == canonical_bytes(fed(x, y).result())


@pytest.mark.parametrize("weights", ["random", "tiny", "mixed"])
def test_weighted_pairs(weights):
    """Weighted results are those of exact fractions, for weights of all magnitudes, and the same bytes in shards."""
    rng = np.random.default_rng(1)
    x, y = 1e8 + rng.standard_normal((2, 300))
    w = rng.random(300) * {"random": 1.0, "tiny": 1e-310, "mixed": 10.0 ** rng.integers(-200, 200, 300)}[weights]
    whole = fed(x, y, w)
    assert canonical_bytes(exactly(x.tolist(), y.tolist(), w.tolist())) == canonical_bytes(whole.result())
    assert canonical_bytes(whole) == canonical_bytes(streams.sharded(mg.CoMoments, (x, y, w), shards=40))


def test_agrees_with_numpy():
    """NumPy's covariance, correlation and line are near, on data that is kind to it."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal(1000)
    y = 2 * x + rng.standard_normal(1000)
    pairs = fed(x, y)
    slope, intercept = np.polyfit(x, y, 1)
    assert np.allclose(
        [np.cov(x, y, ddof=1)[0, 1], np.corrcoef(x, y)[0, 1], slope, intercept],
        [pairs.covariance(ddof=1), pairs.correlation, pairs.slope, pairs.intercept],
    )


def test_each_side_is_that_of_moments():
    """Weight and means are those of Moments of each side, also where the other side is NaN or infinite."""
    x, y = [1.0, math.nan, 3.0, 4.0], [0.1, 0.2, math.inf, 0.4]
    pairs = fed(x, y)
    for values, mean in zip((x, y), pairs.means, strict=True):
        moments = mg.Moments()
        moments.update(values)
        assert canonical_bytes((moments.weight, moments.mean)) == canonical_bytes((pairs.weight, mean))
    assert (1, 0) == pairs.n_nan
    numbers = [pairs.covariance(), pairs.correlation, pairs.slope, pairs.intercept, pairs.r2]
    assert canonical_bytes([math.nan] * 5) == canonical_bytes(numbers)


@pytest.mark.parametrize(
    ("x", "y", "ddof", "expected"),
    [
        ([], [], 0, (math.nan, math.nan, math.nan)),
        ([3.0], [1.0], 0, (0.0, math.nan, -math.inf)),
        ([3.0], [3.0], 1, (math.nan, math.nan, math.nan)),
        ([1.0, 3.0], [1.0, 3.0], 1, (2.0, 1.0, 1.0)),
        ([1.0, 3.0], [3.0, 1.0], 0, (-1.0, -1.0, -3.0)),
        ([1.0, 3.0], [1.0, 3.0], 2, (math.nan, 1.0, 1.0)),
        ([0.1] * 9, [0.1] * 9, 0, (0.0, math.nan, math.nan)),
        ([0.1] * 9, [0.2] * 9, 0, (0.0, math.nan, -math.inf)),
        ([0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0], 0, (0.0, 0.0, -1.0)),
        ([1.7e308, -1.7e308], [1.7e308, -1.7e308], 0, (math.inf, 1.0, 1.0)),
        ([1.7e308, -1.7e308], [-1.7e308, 1.7e308], 0, (-math.inf, -1.0, -3.0)),
        ([1e-170, -1e-170], [1e-170, -1e-170], 0, (0.0, 1.0, 1.0)),
        ([5e-324, 0.0], [0.0, 5e-324], 0, (-0.0, -1.0, -3.0)),
    ],
)
def test_edges(x, y, ddof, expected):
    """Empty, single, constant and extreme pairs have defined results."""
    pairs = fed(x, y)
    found = pairs.covariance(ddof), pairs.correlation, pairs.r2
    assert canonical_bytes(expected) == canonical_bytes(found)


def test_correlation_never_leaves_its_range():
    """Points on a line have correlation 1 or -1, not a bit more."""
    x = np.random.default_rng(5).random(100)
    for scale in (0.1, -3.0, 2.0**-40):
        assert 1.0 >= abs(fed(x, scale * x).correlation) > 1 - 1e-15
    assert (1.0, -1.0) == (fed(x, x).correlation, fed(x, -x).correlation)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, ml_dtypes.bfloat16, np.int8, bool], ids=lambda d: np.dtype(d).name)
def test_mixed_types_are_widened(dtype):
    """Each side may have a type of its own, and both are widened."""
    assert (0.25, 1.0) == (fed(np.array([0, 1], dtype), [0.0, 1.0]).covariance(), fed([0.0, 1.0], np.array([0, 1], dtype)).r2)


@pytest.mark.parametrize(
    ("batch", "error", "text"),
    [
        (([1.0], [1.0, 2.0]), ValueError, r"^CoMoments\.update: got x of shape \(1,\) and y of shape \(2,\), expected equal"),
        (([1.0, 2.0], [[1.0], [2.0]]), ValueError, r"expected equal shapes\. Reshape one of them\.$"),
        ((1.0, [1.0]), ValueError, r"got x of shape \(\) and y of shape \(1,\)"),
        (([1.0], [1.0], [-1.0]), ValueError, r"^CoMoments\.update: got the weight -1\.0, expected finite weights"),
        (([1.0], [1.0], [math.nan]), ValueError, r"got the weight nan"),
        (([1.0], [1.0], [1.0, 2.0]), ValueError, r"got weights of shape \(2,\)"),
        ((["a"], [1.0]), TypeError, r"^CoMoments\.update: got values of dtype <U1"),
        ((np.array([None]), [1.0]), TypeError, r"got values of dtype object"),
        (([2**53 + 1], [1.0]), ValueError, r"got the integer 9007199254740993"),
    ],
    ids=str,
)
def test_bad_input_is_refused_and_nothing_is_taken(batch, error, text):
    """What is no pair of numbers, or no weight, raises and leaves every byte."""
    pairs = fed([1.0, 2.0], [3.0, 5.0])
    before = canonical_bytes(pairs)
    with pytest.raises(error, match=text):
        pairs.update(*batch)
    assert before == canonical_bytes(pairs)


def test_empty_batches_change_nothing():
    """Batches without pairs leave the empty state."""
    pairs = fed([], [])
    pairs.update(np.zeros((0, 3)), np.zeros((0, 3)), np.zeros(0))
    assert canonical_bytes(mg.CoMoments()) == canonical_bytes(pairs)


def test_rows_have_one_weight():
    """One weight for each row weighs all pairs of the row."""
    pairs = fed([[1.0, 2.0], [3.0, 4.0]], [[1.0, 2.0], [3.0, 4.0]], [3.0, 1.0])
    assert (8.0, (2.0, 2.0)) == (pairs.weight, pairs.means)


@pytest.mark.parametrize(
    "change",
    [
        {"weight": -1},
        {"weight": 1.0},
        {"first": [1]},
        {"first": [10**900, 0]},
        {"second": [-1, 0, 0]},
        {"second": [0, 1, 0]},
        {"second": [0, 0, 0]},
        {"special": [0] * 5},
        {"special": [0, 0, 0, -1, 0, 0]},
        {"more": 1},
    ],
    ids=str,
)
def test_data_that_no_pairs_give_is_refused(change):
    """What a file says is refused where no pairs have such sums."""
    saved = fed([1.0, 2.0, 4.0], [1.0, 3.0, 2.0]).to_data()
    with pytest.raises(ValueError, match=r"^found"):
        mg.CoMoments().from_data(saved | change)


def test_correlations_beyond_one_are_refused():
    """Sums whose sides are possible, but not together, are refused."""
    saved = fed([1.0, 2.0], [1.0, 2.0]).to_data()
    xx, xy, yy = saved["second"]
    with pytest.raises(ValueError, match="found a sum of products"):
        mg.CoMoments().from_data(saved | {"second": [xx, xy - (xy >> 1), yy]})


def test_memory_is_bounded():
    """The largest state that values make takes less than 4 KB."""
    largest = sys.float_info.max
    pairs = fed([largest, -largest, 5e-324] * 1000, [largest, largest, 5e-324] * 1000, [largest, largest, 5e-324] * 1000)
    assert 4096 > sum(map(sys.getsizeof, [pairs._weight, *pairs._first, *pairs._second]))
