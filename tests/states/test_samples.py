"""Samples of the smallest hashes: distinct counts, uniform samples and weighted ones."""

import itertools
import math
import statistics

import numpy as np
import pytest

import mergeable as mg
from mergeable.encoding.canonical import canonical_bytes
from mergeable.numeric import hashes
from tests import streams

MAKERS = {"BottomK": mg.BottomK, "WeightedBottomK": mg.WeightedBottomK}


def fed(state, *batches):
    for batch in batches:
        state.update(*batch)
    return state


def cases(n, seeds, **parameters):
    """Return BottomK of n keys, one for each seed."""
    return [fed(mg.BottomK(seed=seed, **parameters), (np.arange(n),)) for seed in range(seeds)]


# Distinct counts.


@pytest.mark.parametrize("n", [0, 1, 2, 255])
def test_below_k_the_count_is_exact(n):
    """Fewer than k distinct keys are counted exactly, however often they come."""
    state = fed(mg.BottomK(k=256), (np.arange(n),), (np.arange(n) // 2,))
    assert mg.Estimate(n, n, n) == state.estimate()
    assert sorted(state.sample()) == list(range(n))
    assert n == state.count() == len(state)


@pytest.mark.parametrize("n", [256, 300, 10_000])
def test_the_count_is_within_its_bound(n):
    """Of 200 seeds the range of 95 % misses about 10, the errors have the standard deviation stated, and no bias."""
    found = [state.estimate() for state in cases(n, 200, k=256)]
    errors = [estimate.value / n - 1 for estimate in found]
    misses = sum(not estimate.low <= n <= estimate.high for estimate in found)
    bound = 1 / math.sqrt(254)

    assert misses <= 20
    assert math.sqrt(statistics.fmean(e * e for e in errors)) < 1.15 * bound
    assert abs(statistics.fmean(errors)) < 3 * bound / math.sqrt(200)
    assert all(256 <= estimate.low <= estimate.value <= estimate.high for estimate in found)


def test_small_k_has_wide_ranges():
    """With one key the range holds the truth as often as it says."""
    found = [fed(mg.BottomK(k=1, seed=seed), (np.arange(1_000),)).estimate() for seed in range(400)]
    assert 20 > sum(not estimate.low <= 1_000 <= estimate.high for estimate in found)


@pytest.mark.parametrize("name", streams.STREAMS)
def test_streams(name):
    """On every stream the distinct count is within its range, and 1,000 shards end in the bytes of the whole."""
    keys = streams.stream(name, 20_000)
    whole, merged = fed(mg.BottomK(), (keys,)), streams.sharded(mg.BottomK, (keys,))
    distinct = len({"nan" if math.isnan(key) else key for key in keys.tolist()})
    estimate = whole.estimate()

    assert canonical_bytes(whole) == canonical_bytes(merged)
    assert estimate.low <= distinct <= estimate.high
    assert abs(estimate.value / distinct - 1) <= 1.96 / math.sqrt(1022)


# Samples.


def test_the_sample_is_uniform():
    """Over 400 seeds every key is sampled as often as the others, though some came a thousand times and others once."""
    keys = np.repeat(np.arange(500), np.random.default_rng(0).zipf(1.5, 500).clip(max=1_000))
    counts = np.zeros(500)
    for seed in range(400):
        counts[fed(mg.BottomK(k=100, seed=seed), (keys,)).sample()] += 1
    expected, variance = 400 * 100 / 500, 400 * 0.2 * 0.8

    assert 0.8 < float(((counts - expected) ** 2).mean()) / variance < 1.2
    assert np.abs(counts - expected).max() < 4.5 * math.sqrt(variance)


def test_a_sample_of_a_sample():
    """The first rows of a sample are those that a smaller k keeps."""
    large, small = fed(mg.BottomK(k=64), (np.arange(1_000),)), fed(mg.BottomK(k=8), (np.arange(1_000),))
    assert small.sample() == large.sample(8) == large.sample()[:8]


def test_rows_stay_with_their_keys():
    """Labels, scores and images of sampled keys come back as they came, in any cut."""
    rng = np.random.default_rng(1)
    ids = np.arange(50_000)
    columns = rng.integers(0, 9, 50_000), rng.random(50_000, np.float32), rng.integers(0, 255, (50_000, 5, 5), np.uint8)
    whole = fed(mg.BottomK(k=50), (ids, *columns))
    merged = streams.sharded(lambda: mg.BottomK(k=50), (ids, *columns), shards=100)

    assert canonical_bytes(whole) == canonical_bytes(merged)
    for key, label, score, image in whole.sample():
        assert (columns[0][key], columns[1][key]) == (label, score)
        assert columns[2][key].tobytes() == image.tobytes()


def test_one_key_with_several_rows():
    """Of a key's rows the first in the order of their bytes is kept, whichever came first."""
    rows = [(["a", "a"], [2.0, 1.0], ["x", "z"]), (["a"], [1.0], ["y"])]
    assert [("a", 1.0, "y")] == fed(mg.BottomK(k=2), *rows).sample() == fed(mg.BottomK(k=2), *rows[::-1]).sample()


def test_the_sample_is_a_copy():
    """Writing to a sampled row does not write to the state."""
    state = fed(mg.BottomK(), ([1], np.ones((1, 3))))
    state.sample()[0][1][:] = 9
    assert [1.0, 1.0, 1.0] == state.sample()[0][1].tolist()


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)], ids=str)
@pytest.mark.parametrize("k", [1, 2, 3])
def test_keys_of_one_hash_are_told_apart(k, order, monkeypatch):
    """Where all hashes are equal, keys come in their canonical order, and none is lost or counted twice."""
    monkeypatch.setattr(hashes, "of_keys", lambda array, _: np.full(array.size, 7, np.uint64))
    batches = [([2, "b", 1],), (np.array([1, 5]),), (np.array([1.0]),)]
    state = fed(mg.BottomK(k=k), *(batches[i] for i in order))
    assert [1, 2, 5][:k] == state.sample()
    merged = fed(mg.BottomK(k=k), batches[order[0]])
    for i in order[1:]:
        merged.merge(fed(mg.BottomK(k=k), batches[i]))
    assert canonical_bytes(merged) == canonical_bytes(state)


