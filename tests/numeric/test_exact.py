"""Exact integer arithmetic on float64, against ``fractions.Fraction``."""

import math
import struct
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mergeable.laws import ADVERSARIAL
from mergeable.numeric import exact
from tests import arbitrary, register

FINITE = [x for x in ADVERSARIAL if math.isfinite(x)]
UNIT = Fraction(1, 2**1074)


def units(values):
    return int(sum((Fraction(float(v)) for v in values), Fraction(0)) / UNIT)


def bits(value):
    return struct.pack("<d", value)


def random_floats(n, low, high, seed):
    rng = np.random.default_rng(seed)
    return rng.choice([-1.0, 1.0], n) * np.ldexp(rng.random(n) + 0.5, rng.integers(low, high, n))


@pytest.mark.parametrize("n", [1, 4095, 4096, 4097, 20000, 65537])
@pytest.mark.parametrize(
    ("low", "high"),
    [(0, 1), (-30, 30), (-1074, -1000), (-1070, 1000), (-960, 999), (1000, 1023)],
    ids=["one", "narrow", "tiny", "all", "normal", "huge"],
)
def test_total_of_random_values(n, low, high):
    """The total has no error, for blocks of any length and all magnitudes."""
    values = random_floats(n, low, high, seed=n)
    assert units(values) == exact.total(values)


@given(st.lists(arbitrary.finite_floats(), max_size=12), st.integers(1, 2000))
@settings(max_examples=50)
def test_total_of_adversarial_values(values, times):
    """The total of adversarial values, many times over, has no error."""
    assert units(values) * times == exact.total(np.array(values * times, np.float64))


def test_total_that_cancels_in_every_pass():
    """Values that cancel down to the last unit leave that unit."""
    values = np.array([1.7e308, 1e16, 1.0, 5e-324, -1.7e308, -1e16, -1.0] * 3000)
    assert exact.total(values) == 3000


def test_total_of_more_passes_than_there_are():
    """A block of one value at each exponent has no error, beyond the passes of the extraction too."""
    values = np.ldexp(np.full(1900, 1.0 + 2**-52), np.arange(-950, 950))
    assert units(values) == exact.total(values)


@pytest.mark.parametrize("value", [2.0**1000, np.nextafter(1.0, 0.0), 1.0, np.nextafter(-2.0, 0.0), 2.0**-960])
def test_total_of_equal_values(value):
    """Rows of equal values, whose sums are the largest that there are, have no error."""
    values = np.append(np.full(3 * 4096, value), [0.0, 2.0**-50 * value])
    assert units(values) == exact.total(values)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_total_of_what_is_not_finite(value):
    """A NaN or an infinity in any block is refused."""
    with pytest.raises(ArithmeticError, match=r"exact\.total: got NaN or infinite values, expected finite ones"):
        exact.total(np.append(np.ones(70000), value))


