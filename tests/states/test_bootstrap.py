"""Intervals by resampling, which no sharding changes."""

import math

import numpy as np
import pytest
from scipy import stats
from sklearn.datasets import load_breast_cancer

import mergeable as mg
from mergeable.encoding.canonical import canonical_bytes
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


def test_replicates_without_rows_do_not_count():
    """Replicates that drew no row of a mean have none; the interval is that of the others."""
    boot = fed(mg.Bootstrap(mg.Mean(), replicates=60), [1, 2], [0.0, 1.0])
    assert np.isnan(boot.samples()).any()
    assert (0.5, 0.0, 1.0) == tuple(boot.estimate())


IDS, GROUP = np.arange(40), np.array(["a"] * 38 + ["b"] * 2)
RIGHT = np.random.default_rng(0).integers(0, 2, 40).astype(float)


class Groups(mg.Metric):
    """A user's metric whose result has the groups that came."""

    by = mg.Keyed(mg.Mean())

    def update_state(self, group, right):
        self.by.update(group, right)

    def result(self):
        return {"nested": {str(k): v for k, v in self.by.result().items()}, "array": np.array([*self.by.result().values()])}


def ends(samples, level=0.95):
    """Return the percentiles of those samples that are no NaN."""
    return tuple(np.nanquantile(np.array(samples, float), [(1 - level) / 2, (1 + level) / 2]).tolist())


@pytest.mark.parametrize(
    ("state", "batch", "read"),
    [
        (mg.Keyed(mg.Mean()), (GROUP, RIGHT), lambda r: r.get("b", math.nan)),
        (mg.Keyed(mg.Dict(m=mg.Mean())), (GROUP, RIGHT), lambda r: r.get("b", {"m": math.nan})["m"]),
        (mg.Counter(), (GROUP,), lambda r: r.get("b", math.nan)),
        (mg.Sliced(mg.Mean()), (GROUP, RIGHT), lambda r: r[1].get("b", math.nan)),
        (Groups(), (GROUP, RIGHT), lambda r: r["nested"].get("b", math.nan)),
    ],
    ids=["Keyed", "Keyed Dict", "Counter", "Sliced", "metric"],
)
def test_a_group_that_a_replicate_lacks_is_nan_there(state, batch, read):
    """A replicate without a row of a group does not count for that group, and counts for all others."""
    boot = fed(mg.Bootstrap(state, replicates=100), IDS, *batch)
    samples = [read(sample) for sample in boot.samples()]
    assert np.isnan(samples).any()
    found = read(boot.estimate(0.95))
    assert ends(samples) == pytest.approx((found.low, found.high))
    assert found.value == pytest.approx(read(boot.result()))


def test_arrays_of_another_size_do_not_count():
    """Of a result that is an array, replicates of another shape are NaN; a matrix of labels is read label by label."""
    boot = fed(mg.Bootstrap(Groups(), replicates=100), IDS, GROUP, RIGHT)
    full = [s["array"][1] for s in boot.samples() if len(s["array"]) == 2]
    assert ends(full) == pytest.approx((boot.estimate()["array"].low[1], boot.estimate()["array"].high[1]))
    matrix = fed(mg.Bootstrap(mg.ConfusionMatrix(), replicates=100), IDS, GROUP, np.where(RIGHT > 0, GROUP, "a"))
    found = matrix.estimate()
    assert (2, 2) == found.value.shape == found.low.shape
    assert ends([sample[0, 0] for sample in matrix.samples()]) == pytest.approx((found.low[0, 0], found.high[0, 0]))


def test_what_is_no_number_has_no_interval():
    """Keys and lists of them keep their value, and their interval is (NaN, NaN)."""
    value, key = fed(mg.Bootstrap(mg.ArgMax(), replicates=50), IDS, RIGHT, GROUP).estimate()
    assert (1.0, 1.0, "a", True) == (value.value, value.high, key.value, math.isnan(key.low))
    names = fed(mg.Bootstrap(mg.Set(), replicates=50), IDS, GROUP).estimate()
    assert ["a", "b"] == [name.value for name in names]
    numbers = fed(mg.Bootstrap(mg.Set(), replicates=50), IDS, IDS // 20).estimate()
    assert [(0.0, 0.0, 0.0), (1.0, 1.0, 1.0)] == [tuple(number) for number in numbers]
    assert math.isnan(fed(mg.Bootstrap(mg.First(), replicates=5), IDS, IDS, ["x"] * 40).estimate().low)


def test_infinities_stay():
    """An end between two equal infinities is that infinity, without a warning."""
    boot = fed(mg.Bootstrap(mg.Max(), replicates=50), IDS, np.where(IDS < 20, math.inf, 1.0))
    assert (math.inf, math.inf, math.inf) == tuple(boot.estimate())
    low = fed(mg.Bootstrap(mg.Min(), replicates=50), [0, 1], [-math.inf, 1.0]).estimate()
    assert (-math.inf, -math.inf) == (low.value, low.low)


def test_empty():
    """Empty states have the empty result, and an empty batch changes nothing."""
    boot = fed(mg.Bootstrap(mg.Mean(), replicates=2), [], [])
    assert canonical_bytes(boot) == canonical_bytes(boot.empty())
    assert all(map(math.isnan, boot.estimate()))