def test_large_whole_numbers_and_their_neighbours():
    """Whole numbers beyond int64, in an array or a list, are keys like others."""
    array = np.array([2**63, 2**64 - 1, 5, 5], np.uint64)
    assert {5, 2**63, 2**64 - 1} == set(fed(mg.BottomK(), (array,)).sample())
    assert canonical_bytes(fed(mg.BottomK(), (array,))) == canonical_bytes(fed(mg.BottomK(), (array.tolist(),)))


# Weighted samples.


def weights_of(n):
    return np.random.default_rng(2).pareto(1.2, n) + 0.01


def test_totals_are_unbiased():
    """Over 200 seeds the sums of all weights, and of a part, have no bias, and their ranges miss about 5 % of the time."""
    weights = weights_of(5_000)
    parts = {"all": (None, math.fsum(weights)), "a tenth": (lambda key, _: key % 10 == 0, math.fsum(weights[::10]))}
    states = [fed(mg.WeightedBottomK(k=200, seed=seed), (np.arange(5_000), weights)) for seed in range(200)]
    for where, truth in parts.values():
        found = [state.total_estimate(where) for state in states]
        values = [estimate.value for estimate in found]
        assert abs(statistics.fmean(values) - truth) < 3 * statistics.stdev(values) / math.sqrt(200)
        assert 24 >= sum(not estimate.low <= truth <= estimate.high for estimate in found)
        assert states[0].total(where) == values[0]


def test_a_priority_sample_by_its_definition():
    """The sample holds the largest w / u, and its adjusted weights are max(w, the next w / u)."""
    weights = weights_of(300)
    shares = ((hashes.hashed(np.arange(300), 9, "") >> np.uint64(12)) + 0.5) / 2**52
    order = np.argsort(-weights / shares)
    state = fed(mg.WeightedBottomK(k=20, seed=9), (np.arange(300), weights))
    expected = np.maximum(weights[order[:20]], (weights / shares)[order[20]])

    assert order[:20].tolist() == [key for key, _ in state.sample()]
    np.testing.assert_allclose(state.adjusted_weights(), expected, rtol=1e-15)
    assert math.isclose(math.fsum(expected), state.total(), rel_tol=1e-15)


def test_up_to_k_keys_totals_are_exact():
    """Where all keys are in the sample, sums are correctly rounded and certain."""
    state = fed(mg.WeightedBottomK(k=3), (["a", "b", "c"], [1e16, 1.0, 5e-324]), (["z"], 0.0))
    assert mg.Estimate(1e16, 1e16, 1e16) == state.total_estimate(lambda key, _: key != "b")
    assert 1.0 + 5e-324 == state.total(lambda key, _: key != "a")
    assert 0.0 == mg.WeightedBottomK().total()
    assert [] == mg.WeightedBottomK().adjusted_weights().tolist() == mg.WeightedBottomK().sample()


