"""Counts in fixed bins."""

import math
import pickle
import sys

import ml_dtypes
import numpy as np
import pytest

import mergeable as mg
from mergeable.encoding.canonical import canonical_bytes

EDGES = [-1.0, 0.0, 0.5, 2.0]


def fed(*batch, edges=EDGES, weighted=False):
    histogram = mg.Histogram(edges, weighted=weighted)
    histogram.update(*batch)
    return histogram


@pytest.mark.parametrize("n", [0, 1, 100, 50_000])
def test_agrees_with_numpy(n):
    """Finite values inside and outside the edges have NumPy's counts."""
    values = np.random.default_rng(n).normal(size=n)
    expected = np.histogram(values, EDGES)[0].astype(np.int64)
    histogram = fed(values)
    assert expected.tobytes() == histogram.result().tobytes()
    assert (int((values < -1).sum()), int((values > 2).sum())) == (histogram.n_below, histogram.n_above)


def test_every_value_has_one_cell():
    """Edges, both zeros, NaN of both signs, infinities and values outside are each counted once, in the right cell."""
    histogram = fed([-1.0, -0.0, 0.0, 0.5, 2.0, 2.0000001, -1.0000001, math.nan, -math.nan, math.inf, -math.inf, -math.inf])
    assert [1, 2, 2] == histogram.result().tolist()
    assert (1, 1, 2, (2, 1)) == (histogram.n_below, histogram.n_above, histogram.n_nan, histogram.n_infinite)


@pytest.mark.parametrize("edges", [EDGES, [-sys.float_info.max, 5e-324, sys.float_info.max], [0.0, 1.0]], ids=str)
def test_many_values_fall_where_few_do(edges):
    """Batches of many values, and of one each, end in the same bytes."""
    special = [-0.0, 5e-324, -5e-324, math.nan, -math.nan, math.inf, -math.inf, sys.float_info.max, -sys.float_info.max]
    with np.errstate(over="ignore"):
        values = np.concatenate([special, edges, np.nextafter(edges, math.inf), np.nextafter(edges, -math.inf)])
    one_by_one = mg.Histogram(edges)
    for value in values.tolist():
        one_by_one.update(value)
        one_by_one.flush()
    assert canonical_bytes(one_by_one) == canonical_bytes(fed(values, edges=edges))


@pytest.mark.parametrize(
    "edges",
    [[-2, 2], [-10, 10], [-5, 1, 3], [-6, -2, 2, 6], [-sys.float_info.max, sys.float_info.max], [-5e-324, 5e-324]],
    ids=str,
)
def test_edges_on_both_sides_of_zero(edges):
    """Edges far apart are taken however the difference of their bits overflows, and count as NumPy does."""
    values = np.array([-3.0, -1.5, 0.0, 0.5, 2.0, 7.0, *edges])
    with np.errstate(over="ignore"):
        expected = np.histogram(values, np.array(edges, np.float64))[0]
    assert expected.tolist() == fed(values, edges=edges).result().tolist()


def test_subnormal_edges_and_values():
    """Bins between subnormal numbers tell them apart."""
    histogram = fed([-5e-324, 0.0, 5e-324, 1e-323, 1.5e-323], edges=[0.0, 5e-324, 1e-323])
    assert ([1, 2], 1, 1) == (histogram.result().tolist(), histogram.n_below, histogram.n_above)


@pytest.mark.parametrize(
    "dtype", [np.float16, np.float32, ml_dtypes.bfloat16, np.int8, np.uint64, bool], ids=lambda d: np.dtype(d).name
)
def test_narrow_types_are_widened(dtype):
    """Values of narrow types fall where their exact value falls."""
    assert [0, 1, 2] == fed(np.array([0, 1, 1]).astype(dtype)).result().tolist()


def test_large_edges_of_integers():
    """Integers that float64 holds exactly fall on the right side of large edges; others are refused."""
    edges = [0, 2**53, 2**60]
    assert [1, 1] == fed(np.array([2**53 - 1, 2**53]), edges=edges).result().tolist()
    with pytest.raises(
        ValueError, match=r"^Histogram\.update: got the integer 9007199254740993, expected values that a float64"
    ):
        fed(np.array([2**53 + 1]), edges=edges)


