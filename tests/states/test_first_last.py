"""The first and the last of values that come with a step."""

import math

import ml_dtypes
import numpy as np
import pytest

import mergeable as mg
from mergeable.encoding.canonical import canonical_bytes
from tests import streams

MAKERS = {"First": mg.First, "Last": mg.Last}


def fed(state, *batches):
    for batch in batches:
        state.update(*batch)
    return state


def test_the_extreme_step_wins():
    """First keeps the value of the smallest step, Last that of the largest, whatever order they came in."""
    batches = [(3, "c"), ([1, 5], ["a", "e"]), (np.array([4, 2]), ["d", "b"]), ([], [])]
    for some in (batches, batches[::-1]):
        assert ("a", 1) == (fed(mg.First(), *some).result(), fed(mg.First(), *some).step)
        assert ("e", 5) == (fed(mg.Last(), *some).result(), fed(mg.Last(), *some).step)


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_empty_is_none(make):
    """Where nothing came, the value and the step are None; a value that is None has a step."""
    assert (None, None) == (make().result(), make().step)
    none = fed(make(), (0, None))
    assert (None, 0) == (none.result(), none.step)
    none.merge(make())
    assert 0 == none.step


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_ties_go_to_the_value_of_the_first_bytes(make):
    """Of the values of one step one is kept, the same one in any order, also where the step came as other numbers."""
    batches = [(1, "b"), (1.0, 2.5), (np.float32(1), "a"), ([1, 1], [np.arange(3), None]), (True, [1, 2])]
    expected = canonical_bytes(fed(make(), *batches))
    for i in range(5):
        assert expected == canonical_bytes(fed(make(), *batches[i:], *batches[:i]))
        parts = [fed(make(), batch) for batch in batches[i:] + batches[:i]]
        assert expected == canonical_bytes(streams.merged(parts, seed=i))


@pytest.mark.parametrize("name", streams.STREAMS)
@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_streams(make, name):
    """Of every stream as steps the extreme one wins, and 1,000 shards end in the bytes of the whole."""
    steps = streams.stream(name, 20_000)
    steps = steps[np.isfinite(steps)]
    columns = steps, np.arange(steps.size)
    whole, merged = fed(make(), columns), streams.sharded(make, columns)
    extreme = steps.min() if make is mg.First else steps.max()

    assert canonical_bytes(whole) == canonical_bytes(merged)
    assert extreme == whole.step == steps[whole.result()]


@pytest.mark.parametrize(
    ("step", "expected"),
    [(5.0, 5), (np.float32(0.5), 0.5), (-0.0, 0), (np.uint64(2**64 - 1), 2**64 - 1), (2**63 - 1, 2**63 - 1), (5e-324, 5e-324)],
    ids=str,
)
def test_steps_are_numbers(step, expected):
    """A whole step is an int, however it came; others are floats."""
    found = fed(mg.Last(), (step, 1)).step
    assert (expected, type(expected)) == (found, type(found))


def test_large_steps_are_told_apart():
    """Whole steps that one float64 stands for, such as times in nanoseconds, are different steps, and beside floats too."""
    state = fed(mg.Last(), (2**60 + 1, "b"), (2**60, "a"), (2.0**60, "0"))
    assert ("b", 2**60 + 1) == (state.result(), state.step)
    assert "0" == fed(mg.First(), (5e-324, "tiny"), (0, "0")).result()


VALUES = {
    "number": (np.float32(0.5), 0.5),
    "array": (np.array([[1, 2]], np.int8), np.array([[1, 2]], np.int8)),
    "other byte order": (np.array([1.5], ">f8"), np.array([1.5])),
    "bfloat16": (np.array([1.5], ml_dtypes.bfloat16), np.array([1.5], np.float32)),
    "array without axes": (np.array(3), 3),
    "collection": ({"a": [1, (2.5, None)], "b": {b"x"}}, {"a": [1, (2.5, None)], "b": {b"x"}}),
    "list": ([1, 2, 3], [1, 2, 3]),
}


@pytest.mark.parametrize("name", VALUES)
def test_values_come_back(name):
    """A value of any plain kind comes back, of one step or beside others."""
    value, expected = VALUES[name]
    assert canonical_bytes(expected) == canonical_bytes(fed(mg.Last(), (1, value)).result())
    assert canonical_bytes(expected) == canonical_bytes(fed(mg.Last(), ([0, 1], [None, value])).result())


def test_rows_of_arrays_are_values():
    """Steps (n,) take the rows of an array; strings and numbers of arrays are Python's."""
    assert [3.0, 4.0] == fed(mg.Last(), ([1, 2], np.array([[1.0, 2.0], [3.0, 4.0]]))).result().tolist()
    for array, expected in ((np.array(["a", "b"]), "b"), (np.float32([1, 0.5]), 0.5), (np.array([False, True]), True)):
        found = fed(mg.Last(), ([1, 2], array)).result()
        assert (expected, type(expected)) == (found, type(found))


def test_nothing_is_shared():
    """What is written to a value that was given, or to a result, does not show in the state."""
    value = np.zeros(3)
    state = fed(mg.First(), (1, value))
    other = mg.First()
    other.merge(state)
    value[:] = 1
    state.result()[:] = 2
    other.result()[:] = 3
    assert [0.0, 0.0, 0.0] == state.result().tolist() == other.result().tolist()


@pytest.mark.parametrize(
    ("step", "value", "error"),
    [
        (math.nan, 1, ValueError),
        (math.inf, 1, ValueError),
        ([1, -math.inf], [1, 2], ValueError),
        ("1", 1, TypeError),
        (2**70, 1, TypeError),
        ([[1]], [[1]], ValueError),
        ([1, 2], [1], ValueError),
        ([1, 2], 3, TypeError),
        ([1, 2], "ab", TypeError),
        ([1], np.array(1), TypeError),
        (0, object, TypeError),
        ([0, 5], [object, 1], TypeError),
        (0, 1j, TypeError),
        (0, np.array([object]), TypeError),
    ],
    ids=repr,
)
def test_bad_steps_and_values_change_nothing(step, value, error):
    """Steps that are no finite numbers, and values that are not plain or too few, raise and leave every byte."""
    state = fed(mg.Last(), (3, "x"))
    before = canonical_bytes(state)
    with pytest.raises(error, match=r"^Last\.update: got"):
        state.update(step, value)
    assert before == canonical_bytes(state)


@pytest.mark.parametrize(
    ("step", "value"),
    [(None, 1), (1.0, 1), (math.nan, 1), (math.inf, 1), ("1", 1), (True, 1), (2**1025, 1), (1, np.float32(1)), (1, object)],
    ids=repr,
)
def test_what_no_updates_made_is_refused(step, value):
    """Files with steps that are no finite numbers, or whole floats, and with values that are not plain, are refused."""
    with pytest.raises(ValueError, match="found the"):
        mg.First().from_data({"step": step, "value": value})
