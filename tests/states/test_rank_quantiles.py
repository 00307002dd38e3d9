"""Quantiles within an error of rank, and every hazard of the library behind them."""

import copy
import math
import pickle
import random
import subprocess
import sys
from fractions import Fraction

import datasketches
import ml_dtypes
import numpy as np
import pytest

import mergeable as mg
from mergeable.encoding.canonical import canonical_bytes
from tests import streams
from tests.effort import HANG

N = 20_000
Q = np.linspace(0.0, 1.0, 101)


def fed(values, k=200):
    state = mg.RankQuantiles(k)
    state.update(values)
    return state


def many(k=8, n=300):
    """Return a state that keeps a few of its items."""
    return fed(np.random.default_rng(k).random(n), k)


def sorted_items(values):
    """Return the items in order, subnormal numbers as 0."""
    items = values[~np.isnan(values)]
    return np.sort(np.where(np.abs(items) < 2.0**-1022, 0.0, items))


def worst(state, values):
    """Return the largest error of rank of the quantiles Q, as a share of all items."""
    items, n = sorted_items(values), int((~np.isnan(values)).sum())
    found, ranks = state.quantile(Q), np.clip(np.ceil(Q * n), 1, n)
    first, last = np.searchsorted(items, found, "left") + 1, np.searchsorted(items, found, "right")
    return float(np.maximum(np.maximum(first - ranks, ranks - last), 0).max() / n)


def test_streams_keep_the_bound_whole_and_in_shards():
    """Of all streams, whole and in 1,000 shards, at most two err by more than the bound of 99 %, and none by half of it more."""
    errors = {}
    for name in streams.STREAMS:
        values = streams.stream(name, N)
        whole, merged = fed(values), streams.sharded(mg.RankQuantiles, (values,))
        errors[name] = worst(whole, values), worst(merged, values)
        for state in (whole, merged):
            assert int((~np.isnan(values)).sum()) == state.n
            assert sorted_items(values)[[0, -1]].tolist() == state.quantile([0.0, 1.0]).tolist()
            assert 0.0133 > state.rank_error > 0.0132
    ratios = [error / 0.0133 for pair in errors.values() for error in pair]
    assert max(ratios) < 1.5, errors
    assert sum(ratio > 1 for ratio in ratios) <= 2, errors


