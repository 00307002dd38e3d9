"""Sets and multisets of keys."""

import collections
import math

import numpy as np
import pytest

import mergeable as mg
from mergeable.encoding.canonical import canonical_bytes
from tests import streams


def fed(state, *batches):
    for batch in batches:
        state.update(batch)
    return state


MIXED = ["1", 1, 1.0, True, None, b"1", (1,), "ü", -0.0, 0.0, math.nan, float("nan"), 10**400]


def test_counter_reads():
    """Counts can be read by key, in total, by rank and in order."""
    counter = fed(mg.Counter(), ["b", "a", "b"], np.array([3, 3]), {"a": 2, "c": 0})
    assert (2, 3, 2, 0) == (counter["b"], counter["a"], counter[np.int8(3)], counter["c"])
    assert (7, 3) == (counter.total, len(counter))
    assert (True, False) == ("a" in counter, "c" in counter)
    assert [3, "a", "b"] == list(counter)
    assert [("a", 3), (3, 2)] == counter.most_common(2)
    assert [("a", 3), (3, 2), ("b", 2)] == counter.most_common()
    assert [3, "a", "b"] == list(counter.result())


def test_keys_are_told_apart_by_type():
    """1, 1.0, True and "1" are four keys; both zeros are one, all NaNs are one."""
    counter = fed(mg.Counter(), MIXED)
    assert [1, 1, 1, 1, 2, 2] == [counter[key] for key in ("1", 1, 1.0, True, 0.0, math.nan)]
    assert 11 == len(counter)
    assert 11 == len(fed(mg.Set(), MIXED))


def test_result_loses_no_count():
    """Keys that Python calls equal add up in the dict of the result."""
    assert {1: 3, "1": 1} == fed(mg.Counter(), [1, 1.0, True, "1"]).result()


def test_a_mapping_with_several_nan():
    """Several NaN keys of a mapping are one key, and all their counts are kept."""
    counter = fed(mg.Counter(), collections.Counter([float("nan"), float("nan"), float("nan")]))
    assert (3, 3) == (counter[math.nan], counter.total)


def test_counts_have_no_limit():
    """Counts go beyond 64 bits."""
    assert 2**70 + 1 == fed(mg.Counter(), {"a": 2**70}, ["a"])["a"]


@pytest.mark.parametrize("count", [-1, 0.5, "2", None], ids=repr)
def test_counts_that_are_not_whole_are_refused(count):
    """A mapping whose counts are negative or not whole raises ValueError, and nothing is counted."""
    counter = fed(mg.Counter(), ["a"])
    before = canonical_bytes(counter)
    with pytest.raises(ValueError, match=r"^Counter\.update: got the counts {'b': .*}, expected whole numbers not below 0"):
        counter.update({"a": 1, "b": count})
    assert before == canonical_bytes(counter)


@pytest.mark.parametrize("make", [mg.Counter, mg.Set])
@pytest.mark.parametrize(
    ("items", "match"),
    [
        ("abc", "got 'abc', expected a list"),
        (3, "got 3, expected a list"),
        (["a", []], r"got the key \[\]"),
        ([{}], "got the key {}"),
    ],
)
def test_what_is_no_list_of_keys_is_refused(make, items, match):
    """A single string, a number and keys that are not plain raise TypeError, and nothing is taken."""
    state = fed(make(), ["a"])
    before = canonical_bytes(state)
    with pytest.raises(TypeError, match=rf"^{make.__name__}\.update: {match}"):
        state.update(items)
    assert before == canonical_bytes(state)


def test_counter_of_many_numbers():
    """A large array has the counts that NumPy finds."""
    values = np.random.default_rng(0).integers(-50, 50, 30_000)
    unique, times = np.unique(values, return_counts=True)
    assert dict(zip(unique.tolist(), times.tolist(), strict=True)) == fed(mg.Counter(), values).result()


def test_set_reads():
    """A set has members, a length and a canonical order."""
    seen = fed(mg.Set(), ["b", "a", 2, 10, "b"], np.array([2, 3]))
    seen.add((1, "x"))
    assert [2, 3, 10, "a", "b", (1, "x")] == seen.result() == list(seen)
    assert (True, False, 6) == ("a" in seen, "2" in seen, len(seen))


@pytest.mark.parametrize("make", [mg.Counter, mg.Set])
def test_results_are_copies(make):
    """Writing to the result does not write to the state."""
    state = fed(make(), ["a"])
    before = canonical_bytes(state)
    state.result().clear()
    assert before == canonical_bytes(state)


@pytest.mark.parametrize("make", [mg.Counter, mg.Set])
def test_order_of_arrival_does_not_show(make):
    """The same keys in another order end in the same bytes and the same order of the result."""
    one, two = fed(make(), MIXED[:9]), fed(make(), MIXED[8::-1])
    assert canonical_bytes(one) == canonical_bytes(two)
    assert list(one.result()) == list(two.result())


# The most common keys.


def test_the_most_common_keys_and_their_ties():
    """Keys come with their counts, the most common first; of equally common ones the first in the canonical order."""
    top = fed(mg.TopK(3), ["b", "a", "c", 2, 1.0], {"c": 1}, np.array([7, 7, 7]))
    assert [(7, 3), ("c", 2), (2, 1)] == top.result()
    assert [(7, 3)] == top.most_common(1)
    assert (3, 0, 9, 6) == (top[7], top["d"], top.total, len(top))
    assert [] == mg.TopK(1).result()
    assert [("a", 1)] == fed(mg.TopK(5), ["a"]).result()


@pytest.mark.parametrize("name", streams.STREAMS)
def test_top_of_streams(name):
    """On every stream the most common keys are those of ``collections.Counter``, and 1,000 shards end in the bytes of the whole."""
    values = streams.stream(name, 20_000)
    whole, merged = fed(mg.TopK(10), values), streams.sharded(lambda: mg.TopK(10), (values,))
    times = collections.Counter("nan" if math.isnan(x) else x for x in values.tolist())
    assert canonical_bytes(whole) == canonical_bytes(merged)
    assert sorted(times.values(), reverse=True)[:10] == [n for _, n in whole.result()]
    assert all(n == times["nan" if math.isnan(key) else key] for key, n in whole.result())


@pytest.mark.parametrize("k", [0, -1, 1.5, True, "3"], ids=repr)
def test_other_numbers_of_keys_are_refused(k):
    """A k that is no whole number of at least 1 is refused."""
    with pytest.raises(ValueError, match=r"^TopK: got k = .*, expected a whole number of at least 1"):
        mg.TopK(k)


def test_errors_name_the_class():
    """What is no key or no count is refused under the name of the state, which stays as it was."""
    top = fed(mg.TopK(2), ["a"])
    before = canonical_bytes(top)
    with pytest.raises(TypeError, match=r"^TopK\.update: got the key"):
        top.update([{}])
    with pytest.raises(ValueError, match=r"^TopK\.update: got the counts"):
        top.update({"a": -1})
    with pytest.raises(mg.IncompatibleStates, match=r"^TopK\.merge: parameters differ: k is 2 here and 3 there"):
        top.merge(mg.TopK(3))
    assert before == canonical_bytes(top)
