"""Quantiles from bins of one relative width."""

import math

import numpy as np
import pytest

import mergeable as mg
from mergeable.encoding.canonical import canonical_bytes
from tests import streams

QUANTILES = np.array([0.0, 0.001, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 1.0])


def fed(values, **parameters):
    histogram = mg.LogLinearHistogram(**parameters)
    histogram.update(values)
    return histogram


def items_at(values, q):
    """Return the items of rank ceil(q n) by sorting."""
    items = np.sort(values[~np.isnan(values)])
    return items[[max(1, math.ceil(p * items.size)) - 1 for p in q.tolist()]]


@pytest.mark.parametrize("precision", [7, 0])
@pytest.mark.parametrize("name", streams.STREAMS)
def test_quantiles_of_every_stream(name, precision):
    """Each quantile is within the relative error that the state states, its item between the certain bounds, in any tree of merges."""
    values = streams.stream(name, 20_000)
    whole = fed(values, precision=precision)
    merged = streams.sharded(lambda: mg.LogLinearHistogram(precision), (values,))
    assert canonical_bytes(whole) == canonical_bytes(merged)

    expected, found = items_at(values, QUANTILES), whole.quantile(QUANTILES)
    same = found == expected  # infinities, zeros and extremes
    error = np.abs(found[~same] / expected[~same] - 1)
    assert error.max(initial=0.0) <= whole.relative_error * (1 + 1e-12) + 2**-53
    for q, item in zip(QUANTILES.tolist(), expected.tolist(), strict=True):
        value, low, high = whole.estimate(q)
        assert low <= item <= high
        assert low <= value <= high


def test_agrees_with_numpy():
    """With all 52 bits the bins hold one number each, and quantiles are NumPy's of the inverted distribution function."""
    values = np.random.default_rng(0).random(999)
    expected = np.quantile(values, [0.1, 0.5, 0.77], method="inverted_cdf")
    histogram = fed(values, precision=52, max_bins=2**20)
    assert histogram.relative_error > 1e-6  # the numbers reach too far for 52 bits in a million bins
    assert np.allclose(expected, histogram.quantile([0.1, 0.5, 0.77]), rtol=histogram.relative_error, atol=0)
    few = fed([1.0, 1.0 + 2.0**-52, 1.0 + 2.0**-51], precision=52)
    assert 1.0 + 2.0**-52 == few.quantile(0.5)


def test_every_value_has_one_cell():
    """Zeros, NaN of both signs and infinities are counted apart, and rank where they belong."""
    histogram = fed([math.nan, -math.nan, math.inf, math.inf, -math.inf, 0.0, -0.0, 5e-324, -5e-324])
    assert (7, 2, (1, 2)) == (histogram.n, histogram.n_nan, histogram.n_infinite)
    expected = [-math.inf, -5e-324, 0.0, 0.0, 5e-324, math.inf, math.inf]
    assert np.array(expected).tobytes() == histogram.quantile((np.arange(1, 8) - 0.5) / 7).tobytes()
    assert {"n": 7, "min": -math.inf, "25%": -5e-324, "50%": 0.0, "75%": math.inf, "max": math.inf} == histogram.result()


def test_subnormal_numbers_have_narrow_bins():
    """Among subnormal numbers, too, the relative error is the stated one, but for half a unit of rounding."""
    units = np.random.default_rng(0).integers(1, 2**52, 1000)
    values = units.view(np.float64)
    histogram = fed(values, precision=3)
    assert 1 / 17 == histogram.relative_error
    for q in (0.1, 0.3, 0.5, 0.9):
        item = int(np.sort(units)[math.ceil(q * 1000) - 1])
        assert abs(int(np.float64(histogram.quantile(q)).view(np.int64)) - item) <= item / 17 + 0.5
    small = fed(np.arange(1, 9).view(np.float64))
    assert np.arange(1, 9).view(np.float64).tobytes() == small.quantile(np.arange(1, 9) / 8).tobytes()


@pytest.mark.parametrize(
    ("largest", "max_bins", "precision"),
    [(1.0, 2, 7), (1.01, 2, 7), (1.02, 2, 6), (3.9, 2, 0), (4.0, 2, -1), (1e300, 2, -9), (1e300, 4096, 2), (1e9, 4096, 7)],
)
def test_precision_is_what_the_range_needs(largest, max_bins, precision):
    """The precision is the highest whose bins are few enough, and goes below 0, where a bin holds several octaves."""
    histogram = fed([1.0, largest], max_bins=max_bins)
    assert precision == histogram.to_data()["precision"]
    ratio = 1 + 2.0**-precision if precision >= 0 else 2.0**2.0**-precision
    assert math.isclose((ratio - 1) / (ratio + 1), histogram.relative_error)


def test_the_whole_range_in_two_bins():
    """Two bins hold all floats there are; the bounds are still true."""
    values = np.array([5e-324, 1e-300, 0.75, 1.0, 1e300, 1.7976931348623157e308])
    histogram = fed(np.concatenate([values, -values]), max_bins=2)
    assert -11 <= histogram.to_data()["precision"] < 0
    for rank, item in enumerate(values.tolist(), start=7):
        value, low, high = histogram.estimate(rank / 12)
        assert low <= item <= high
        assert low <= value <= high


