"""Counts and sums."""

import math
import struct
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest

import mergeable as mg
from mergeable.encoding.canonical import canonical_bytes
from mergeable.state.access import assign
from mergeable.state.undo import rollback, savepoint
from mergeable.states.sums import add_at

INT64_MAX = 2**63 - 1


def bits(value):
    return struct.pack("<d", value)


def fed(state, *batches, **kwargs):
    for batch in batches:
        state.update(batch, **kwargs)
    return state


# Count.


def test_count_counts_one_by_default():
    """An update without an amount counts 1."""
    count = mg.Count()
    count.update()
    count += 2
    assert (3, int) == (count.result(), type(count.result()))


def test_count_has_no_limit():
    """A scalar count goes beyond 64 bits, from integers, arrays and merges."""
    count = fed(mg.Count(), 2**63, np.array([INT64_MAX, INT64_MAX]), np.uint64(1))
    count.merge(fed(mg.Count(), 2**100))
    assert 2**63 + 2 * INT64_MAX + 1 + 2**100 == count.result()


@pytest.mark.parametrize(
    "amount", [True, 1.0, np.float32(1), np.int8(1), np.uint64(1), [1], [[1.0], [0.0]], np.array(True), ml_dtypes.bfloat16(1)]
)
def test_count_takes_whole_numbers_of_every_type(amount):
    """Whole numbers of every type, and arrays of them, are counted as an int."""
    count = fed(mg.Count(), amount)
    assert (1, int) == (count.result(), type(count.result()))


@pytest.mark.parametrize(
    "amount",
    [-1, -1.0, 0.5, math.nan, math.inf, -math.inf, [1, -1], [0.5], np.int64(-3), 1e300, np.array([2**63], np.uint64)],
    ids=str,
)
@pytest.mark.parametrize("verb", ["update", "assign"])
def test_count_refuses_other_numbers(amount, verb):
    """Negative, fractional and too large amounts raise ValueError that names the amount, and nothing is counted."""
    count = fed(mg.Count(), 5)
    with pytest.raises(ValueError, match=rf"^Count\.{verb}: got .*, expected whole numbers from 0 to 2\*\*63 - 1"):
        {"update": mg.Count.update, "assign": assign}[verb](count, amount)
    assert count.result() == 5


@pytest.mark.parametrize("amount", ["3", None, [2**64], 1j], ids=str)
def test_count_refuses_what_is_not_a_number(amount):
    """What is not a real number of 64 bits raises TypeError."""
    with pytest.raises(TypeError, match=r"^Count\.update: got values of dtype"):
        mg.Count().update(amount)


def test_count_of_an_array_adds_leading_axes():
    """Arrays (..., 2) add up over the leading axes into int64."""
    count = fed(mg.Count(shape=2), [1, 2], [[3, 4], [5, 6]], np.zeros((0, 2)), np.ones((2, 3, 2)))
    assert np.array([15, 18], np.int64).tobytes() == count.result().tobytes()
    assert count.result().dtype == np.int64


def test_count_result_is_a_copy():
    """Writing to the result does not write to the count."""
    count = fed(mg.Count(shape=2), [1, 2])
    count.result()[0] = 9
    assert [1, 2] == count.result().tolist()


@pytest.mark.parametrize("amount", [3, [1, 2, 3], [[1], [2]]], ids=str)
def test_count_of_an_array_refuses_other_shapes(amount):
    """Amounts whose trailing axes are not the shape raise ValueError."""
    with pytest.raises(ValueError, match=r"^Count\.update: got shape \(.*\), expected \(\.\.\., 2\)"):
        mg.Count(shape=2).update(amount)


@pytest.mark.parametrize("how", ["update", "merge", "add_at", "one batch"])
def test_count_of_an_array_overflows_loudly(how):
    """A count beyond int64 raises OverflowError, and all counts stay as they were."""
    count = fed(mg.Count(shape=2), [1, INT64_MAX])
    before = canonical_bytes(count)
    with pytest.raises(OverflowError, match=r"2\*\*63 - 1.* Nothing was counted"):
        {
            "update": lambda: count.update([1, 1]),
            "merge": lambda: count.merge(fed(mg.Count(shape=2), [1, 1])),
            "add_at": lambda: add_at(count, np.array([0, 1])),
            "one batch": lambda: count.update([[1, INT64_MAX], [1, 1]]),
        }[how]()
    assert before == canonical_bytes(count)