@pytest.mark.parametrize("digits", [1, 24, 26, 27, 53])
@pytest.mark.parametrize("others", [1, 26, 27, 30])
def test_product_total_of_few_digits(digits, others):
    """Totals of products that need no rounding, and of those that just do, have no error; also of squares."""
    rng = np.random.default_rng(digits)
    whole = [rng.integers(2**n // 2, 2**n, 300) * rng.choice([-1.0, 1.0], 300) for n in (digits, others)]
    a, b = (np.append(np.ones(64), values) for values in whole)  # what comes first tells nothing
    for factors in ((a, b), (a, a), (a, a, b), (a, b, b)):
        expected = sum(math.prod(map(int, row)) for row in zip(*factors, strict=True))
        assert expected << 1074 * len(factors) == exact.product_total(*factors)


@pytest.mark.parametrize("n", [1, 16385])
@pytest.mark.parametrize("factors", [1, 2, 3])
def test_product_total_of_random_values(n, factors):
    """Totals of products of one to three factors have no error, for magnitudes that overflow and underflow too."""
    arrays = [random_floats(n, -1070, 1023, seed) for seed in range(factors)]
    expected = sum(math.prod(Fraction(float(x)) for x in row) for row in zip(*arrays, strict=True)) / UNIT**factors
    assert expected == exact.product_total(*arrays)


@given(st.lists(st.tuples(arbitrary.finite_floats(), arbitrary.finite_floats(), arbitrary.finite_floats()), max_size=6))
@settings(max_examples=50)
def test_product_total_of_adversarial_values(rows):
    """Totals of products of adversarial values have no error."""
    arrays = [np.array([row[i] for row in rows], np.float64) for i in range(3)]
    expected = sum((math.prod(map(Fraction, row)) for row in rows), Fraction(0)) / UNIT**3
    assert expected == exact.product_total(*arrays)


@pytest.mark.parametrize("value", FINITE, ids=repr)
def test_units_of_one_value(value):
    """A float is its fraction in units of 2^-1074."""
    assert units([value]) == exact.units_of(value)


@given(st.integers(), st.integers(min_value=1))
def test_to_float_of_ratios(numerator, denominator):
    """A ratio is rounded once."""
    assert bits(register.rounded(Fraction(numerator, denominator))) == bits(exact.to_float(numerator, denominator))


@pytest.mark.parametrize(
    ("numerator", "shift", "expected"),
    [
        (1, 1074, 5e-324),
        (-1, 1074, -5e-324),
        (1, 1075, 0.0),
        (3, 1075, 1e-323),
        (2**53 - 1, 1075, 2.2250738585072014e-308),
        (2**54 + 1, 1076, 2.2250738585072014e-308),
        (5, 1075, 1e-323),
        (2**53 + 1, 0, 2.0**53),
        (2**53 + 3, 0, 2.0**53 + 4),
    ],
)
def test_to_float_rounds_ties_to_even(numerator, shift, expected):
    """Halfway ratios go to the even neighbour, among the subnormal numbers too."""
    assert bits(expected) == bits(exact.to_float(numerator, 1 << shift))


@pytest.mark.parametrize("numerator", [2**1024 - 2**970, 2**1024, 10**400])
def test_to_float_beyond_the_range(numerator):
    """What rounds beyond the largest float is an infinity of its sign."""
    assert (math.inf, -math.inf) == (exact.to_float(numerator, 1), exact.to_float(-numerator, 1))


def test_to_float_at_the_end_of_the_range():
    """What rounds to the largest float is the largest float."""
    assert bits(1.7976931348623157e308) == bits(exact.to_float(2**1024 - 2**970 - 1, 1))


@given(st.integers(min_value=0), st.integers(min_value=1))
def test_sqrt_is_correctly_rounded(numerator, denominator):
    """The root of a ratio is the float next to the exact root."""
    assert bits(register.rounded_root(Fraction(numerator, denominator))) == bits(exact.sqrt_to_float(numerator, denominator))


def test_sqrt_of_squares_and_midpoints():
    """Exact roots are exact, and a root halfway between two floats goes to the even one."""
    assert bits(3.0) == bits(exact.sqrt_to_float(9, 1))
    assert bits(2.0**53) == bits(exact.sqrt_to_float((2**53 + 1) ** 2, 1))
    assert bits(2.0**53 + 4) == bits(exact.sqrt_to_float((2**53 + 3) ** 2, 1))
    assert bits(2.0**53 + 2) == bits(exact.sqrt_to_float((2**53 + 1) ** 2 + 1, 1))


@given(st.lists(st.floats(allow_nan=False), min_size=1, max_size=8))
def test_order_keys_are_monotone(values):
    """Keys are in the order of the values, and equal exactly for equal values."""
    keys = exact.order_keys(np.array(values)).tolist()
    assert [[a < b for b in values] for a in values] == [[a < b for b in keys] for a in keys]


@given(st.floats(allow_nan=False))
def test_order_keys_come_back(value):
    """A key gives back its value, and -0.0 as 0.0; arrays and single values have the same keys."""
    key = exact.key_of_value(value)
    assert exact.order_keys(np.array([value])).tolist() == [key]
    assert bits(value or 0.0) == bits(exact.value_of_key(key))


@given(st.lists(st.lists(arbitrary.weights(), min_size=1, max_size=5), max_size=6))
@settings(max_examples=50)
def test_sums_of_runs(runs):
    """Each run of weights has its exact sum."""
    starts = np.cumsum([0, *map(len, runs)])[:-1].astype(np.int64)
    found = exact.run_totals(np.array([w for run in runs for w in run], np.float64), starts)
    assert [sum(map(exact.units_of, run)) for run in runs] == found.tolist()


def test_order_keys_and_back():
    """Order keys give the values again, but for -0.0, which is 0.0."""
    values = np.array([-np.inf, -1.5, -5e-324, -0.0, 0.0, 5e-324, 3.0, np.inf])
    assert (values + 0.0).tobytes() == exact.values_of_keys(exact.order_keys(values)).tobytes()