def test_estimates_hold_the_true_item_and_rank():
    """Estimates of quantiles and ranks hold the true ones, nearly always."""
    values = streams.stream("600 decades", N)
    items = sorted_items(values)
    for state in (fed(values), streams.sharded(mg.RankQuantiles, (values,))):
        quantiles = [(state.estimate(q), items[max(math.ceil(q * N), 1) - 1]) for q in Q.tolist()]
        ranks = [(state.rank_estimate(x), np.searchsorted(items, x, "right") / N) for x in items[:: N // 100]]
        for pairs in (quantiles, ranks):
            assert sum(not low <= true <= high for (_, low, high), true in pairs) <= 2
            assert all(low <= value <= high for (value, low, high), _ in pairs)
        assert all(0.02 < high - low < 0.027 for (_, low, high), true in ranks if 0.1 < true < 0.9)


def test_larger_k_errs_less():
    """The bound of k = 800 is 0.35 %, and it is kept."""
    values = streams.stream("sorted", N)
    state = fed(values, 800)
    assert 0.0035 == pytest.approx(state.rank_error, rel=0.15)
    assert worst(state, values) < 1.5 * state.rank_error


@pytest.mark.parametrize("n", [1, 2, 10, 199, 200])
def test_up_to_k_items_are_exact(n):
    """Up to k items the quantiles are the items of rank ceil(q n), the ranks are exact, and shards give the same bytes."""
    values = np.random.default_rng(n).normal(size=n)
    state = fed(values)
    places = [max(math.ceil(Fraction(repr(q)) * n) - 1, 0) for q in Q.tolist()]
    assert np.sort(values)[places].tobytes() == state.quantile(Q).tobytes()
    assert [(values <= x).mean() for x in values] == [state.rank(x) for x in values]
    assert (0.0, [state.quantile(0.3)] * 3) == (state.rank_error, [*state.estimate(0.3)])
    assert canonical_bytes(state) == canonical_bytes(fed(values[::-1]))


# What the library does with what it should refuse, and what we do.


def test_an_empty_sketch_has_answers():
    """Where the library raises, the answers of no items are NaN."""
    with pytest.raises(RuntimeError):
        datasketches.kll_doubles_sketch(200).get_quantile(0.5)
    empty = mg.RankQuantiles()
    shown = [empty.quantile(0.5), *empty.quantile([0.0, 1.0]), *empty.estimate(0.5), empty.rank(0.0), *empty.rank_estimate(1.0)]
    assert canonical_bytes([math.nan] * 11) == canonical_bytes([*shown, empty.result()["50%"]])
    assert (0, 0, (0, 0), 0.0) == (empty.n, empty.n_nan, empty.n_infinite, empty.rank_error)


def test_nan_is_counted_apart():
    """Where the library drops NaN, they are counted, and have no rank."""
    state = fed([math.nan, 1.0, -math.nan])
    assert (1, 2, 1.0) == (state.n, state.n_nan, state.quantile(0.5))
    with pytest.raises(ValueError, match=r"^RankQuantiles\.rank: got NaN, expected a number: NaN has no rank"):
        state.rank(math.nan)
    nothing = fed([math.nan])
    assert (0, 1, True) == (nothing.n, nothing.n_nan, math.isnan(nothing.quantile(0.5)))


def test_infinities_are_items():
    """Infinities are counted apart, exactly, and have their ranks."""
    state = fed([math.inf, -math.inf, 1.0, math.inf, 2.0])
    assert (5, (1, 2)) == (state.n, state.n_infinite)
    assert [-math.inf, -math.inf, 1.0, 2.0, math.inf] == state.quantile([0.0, 0.2, 0.4, 0.6, 0.8]).tolist()
    assert [0.2, 0.2, 0.4, 0.6, 1.0] == [state.rank(x) for x in (-math.inf, 0.5, 1.0, 9.0, math.inf)]
    only = fed([math.inf])
    assert ([math.inf] * 3, [1.0] * 3) == ([*only.estimate(0.5)], [*only.rank_estimate(math.inf)])


def test_another_k_is_refused():
    """Where the library merges sketches of two k into the worse one, they are refused, and both stay."""
    a, b = many(200), many(100)
    before = canonical_bytes(a), canonical_bytes(b)
    with pytest.raises(mg.IncompatibleStates, match=r"^RankQuantiles\.merge: parameters differ: .*k"):
        a.merge(b)
    assert before == (canonical_bytes(a), canonical_bytes(b))


def test_empty_is_the_identity():
    """Where the library's empty.merge(x) differs from x in bytes, ours has the same, in both orders."""
    for state in (fed([]), fed([3.0]), many()):
        left, right = state.empty(), copy.deepcopy(state)
        left.merge(state)
        right.merge(state.empty())
        assert [canonical_bytes(state)] * 2 == [canonical_bytes(left), canonical_bytes(right)]


def test_copies_and_pickles_are_independent():
    """Where the library's objects have no pickle and no deep copy, ours do, and share nothing."""
    with pytest.raises(TypeError):
        pickle.dumps(datasketches.kll_doubles_sketch(200))
    for state in (fed([]), fed([1.0]), many()):
        before = canonical_bytes(state)
        copies = [copy.copy(state), copy.deepcopy(state), pickle.loads(pickle.dumps(state))]
        state.update([7.0])
        assert [before] * 3 == list(map(canonical_bytes, copies))
        copies[0].merge(state)
        assert before == canonical_bytes(copies[1])


def test_a_merge_changes_one_side():
    """The library merges in place; our argument stays as it was, also where it was merged into an empty state or into itself."""
    other = many()
    before = canonical_bytes(other)
    for state in (mg.RankQuantiles(8), many(8, 50)):
        n = state.n
        state.merge(other)
        state.update([1.0] * 100)
        assert (n + 400, before) == (state.n, canonical_bytes(other))
    other.merge(other)
    assert 600 == other.n


def test_reading_changes_nothing():
    """The library sorts a level when it is asked for a quantile; that shows nowhere."""
    state = many()
    before = canonical_bytes(state)
    first = state.result(), state.rank(0.5), state.estimate(0.9)
    assert (before, first) == (canonical_bytes(state), (state.result(), state.rank(0.5), state.estimate(0.9)))


def test_a_level_may_be_empty():
    """The library's iterator gives wrong weights where the lowest level is empty; what we write is right."""
    state = mg.RankQuantiles(8)
    saved = {"special": [0, 0, 0], "extremes": [0.0, 6.0], "levels": [0, 7], "items": np.arange(7.0)}
    state.from_data(saved)
    assert (14, canonical_bytes(saved)) == (state.n, canonical_bytes(state.to_data()))
    assert [1, 2] != [*{weight for _, weight in state._opened()}]


def test_subnormal_numbers_are_zero():
    """Numbers that a thread may flush to zero are zero everywhere, and both zeros are one."""
    state = fed([-5e-324, 5e-324, -0.0, 2.0**-1022, -1e-309])
    assert canonical_bytes([0.0, 0.0, 2.0**-1022]) == canonical_bytes(state.quantile([0.0, 0.8, 1.0]).tolist())
    assert (0.8, 0.8, 0.0) == (state.rank(5e-324), state.rank(-5e-324), state.rank(-(2.0**-1022)))


@pytest.mark.parametrize(
    "dtype", [np.float16, np.float32, ml_dtypes.bfloat16, np.int8, np.uint64, bool], ids=lambda d: np.dtype(d).name
)
def test_arrays_that_the_library_refuses(dtype):
    """Narrow types, arrays of other strides and arrays that cannot be written are items like others."""
    values = np.array([0, 1, 1]).astype(dtype)
    assert 1 / 3 == fed(values).rank(0)
    large = np.broadcast_to(np.arange(300.0)[::2, None], (150, 200))
    assert not large.flags.writeable
    assert 30_000 == fed(large).n


@pytest.mark.parametrize("k", [7, 0, -1, 65536, 200.0, True, None, "200"], ids=str)
def test_bad_k_is_refused(k):
    """A k that the library does not have is refused, with our text."""
    with pytest.raises(ValueError, match=r"^RankQuantiles: got k = .*, expected a whole number from 8 to 65535\."):
        mg.RankQuantiles(k)


@pytest.mark.parametrize(
    ("act", "error", "text"),
    [
        (lambda s: s.update([1.0], [1.0]), ValueError, r"^RankQuantiles\.update: got weights, expected none"),
        (lambda s: s.update(["a"]), TypeError, r"^RankQuantiles\.update: got values of dtype <U1"),
        (lambda s: s.update([None]), TypeError, r"got values of dtype object"),
        (lambda s: s.update([2**53 + 1]), ValueError, r"got the integer 9007199254740993"),
        (lambda s: s.quantile(1.1), ValueError, r"^RankQuantiles\.quantile: got q = 1\.1, expected numbers from 0 to 1\."),
        (lambda s: s.quantile([0.5, math.nan]), ValueError, r"got q = nan"),
        (lambda s: s.estimate(-0.1), ValueError, r"^RankQuantiles\.estimate: got q = -0\.1"),
        (
            lambda s: s.estimate([0.1]),
            ValueError,
            r"^RankQuantiles\.estimate: got a value of shape \(1,\), expected one number",
        ),
        (lambda s: s.rank([1.0]), ValueError, r"^RankQuantiles\.rank: got a value of shape \(1,\)"),
    ],
)
def test_bad_input_is_refused_and_changes_nothing(act, error, text):
    """Weights, what is no number, and shares outside of [0, 1] are refused, and every byte stays."""
    state = many()
    before = canonical_bytes(state)
    with pytest.raises(error, match=text):
        act(state)
    assert before == canonical_bytes(state)


def test_empty_batches_change_nothing():
    """Batches without values leave the empty state."""
    assert canonical_bytes(mg.RankQuantiles()) == canonical_bytes(fed(np.zeros((0, 3))))


def test_too_many_items_are_refused():
    """More items than the library's weights hold raise OverflowError, and both sides stay."""
    state = fed(np.arange(8.0), 8)
    for _ in range(59):
        state.merge(state)
    before = canonical_bytes(state)
    with pytest.raises(OverflowError, match=r"^RankQuantiles: there would be more than 2\*\*62 items"):
        state.merge(state)
    assert (2**62, before) == (state.n, canonical_bytes(state))


# Data from anywhere.


@pytest.mark.parametrize(
    "change",
    [
        {"special": [0, 0]},
        {"special": [0, 0, -1]},
        {"special": [2**62, 0, 0]},
        {"extremes": None},
        {"extremes": [0.5, 1.0]},
        {"extremes": [0.0, 2]},
        {"extremes": [0.0, math.inf]},
        {"extremes": [5e-324, 9.0]},
        {"levels": []},
        {"levels": [1, 1]},
        {"levels": [2, 3]},
        {"levels": [1, 2, 0]},
        {"levels": [-1, 4]},
        {"levels": [0] * 62 + [3]},
        {"levels": [0] * 100 + [3]},
        {"items": np.array([0.0, 1.0, math.nan])},
        {"items": np.array([0.0, 1.0, math.inf])},
        {"items": np.array([0.0, 1.0, 5e-324])},
        {"items": np.array([-0.0, 0.5, 1.0])},
        {"items": np.array([0.0, 1.0, 0.5])},
        {"items": [0.0, 0.5, 1.0]},
        {"more": 1},
    ],
    ids=str,
)
def test_data_that_no_items_give_is_refused(change):
    """What a file says is refused where no updates end in such a sample."""
    saved = {"special": [0, 0, 0], "extremes": [0.0, 1.0], "levels": [1, 2], "items": np.array([0.0, 0.5, 1.0])}
    mg.RankQuantiles(8).from_data(saved)
    with pytest.raises(ValueError, match=r"^found"):
        mg.RankQuantiles(8).from_data(saved | change)


@pytest.mark.parametrize(
    "saved",
    [
        {"levels": [9], "items": np.arange(9.0), "extremes": [0.0, 8.0]},
        {"levels": [1, 16], "items": np.arange(17.0), "extremes": [0.0, 16.0]},
        {"levels": [3], "items": np.arange(3.0), "extremes": [-1.0, 2.0]},
        {"levels": [], "items": np.zeros(0), "extremes": [0.0, 0.0]},
    ],
    ids=str,
)
def test_samples_that_are_too_large_or_hold_all_and_not_their_extremes(saved):
    """More items than a sketch of this k keeps, or extremes of items that are all there and others, are refused."""
    with pytest.raises(ValueError, match=r"^found"):
        mg.RankQuantiles(8).from_data({"special": [0, 0, 0], **saved})


def test_random_samples_are_refused_or_work():
    """Random samples, which the library itself would crash on, are refused, or are read back, merged, updated and asked."""
    rng, taken = random.Random(0), 0
    for seed in range(300):
        sizes = [rng.choice([0, 0, 1, 2, 7, 8, 20]) for _ in range(rng.choice([0, 1, 2, 3, 10, 30, 62, 70]))]
        items = np.concatenate([np.zeros(0), *(np.sort(np.random.default_rng(seed).random(size)) for size in sizes)])
        state, other = mg.RankQuantiles(20), many(20)
        extremes = [float(items.min()), float(items.max())] if items.size else None
        saved = {"special": [0, 1, 0], "extremes": extremes, "levels": sizes, "items": items}
        try:
            state.from_data(saved)
        except ValueError:
            continue
        taken += 1
        assert canonical_bytes(saved) == canonical_bytes(state.to_data())
        n = state.n
        other.merge(state)
        state.update(np.arange(100.0))
        assert (n + 300, n + 100, True) == (other.n, state.n, 0 <= state.rank(0.5) <= 1)
    assert taken > 50


# The extra.


def test_without_the_library_the_error_is_one_sentence(monkeypatch):
    """Where datasketches is missing, the error says what to install."""
    monkeypatch.setitem(sys.modules, "datasketches", None)
    with pytest.raises(
        ImportError, match=r"^mergeable\.RankQuantiles needs datasketches: pip install 'mergeable\[sketches\]'$"
    ):
        mg.RankQuantiles()


def test_a_process_that_ends_is_silent():
    """The library reports its objects that live at the end of a process as leaks; a state holds none."""
    code = "import mergeable as mg; state = mg.RankQuantiles(); state.update(range(999)); state.result()"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=HANG)
    assert ("", "") == (run.stdout, run.stderr)
