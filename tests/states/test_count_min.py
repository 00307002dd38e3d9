"""How often each key came, at most."""

import collections
import math

import numpy as np
import pytest

import mergeable as mg
from mergeable.encoding.canonical import canonical_bytes
from tests import streams


def fed(*batches, **parameters):
    state = mg.CountMin(**parameters)
    for batch in batches:
        state.update(*batch)
    return state


@pytest.mark.parametrize(("width", "depth"), [(64, 1), (256, 3), (2048, 4)])
def test_counts_are_within_their_bound(width, depth):
    """Over 20 seeds no count is too small, and no more than a share e^-depth of them is too large by more than e / width."""
    keys = np.random.default_rng(1).zipf(1.3, 20_000).clip(max=2**40)
    distinct, times = np.unique(keys, return_counts=True)
    misses = 0
    for seed in range(20):
        state = fed((keys,), width=width, depth=depth, seed=seed)
        over = state.counts(distinct) - times
        assert over.min() >= 0
        misses += int((over > math.e / width * keys.size).sum())
    assert misses <= math.exp(-depth) * 20 * distinct.size


@pytest.mark.parametrize("name", streams.STREAMS)
def test_streams(name):
    """On every stream counts are within their bound, and 1,000 shards end in the bytes of the whole."""
    keys = streams.stream(name, 20_000)
    whole, merged = fed((keys,)), streams.sharded(mg.CountMin, (keys,))
    times = collections.Counter("nan" if math.isnan(key) else key for key in keys.tolist())
    labels = [math.nan if key == "nan" else key for key in times]
    over = whole.counts(labels) - np.array([*times.values()])

    assert canonical_bytes(whole) == canonical_bytes(merged)
    assert 20_000 == whole.total == merged.total
    assert over.min() >= 0
    assert (over > math.e / 2048 * 20_000).sum() <= math.exp(-4) * len(labels)


def test_ranges_hold_the_truth():
    """The range of a key ends at its count, and begins where e / width of all counts are taken from it, or at 0."""
    state = fed((np.arange(10_000) % 100,), (["often"], [5_000]), width=64, depth=2)
    estimate = state.estimate("often")
    assert estimate.low <= 5_000 <= estimate.value == estimate.high == state.count("often")
    assert estimate.high - estimate.low == math.floor(math.e / 64 * 15_000)
    assert 0 == state.estimate("never").low
    assert mg.Estimate(0, 0, 0) == mg.CountMin().estimate("never")


def test_times_are_repetitions():
    """A key that is counted n times has the bytes of one that came n times, and times that are 0 count nothing."""
    expected = canonical_bytes(fed((["a", "b", "a", "a"],)))
    assert expected == canonical_bytes(fed((["a", "b", "c"], [3, 1, 0])))
    assert expected == canonical_bytes(fed((["a", "b"],), (["a"], 2), ([], []), ([],)))
    assert expected == canonical_bytes(fed((["a", "b"], np.array([3.0, 1.0]))))


def test_many_counts_of_one_key_in_a_batch():
    """Large times of one key add up without rounding."""
    state = fed((["a"] * 3, [2**60 + 1, 2**53 + 1, 1]))
    assert 2**60 + 2**53 + 3 == state.count("a") == state.total


@pytest.mark.parametrize("first", [2**63 - 1, 2**62])
def test_counts_overflow_loudly(first):
    """Counts that would add up to more than int64 raise at once, in an update and in a merge, and count nothing."""
    state = fed((["a"], [first]))
    other = fed((["b"], [2**63 - 1 - first]), (["c"],))
    before = canonical_bytes(state), canonical_bytes(other)
    with pytest.raises(OverflowError, match=r"^CountMin: all counts would add up to more than 2\*\*63 - 1 \(they are"):
        state.update(["b", "c"], [2**63 - 1 - first, 1])
    with pytest.raises(OverflowError, match="Use Counter"):
        state.merge(other)
    assert before == (canonical_bytes(state), canonical_bytes(other))
    state.update(["b"], [2**63 - 1 - first])
    with pytest.raises(OverflowError):
        state.update(["b"])
    assert 2**63 - 1 == state.total


def test_the_result_is_a_copy():
    """Writing to the table that the result is does not write to the state."""
    state = fed((["a"],))
    state.result()[:] = 9
    assert 1 == state.count("a")
    assert [1, 1, 1, 1] == state.result().sum(axis=1).tolist()


@pytest.mark.parametrize(
    ("keys", "times", "error"),
    [
        (["a", "b"], [1], ValueError),
        (["a"], [-1], ValueError),
        (["a"], [0.5], ValueError),
        (["a"], [math.nan], ValueError),
        (["a"], [math.inf], ValueError),
        (["a"], np.array([2**63], np.uint64), ValueError),
        (["a"], [2**64], TypeError),
        (["a"], ["1"], TypeError),
        (["a"], [[1]], ValueError),
        ("abc", None, TypeError),
        ([{}], None, TypeError),
    ],
    ids=str,
)
def test_bad_batches_change_nothing(keys, times, error):
    """Keys that are none, and times that are not whole, negative or too many, raise and leave every byte."""
    state = fed((["a"],))
    before = canonical_bytes(state)
    with pytest.raises(error, match=r"^CountMin\.update: got"):
        state.update(keys, times)
    assert before == canonical_bytes(state)


@pytest.mark.parametrize("name", ["width", "depth"])
@pytest.mark.parametrize("value", [0, -1, 1.5, True, 2**33, "9"], ids=repr)
def test_other_sizes_are_refused(name, value):
    """A width or depth that is no whole number in its range is refused, also in a file."""
    with pytest.raises(ValueError, match=rf"^CountMin: got the {name} .*, expected a whole number from 1 to"):
        mg.CountMin(**{name: value})
    with pytest.raises(ValueError, match=rf"^CountMin: got the {name}"):
        mg.CountMin.cells({"width": 9, "depth": 2, "seed": 0, name: value})


@pytest.mark.parametrize(
    "table",
    [
        np.zeros((2, 4), np.int64),
        np.zeros((2, 3), np.int32),
        np.array([[1, 0, 0], [0, 0, 0]]),
        np.array([[-1, 1, 0], [0, 0, 0]]),
        np.full((2, 3), 2**62),
        [[0] * 3] * 2,
        None,
    ],
    ids=str,
)
def test_what_no_updates_made_is_refused(table):
    """Files with tables of another shape, negative counts, or rows that count other totals are refused."""
    with pytest.raises(ValueError, match="found"):
        mg.CountMin(width=3, depth=2).from_data({"table": table})
