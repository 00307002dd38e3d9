"""Intervals by resampling, which no sharding changes."""

import math

import numpy as np
import pytest
from scipy import stats
from sklearn.datasets import load_breast_cancer

import mergeable as mg
from mergeable.canonical import canonical_bytes
from mergeable.states.bootstrap import poisson
from tests import streams


def fed(boot, *batch, **named):
    boot.update(*batch, **named)
    return boot


def test_weights_are_poisson():
    """Random bits become Poisson(1) numbers as SciPy's inverse says."""
    bits = np.random.default_rng(0).integers(0, 2**64, 20_000, np.uint64)
    share = bits.astype(np.float64) / 2.0**64
    assert np.array_equal(stats.poisson.ppf(share, 1), poisson(bits))
    assert [0, 1, 18] == poisson(np.array([0, 1 << 63, 2**64 - 1], np.uint64)).tolist()


def test_replicates_differ_and_are_independent():
    """Means of replicates spread as they should: sd / sqrt(n), around the value."""
    values = np.random.default_rng(0).normal(size=2_000)
    samples = np.array(fed(mg.Bootstrap(mg.Mean(), replicates=400), np.arange(2_000), values).samples())
    assert 0.9 < samples.std() / (values.std() / math.sqrt(2_000)) < 1.1
    assert abs(samples.mean() - values.mean()) < 4 * values.std() / math.sqrt(2_000 * 400)


@pytest.mark.parametrize("shards", [1, 7, 64])
def test_no_sharding_changes_an_interval(shards):
    """State and interval are the same bytes for 1, 7 and 64 shards, merged in a random tree, and with shuffled rows."""
    data = load_breast_cancer()
    ids, values = np.arange(569), data.data[:, 0]
    order = np.random.default_rng(shards).permutation(569)
    boot = streams.sharded(mg.Bootstrap(mg.Mean(), replicates=20).empty, (ids[order], values[order]), shards=shards)
    whole = fed(mg.Bootstrap(mg.Mean(), replicates=20), ids, values)
    assert canonical_bytes(whole) == canonical_bytes(boot)
    assert canonical_bytes(tuple(whole.estimate())) == canonical_bytes(tuple(boot.estimate()))


def test_intervals_hold_the_truth():
    """Of 95 % intervals of a mean, about 95 % hold the true one."""
    held = 0
    for seed in range(200):
        values = np.random.default_rng(seed).normal(size=100)
        _, low, high = fed(mg.Bootstrap(mg.Mean(), replicates=60, seed=seed), np.arange(100), values).estimate()
        held += low <= 0 <= high
    assert 0.86 < held / 200 < 0.99


def test_rows_of_one_id_stay_together():
    """Rows with one id are drawn together: a replicate has all of them, equally often, or none."""
    boot = fed(mg.Bootstrap(mg.Counter(), replicates=30), ["a", "a", "b"], np.array([1, 2, 3]))
    for counts in boot.samples():
        assert counts.get(1, 0) == counts.get(2, 0)


def test_of_a_metric():
    """A metric is resampled with all of its columns, also by name; a dict result has an interval for each member."""

    class Errors(mg.Metric):
        right, rows = mg.Count(), mg.Count()

        def update_state(self, y_true, y_pred, sample_weight=None):
            assert sample_weight is None
            self.right += int((y_true == y_pred).sum())
            self.rows += len(y_true)

        def result(self):
            return {"accuracy": self.right / self.rows, "both": (self.rows.result(), np.ones(2))}

    y_true = np.arange(300) % 2
    boot = fed(mg.Bootstrap(Errors(), replicates=50), np.arange(300), y_true, y_pred=np.ones(300), sample_weight=None)
    found = boot.estimate(0.9)
    assert 0.5 == found["accuracy"].value
    assert found["accuracy"].low < 0.5 < found["accuracy"].high
    assert (300, 2) == (found["both"][0].value, found["both"][1].low.size)


@pytest.mark.parametrize(
    ("act", "error", "match"),
    [
        (lambda: mg.Bootstrap(3), TypeError, r"^Bootstrap: got 3, expected a state or a metric"),
        (
            lambda: mg.Bootstrap(mg.Sum(), replicates=1),
            ValueError,
            r"^Bootstrap: got replicates=1, expected a whole number from 2",
        ),
        (lambda: mg.Bootstrap(mg.Sum(), replicates=10.0), ValueError, r"^Bootstrap: got replicates=10\.0"),
        (lambda: mg.Bootstrap(mg.Sum(), seed=-1), ValueError, r"^Bootstrap: got seed=-1, expected a whole number from 0 to 2"),
        (lambda: mg.Bootstrap(mg.Sum()).estimate(1.0), ValueError, r"^Bootstrap\.estimate: got level=1\.0, expected"),
        (
            lambda: fed(mg.Bootstrap(mg.Sum()), [1], [1.0, 2.0]),
            ValueError,
            r"^Bootstrap\.update: got 1 keys and columns of lengths",
        ),
        (lambda: fed(mg.Bootstrap(mg.Sum()), "ab", [1.0, 2.0]), TypeError, r"^Bootstrap\.update: got 'ab', expected a list"),
    ],
)
def test_what_is_refused(act, error, match):
    """Bad parameters and batches are refused by name."""
    with pytest.raises(error, match=match):
        act()


def test_a_bad_row_undoes_all_replicates():
    """A batch that the inner state refuses leaves every replicate as it was."""
    boot = fed(mg.Bootstrap(mg.Count(), replicates=3), [1, 2], np.array([1, 2]))
    before = canonical_bytes(boot)
    with pytest.raises(ValueError, match=r"^Count\.update: got -1"):
        boot.update(range(40), np.array([*range(39), -1]))
    assert before == canonical_bytes(boot)


def test_empty():
    """Empty states have the empty result, and an empty batch changes nothing."""
    boot = fed(mg.Bootstrap(mg.Mean(), replicates=2), [], [])
    assert canonical_bytes(boot) == canonical_bytes(boot.empty())
    assert all(map(math.isnan, boot.estimate()))
