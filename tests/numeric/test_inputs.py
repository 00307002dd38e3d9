"""How input becomes arrays."""

import ml_dtypes
import numpy as np
import pytest

from mergeable.numeric.conversion import as_items
from mergeable.numeric.inputs import as_array, as_float64, flat, weighed


def as_weights(weights, shape, who):
    return weighed((np.ones(shape),), weights, who)[1]


NARROW = [np.float16, np.float32, ml_dtypes.bfloat16]
TINIEST = {np.float16: 2.0**-24, np.float32: 2.0**-149, ml_dtypes.bfloat16: 2.0**-133}


@pytest.mark.parametrize("dtype", [*NARROW, np.float64, ">f4", ">f8"], ids=str)
def test_floats_become_float64(dtype):
    """Floats of every width keep their value in float64, infinities and NaN too."""
    array = as_array(np.array([0.1, -0.0, np.inf, np.nan]).astype(dtype), "test")
    assert array.dtype == np.float64
    expected = np.array([np.dtype(dtype).type(0.1).astype(np.float64), -0.0, np.inf, np.nan])
    assert expected.tobytes() == array.tobytes()


@pytest.mark.parametrize("dtype", NARROW, ids=lambda d: np.dtype(d).name)
def test_subnormal_numbers_of_narrow_floats(dtype):
    """The smallest positive and negative numbers of a narrow float are widened exactly."""
    tiniest = TINIEST[dtype]
    array = as_array(np.array([tiniest, -tiniest, 3 * tiniest]).astype(dtype), "test")
    assert np.array([tiniest, -tiniest, 3 * tiniest]).tobytes() == array.tobytes()


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, ">i4"], ids=str)
def test_integers_become_int64(dtype):
    """Integers up to 64 bits keep their value in int64."""
    info = np.iinfo(dtype)
    array = as_array(np.array([info.min, info.max], dtype), "test")
    assert (np.int64, [info.min, info.max]) == (array.dtype, array.tolist())


@pytest.mark.parametrize("dtype", ["<u8", ">u8"])
def test_uint64_keeps_its_top(dtype):
    """Unsigned 64-bit integers do not wrap, in either byte order."""
    array = as_array(np.array([2**64 - 1], dtype), "test")
    assert (np.uint64, [2**64 - 1]) == (array.dtype, array.tolist())


def test_bools_stay_and_empty_lists_are_floats():
    """Bools stay bools; an empty list, also of objects, is an empty float64 array."""
    assert as_array([True], "test").dtype == bool
    assert as_array([], "test").dtype == np.float64
    assert as_array(np.array([], object), "test").dtype == np.float64


@pytest.mark.parametrize(
    "values",
    ["1.0", ["a"], [b"a"], [None], [1j], [2**64], [{}], np.array(["2020"], "datetime64[Y]"), np.array([1], np.longdouble)],
    ids=str,
)
def test_what_is_not_a_real_number_is_refused(values):
    """Strings, objects, complex and wider numbers raise TypeError that names the caller and a value."""
    with pytest.raises(TypeError, match=r"^Who\.update: got values of dtype .* \(for instance .*\), expected real numbers"):
        as_array(values, "Who.update")


@pytest.mark.parametrize("value", [2**53 + 1, -(2**53) - 1, 2**63 - 1])
@pytest.mark.parametrize("wrap", [list, np.array], ids=["list", "array"])
def test_integers_that_a_float_cannot_hold_are_refused(value, wrap):
    """An integer that float64 would change raises ValueError that names it, also behind one that fits."""
    with pytest.raises(ValueError, match=rf"^Who: got the integer {value}, expected values that a float64 holds exactly"):
        as_float64(wrap([2**53, value]), "Who")


def test_uint64_that_a_float_cannot_hold_is_refused():
    """An unsigned integer that float64 would change raises ValueError."""
    with pytest.raises(ValueError, match="got the integer 18446744073709551615"):
        as_float64(np.array([2**64 - 1], np.uint64), "Who")


@pytest.mark.parametrize("values", [[2**53 + 1, 0.5], [2**63 + 1, -1], [[0.5, 1.0], [2.0, 2**53 + 1]]], ids=str)
def test_integers_beside_floats_in_a_list_are_not_rounded(values):
    """An integer that NumPy would round because of its neighbours in the list raises ValueError."""
    with pytest.raises(ValueError, match="expected values that a float64 holds exactly"):
        as_array(values, "Who")