def test_merging_keeps_the_coarser_bins():
    """A merge of two ranges has the bins of both ranges together, whichever side it comes from."""
    near, far = fed([1.0, 1.5], max_bins=4), fed([1e10], max_bins=4)
    both = fed([1e10, 1.5, 1.0], max_bins=4)
    for a, b in ((near, far), (far, near)):
        joint = a.empty()
        joint.merge(a)
        joint.merge(b)
        assert canonical_bytes(both) == canonical_bytes(joint)


def test_empty():
    """Quantiles, extremes and bounds of nothing are NaN; the stated error is that of the declared precision."""
    histogram = fed([math.nan])
    assert math.isnan(histogram.quantile(0.5))
    assert canonical_bytes(mg.Estimate(math.nan, math.nan, math.nan)) == canonical_bytes(histogram.estimate(1))
    assert (0, 1) == (histogram.n, histogram.n_nan)
    assert 1 / 257 == histogram.relative_error


@pytest.mark.parametrize("q", [-0.1, 1.1, math.nan, 50, [0.5, 2.0]], ids=str)
def test_quantiles_outside_are_refused(q):
    """A q that is not in [0, 1] raises ValueError that says what to do."""
    with pytest.raises(ValueError, match=r"LogLinearHistogram\.quantile: got q = .*, expected numbers from 0 to 1\. Divide"):
        fed([1.0]).quantile(q)


@pytest.mark.parametrize(
    "parameters", [{"precision": -1}, {"precision": 53}, {"precision": 7.0}, {"max_bins": 1}, {"max_bins": 2**21}], ids=str
)
def test_bad_parameters_are_refused(parameters):
    """Precision and bins must be whole numbers in their ranges."""
    with pytest.raises(ValueError, match=r"^LogLinearHistogram: got .*, expected a whole number from"):
        mg.LogLinearHistogram(**parameters)


def test_bad_values_are_refused():
    """Weights, objects and text raise, and nothing is counted."""
    histogram = mg.LogLinearHistogram()
    with pytest.raises(
        ValueError, match=r"^LogLinearHistogram\.update: got weights, expected none, because this histogram counts"
    ):
        histogram.update([1.0], weights=[2.0])
    for values in (["a"], [None], [2**70]):
        with pytest.raises(TypeError, match=r"^LogLinearHistogram\.update: got values of dtype"):
            histogram.update(values)
    assert canonical_bytes(mg.LogLinearHistogram()) == canonical_bytes(histogram)


def test_counts_overflow_loudly():
    """More than 2**63 - 1 items raise OverflowError, and both sides stay as they were."""
    histogram = fed([0.5, math.nan, -2.0, 0.0])
    for _ in range(60):
        histogram.merge(histogram)
    before = canonical_bytes(histogram)
    with pytest.raises(OverflowError, match=r"there would be more than 2\*\*63 - 1 items"):
        histogram.merge(histogram)
    assert before == canonical_bytes(histogram)
    assert (3 * 2**60, 2**60, 0.5) == (histogram.n, histogram.n_nan, histogram.quantile(1.0))


GOOD = {
    "precision": 7,
    "special": [0, 0, 0, 0],
    "negative": None,
    "positive": {"extremes": [1.0, 1.01], "first": 0, "counts": np.array([1, 1])},
}


def test_a_value_from_a_file():
    """What two numbers leave is read back."""
    histogram = mg.LogLinearHistogram()
    histogram.from_data(GOOD)
    assert canonical_bytes(fed([1.0, 1.01])) == canonical_bytes(histogram)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"precision": 6}, "found bins of 6 bits"),
        ({"precision": 7.0}, "expected a whole number"),
        ({"special": [0, 0, 0]}, "expected 4 whole numbers"),
        ({"special": [2**63 - 1, 0, 0, 0]}, "more items than"),
        ({"positive": {**GOOD["positive"], "extremes": [1.01, 1.0]}}, "between these extremes"),
        ({"positive": {**GOOD["positive"], "extremes": [0.0, 1.0]}}, "expected a positive finite float"),
        ({"positive": {**GOOD["positive"], "extremes": [1.0, math.inf]}}, "expected a positive finite float"),
        ({"positive": {**GOOD["positive"], "extremes": [1.0, 1.02]}}, "do not reach from"),
        ({"positive": {**GOOD["positive"], "first": 1}}, "do not reach from"),
        ({"positive": {**GOOD["positive"], "counts": np.array([1, 0])}}, "between these extremes"),
        ({"positive": {**GOOD["positive"], "counts": np.array([1, -1])}}, "between these extremes"),
        ({"positive": {**GOOD["positive"], "counts": np.array([1.0, 1.0])}}, "expected an array of int64"),
        ({"positive": {**GOOD["positive"], "counts": [1, 1]}}, "expected an array of int64"),
        ({"positive": {"extremes": [1.0, 1.001], "first": 0, "counts": np.array([1])}}, "one number with two extremes"),
        ({"positive": {**GOOD["positive"], "counts": np.array([2**62, 2**62])}}, "more items than"),
    ],
)
def test_what_no_numbers_leave_is_refused(change, text):
    """Extremes, bins, counts and precision that do not fit one another raise ValueError."""
    with pytest.raises(ValueError, match=text):
        mg.LogLinearHistogram().from_data({**GOOD, **change})
