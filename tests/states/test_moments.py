"""Means, variances and standard deviations from exact sums."""

import math
import statistics
import struct

import numpy as np
import pytest

import mergeable as mg
from mergeable.encoding.canonical import canonical_bytes
from tests import register


def bits(value):
    return struct.pack("<d", value)


def fed(state, *batch):
    state.update(*batch)
    return state


@pytest.mark.parametrize("ddof", [0, 1])
@pytest.mark.parametrize("shift", [0.0, 1e8, -1e12, 1e300, 1e-300])
def test_noise_on_a_large_shift(shift, ddof):
    """Variance and deviation of noise at any shift are those of exact fractions, to the bit."""
    rng = np.random.default_rng(ddof)
    values = shift + rng.standard_normal(10_000) * (1e-300 if shift == 1e-300 else 1.0)
    moments = mg.Moments(ddof=ddof)
    for part in np.array_split(values, 9):
        moments.update(part)
    expected = register.moments([(v, 1.0) for v in values.tolist()], ddof)
    assert canonical_bytes(expected) == canonical_bytes(moments.result())


@pytest.mark.parametrize("ddof", [1.5, 0.1, -0.5, np.float64(1.5), np.float32(0.25), np.int64(1), 2.0, 5e-324])
def test_any_ddof_is_exact(ddof):
    """A ddof that is no whole number is taken as it is, in Moments, CoMoments and Covariance, and NumPy agrees."""
    values = [1.0, 2.0, 4.0, 8.0]
    expected = register.moments([(v, 1.0) for v in values], float(ddof))["variance"]
    co, matrix = fed(mg.CoMoments(), values, values), fed(mg.Covariance(1), [[v] for v in values])
    assert [expected] * 2 == [fed(mg.Moments(ddof=ddof), values).variance, co.covariance(ddof)]
    assert expected == pytest.approx(np.var(values, ddof=ddof)) == pytest.approx(matrix.covariance(ddof).item())


@pytest.mark.parametrize("ddof", [math.nan, math.inf, "1", None, True, [1], 1j])
def test_what_is_no_ddof_is_refused(ddof):
    """Nothing but a finite number is taken."""
    for act in (
        lambda: mg.Moments(ddof=ddof),
        lambda: mg.CoMoments().covariance(ddof),
        lambda: mg.Covariance(1).covariance(ddof),
    ):
        with pytest.raises(ValueError, match=r"got ddof=.*, expected a finite number"):
            act()


def test_ddof_has_one_form():
    """Equal numbers of several types are one parameter: the states merge."""
    moments = mg.Moments(ddof=np.float64(1.0))
    moments.merge(mg.Moments(ddof=1))
    assert [int, float] == [type(mg.Moments(ddof=ddof).parameters["ddof"]) for ddof in (np.float32(1.0), np.float32(0.5))]


def test_agrees_with_statistics():
    """Python's own statistics gives the same bits where it is exact."""
    values = (1e8 + np.random.default_rng(0).standard_normal(500)).tolist()
    moments = fed(mg.Moments(ddof=1), values)
    assert statistics.mean(values).hex() == moments.mean.hex()
    assert statistics.variance(values).hex() == moments.variance.hex()


@pytest.mark.parametrize("weights", ["random", "tiny", "mixed"])
def test_weighted_moments(weights):
    """Weighted moments are those of exact fractions, for weights of all magnitudes."""
    rng = np.random.default_rng(1)
    values = 1e8 + rng.standard_normal(300)
    w = rng.random(300) * {"random": 1.0, "tiny": 1e-310, "mixed": 10.0 ** rng.integers(-200, 200, 300)}[weights]
    expected = register.moments(zip(values.tolist(), w.tolist(), strict=True), 0)
    assert canonical_bytes(expected) == canonical_bytes(fed(mg.Moments(), values, w).result())


@pytest.mark.parametrize(
    ("values", "ddof", "mean", "variance"),
    [
        ([], 0, math.nan, math.nan),
        ([3.0], 0, 3.0, 0.0),
        ([3.0], 1, 3.0, math.nan),
        ([1.0, 3.0], 1, 2.0, 2.0),
        ([1.0, 3.0], 2, 2.0, math.nan),
        ([math.inf, 1.0], 0, math.inf, math.nan),
        ([-math.inf, 1.0], 0, -math.inf, math.nan),
        ([math.inf, -math.inf], 0, math.nan, math.nan),
        ([math.nan, 1.0], 0, math.nan, math.nan),
        ([1.7e308, -1.7e308], 0, 0.0, math.inf),
        ([1e-170, -1e-170], 0, 0.0, 0.0),
    ],
)
def test_edges(values, ddof, mean, variance):
    """Empty, single, infinite and NaN inputs, and variances beyond the range, have defined results."""
    moments = fed(mg.Moments(ddof=ddof), values)
    assert canonical_bytes((mean, variance)) == canonical_bytes((moments.mean, moments.variance))


def test_deviation_where_the_variance_is_out_of_range():
    """The deviation is right where its square overflows or underflows."""
    assert fed(mg.Moments(), [1.7e308, -1.7e308]).std == 1.7e308
    assert fed(mg.Moments(), [1e-170, -1e-170]).std == 1e-170
    assert fed(mg.Moments(), [5e-324, -5e-324]).std == 5e-324


def test_constant_data_has_no_variance():
    """Equal values, however odd, have variance 0."""
    moments = fed(mg.Moments(), [0.1] * 1000)
    assert (0.0, 0.0, 0.1) == (moments.variance, moments.std, moments.mean)


