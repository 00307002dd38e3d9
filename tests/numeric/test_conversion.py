"""Lossless conversion: every item is what it was, or is refused."""

import fractions
import functools
import math
import types

import numpy as np
import pytest

import mergeable as mg
from mergeable.encoding.canonical import canonical_bytes
from mergeable.numeric.conversion import as_items, as_lossless
from mergeable.numeric.inputs import as_array

A, B = 2**63 + 1, 2**63 + 2
BIG = 2**53


class Gaps:
    """A column of a table that shows a gap as NaN, and the numbers beside it as floats, as polars and Arrow do."""

    def __init__(self, items, by_call):
        self.items, self.by_call = items, by_call

    @property
    def null_count(self):
        n = self.items.count(None)
        return (lambda: n) if self.by_call else n

    def to_list(self):
        return self.items

    def __array__(self, dtype=None, copy=None):
        return np.array([math.nan if item is None else item for item in self.items])


class Extension:
    """A column of pandas that has a dtype of its own, which does the same with its gaps."""

    dtype = types.SimpleNamespace(na_value="<NA>")

    def __init__(self, items):
        self.items = items

    def isna(self):
        return np.array([item is None for item in self.items])

    def tolist(self):
        return [self.dtype.na_value if item is None else item for item in self.items]

    __array__ = Gaps.__array__


def objects(*items):
    return np.fromiter(items, object, len(items))


@pytest.mark.parametrize(
    "items",
    [
        [A, B, 5],
        [A, B, -5],
        [BIG + 1, 0.5, BIG],
        [1, 2.5],
        [1, math.nan],
        [True, 2],
        [True, 0.5],
        [np.True_, 1],
        [1, None],
        [1, "1"],
        ["a\0", "a"],
        [b"a\0", b"a", "a"],
        [b"\xff", "a"],
        [2**70, 1],
        [(1, 2), (1, 2.0)],
        [(1,), (1, 2)],
        [(1, 2), 3],
        [np.uint64(A), 5],
        [fractions.Fraction(1, 3), 0.5],
    ],
    ids=repr,
)
@pytest.mark.parametrize("wrap", [list, tuple, lambda items: objects(*items)], ids=["list", "tuple", "objects"])
def test_items_stay_what_they_are(items, wrap):
    """Items of a list or an array of objects keep their value and their kind, whatever stands beside them."""
    found = as_items(wrap(items), "Who").tolist()
    assert [*map(canonical_bytes, items)] == [*map(canonical_bytes, found)]


@pytest.mark.parametrize(
    ("items", "dtype"),
    [
        ([1, 2], np.int64),
        ([True], bool),
        ([0.5, math.nan], np.float64),
        ([A, 5], np.uint64),
        ([np.float32(0.5)], np.float32),
        ([1j], np.complex128),
    ],
    ids=repr,
)
def test_numbers_of_one_kind_are_an_array(items, dtype):
    """Numbers of one kind are an array of it, from a list, rows in a list, or objects."""
    for values in (items, [items, items], objects(*items), [np.array(items, dtype)] * 2):
        assert dtype == as_items(values, "Who").dtype
    assert (2, 1, len(items)) == as_items([[items], [items]], "Who").shape


@pytest.mark.parametrize(
    "rows", [[[1], [1, 2]], [[1, 2], 3], [3, [1, 2]], [[[1]], [[1, 2]]], [np.zeros(1), np.zeros(2)], [[1], []]], ids=repr
)
def test_uneven_rows_are_refused(rows):
    """Rows of unequal lengths raise one ValueError that says so."""
    for door in (as_items, as_array):
        with pytest.raises(ValueError, match=r"^Who: got a list of rows of unequal lengths, expected an array \(n, \.\.\.\)"):
            door(rows, "Who")


