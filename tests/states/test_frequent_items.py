"""The most frequent keys, with counts between bounds that always hold."""

import collections
import copy
import math
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest

import mergeable as mg
from mergeable.encoding.canonical import canonical_bytes
from mergeable.state.undo import rollback, savepoint
from tests import streams

N = 50_000


def fed(items, k=1024):
    state = mg.FrequentItems(k)
    state.update(items)
    return state


def true_counts(values):
    """Return how often each number came; NaN is one number, and so is zero."""
    return collections.Counter(None if math.isnan(v) else v + 0.0 for v in values.tolist())


def check(state, exact):
    """Check every true count against its bounds, and return the largest error and the promised one."""
    total = sum(exact.values())
    held = dict(state.top())
    assert total == state.total
    assert state.max_error <= total / (state.k + 1)
    errors = [0]
    for key, count in exact.items():
        value, low, high = state.estimate(math.nan if key is None else key)
        assert low <= count <= high
        assert key is None or count <= state.max_error or key in held
        errors.append(abs(value - count))
    return max(errors), total / (state.k + 1)


@pytest.mark.parametrize("k", [10, 200])
@pytest.mark.parametrize("name", streams.STREAMS)
def test_every_stream_keeps_the_bound(name, k):
    """Every count of every stream lies between its bounds, whole, in small batches and in 1,000 shards."""
    values = streams.stream(name, N // 5)
    exact = true_counts(values)
    split = mg.FrequentItems(k)
    for part in np.array_split(values, 50):
        split.update(part)
    for state in (fed(values, k), split, streams.sharded(lambda: mg.FrequentItems(k), (values,))):
        error, bound = check(state, exact)
        assert error <= bound


def test_the_most_frequent_ones_are_found():
    """The 20 most frequent of 50,000 Zipf numbers are found in their order, whole and in 1,000 shards."""
    values = streams.stream("zipf integers", N).astype(np.int64)
    exact = collections.Counter(values.tolist())
    expected = [key for key, _ in exact.most_common(20)]
    for state in (fed(values), streams.sharded(mg.FrequentItems, (values,))):
        assert sorted(expected) == sorted(key for key, _ in state.top(20))
        assert all(low <= exact[key] <= high for key, (_, low, high) in state.top())


def test_up_to_k_keys_are_exact():
    """Up to k keys the counts are those of a Counter, and the bytes the same in any order."""
    values = np.random.default_rng(0).integers(0, 100, 5_000)
    counter, state = mg.Counter(), fed(values, 100)
    counter.update(values)
    assert (counter.result(), 0, 5_000) == (state.result(), state.max_error, state.total)
    assert counter.most_common(7) == [(key, estimate.low) for key, estimate in state.top(7)]
    merged = streams.sharded(lambda: mg.FrequentItems(100), (values,), shards=50)
    assert [canonical_bytes(state)] * 2 == [canonical_bytes(merged), canonical_bytes(fed(values[::-1], 100))]


def test_keys_are_told_apart_by_type():
    """1, 1.0, True and "1" are four keys, both zeros and all NaNs one each, and text of any kind is a key."""
    state = fed([1, 1.0, True, "1", b"1", np.int64(1), -0.0, 0.0, math.nan, -math.nan, "\ud800", "\x00", 10**400, (1, "a")])
    counts = [state.estimate(key).low for key in (1, 1.0, True, "1", b"1", 0.0, math.nan, "\ud800", "\x00", 10**400, (1, "a"))]
    assert [2, 1, 1, 1, 1, 2, 2, 1, 1, 1, 1] == counts
    assert (4, 14) == (state.result()[1], state.total)


def test_the_hash_seed_decides_nothing():
    """Strings and reductions end in the same bytes whatever PYTHONHASHSEED is."""
    code = (
        "import mergeable as mg; from mergeable.encoding.canonical import canonical_bytes; a, b = mg.FrequentItems(5), mg.FrequentItems(5)\n"
        "for i in range(300): (a, b)[i % 2].update([str(i * i % 37), str(i % 11), i % 7])\n"
        "a.merge(b); print(canonical_bytes(a).hex())"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "77")
    ]
    assert runs[0] == runs[1] != ""


def test_merges_commute_to_the_bit():
    """Two states merge to the same bytes in either order, also where counters are taken away."""
    rng = np.random.default_rng(0)
    for seed in range(5):
        a, b = rng.zipf(1.3, 500 + seed), rng.zipf(1.5, 300)
        ab, ba = fed(a, 20), fed(b, 20)
        ab.merge(fed(b, 20))
        ba.merge(fed(a, 20))
        assert canonical_bytes(ab) == canonical_bytes(ba)
        assert ab.max_error > 0