def test_equal_weights_sample_like_bottom_k():
    """With one weight for all, the sample is that of the smallest hashes."""
    assert [key for key, _ in fed(mg.WeightedBottomK(k=9), (np.arange(500), 2.5)).sample()] == fed(
        mg.BottomK(k=9), (np.arange(500),)
    ).sample()


@pytest.mark.parametrize("name", streams.STREAMS)
def test_weighted_streams(name):
    """On every stream of weights the total is within its range, and 200 shards end in the bytes of the whole."""
    weights = np.abs(streams.stream(name, 20_000))
    weights[~np.isfinite(weights)] = 0.0
    columns = np.arange(20_000), weights
    whole, merged = fed(mg.WeightedBottomK(), columns), streams.sharded(mg.WeightedBottomK, columns, shards=200)
    estimate = whole.total_estimate()

    assert canonical_bytes(whole) == canonical_bytes(merged)
    assert estimate.low <= math.fsum(weights) <= estimate.high
    assert 0.0 not in [weight for _, weight in whole.sample()]


def test_a_key_counts_once_with_its_largest_weight():
    """A key that comes with several weights has the largest one, and its row."""
    batches = [(["a"], [1.0], ["low"]), (["a", "a"], [3.0, 2.0], ["high", "middle"])]
    assert [("a", 3.0, "high")] == fed(mg.WeightedBottomK(), *batches).sample()
    assert [("a", 3.0, "high")] == fed(mg.WeightedBottomK(), *batches[::-1]).sample()


def test_ranks_of_the_smallest_and_largest_weights():
    """Subnormal and huge weights are ordered exactly, and order nothing by a quotient that is 0 or infinite."""
    weights = [5e-324, 1e-310, 2.2250738585072014e-308, 1.0, 1.7e308]
    state = fed(mg.WeightedBottomK(k=2), (np.arange(5), weights))
    assert {3, 4} == {key for key, _ in state.sample()}
    assert [4] == [key for key, _ in fed(mg.WeightedBottomK(k=1), (np.arange(5), weights)).sample()]
    small = fed(mg.WeightedBottomK(k=1), (np.arange(200), np.full(200, 5e-324)))
    assert [(fed(mg.BottomK(k=1), (np.arange(200),)).sample()[0], 5e-324)] == small.sample()


# What is refused.


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_parameters_are_whole_numbers(make):
    """A k that is no whole number of at least 1, and a seed that is none of 64 bits, are refused."""
    for k in (0, -1, 1.5, True, "3"):
        with pytest.raises(ValueError, match=r"^(Weighted)?BottomK: got k = .*, expected a whole number of at least 1"):
            make(k=k)
    for seed in (-1, 2**64, 0.5):
        with pytest.raises(ValueError, match=r"BottomK: got seed=.*, expected a whole number from 0 to"):
            make(seed=seed)


@pytest.mark.parametrize(
    ("batch", "error", "text"),
    [
        (([{}],), TypeError, "BottomK.update: got the key"),
        (("abc",), TypeError, "BottomK.update: got 'abc', expected a list"),
        (([1, 2], [1.0]), ValueError, r"BottomK.update: got 2 keys and columns of lengths \[1\], expected equal ones"),
        (([1], 1.0), ValueError, "BottomK.update: got one value for 'column 0', expected an array"),
        (([1], [{}]), ValueError, "BottomK.update: got the column 'column 0' of dtype object"),
        (([1], [1.0], [2.0]), ValueError, r"BottomK.update: got columns of float64, float64, expected float64 as before"),
        (([1],), ValueError, "BottomK.update: got columns of nothing, expected float64 as before"),
        (([1], [True]), ValueError, "BottomK.update: got columns of bool, expected float64 as before, or numbers"),
        (([1], [[1.0, 2.0]]), ValueError, r"BottomK.update: got columns of float64\[2\], expected float64 as before"),
    ],
    ids=str,
)
def test_bad_batches_change_nothing(batch, error, text):
    """Batches that do not fit raise, and leave every byte."""
    state = fed(mg.BottomK(), ([1, 2], [0.5, 0.25]))
    before = canonical_bytes(state)
    with pytest.raises(error, match=text):
        state.update(*batch)
    assert before == canonical_bytes(state)