def test_counts_nan_but_those_of_weight_zero():
    """n_nan counts NaN that weigh something; what weighs 0, of either sign, is not there."""
    moments = fed(mg.Moments(), [math.nan, math.nan, math.inf, math.inf, 1.0], [1.0, 0.0, -0.0, 1.0, 1.0])
    assert (1, 3.0) == (moments.n_nan, moments.weight)


def test_weights_of_zero_change_nothing_but_the_rows_that_have_them():
    """Values of weight 0 do not move the moments, and weights that sum to 0 give NaN."""
    weighted, plain = fed(mg.Moments(), [1.0, 2.0, 9.0], [1, 1, 0]), fed(mg.Moments(), [1.0, 2.0])
    assert canonical_bytes(plain.result()) == canonical_bytes(weighted.result())
    assert math.isnan(fed(mg.Moments(), [1.0], [0.0]).mean)


@pytest.mark.parametrize("weights", [[1.0], [1.0, -1.0], [math.nan, 1.0]], ids=str)
def test_bad_weights_are_refused_and_nothing_is_taken(weights):
    """Weights that do not fit raise ValueError and leave every byte."""
    moments = fed(mg.Moments(), [1.0])
    before = canonical_bytes(moments)
    with pytest.raises(ValueError, match=r"^Moments\.update: got"):
        moments.update([1.0, 2.0], weights)
    assert before == canonical_bytes(moments)


# Mean.


def test_mean_of_random_weights_is_rounded_once():
    """The weighted mean is the exact ratio rounded once, batched or not."""
    rng = np.random.default_rng(0)
    values = rng.standard_normal(9000) * 10.0 ** rng.integers(-200, 200, 9000)
    weights = rng.random(9000) * 10.0 ** rng.integers(-200, 100, 9000)
    expected = bits(register.ratio(zip(values.tolist(), weights.tolist(), strict=True)))
    whole, parts = mg.Mean(), mg.Mean()
    whole.update(values, weights)
    for v, w in zip(np.array_split(values, 7), np.array_split(weights, 7), strict=True):
        parts.update(v, weights=w)
    assert [expected] * 2 == [bits(whole.result()), bits(parts.result())]


def test_mean_of_nothing_is_nan():
    """An empty mean, and one whose weights are all 0, is NaN."""
    mean = mg.Mean()
    assert math.isnan(mean.result())
    mean.update([1.0, 2.0], [0.0, 0])
    assert (True, 0.0) == (math.isnan(mean.result()), mean.weight)


def test_mean_does_not_overflow():
    """Sums beyond the range do not matter where the mean is in range."""
    assert bits(1.7e308) == bits(fed(mg.Mean(), [1.7e308] * 5).result())
    mean = mg.Mean()
    mean.update([1.7e308, 1.7e308], [1.7e308, 1.7e308])
    assert bits(1.7e308) == bits(mean.result())


def test_mean_of_subnormal_numbers():
    """Means and weights of subnormal numbers are exact."""
    mean = mg.Mean()
    mean.update([1e-323, 5e-324, 5e-324], [5e-324, 5e-324, 1e-323])
    assert (bits(5e-324), bits(2e-323)) == (bits(mean.result()), bits(mean.weight))


@pytest.mark.parametrize(
    ("values", "weights", "expected", "n_nan"),
    [
        ([math.inf, 1.0], [1.0, 1.0], math.inf, 0),
        ([-math.inf, 1.0], [5e-324, 1.0], -math.inf, 0),
        ([math.inf, -math.inf], [1.0, 1.0], math.nan, 0),
        ([math.inf, 1.0], [0.0, 1.0], 1.0, 0),
        ([-math.inf, 1.0], [-0.0, 1.0], 1.0, 0),
        ([math.nan, 1.0], [0.0, 1.0], 1.0, 0),
        ([math.nan, math.inf], [1.0, 1.0], math.nan, 1),
    ],
)
def test_mean_of_values_that_are_not_finite(values, weights, expected, n_nan):
    """Infinities and NaN count as IEEE 754 says, but for those of weight 0 or -0, which are not there."""
    mean = mg.Mean()
    mean.update(values, weights)
    assert canonical_bytes((expected, n_nan)) == canonical_bytes((mean.result(), mean.n_nan))


@pytest.mark.parametrize("weights", [[1.0], [1.0, -1.0], [1.0, math.nan], [1.0, math.inf], [[1.0, 2.0]], "ab"], ids=str)
def test_mean_refuses_weights_and_takes_nothing(weights):
    """Weights that do not fit, or are no weights, raise and leave every byte."""
    mean = fed(mg.Mean(), [3.0])
    before = canonical_bytes(mean)
    with pytest.raises((ValueError, TypeError), match=r"^Mean\.update: got"):
        mean.update([1.0, 2.0], weights)
    assert before == canonical_bytes(mean)


@pytest.mark.parametrize("values", [[1, 2**53 + 1], np.array([2**60 + 1])], ids=str)
def test_mean_refuses_integers_that_a_float_cannot_hold(values):
    """An integer that would be rounded raises ValueError."""
    with pytest.raises(ValueError, match=r"^Mean\.update: got the integer"):
        mg.Mean().update(values)


def test_mean_weight_of_rows():
    """One weight for each row weighs all values of the row."""
    mean = mg.Mean()
    mean.update([[1.0, 2.0], [3.0, 4.0]], [[3.0], [1.0]])
    assert (2.0, 8.0) == (mean.result(), mean.weight)
