"""Smallest and largest values, and where they were."""

import math
import struct

import ml_dtypes
import numpy as np
import pytest

import mergeable as mg
from mergeable.encoding.canonical import canonical_bytes


def fed(state, *batch):
    state.update(*batch)
    return state


@pytest.mark.parametrize(
    ("values", "least", "most"),
    [
        ([], math.nan, math.nan),
        ([math.nan], math.nan, math.nan),
        ([1.0, math.nan, -1.0], -1.0, 1.0),
        ([math.inf, 1.0], 1.0, math.inf),
        ([-math.inf, math.nan, 1.0], -math.inf, 1.0),
        ([5e-324, 0.0, -5e-324], -5e-324, 5e-324),
        ([-0.0], 0.0, 0.0),
        ([[3, 1], [2, 5]], 1.0, 5.0),
        ([True, False], 0.0, 1.0),
        (np.float32(0.1), 0.10000000149011612, 0.10000000149011612),
        (np.array([2.0**-149, -(2.0**-149)], np.float32), -(2.0**-149), 2.0**-149),
        (np.array([1.5, 3], ml_dtypes.bfloat16), 1.5, 3.0),
    ],
)
def test_extremes(values, least, most):
    """NaN never wins, infinities and subnormal numbers keep their place, -0.0 is 0.0, any shape and type is taken."""
    results = fed(mg.Min(), values).result(), fed(mg.Max(), values).result()
    assert canonical_bytes((least, most)) == canonical_bytes(results)


@pytest.mark.parametrize("make", [mg.Max, mg.Min])
def test_nan_is_counted_whatever_the_order(make):
    """NaN first, last or in between counts the same and gives the same bytes."""
    orders = [[math.nan, 1.0, 2.0], [1.0, math.nan, 2.0], [1.0, 2.0, math.nan]]
    states = [fed(make(), values) for values in orders]
    assert [1, 1, 1] == [state.n_nan for state in states]
    assert len({canonical_bytes(state) for state in states}) == 1


@pytest.mark.parametrize("make", [mg.Max, mg.Min, mg.Moments])
def test_integers_that_a_float_cannot_hold_are_refused(make):
    """An integer above 2**53 that would be rounded raises ValueError that says so."""
    with pytest.raises(ValueError, match=rf"^{make.__name__}\.update: got the integer 9007199254740993, expected values"):
        make().update([1, 2**53 + 1])


@pytest.mark.parametrize("make", [mg.Max, mg.Min])
def test_what_is_no_number_is_refused(make):
    """Strings raise TypeError."""
    with pytest.raises(TypeError, match=rf"^{make.__name__}\.update: got values of dtype"):
        make().update(["a"])


@pytest.mark.parametrize(
    ("values", "keys", "least", "most"),
    [
        ([], [], (math.nan, None), (math.nan, None)),
        ([math.nan], ["a"], (math.nan, None), (math.nan, None)),
        ([2.0, 1.0, 2.0, 1.0], ["d", "c", "b", "a"], (1.0, "a"), (2.0, "b")),
        ([1.0, 1.0, 1.0], ["a", 10, 9], (1.0, 9), (1.0, 9)),
        ([1.0, 1.0], [b"a", "b"], (1.0, "b"), (1.0, "b")),
        ([1.0, 1.0], [(2, "a"), (1, "b")], (1.0, (1, "b")), (1.0, (1, "b"))),
        ([0.0, -0.0], [2, 1], (0.0, 1), (0.0, 1)),
        ([math.inf, -math.inf, math.nan], [1, 2, 3], (-math.inf, 2), (math.inf, 1)),
        ([5e-324, 0.0], ["x", "y"], (0.0, "y"), (5e-324, "x")),
        (np.array([[1.0], [2.0]]), np.array([7, 8]), (1.0, 7), (2.0, 8)),
    ],
)
def test_arg_extremes(values, keys, least, most):
    """The extreme comes with its key; ties go to the smallest key, NaN never wins."""
    results = fed(mg.ArgMin(), values, keys).result(), fed(mg.ArgMax(), values, keys).result()
    assert canonical_bytes((least, most)) == canonical_bytes(results)


def test_ties_between_replicas():
    """A tie between merged states goes to the smallest key, whichever side it came from."""
    a, b = fed(mg.ArgMax(), [1.0], ["b"]), fed(mg.ArgMax(), [1.0], ["a"])
    a.merge(b)
    b.merge(fed(mg.ArgMax(), [1.0], ["b"]))
    assert ["a", "a"] == [a.key, b.key]


def test_arg_extremes_read():
    """Value, key and NaN counter can be read one by one."""
    worst = fed(mg.ArgMax(), [1.0, math.nan, 3.0], ["a", "b", "c"])
    assert (3.0, "c", 1) == (worst.value, worst.key, worst.n_nan)


@pytest.mark.parametrize("make", [mg.ArgMax, mg.ArgMin])
@pytest.mark.parametrize(
    ("values", "keys", "error", "match"),
    [
        ([1.0, 2.0], ["a"], ValueError, "got 2 values and 1 keys, expected one key for each value"),
        ([1.0], "a", TypeError, "got 'a', expected a list or an array of keys"),
        ([1.0], [{}], TypeError, "got the key {}"),
        ([2**53 + 1], ["a"], ValueError, "got the integer 9007199254740993"),
    ],
)
def test_arg_extremes_refuse_and_take_nothing(make, values, keys, error, match):
    """Lengths that differ, odd keys and odd values raise and leave every byte."""
    state = fed(make(), [1.5], ["z"])
    before = canonical_bytes(state)
    with pytest.raises(error, match=rf"^{make.__name__}\.update: {match}"):
        state.update(values, keys)
    assert before == canonical_bytes(state)


def test_a_value_and_its_key_at_large_batches():
    """A batch larger than the buffer gives the place that numpy's argmax gives."""
    values = np.random.default_rng(0).permutation(40_000).astype(float)
    assert (39_999.0, int(values.argmax())) == fed(mg.ArgMax(), values, np.arange(40_000)).result()


def test_large_batches_of_max():
    """Batches larger than the buffer have the extreme that numpy finds."""
    values = np.random.default_rng(0).standard_normal(40_000)
    assert struct.pack("<dd", values.min(), values.max()) == struct.pack(
        "<dd", fed(mg.Min(), values).result(), fed(mg.Max(), values).result()
    )