@pytest.mark.parametrize("weights", [[1.0], [-1.0, 1.0], [math.nan, 1.0], [math.inf, 1.0], ["a", "b"]], ids=str)
def test_bad_weights_change_nothing(weights):
    """Weights that are negative, not finite or too few raise, and leave every byte."""
    state = fed(mg.WeightedBottomK(), (["a"], [0.5]))
    before = canonical_bytes(state)
    with pytest.raises((ValueError, TypeError), match=r"^WeightedBottomK\.update: got"):
        state.update([1, 2], weights)
    assert before == canonical_bytes(state)


def test_empty_batches_change_nothing():
    """Batches of no rows leave every byte, whatever their columns are."""
    state = fed(mg.BottomK(), ([],), (np.zeros(0), np.zeros((0, 3))), ([1], [0.5]), ([], []))
    assert canonical_bytes(fed(mg.BottomK(), ([1], [0.5]))) == canonical_bytes(state)
    weighted = fed(mg.WeightedBottomK(), ([], []), (["a", "b"], [0.0, -0.0], [1, 2]))
    assert canonical_bytes(mg.WeightedBottomK()) == canonical_bytes(weighted)


def test_other_columns_do_not_merge():
    """Samples with other columns raise IncompatibleStates, and both stay as they were."""
    a, b = fed(mg.BottomK(), ([1], [0.5])), fed(mg.BottomK(), ([2], ["x"]))
    before = canonical_bytes(a), canonical_bytes(b)
    with pytest.raises(mg.IncompatibleStates, match=r"^BottomK\.merge: got columns of str, expected float64"):
        a.merge(b)
    assert before == (canonical_bytes(a), canonical_bytes(b))


@pytest.mark.parametrize(
    "changed",
    [
        {"keys": [2, 1]},
        {"keys": np.array([2, 1]), "columns": None},
        {"keys": np.array([1, 1]), "columns": [np.zeros(2)]},
        {"keys": np.array([1, 2]), "columns": [np.zeros(2)]},
        {"keys": np.arange(4), "columns": [np.zeros(4)]},
        {"keys": np.array([2, 1]), "columns": [np.zeros(3)]},
        {"keys": np.array([2, 1]), "columns": [[0.0, 1.0]]},
        {"keys": np.array([2, 1]), "columns": [np.zeros(2, complex)]},
        {"keys": [], "columns": [np.zeros(0)]},
        {"keys": [[1]], "columns": []},
    ],
    ids=str,
)
def test_what_no_updates_made_is_refused(changed):
    """Files with keys twice, in another order, too many, or with columns that do not fit are refused."""
    with pytest.raises((ValueError, TypeError)):
        mg.BottomK(k=3).from_data(changed)


def test_what_was_saved_is_taken():
    """Keys in the order of their ranks, with a column, are taken."""
    state = mg.BottomK(k=3)
    state.from_data({"keys": np.array([2, 1]), "columns": [np.zeros(2)]})
    assert [(2, 0.0), (1, 0.0)] == state.sample()


@pytest.mark.parametrize("weights", [[0.0], [-1.0], [math.nan], [math.inf], [1], [[1.0]], None], ids=str)
def test_weights_that_no_updates_made_are_refused(weights):
    """Files with weights that no update takes are refused."""
    columns = [] if weights is None else [np.array(weights)]
    with pytest.raises(ValueError, match="found"):
        mg.WeightedBottomK().from_data({"keys": np.array([1]), "columns": columns})


def test_columns_of_several_dtypes():
    """Whole numbers and floats of several dtypes are one column, whichever came first, and stay so where their rows have left."""
    batches = [(["a"], np.array([1], np.int32)), (["b"], [2]), (["c"], [0.5])]
    found = set()
    for order in itertools.permutations(batches):
        one, many = mg.BottomK(2), mg.BottomK(2)
        for batch in order:
            one.update(*batch)
            part = mg.BottomK(2)
            part.update(*batch)
            many.merge(part)
        found |= {canonical_bytes(one), canonical_bytes(many)}
        assert {float} == {type(value) for _, value in one.sample()}
    assert len(found) == 1


def test_uint64_and_int64_do_not_mix_in_a_sample():
    """What no dtype holds in general is refused, as the numbers of rows that have left do not say whether one did."""
    one, two = mg.BottomK(2), mg.BottomK(2)
    one.update(["a"], [2**63])
    two.update(["b"], [-1])
    with pytest.raises(
        mg.IncompatibleStates, match=r"^BottomK\.merge: got columns of int64, expected uint64 as before, or numbers"
    ):
        one.merge(two)