@pytest.mark.parametrize(
    "column",
    [functools.partial(Gaps, by_call=False), functools.partial(Gaps, by_call=True), Extension],
    ids=["property", "method", "extension"],
)
def test_gaps_of_a_column_do_not_round_what_is_beside_them(column):
    """A column with gaps is None and the numbers that it holds; without gaps it is its array."""
    ids = [BIG + 1, BIG, None]
    assert ids == as_lossless(column(ids), "Who").tolist()
    assert np.float64 == as_lossless(column([0.5]), "Who").dtype
    seen = mg.Set()
    seen.update(column(ids))
    assert [None, BIG, BIG + 1] == seen.result()
    with pytest.raises(
        TypeError, match=r"^Mean\.update: got values of dtype object \(for instance None\), .* Drop or fill gaps first"
    ):
        mg.Mean().update(column([0.5, None]))


@pytest.mark.parametrize(
    "bad", [None, "n/a", fractions.Fraction(1, 3), np.datetime64("2024"), np.timedelta64(1, "s"), 1j, {}], ids=repr
)
def test_the_value_that_is_no_number_is_named(bad):
    """One item that is no real number is the one that the error names, from a list and from objects."""
    shown = repr(bad) if bad is None or isinstance(bad, str) else type(bad).__name__
    for values in ([0.5, bad, 2], objects(0.5, bad, 2)):
        with pytest.raises(
            TypeError, match=rf"^Mean\.update: got values of dtype object \(for instance {shown}\), expected real numbers"
        ):
            mg.Mean().update(values)


def test_objects_that_are_numbers_are_numbers():
    """An array of objects, as nullable columns give, is taken as the list of its items: exactly."""
    assert 0.375 == fed(mg.Mean(), objects(0.5, 0.25)).result()
    assert [1.0, 0.5, 1.0] == as_array(objects(1, 0.5, True), "Who").tolist()
    with pytest.raises(TypeError, match=r"\(for instance \(1, 2\)\), .* Give rows as an array \(n, \.\.\.\): tuples are items"):
        mg.Keyed(mg.Sum()).update(["a"], [(1, 2)])
    with pytest.raises(
        ValueError, match=rf"^Sum\.update: got the integer {BIG + 1}, expected values that a float64 holds exactly"
    ):
        mg.Sum().update(objects(BIG + 1, 0.5))


def fed(state, *batch):
    state.update(*batch)
    return state


def test_every_state_keeps_big_whole_numbers_apart():
    """Whole numbers above 2**53 and 2**63 stay distinct in everything that takes columns or labels."""
    for ids in ([A, B, 5], [BIG + 1, BIG, 5]):
        declared, found = fed(mg.ConfusionMatrix(ids), ids, ids), fed(mg.ConfusionMatrix(), ids, ids)
        assert np.eye(3).tolist() == declared.result().tolist() == found.result().tolist()
        assert tuple(sorted(ids)) == found.labels
        assert sorted(ids) == fed(mg.Rows("id"), ids).result()["id"].tolist()
        assert sorted(ids) == sorted(row[1] for row in fed(mg.BottomK(8), ["x", "y", "z"], ids).sample())
        assert {"g": dict.fromkeys(sorted(ids), 1)} == fed(mg.Keyed(mg.Counter()), ["g"] * 3, ids).result()
        assert {"g": dict.fromkeys(sorted(ids), 1)} == fed(mg.Sliced(mg.Counter()), ["g"] * 3, ids).result().slices
        assert dict.fromkeys(sorted(ids), 1) == fed(mg.Bootstrap(mg.Counter(), 2), ["g", "h", "i"], ids).result()
        assert dict.fromkeys(sorted(ids), 1) == fed(mg.Deduplicated(mg.Counter(), "x"), [1, 2, 3], ids).result()
    assert {"a": float(A), "b": 5.0} == fed(mg.Keyed(mg.Sum()), ["a", "b"], [A, 5]).result()
    with pytest.raises(ValueError, match=rf"^ConfusionMatrix.*the label {A}"):
        mg.ConfusionMatrix([B, 5]).update([A, 5], [5, 5])


