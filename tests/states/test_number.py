"""Scalar states behave as numbers."""

import math
import struct

import numpy as np
import pytest

import mergeable as mg
from mergeable.encoding.canonical import canonical_bytes
from mergeable.state.access import assign, freeze


def fed(state, values):
    state.update(values)
    return state


NUMBERS = {
    "Count": lambda: fed(mg.Count(), 3),
    "Sum": lambda: fed(mg.Sum(), [1.0, 2.0]),
    "Mean": lambda: fed(mg.Mean(), [2.0, 4.0]),
    "Max": lambda: fed(mg.Max(), [3.0, 1.0]),
    "Min": lambda: fed(mg.Min(), [3.0, 4.0]),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_reads_as_a_number(name):
    """Conversions, arithmetic, comparisons and formats read the result."""
    number = NUMBERS[name]()
    assert [3.0, 3, True, 3] == [float(number), int(number), bool(number), round(number)]
    assert "3.00" == f"{number:.2f}"
    assert [4.0, 2.0, 6.0, 1.5, 9.0, -3.0] == [number + 1, 5 - number, number * 2, number / 2, number**2, -number]
    assert [True, True, False, True] == [number == 3, number > 2, number < 3, number != 4]
    assert [math.sqrt(3.0), 3.0] == [np.sqrt(number), np.asarray(number)]
    assert 9.0 == number * NUMBERS[name]()


@pytest.mark.parametrize("name", NUMBERS)
def test_reading_changes_nothing(name):
    """Arithmetic leaves every byte of the state."""
    number = NUMBERS[name]()
    before = canonical_bytes(NUMBERS[name]())
    number + 1, number / 0, float(number), number * number, -number
    assert before == canonical_bytes(number)


def test_division_by_an_empty_count_is_nan():
    """Empty divided by empty is NaN, and a number divided by empty an infinity, without a warning."""
    assert math.isnan(mg.Sum() / mg.Count())
    assert math.inf == fed(mg.Sum(), 1.0) / mg.Count()
    assert math.isnan(mg.Count() / mg.Count())


def test_augmented_addition_updates_or_merges():
    """``+=`` takes a batch, or merges an equal kind of state, and keeps the object."""
    total = mg.Sum()
    same = total
    total += [1e16, 1.0]
    total += fed(mg.Sum(), -1e16)
    total += fed(mg.Count(), 2)
    assert total is same
    assert 3.0 == total.result()


def test_augmented_addition_of_a_mean_merges_its_weight():
    """Adding a mean to a mean merges, and does not add its result as one value."""
    mean = fed(mg.Mean(), [0.0])
    mean += fed(mg.Mean(), [3.0, 3.0])
    assert (2.0, 3.0) == (mean.result(), mean.weight)


@pytest.mark.parametrize("name", ["Count", "Sum", "Mean", "Max", "Min"])
def test_other_assignments_replace_the_value(name):
    """``*=`` and assign() replace the value, whatever waited in the buffer."""
    number = NUMBERS[name]()
    number *= 2
    assert 6.0 == number.result()
    number -= 1
    assert 5.0 == number.result()
    assign(number, 7)
    assert 7.0 == number.result()


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("zero", [0, 0.0, np.float32(0), np.array(0)], ids=repr)
def test_assigning_zero(name, zero):
    """Zero empties counts, sums and means, and is a value for extremes."""
    number = NUMBERS[name]()
    assign(number, zero)
    expected = number.empty() if name in ("Count", "Sum", "Mean") else fed(number.empty(), 0.0)
    assert canonical_bytes(expected) == canonical_bytes(number)


@pytest.mark.parametrize(("make", "value"), [(mg.Max, -math.inf), (mg.Min, math.inf), (mg.Max, math.nan), (mg.Min, math.nan)])
def test_assigning_what_loses_empties_an_extreme(make, value):
    """NaN and the infinity that loses to every number empty an extreme."""
    number = fed(make(), [1.0, math.nan])
    assign(number, value)
    assert canonical_bytes(make()) == canonical_bytes(number)


@pytest.mark.parametrize(("make", "value"), [(mg.Max, math.inf), (mg.Min, -math.inf)])
def test_assigning_the_other_infinity_is_a_value(make, value):
    """The infinity that beats every number is taken as a value."""
    number = make()
    assign(number, value)
    assert value == number.result()


@pytest.mark.parametrize("name", ["Count", "Sum", "Mean", "Max", "Min"])
def test_assigning_an_equal_kind_takes_over_every_byte(name):
    """A state assigned to one of its kind gives its whole value, not only the result, and shares nothing."""
    target, source = NUMBERS[name](), NUMBERS[name]()
    source.update([1, 2**40])
    assign(target, source)
    before = canonical_bytes(target)
    assert canonical_bytes(source) == before
    source.update(1)
    source.update(9e15)
    assert before == canonical_bytes(target)


def test_assigning_a_sum_keeps_what_rounding_would_take():
    """A sum assigned to a sum keeps its low bits and its NaN counter."""
    target = mg.Sum()
    assign(target, fed(mg.Sum(), [1e16, 1.0]))
    target += -1e16
    assert struct.pack("<d", 1.0) == struct.pack("<d", target.result())


@pytest.mark.parametrize("make", [mg.Sum, mg.Count])
def test_assigning_another_shape_is_refused(make):
    """A state of another shape raises IncompatibleStates and changes nothing."""
    target = fed(make(), 3)
    with pytest.raises(mg.IncompatibleStates, match=r"assign: parameters differ: shape is \(\) here and \(2,\) there"):
        assign(target, make(shape=2))
    assert 3 == target.result()


@pytest.mark.parametrize("make", [mg.Sum, mg.Mean, mg.Max, mg.Min])
@pytest.mark.parametrize("value", [[1.0, 2.0], [1.0]], ids=str)
def test_assigning_an_array_to_a_scalar_is_refused(make, value):
    """Assigning an array to a scalar state raises ValueError and changes nothing."""
    target = fed(make(), 3.0)
    with pytest.raises(ValueError, match=rf"^{make.__name__}\.assign: got a value of shape"):
        assign(target, value)
    assert 3.0 == target.result()


def test_arrays_compute_too():
    """Array states compute as arrays, and assignment replaces all cells."""
    total = fed(mg.Sum(shape=2), [1.0, 2.0])
    assert [2.0, 4.0] == (total * 2).tolist()
    assert [0.5, 1.0] == (total / fed(mg.Count(shape=2), [2, 2])).tolist()
    total /= 2
    assert [0.5, 1.0] == total.result().tolist()


def test_out_of_a_ufunc():
    """A ufunc may write into an array or into a state."""
    out, target = np.zeros(()), mg.Sum()
    np.add(NUMBERS["Sum"](), 1, out=out)
    np.add(NUMBERS["Sum"](), 1, out=target)
    assert [4.0, 4.0] == [out, target.result()]


def test_numbers_have_no_hash():
    """States change, so they are no keys."""
    with pytest.raises(TypeError, match="unhashable type"):
        hash(mg.Sum())


def test_a_frozen_number_still_reads():
    """A merged copy reads as a number and refuses ``+=``."""
    number = fed(mg.Sum(), 3.0)
    freeze(number)
    assert 1.5 == number / 2
    with pytest.raises(mg.ReadOnlyState, match=r"^Sum: got a change to a merged state"):
        number += 1
    with pytest.raises(mg.ReadOnlyState, match=r"^Sum: got a change to a merged state"):
        number *= 2