@pytest.mark.parametrize("how", ["update", "merge", "add_at", "times"])
def test_count_of_an_array_with_two_large_counts(how):
    """Counts that would only overflow in one place do not, however often the array is added to."""
    count = fed(mg.Count(shape=3), [2**62, 0, 0], [0, 2**62, 0])
    for _ in range(3):
        {
            "update": lambda: count.update([[1, 0, 0], [0, 2, 2**61]]),
            "merge": lambda: count.merge(fed(mg.Count(shape=3), [1, 2, 2**61])),
            "add_at": lambda: (add_at(count, np.array([0, 1, 1])), count.merge(fed(mg.Count(shape=3), [0, 0, 2**61]))),
            "times": lambda: add_at(count, np.array([0, 1, 2]), np.array([1, 2, 2**61])),
        }[how]()
    assert [2**62 + 3, 2**62 + 6, 3 * 2**61] == count.result().tolist()


def test_count_add_at_is_undone():
    """A rollback takes back what was added at places, whatever became of the arrays that named them, and what was added around it."""
    places = np.array([1, 1, 0])
    for steps in ("at", "at update at", "update at", "at merge at overflow"):
        count = fed(mg.Count(shape=3), [5, INT64_MAX - 9, 7])
        savepoint(count)
        for step in steps.split():
            if step == "overflow":
                with pytest.raises(OverflowError):
                    add_at(count, np.array([1] * 9))
            elif step == "at":
                add_at(count, places)
                places[:] = places[::-1].copy()
            else:
                other = fed(mg.Count(shape=3), [1, 0, 1])
                count.merge(other) if step == "merge" else count.update(other.result())
        rollback(count)
        assert [5, INT64_MAX - 9, 7] == count.result().tolist()
        add_at(count, np.array([0, 1]))
        assert [6, INT64_MAX - 8, 7] == count.result().tolist()


def test_count_reaches_the_largest_int64():
    """A count may hold 2**63 - 1."""
    count = fed(mg.Count(shape=1), np.array([INT64_MAX - 1]), [1])
    assert [INT64_MAX] == count.result().tolist()


def test_count_add_at_adds_up_repeated_places():
    """Places may repeat, and may come with times."""
    count = mg.Count(shape=3)
    add_at(count, np.array([0, 2, 2]))
    add_at(count, np.array([2, 2]), np.array([5, 6]))
    assert [1, 0, 13] == count.result().tolist()


@pytest.mark.parametrize("make", [mg.Count, mg.Sum])
@pytest.mark.parametrize("shape", [0, (2, 0), -1, 2.5, (2.0,), True, "2"])
def test_shapes_without_cells_are_refused(make, shape):
    """A shape with a size below 1 raises ValueError."""
    with pytest.raises(ValueError, match=rf"^{make.__name__}: got shape .*, expected sizes of at least 1"):
        make(shape=shape)


@pytest.mark.parametrize("make", [mg.Count, mg.Sum])
@pytest.mark.parametrize("shape", [2, np.int64(2), (2,), [2]])
def test_shapes_of_every_form(make, shape):
    """One number, NumPy's too, or a sequence of numbers is a shape."""
    assert (2,) == make(shape=shape).shape


# Sum.


@pytest.mark.parametrize("n", [100, 8193, 16385, 40000])
def test_sum_is_correctly_rounded(n):
    """The sum of random values of all magnitudes is the exact sum rounded once, batched or not."""
    rng = np.random.default_rng(n)
    values = rng.standard_normal(n) * 10.0 ** rng.integers(-300, 300, n)
    values = np.concatenate([values, -values[: n // 2]])
    expected = bits(float(sum(map(Fraction, values.tolist()))))
    assert expected == bits(fed(mg.Sum(), values).result())
    assert expected == bits(fed(mg.Sum(), *np.array_split(values, 50)).result())


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1e16, 1.0, -1e16], 1.0),
        ([1.7e308, 1.7e308], math.inf),
        ([-1.7e308, -1.7e308], -math.inf),
        ([1.7e308, 1.7e308, -1.7e308], 1.7e308),
        ([5e-324, 5e-324], 1e-323),
        ([2.2250738585072014e-308, -5e-324], 2.225073858507201e-308),
        ([2.0**53, 1.0], 2.0**53),
        ([2.0**53, 1.0, 5e-324], 2.0**53 + 2),
        ([2.0**53, 1.0, -5e-324], 2.0**53),
        ([-0.0, -0.0], 0.0),
        ([], 0.0),
        ([0.1] * 10, 1.0),
        ([math.inf, 1.0], math.inf),
        ([-math.inf, 1.0], -math.inf),
    ],
)
def test_sum_of_hard_cases(values, expected):
    """Cancellation, overflow in between, ties, subnormal and infinite results are right to the bit."""
    assert bits(expected) == bits(fed(mg.Sum(), values).result())
    assert bits(expected) == bits(fed(mg.Sum(), *values).result())