def test_counts_have_no_limit():
    """Counts and totals beyond 64 bits stay exact."""
    state = fed({"a": 2**70, "b": 1})
    state.merge(state)
    assert (2**71, 2, 2**71 + 2) == (state.estimate("a").low, state.estimate("b").low, state.total)


def test_all_keys_may_go():
    """Where all keys came equally often, all go, and what was taken is kept: also in copies, pickles and files."""
    state = fed(range(30), 10)
    assert (0, 1, 30, {}) == (len(state), state.max_error, state.total, state.result())
    for back in (copy.deepcopy(state), pickle.loads(pickle.dumps(state))):
        assert (0, 0, 1) == tuple(back.estimate(3))
        assert canonical_bytes(state) == canonical_bytes(back)


def test_a_failed_step_leaves_everything():
    """An update that is undone leaves every byte, also where it took counters away."""
    for first in ([1, 2, 3], list(range(15)), [*range(25)]):
        state = fed(first, 10)
        before = canonical_bytes(copy.deepcopy(state))
        savepoint(state)
        state.update(["x"] * 3)
        state.update(range(100))
        state.update(["y"])
        rollback(state)
        assert before == canonical_bytes(state)


def test_empty():
    """An empty state, and batches without keys, have no keys."""
    state = fed([])
    state.update({})
    state.update({"a": 0})
    state.update(np.zeros(0))
    assert ({}, [], 0, 0, (0, 0, 0)) == (state.result(), state.top(), state.total, state.max_error, tuple(state.estimate("a")))
    assert canonical_bytes(mg.FrequentItems()) == canonical_bytes(state)


def test_another_k_is_refused():
    """States of two k do not merge, and both stay."""
    a, b = fed([1], 5), fed([2], 6)
    with pytest.raises(mg.IncompatibleStates, match=r"^FrequentItems\.merge: parameters differ: .*k"):
        a.merge(b)
    assert [{1: 1}, {2: 1}] == [a.result(), b.result()]


@pytest.mark.parametrize("k", [0, -1, 2**20 + 1, 10.0, True, None, "9"], ids=str)
def test_bad_k_is_refused(k):
    """The number of counters is a whole number of at least 1."""
    with pytest.raises(ValueError, match=r"^FrequentItems: got k = .*, expected a whole number from 1 to 2\*\*20\."):
        mg.FrequentItems(k)


@pytest.mark.parametrize(
    ("items", "error", "text"),
    [
        ("abc", TypeError, r"^FrequentItems\.update: got 'abc', expected a list or an array of keys"),
        (3, TypeError, r"^FrequentItems\.update: got 3, expected a list"),
        ([1, {2}], TypeError, r"^FrequentItems\.update: got the key \{2\} \(set\)"),
        ({"a": -1}, ValueError, r"^FrequentItems\.update: got the counts \{'a': -1\}, expected whole numbers not below 0"),
        ({"a": 0.5}, ValueError, r"^FrequentItems\.update: got the counts"),
        (np.array([1.0, object()]), TypeError, r"^FrequentItems\.update: got the key <object"),
    ],
)
def test_bad_keys_are_refused_and_change_nothing(items, error, text):
    """What is no list of keys, and counts that are none, are refused, and every byte stays."""
    state = fed(range(30), 20)
    before = canonical_bytes(state)
    with pytest.raises(error, match=text):
        state.update(items)
    assert before == canonical_bytes(state)


@pytest.mark.parametrize(
    "change",
    [
        {"total": 5},
        {"total": -1},
        {"total": 20, "max_error": 0},
        {"max_error": 0},
        {"max_error": 2},
        {"max_error": -1},
        {"max_error": 1.0},
        {"keys": ["a", "b", "c"]},
        {"keys": ["a", "a"]},
        {"keys": ["a", "b", "c"], "counts": [1, 1, 1]},
        {"counts": [3, 0]},
        {"counts": [3, -3]},
        {"counts": [3]},
        {"more": 1},
    ],
    ids=str,
)
def test_data_that_no_keys_give_is_refused(change):
    """What a file says is refused where no updates end in such counters."""
    state = fed(["a"] * 4 + ["b"] * 2 + ["c"], 2)
    saved = state.to_data()
    assert {"total": 7, "max_error": 1, "keys": ["a", "b"], "counts": [3, 1]} == saved | {"counts": saved["counts"].tolist()}
    with pytest.raises(ValueError, match=r"^found"):
        mg.FrequentItems(2).from_data(saved | change)