@pytest.mark.parametrize("values", [[2**53, -(2**53), 2**60, 0], [2**62 * 2, -1], [1e300, 2**60, 0.5], [True, 2]], ids=str)
def test_large_integers_that_fit_are_taken(values):
    """Integers that float64 holds exactly are widened, however large."""
    assert [float(v) for v in values] == as_float64(values, "Who").tolist()


@pytest.mark.parametrize(
    ("weights", "shape", "expected"),
    [
        (2, (3,), [2.0, 2.0, 2.0]),
        (0.5, (), [0.5]),
        ([1, 2], (2,), [1.0, 2.0]),
        ([1, 2], (2, 2), [1.0, 1.0, 2.0, 2.0]),
        ([[1], [2]], (2, 2), [1.0, 1.0, 2.0, 2.0]),
        ([[1], [2]], (2,), [1.0, 2.0]),
        ([[1, 2], [3, 4]], (2, 2), [1.0, 2.0, 3.0, 4.0]),
        ([[1, 2], [3, 4]], (2, 2, 1), [1.0, 2.0, 3.0, 4.0]),
        ([[1, 2], [3, 4]], (2, 2, 2), [1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 4.0, 4.0]),
        ([[[1], [2]], [[3], [4]]], (2, 2), [1.0, 2.0, 3.0, 4.0]),
        ([[[1], [2]], [[3], [4]]], (2, 2, 1), [1.0, 2.0, 3.0, 4.0]),
        ([[[1]], [[2]]], (2, 2), [1.0, 1.0, 2.0, 2.0]),
        ([[[1]], [[2]]], (2,), [1.0, 2.0]),
        ([[[1, 2]], [[3, 4]]], (2, 2, 2), [1.0, 2.0, 1.0, 2.0, 3.0, 4.0, 3.0, 4.0]),
        ([1], (1, 1), [1.0]),
        ([], (0,), []),
        ([True, True], (2,), [1.0, 1.0]),
    ],
)
def test_weights_spread_over_rows(weights, shape, expected):
    """One weight weighs all values, one for each row weighs the row, one for each step the step."""
    assert expected == as_weights(weights, shape, "Who").tolist()


@pytest.mark.parametrize(
    ("weights", "shape"),
    [
        ([1, 2], (3,)),
        ([1], ()),
        ([1, 2], (3, 2)),
        ([[1, 2]], (2,)),
        ([[1, 2, 3]], (1, 2)),
        ([], (2,)),
        ([1, 2, 3, 4], (2, 2)),
        ([1], (2, 1)),
        ([[1, 2]], (2, 2)),
        ([[1, 2], [3, 4]], (2,)),
    ],
    ids=str,
)
def test_weights_of_another_shape_are_refused(weights, shape):
    """Weights that fit neither the values nor their rows raise ValueError with both shapes."""
    with pytest.raises(
        ValueError, match=r"^Who: got weights of shape \(.*\) for values of shape \(.*\), expected the same shape"
    ):
        as_weights(weights, shape, "Who")


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf"), -5e-324])
def test_weights_that_are_not_weights_are_refused(weight):
    """Negative, NaN and infinite weights raise ValueError that names the weight."""
    with pytest.raises(ValueError, match=rf"^Who: got the weight {weight}, expected finite weights of at least 0"):
        as_weights([1.0, weight], (2,), "Who")


def test_listed_strings_keep_every_character():
    """Lists of strings and bytes become objects: nothing is cut, and numbers beside them stay numbers."""
    assert ["a\x00", ""] == as_items(["a\x00", ""], "test").tolist()
    assert [b"a\x00"] == as_items([b"a\x00"], "test").tolist()
    assert [1, "a"] == as_items([1, "a"], "test").tolist()
    assert as_items([1, 2], "test").dtype == np.int64


def test_flat_is_one_contiguous_row():
    """Values of any shape and strides become one contiguous row."""
    array = flat(np.arange(6.0).reshape(2, 3).T)
    assert ([0.0, 3.0, 1.0, 4.0, 2.0, 5.0], True) == (array.tolist(), array.flags.c_contiguous)