@pytest.mark.parametrize(
    "items", [[1, 2.5], [True, 2], [True, 1, 1.0], ["a", 1], [None, 1], [(1, 2), (3, 4)], ["a\0", "a"]], ids=repr
)
def test_a_group_gets_the_items_that_came(items):
    """What a state gets from a combinator is what it gets alone: kinds of items do not change on the way."""
    alone, groups = fed(mg.Set(), items).result(), ["g"] * len(items)
    states = fed(mg.Keyed(mg.Set()), groups, items)["g"], fed(mg.Sliced(mg.Set()), groups, items)["g"]
    boot = mg.Bootstrap(mg.Set(), 2)
    boot.update(groups, items)
    for state in (*states, boot):
        assert canonical_bytes(alone) == canonical_bytes(state.result())


class Missing:
    """A gap as pandas has it: no number, and neither true nor false."""

    def __bool__(self):
        raise TypeError("boolean value of NA is ambiguous")

    def __eq__(self, other):
        return self

    __hash__ = object.__hash__

    def __repr__(self):
        return "<NA>"


@pytest.mark.parametrize(
    "feed",
    [
        lambda x: fed(mg.Mean(), x),
        lambda x: fed(mg.Mean(), [1, 2], x),
        lambda x: fed(mg.Counter(), x),
        lambda x: fed(mg.HyperLogLog(), x),
        lambda x: fed(mg.Keyed(mg.Count()), x, [1, 1]),
        lambda x: fed(mg.Keyed(mg.Sum()), ["a", "b"], x),
        lambda x: fed(mg.ConfusionMatrix(), x, x),
        lambda x: fed(mg.ConfusionMatrix(5), x, [1, 2]),
        lambda x: fed(mg.Rows("x"), x),
        lambda x: fed(mg.Deduplicated(mg.Sum(), "x"), [1, 2], x),
        lambda x: fed(mg.Deduplicated(mg.Sum(), "x"), x, [1, 2]),
        lambda x: fed(mg.ScoreHistogram(), x, [0.5, 0.5]),
        lambda x: fed(mg.First(), [1, 2], x),
        lambda x: fed(mg.ArgMax(), [1, 2], x),
    ],
)
def test_a_gap_that_is_no_item_is_refused_by_name(feed):
    """A gap that is neither None nor NaN raises an error that names it, wherever it comes, whatever comparing it does."""
    with pytest.raises((TypeError, ValueError), match=r"got .*(Missing|<NA>).*, expected"):
        feed(objects(1, Missing()))


HIDDEN = np.ma.masked_array([1.0, 0.0, 1.0, 0.0], mask=[0, 0, 1, 0])
OPEN = np.ma.masked_array([1.0, 0.0, 1.0, 0.0])
NAMES = np.ma.masked_array(["a", "b", "c", "d"], mask=[0, 0, 1, 0])
ONES = [1, 0, 1, 0]

