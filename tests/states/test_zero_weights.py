"""One rule for every weighted state: a row of weight 0 is not there, and nobody looks at it."""

import math

import numpy as np
import pytest

import mergeable as mg
from mergeable.encoding.canonical import canonical_bytes

NAN = math.nan


class Hits(mg.Metric):
    """A user's metric with weights."""

    hits = mg.Mean()

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.hits.update(np.equal(y_true, y_pred), sample_weight)

    def result(self):
        return self.hits.result()


CASES = {  # name: a state, and the columns of kept rows and of rows to be left out; the weights stand where None does
    "Mean": (mg.Mean(), ([1.0, 3.0], None), ([NAN, math.inf], None)),
    "Moments": (mg.Moments(), ([1.0, 3.0], None), ([NAN, -math.inf], None)),
    "CoMoments": (mg.CoMoments(), ([1.0, 3.0], [2.0, 2.5], None), ([NAN, 1.0], [math.inf, 1.0], None)),
    "Histogram": (mg.Histogram([0, 2, 4], weighted=True), ([1.0, 3.0], None), ([NAN, 9.0], None)),
    "ScoreHistogram": (mg.ScoreHistogram(weighted=True), ([0, 1], [0.25, 0.5], None), ([-1, 7], [NAN, 0.5], None)),
    "Calibration": (mg.Calibration(weighted=True), ([0, 1], [0.25, 0.5], None), ([-1, NAN], [NAN, 7.0], None)),
    "ConfusionMatrix": (mg.ConfusionMatrix(2, weighted=True), ([0, 1], [1, 1], None), ([-1, 0], [0, 9], None)),
    "ConfusionMatrix of NaN": (mg.ConfusionMatrix(2, weighted=True), ([0, 1], [1, 1], None), ([NAN, 0.5], [0, NAN], None)),
    "ConfusionMatrix of names": (
        mg.ConfusionMatrix(["a", "b"], weighted=True),
        (["a", "b"], ["b", "b"], None),
        (["", "pad"], ["a", ""], None),
    ),
    "open ConfusionMatrix": (mg.ConfusionMatrix(weighted=True), (["a", "b"], ["b", "b"], None), (["", None], [NAN, "x"], None)),
    "WeightedBottomK of tuples": (
        mg.WeightedBottomK(k=3),
        ([(1, "a"), (2, "b")], None, [1.0, 2.0]),
        ([(), NAN], None, [NAN, 0.0]),
    ),
    "WeightedBottomK": (mg.WeightedBottomK(k=3), (["a", "b"], None, [1.0, 2.0]), (["a", NAN], None, [NAN, 0.0])),
    "Tuple": (mg.Tuple(mg.Mean(), mg.Moments()), ([1.0, 3.0], None), ([NAN, math.inf], None)),
    "Keyed": (mg.Keyed(mg.Mean()), (["a", "b"], [1.0, 3.0], None), (["pad", "a"], [NAN, NAN], None)),
    "Keyed metric": (mg.Keyed(Hits()), (["a", "b"], [1, 0], [1, 1], None), (["pad", "a"], [-1, 9], [0, 0], None)),
    "Sliced": (mg.Sliced(mg.Mean(), max_slices=2), (["a", "b"], [1.0, 3.0], None), (["pad", "a"], [NAN, NAN], None)),
    "Sliced by a column": (
        mg.Sliced(Hits(), by=0),
        ([1, 0], [1, 1], None),
        ([-1, -1], [0, 0], None),
    ),
    "Sliced in Keyed": (
        mg.Keyed(mg.Sliced(mg.Moments())),
        (["x", "y"], ["a", "b"], [1.0, 3.0], None),
        (["", "x"], ["pad", "a"], [NAN, NAN], None),
    ),
    "Bootstrap": (mg.Bootstrap(mg.Mean(), 5), (["i", "j"], [1.0, 3.0], None), (["pad", "i"], [NAN, NAN], None)),
    "Windowed": (mg.Windowed(mg.Mean(), last=2), (3, [1.0, 3.0], None), (3, [NAN, NAN], None)),
    "Deduplicated": (
        mg.Deduplicated(mg.Mean(), "value", "weight"),
        (["i", "j"], [1.0, 3.0], None),
        (["i", "pad"], [-5.0, NAN], None),
    ),
}
KEPT = [0.5, 5e-324]


def columns_of(kept, absent, zero, wrap):
    """Return the columns of kept rows and of those to be left out in turn, whose weights are so."""
    joined = []
    for column, other in zip(kept, absent, strict=True):
        if column is None:
            joined.append(wrap([KEPT[0], zero, zero, KEPT[1]]))
        elif isinstance(column, list):
            values = [column[0], *other, column[1]]
            joined.append(values if any(isinstance(v, str | tuple) or v is None for v in values) else wrap(values))
        else:
            joined.append(column)
    return joined


