"""How many distinct keys, in a few kilobytes."""

import math
import statistics

import numpy as np
import pytest

import mergeable as mg
from mergeable.encoding.canonical import canonical_bytes
from mergeable.numeric import hashes
from tests import streams


def fed(*batches, precision=12, seed=0):
    state = mg.HyperLogLog(precision, seed)
    for batch in batches:
        state.update(batch)
    return state


@pytest.mark.parametrize(("precision", "n"), [(4, 3), (4, 100), (8, 700), (10, 20_000), (12, 40), (12, 9_000)])
def test_errors_are_within_their_bound(precision, n):
    """Of 100 seeds the range of 95 % misses about 5, the errors have the standard deviation stated at most, and no bias."""
    keys = np.arange(n)
    found = [fed(keys, precision=precision, seed=seed).estimate() for seed in range(100)]
    errors = [estimate.value / n - 1 for estimate in found]
    bound = 1.04 / math.sqrt(2**precision)

    assert sum(not estimate.low <= n <= estimate.high for estimate in found) <= 12
    assert math.sqrt(statistics.fmean(e * e for e in errors)) < 1.2 * bound
    assert abs(statistics.fmean(errors)) < 3.5 * bound / math.sqrt(100)


@pytest.mark.parametrize("name", streams.STREAMS)
def test_streams(name):
    """On every stream the count is within three standard errors, and 1,000 shards end in the bytes of the whole."""
    keys = streams.stream(name, 20_000)
    whole, merged = fed(keys), streams.sharded(mg.HyperLogLog, (keys,))
    distinct = len({"nan" if math.isnan(key) else key for key in keys.tolist()})

    assert canonical_bytes(whole) == canonical_bytes(merged)
    assert abs(whole.count() / distinct - 1) < 3 * 1.04 / 64
    assert whole.count() == whole.result() == whole.estimate().value


def test_few_keys_are_counted_well():
    """One key counts as one, three as three; none are 0."""
    assert mg.Estimate(0.0, 0.0, 0.0) == fed([]).estimate()
    assert [1.0, 3.0] == [round(fed([*range(n)]).result(), 2) for n in (1, 3)]


@pytest.mark.parametrize("precision", [4, 12, 18])
def test_registers_are_those_of_the_definition(precision):
    """A register holds the largest number of zeros at the end of a hash, plus one, also where no bit is left."""
    found = np.array([0, 1, 2**63, 2 ** (64 - precision), 2 ** (63 - precision), 12], np.uint64)
    state = mg.HyperLogLog(precision)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hashes, "of_keys", lambda *_: found)
        state.absorb(np.arange(6))
    expected = np.zeros(2**precision, np.uint8)
    expected[[0, 1, 2 ** (precision - 1)]] = 65 - precision
    assert expected.tobytes() == state.to_data()["registers"].tobytes()


def test_full_registers_are_a_number():
    """Registers that are all as large as they can be give a result, and those that are nearly so."""
    state = mg.HyperLogLog(4)
    state.from_data({"registers": np.full(16, 61, np.uint8)})
    assert mg.Estimate(math.inf, math.inf, math.inf) == state.estimate()
    state.from_data({"registers": np.array([60] + [61] * 15, np.uint8)})
    assert 2.0**60 < state.result() < 2.0**70


def test_a_merge_shares_nothing():
    """What was merged, or read, is not written to later."""
    a, b = fed([1]), fed([])
    saved = a.to_data()
    before = canonical_bytes(saved)
    b.merge(a)
    b.from_data(saved)
    for state in (a, b):
        state.update([*range(500)])
        state.flush()
    assert before == canonical_bytes(saved)


def test_keys_are_told_apart_by_type():
    """1, 1.0, True and "1" are four keys, however they come."""
    assert canonical_bytes(fed(np.array([1]), [1.0, "1", True])) == canonical_bytes(fed([1, 1.0, "1", True]))
    assert 4 == round(fed([1, 1.0, "1", True]).result())


@pytest.mark.parametrize("precision", [3, 19, 0, -1, 12.0, True, "12"], ids=repr)
def test_other_precisions_are_refused(precision):
    """A precision that is no whole number from 4 to 18 is refused, also in a file."""
    with pytest.raises(ValueError, match=r"^HyperLogLog: got the precision .*, expected a whole number from 4 to 18"):
        mg.HyperLogLog(precision)
    with pytest.raises(ValueError, match=r"^HyperLogLog: got the precision"):
        mg.HyperLogLog.cells({"precision": precision, "seed": 0})


@pytest.mark.parametrize("keys", ["abc", [{}], 3, np.array([1j])], ids=str)
def test_bad_keys_change_nothing(keys):
    """What is no key raises TypeError and leaves every byte."""
    state = fed(["a"])
    before = canonical_bytes(state)
    with pytest.raises(TypeError, match=r"^HyperLogLog\.update: got"):
        state.update(keys)
    assert before == canonical_bytes(state)


def test_other_parameters_do_not_merge():
    """Another precision or seed raises IncompatibleStates, which names it."""
    for other, name in ((mg.HyperLogLog(10), "precision"), (mg.HyperLogLog(seed=1), "seed")):
        with pytest.raises(mg.IncompatibleStates, match=rf"^HyperLogLog\.merge: parameters differ: {name} is"):
            fed(["a"]).merge(other)


@pytest.mark.parametrize(
    "registers",
    [np.full(16, 62, np.uint8), np.zeros(15, np.uint8), np.zeros(16, np.int64), np.zeros((4, 4), np.uint8), [0] * 16, None],
    ids=str,
)
def test_what_no_updates_made_is_refused(registers):
    """Files with registers that are too large, too few or of another dtype are refused."""
    with pytest.raises(ValueError, match="found"):
        mg.HyperLogLog(4).from_data({"registers": registers})