TAKES = {
    "Sum": lambda x: fed(mg.Sum(), x),
    "Mean": lambda x: fed(mg.Mean(), x),
    "Mean's weights": lambda x: fed(mg.Mean(), ONES, x),
    "Moments": lambda x: fed(mg.Moments(), x),
    "CoMoments": lambda x: fed(mg.CoMoments(), ONES, x),
    "Covariance": lambda x: fed(mg.Covariance(2), np.ma.stack([x, x]).T),
    "Max": lambda x: fed(mg.Max(), x),
    "ArgMax": lambda x: fed(mg.ArgMax(), x, ONES),
    "ArgMax's keys": lambda x: fed(mg.ArgMax(), ONES, x),
    "Histogram": lambda x: fed(mg.Histogram([0, 1]), x),
    "Histogram's weights": lambda x: fed(mg.Histogram([0, 1], weighted=True), ONES, x),
    "LogLinearHistogram": lambda x: fed(mg.LogLinearHistogram(), x),
    "RankQuantiles": lambda x: fed(mg.RankQuantiles(), x),
    "ScoreHistogram's labels": lambda x: fed(mg.ScoreHistogram(), x, ONES),
    "ScoreHistogram's labels of float32": lambda x: fed(mg.ScoreHistogram(), x.astype(np.float32), ONES),
    "ScoreHistogram's scores": lambda x: fed(mg.ScoreHistogram(), ONES, x),
    "ScoreHistogram's scores of float32": lambda x: fed(mg.ScoreHistogram(), ONES, x.astype(np.float32)),
    "Calibration": lambda x: fed(mg.Calibration(), ONES, x),
    "ConfusionMatrix": lambda x: fed(mg.ConfusionMatrix(2), x, ONES),
    "ConfusionMatrix's weights": lambda x: fed(mg.ConfusionMatrix(2, weighted=True), ONES, ONES, x),
    "open ConfusionMatrix": lambda x: fed(mg.ConfusionMatrix(), ONES, x),
    "Rows": lambda x: fed(mg.Rows("x"), x),
    "Counter": lambda x: fed(mg.Counter(), x),
    "Set": lambda x: fed(mg.Set(), x),
    "TopK": lambda x: fed(mg.TopK(2), x),
    "FrequentItems": lambda x: fed(mg.FrequentItems(2), x),
    "CountMin": lambda x: fed(mg.CountMin(), x),
    "CountMin's times": lambda x: fed(mg.CountMin(), ONES, x),
    "HyperLogLog": lambda x: fed(mg.HyperLogLog(), x),
    "BottomK": lambda x: fed(mg.BottomK(), x),
    "BottomK's column": lambda x: fed(mg.BottomK(), ONES, x),
    "WeightedBottomK's weights": lambda x: fed(mg.WeightedBottomK(), ONES, x),
    "Keyed's keys": lambda x: fed(mg.Keyed(mg.Count()), x, ONES),
    "Keyed's weights": lambda x: fed(mg.Keyed(mg.Mean()), ONES, ONES, x),
    "Keyed's batch": lambda x: fed(mg.Keyed(mg.Sum()), ONES, x),
    "Sliced's keys": lambda x: fed(mg.Sliced(mg.Sum()), x, ONES),
    "Sliced's batch": lambda x: fed(mg.Sliced(mg.Sum()), ONES, x),
    "Bootstrap's ids": lambda x: fed(mg.Bootstrap(mg.Sum(), 2), x, ONES),
    "Bootstrap's batch": lambda x: fed(mg.Bootstrap(mg.Sum(), 2), ONES, x),
    "Deduplicated's ids": lambda x: fed(mg.Deduplicated(mg.Sum(), "x"), x.astype(int), ONES),
    "Deduplicated's batch": lambda x: fed(mg.Deduplicated(mg.Sum(), "x"), ONES, x),
    "Windowed's step": lambda x: fed(mg.Windowed(mg.Sum(), 2), x[2], ONES),
    "Windowed's batch": lambda x: fed(mg.Windowed(mg.Sum(), 2), 1, x),
    "First's step": lambda x: fed(mg.First(), x, ONES),
    "First's value": lambda x: fed(mg.First(), ONES, x),
    "AUROC": lambda x: mg.metrics.AUROC().update_state(ONES, x),
    "a list": lambda x: fed(mg.Sum(), [x, x]),
    "a list of lists": lambda x: fed(mg.Keyed(mg.Sum()), [1], [[x, ONES]]),
    "one cell in a list": lambda x: fed(mg.Sum(), [0.5, x[2]]),
}


@pytest.mark.parametrize("name", TAKES)
def test_what_a_mask_hides_is_refused(name):
    """A masked cell anywhere raises an error that says how to take the others; an array that masks nothing is taken."""
    with pytest.raises(
        ValueError,
        match=r": got an array of \d+ cells of which \d are masked, expected none: .*compressed\(\).*\[~x\.mask\].*filled\(\)",
    ):
        TAKES[name](HIDDEN)
    TAKES[name](OPEN)


def test_what_a_mask_hides_changes_nothing():
    """A refused batch leaves the state as it was, also where an earlier column was fine; strings are masked too."""
    for state in (mg.Keyed(mg.Counter()), mg.Sliced(mg.Counter()), mg.Bootstrap(mg.Counter(), 2)):
        fed(state, ["a"], ["x"])
        before = canonical_bytes(state)
        for batch in ((["a"] * 4, NAMES), (NAMES, ["x"] * 4)):
            with pytest.raises(ValueError, match="of which 1 are masked"):
                state.update(*batch)
        assert before == canonical_bytes(state)