@pytest.mark.parametrize("wrap", [list, np.array], ids=["lists", "arrays"])
@pytest.mark.parametrize("zero", [0.0, -0.0])
@pytest.mark.parametrize("name", CASES)
def test_rows_of_weight_zero_are_not_there(name, zero, wrap):
    """Among others, or alone, they leave the bytes as they would be without them, whatever they hold."""
    state, kept, absent = CASES[name]
    expected, found, empty = state.empty(), state.empty(), state.empty()
    expected.update(*(wrap(KEPT) if column is None else column for column in kept))
    found.update(*columns_of(kept, absent, zero, wrap))
    empty.update(*(wrap([zero, zero]) if column is None else column for column in absent))
    assert canonical_bytes(expected) == canonical_bytes(found)
    assert canonical_bytes(state.empty()) == canonical_bytes(empty)


@pytest.mark.parametrize(
    "weights", [[1, 0], np.array([1.0, 0.0], np.float32), [True, False], [[1.0], [0.0]], [[2, 2], [0, 0]]], ids=str
)
def test_weights_of_any_kind_and_shape(weights):
    """Whole numbers, bools, narrow floats, weights of rows and of single values all leave out what weighs 0."""
    mean = mg.Mean()
    mean.update([[1.0, 2.0], [NAN, None]] if np.ndim(weights) else 0, weights)
    assert 1.5 == mean.result()


def test_one_weight_of_zero_for_all():
    """A scalar weight of 0 leaves all rows out."""
    mean, window = mg.Mean(), mg.Windowed(mg.Mean(), last=2)
    mean.update([[NAN, 2.0]], 0.0)
    mean.update(NAN, 0)
    window.update(7, [1.0, 2.0], weights=-0.0)
    assert (0, None, 0) == (mean.n_nan, window.newest, window.n_dropped)


def test_items_of_lists_stay_as_they_came():
    """A whole number that a float64 cannot hold is refused beside a row that is not there as without it."""
    with pytest.raises(ValueError, match="got the integer 9007199254740993"):
        mg.Mean().update([2**53 + 1, 0.5, None], [1.0, 1.0, 0.0])
    mean = mg.Mean()
    mean.update([2.0, 2**53 + 1], [1.0, 0.0])
    assert 2.0 == mean.result()


@pytest.mark.parametrize("bad", [NAN, -1.0, -5e-324, math.inf])
@pytest.mark.parametrize("name", CASES)
def test_bad_weights_are_refused_beside_zeros(name, bad):
    """A weight that is none is refused with nothing changed, also where other rows weigh 0."""
    state, kept, absent = CASES[name]
    found = state.empty()
    with pytest.raises(ValueError, match=rf"got the weight {bad}, expected finite weights of at least 0"):
        found.update(*columns_of(kept, absent, 0.0, list)[:-1], [0.5, bad, 0.0, 1.0]) if kept[-1] is None else found.update(
            ["a", "b"], [0.0, bad], [1.0, 1.0]
        )
    assert canonical_bytes(state.empty()) == canonical_bytes(found)


@pytest.mark.parametrize("weights", [np.ones((2, 3)), [[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]], [1.0, 0.0], [1.0, 1.0]], ids=str)
def test_labels_of_two_axes_are_no_rows(weights):
    """Labels of two axes are refused whatever their weights are: without some cells they would look like rows."""
    matrix = mg.ConfusionMatrix(3, weighted=True)
    with pytest.raises(ValueError, match=r"^ConfusionMatrix\.update: got (weights|y_true) of shape"):
        matrix.update([[0, 1, 2], [2, 1, 0]], [[0, 1, 1], [1, 0, 0]], weights)
    cells = mg.ConfusionMatrix(3, weighted=True, layout="cells")
    cells.update([[0, 1, -1], [2, -1, -1]], [[0, 1, 1], [1, 0, 0]], [[1.0, 1.0, 0.0], [1.0, 0.0, -0.0]])
    assert [[1, 0, 0], [0, 1, 0], [0, 1, 0]] == cells.result().tolist()
    rows = mg.ConfusionMatrix(3, weighted=True, layout="one-hot")
    rows.update([[1, 0, 0], [7, 7, 7], [0, 0, 1]], [[1, 0, 0], [0, 0, 0], [0, 0, 1]], [1.0, 0.0, 1.0])
    assert [[1, 0, 0], [0, 0, 0], [0, 0, 1]] == rows.result().tolist()


def test_shapes_that_differ_are_refused_beside_zeros():
    """Columns of other lengths are refused as they are without rows of weight 0."""
    for weights in ([1.0, 1.0], [1.0, 0.0]):
        with pytest.raises(ValueError, match=r"got labels of shape \(2,\) and scores of shape \(3,\)"):
            mg.ScoreHistogram(weighted=True).update([0, 1], [0.1, 0.2, 0.3], weights)
        with pytest.raises(ValueError, match="got 2 keys and columns of lengths"):
            mg.Keyed(mg.Mean()).update(["a", "b"], [1.0, 2.0, 3.0], weights)