def test_weighted_cells_are_exact_sums():
    """Weights add up exactly in every cell, those outside and of NaN too."""
    histogram = fed([0.1, 0.2, 0.3, math.nan, 9.0, -math.inf], [1e16, 1.0, 0.5, 0.25, 3.0, 5e-324], weighted=True)
    histogram.update([0.4], [2.0**-60])
    assert np.array([0.0, 1e16 + 2, 0.0]).tobytes() == histogram.result().tobytes()
    assert (0.25, 3.0, (5e-324, 0.0)) == (histogram.n_nan, histogram.n_above, histogram.n_infinite)


def test_weighted_without_weights_counts_ones():
    """Values without weights weigh 1."""
    assert np.array([0.0, 2.0, 0.0]).tobytes() == fed([0.1, 0.2], weighted=True).result().tobytes()


def test_weights_to_a_counting_histogram_are_refused():
    """Weights raise ValueError that says how to declare them, and nothing is counted."""
    histogram = mg.Histogram(EDGES)
    with pytest.raises(ValueError, match=r"^Histogram\.update: got weights, expected none.*Histogram\(edges, weighted=True\)"):
        histogram.update([0.1], [1.0])
    assert canonical_bytes(mg.Histogram(EDGES)) == canonical_bytes(histogram)


@pytest.mark.parametrize("weights", [[1.0], [-1.0, 1.0], [math.nan, 1.0], [[1.0, 2.0]]], ids=str)
def test_bad_weights_are_refused_and_nothing_is_counted(weights):
    """Weights that do not fit raise ValueError and leave every byte."""
    histogram = mg.Histogram(EDGES, weighted=True)
    with pytest.raises(ValueError, match=r"^Histogram\.update: got"):
        histogram.update([0.1, 0.2], weights)
    assert canonical_bytes(mg.Histogram(EDGES, weighted=True)) == canonical_bytes(histogram)


@pytest.mark.parametrize("edges", [[], [1.0], [1.0, 1.0], [2.0, 1.0], [0.0, math.nan], [0.0, math.inf], [-0.0, 0.0]], ids=str)
def test_edges_that_do_not_increase_are_refused(edges):
    """Edges must be at least two finite numbers that increase."""
    with pytest.raises(ValueError, match=r"^Histogram: got edges .*, expected at least two finite numbers that increase"):
        mg.Histogram(edges)


def test_equal_edges_of_every_form_merge():
    """Edges may be a list, an array or integers, and -0.0 is 0.0: equal edges merge to equal bytes."""
    a, b = fed([0.5], edges=np.array([-0.0, 1.0])), fed([0.25], edges=[0, 1])
    ab, ba = fed([], edges=[0, 1]), fed([], edges=np.array([-0.0, 1.0]))
    for joint, order in ((ab, (a, b)), (ba, (b, a))):
        for histogram in order:
            joint.merge(histogram)
    assert [2] == ab.result().tolist()
    assert canonical_bytes(ab) == canonical_bytes(ba)


def test_counts_overflow_loudly():
    """A count that would pass int64 raises OverflowError, and both sides stay as they were."""
    histogram = fed([0.1, 5.0])
    for _ in range(62):
        histogram.merge(histogram)
    assert 2**62 == histogram.n_above
    before = canonical_bytes(histogram)
    with pytest.raises(OverflowError, match=r"a count would pass 2\*\*63 - 1"):
        histogram.merge(histogram)
    assert before == canonical_bytes(histogram)


def test_result_is_a_copy():
    """Writing to the result does not write to the histogram."""
    histogram = fed([0.1])
    histogram.result()[:] = 9
    assert [0, 1, 0] == histogram.result().tolist()


def test_equal_edges_are_kept_once():
    """Also where one side was read from a pickle: to compare them on a merge takes no time."""
    edges = np.linspace(0, 1, 11)
    assert fed([], edges=edges).edges is pickle.loads(pickle.dumps(fed([0.5], edges=edges))).edges