@pytest.mark.parametrize("values", [[math.nan, 1.0], [math.inf, -math.inf], [math.nan, math.inf]], ids=str)
def test_sum_that_is_no_number(values):
    """NaN, or infinities of both signs, make the sum NaN."""
    assert math.isnan(fed(mg.Sum(), values).result())


def test_sum_counts_nan():
    """n_nan says how many NaN came in, also while they wait, and by cell."""
    assert fed(mg.Sum(), [math.nan, 1.0], math.nan).n_nan == 2
    cells = fed(mg.Sum(shape=2), [[math.nan, 1.0], [math.nan, math.inf]])
    assert [2, 0] == cells.n_nan.tolist()
    assert np.array([math.nan, math.inf]).tobytes() == cells.result().tobytes()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, ml_dtypes.bfloat16], ids=lambda d: np.dtype(d).name)
def test_sum_widens_first(dtype):
    """Narrow floats are widened before they are added, so that nothing is lost or overflows."""
    values = np.full(5000, 0.1).astype(dtype)
    assert bits(float(Fraction(float(values[0])) * 5000)) == bits(fed(mg.Sum(), values).result())


@pytest.mark.parametrize(
    "values", [[2**53 + 1, -(2**53)], np.array([2**63 + 1, 2**63], np.uint64), np.array([-(2**63), 1])], ids=str
)
def test_sum_of_integers_is_exact(values):
    """Integers beyond 2**53 are added as integers."""
    total = fed(mg.Sum(), values)
    exact = sum(map(int, values))
    total.update(-float(exact - 1))
    assert bits(float(exact - int(float(exact - 1)))) == bits(total.result())


def test_sum_of_bools_and_tuples():
    """Bools count as 0 and 1, and any shape is added up."""
    assert fed(mg.Sum(), [True, True, False], ((1, 2), (3, 4))).result() == 12.0


def test_sum_of_an_array():
    """Each cell has its own exact sum, and leading axes add up."""
    total = fed(mg.Sum(shape=(2, 1)), [[1e16], [1.0]], [[[1.0], [2.0]], [[-1e16], [3.0]]], np.zeros((0, 2, 1)))
    assert np.array([[1.0], [6.0]]).tobytes() == total.result().tobytes()


def test_sum_of_an_array_of_integers():
    """Each cell adds integers exactly."""
    total = fed(mg.Sum(shape=2), np.array([[2**53 + 1, 1], [-(2**53), 2]]))
    assert np.array([1.0, 3.0]).tobytes() == total.result().tobytes()


@pytest.mark.parametrize("values", [1.0, [1.0], [1.0, 2.0, 3.0], [[1.0], [2.0]]], ids=str)
def test_sum_of_an_array_refuses_other_shapes(values):
    """Values whose trailing axes are not the shape raise ValueError."""
    with pytest.raises(ValueError, match=r"^Sum\.update: got values of shape \(.*\), expected \(\.\.\., 2\)"):
        mg.Sum(shape=2).update(values)


def test_sum_of_columns():
    """Each column has its own total, exact to the last unit."""
    total = fed(mg.Sum(shape=2), np.array([[1.0, 0.1], [3.0, 1e300]]))
    total.flush()
    assert [Fraction(4), Fraction(0.1) + Fraction(1e300)] == [Fraction(units, 1 << 1074) for units in total._units]


def test_sum_add_at():
    """Values are added at their places, and repeated places add up exactly."""
    total = mg.Sum(shape=3)
    add_at(total, np.array([2, 0, 2, 2]), np.array([1e16, 1.0, 1.0, -1e16]))
    add_at(total, np.array([], int), np.array([]))
    assert np.array([1.0, 0.0, 1.0]).tobytes() == total.result().tobytes()


def test_sum_is_small():
    """A sum of every magnitude pickles to a few hundred bytes."""
    total = fed(mg.Sum(), [1.7e308, 5e-324])
    assert total._units[0].bit_length() <= 290 * 8


def test_what_is_no_number_in_many_cells():
    """NaN and infinities are counted cell by cell, in updates and merges, and their cells stay in order."""
    a, b = mg.Sum(shape=(6,)), mg.Sum(shape=(6,))
    a.update([[1.0, math.nan, 2.0, math.inf, 0.0, 1.0]] * 2)
    b.update([math.nan, math.nan, 1.0, -math.inf, 0.0, math.inf])
    a.merge(b)
    assert [1, 3, 0, 0, 0, 0] == a.n_nan.tolist()
    assert np.array_equal([math.nan, math.nan, 5.0, math.nan, 0.0, math.inf], a.result(), equal_nan=True)
    assert [0, 1, 3, 5] == [cell for cell, *_ in a.to_data()["special"]]
