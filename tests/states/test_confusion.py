"""Which label was taken for which."""

import copy
import math
import pickle

import numpy as np
import pytest

import mergeable as mg
from mergeable.encoding.canonical import canonical_bytes


def fed(matrix, *batch, **kwargs):
    matrix.update(*batch, **kwargs)
    return matrix


@pytest.mark.parametrize("n", [1, 200, 40_000])
def test_agrees_with_numpy(n):
    """Counts are those of np.add.at on the pairs, for small and large batches."""
    true, pred = np.random.default_rng(n).integers(0, 4, (2, n))
    expected = np.zeros((4, 4), np.int64)
    np.add.at(expected, (true, pred), 1)
    assert expected.tobytes() == fed(mg.ConfusionMatrix(4), true, pred).result().tobytes()
    assert expected.tobytes() == fed(mg.ConfusionMatrix([0, 1, 2, 3]), true.tolist(), pred.astype(float)).result().tobytes()


@pytest.mark.parametrize(
    "dtype", [np.int8, np.uint8, np.int32, np.uint64, np.float16, np.float32, bool, object], ids=lambda d: np.dtype(d).name
)
@pytest.mark.parametrize("classes", [2, None], ids=["declared", "open"])
def test_whole_labels_of_every_type(dtype, classes):
    """Integers, whole floats and bools of every width are one label."""
    matrix = fed(mg.ConfusionMatrix(classes), np.array([0, 1, 1]).astype(dtype), [1, 1, 0])
    assert ((0, 1), [[0, 1], [1, 1]]) == (matrix.labels, matrix.result().tolist())


@pytest.mark.parametrize(
    "labels",
    [
        ["ü", "b"],
        [b"\xc3\xbc", b"b"],
        np.array(["ü", "b"]),
        np.array(["ü", "b"], object),
        np.array([b"\xc3\xbc", b"b"]),
        [b"\xc3\xbc", "b"],
    ],
    ids=repr,
)
@pytest.mark.parametrize("classes", [["b", "ü"], None], ids=["declared", "open"])
def test_strings_and_bytes_are_one_label(labels, classes):
    """Labels from strings, bytes (UTF-8) and arrays of either are the same."""
    matrix = fed(mg.ConfusionMatrix(classes), labels, ["ü", "ü"])
    assert (("b", "ü"), [[0, 1], [0, 1]]) == (matrix.labels, matrix.result().tolist())


def test_open_labels_are_kept_apart_and_in_order():
    """Numbers come before strings, 1 and "1" are two labels, and no character of a label is cut."""
    matrix = fed(mg.ConfusionMatrix(), [1, "1", "a", 10, 2], ["1", "1", "a\x00", 10, 1])
    assert (1, 2, 10, "1", "a", "a\x00") == matrix.labels
    assert 5 == matrix.result().sum()
    assert 1 == matrix.result()[4, 5]


def test_empty_matrices():
    """Declared classes start at zero, open ones without labels; empty batches change nothing."""
    assert np.zeros((2, 2), np.int64).tobytes() == fed(mg.ConfusionMatrix(2), [], []).result().tobytes()
    matrix = fed(mg.ConfusionMatrix(), np.zeros((0, 1)), [])
    assert ((), (0, 0)) == (matrix.labels, matrix.result().shape)


def test_weights_are_exact_sums():
    """Weights add up exactly, one for each pair, or one for each row."""
    for matrix in (mg.ConfusionMatrix(2, weighted=True), mg.ConfusionMatrix(weighted=True)):
        matrix.update([0, 0, 1], [1, 1, 1], [1e16, 1.0, 0.1])
        matrix.update([0], [1], weights=[2.0**-60])
        matrix.update([[0], [0]], [[0], [0]], [0.5, 0.25])
        assert np.array([[0.75, 1e16 + 2], [0.0, 0.1]]).tobytes() == matrix.result().tobytes()


def test_without_weights_a_weighted_matrix_counts():
    """Pairs without weights weigh 1."""
    for matrix in (mg.ConfusionMatrix(1, weighted=True), mg.ConfusionMatrix(weighted=True)):
        assert [[2.0]] == fed(matrix, [0, 0], [0, 0]).result().tolist()


@pytest.mark.parametrize(
    ("true", "pred", "weights", "match"),
    [
        ([0, 3], [0, 1], None, r"got the label 3 in y_true, expected one of \(0, 1, 2\)"),
        ([0, 1], [0, -1], None, r"got the label -1 in y_pred, expected one of"),
        ([0.0, 7.0], [0, 1], None, r"got the label 7 in y_true, expected one of"),
        (["a"], [0], None, r"got the label 'a' in y_true, expected one of"),
        ([math.nan], [0], None, r"got the label nan in y_true, expected whole numbers or strings"),
        ([0], [math.inf], None, r"got the label inf in y_pred, expected whole numbers or strings"),
        ([0], [0.7], None, r"got the label 0.7 in y_pred, expected whole numbers or strings"),
        ([0, 1], [0], None, r"got y_true of shape \(2,\) and y_pred of shape \(1,\), expected one"),
        ([0, 1], [[0.2, 0.8], [0.5, 0.5]], None, r"got y_true of shape \(2,\) and y_pred of shape \(2, 2\)"),
        ([0, 1], [[0, 1]], None, r"got y_true of shape \(2,\) and y_pred of shape \(1, 2\)"),
        ([0, 1], [0, 1], [1.0], r"got weights of shape \(1,\) for values of shape \(2,\)"),
        ([0, 1], [0, 1], [1.0, -1.0], r"got the weight -1.0, expected finite weights"),
        ([0, 1], [0, 1], [1.0, math.nan], r"got the weight nan, expected finite weights"),
    ],
)
def test_what_does_not_fit_is_refused(true, pred, weights, match):
    """Labels outside the classes, NaN, fractions, other shapes and bad weights raise, and nothing is counted."""
    matrix = fed(mg.ConfusionMatrix(3, weighted=True), [0], [0])
    before = canonical_bytes(matrix)
    with pytest.raises(ValueError, match=rf"^ConfusionMatrix.*: {match}"):
        matrix.update(true, pred, weights)
    assert before == canonical_bytes(matrix)


@pytest.mark.parametrize("pred", [[math.nan], [0.5], [b"\xff"]], ids=repr)
def test_an_open_matrix_refuses_what_is_no_label(pred):
    """NaN, fractions and bytes that are not UTF-8 raise ValueError, and nothing is counted."""
    matrix = fed(mg.ConfusionMatrix(), ["a"], ["a"])
    before = canonical_bytes(matrix)
    with pytest.raises(ValueError, match=r"got the label|codec can't decode"):
        matrix.update(["a"], pred)
    assert before == canonical_bytes(matrix)


@pytest.mark.parametrize("classes", [None, 2], ids=["open", "declared"])
def test_weights_to_a_counting_matrix_are_refused(classes):
    """Weights raise ValueError that says how to declare them."""
    with pytest.raises(ValueError, match=r"^ConfusionMatrix\.update: got weights, expected none.*weighted=True"):
        mg.ConfusionMatrix(classes).update([0], [0], [1.0])


@pytest.mark.parametrize(
    ("classes", "match"),
    [
        (0, "got 0 classes, expected a whole number of at least 1"),
        ([1, 1.0], "expected labels that differ"),
        (["a", b"a"], "expected labels that differ"),
        ([0.5], "got the label 0.5 in classes"),
    ],
)
def test_classes_must_be_labels_that_differ(classes, match):
    """No classes, repeated classes and fractional classes raise ValueError."""
    with pytest.raises(ValueError, match=f"^ConfusionMatrix: .*{match}"):
        mg.ConfusionMatrix(classes)


def test_equal_classes_of_every_form_merge():
    """A number of classes and the labels themselves describe one matrix."""
    matrix = fed(mg.ConfusionMatrix(np.int64(2)), [0], [1])
    matrix.merge(fed(mg.ConfusionMatrix([0, 1]), [0], [1]))
    assert [[0, 2], [0, 0]] == matrix.result().tolist()


def test_boundedness_follows_the_classes():
    """Only a matrix with declared classes is bounded."""
    assert (True, False) == (mg.ConfusionMatrix(2).bounded, mg.ConfusionMatrix().bounded)


def test_open_counts_have_no_limit_and_declared_ones_overflow_loudly():
    """Declared int64 cells raise OverflowError and stay as they were."""
    matrix = fed(mg.ConfusionMatrix(2), [0], [1])
    for _ in range(62):
        matrix.merge(matrix)
    before = canonical_bytes(matrix)
    with pytest.raises(OverflowError, match=r"a count would pass 2\*\*63 - 1"):
        matrix.merge(matrix)
    assert before == canonical_bytes(matrix)


@pytest.mark.parametrize(
    "label",
    [None, (1, 2), b"\xff", np.datetime64("2024", "ns"), np.timedelta64(1, "ns"), 1j, np.datetime64("NaT"), [1]],
    ids=repr,
)
def test_what_no_file_holds_is_no_label(label):
    """None, tuples, times and bytes that are no text raise one ValueError that names the label, declared or not, and nothing is counted."""
    labels = np.fromiter([label], object, 1)
    for batch in ((labels, ["a"]), (["a"], labels)):
        matrix = mg.ConfusionMatrix()
        with pytest.raises(
            ValueError, match=r"^ConfusionMatrix: got the label .* in y_(true|pred), expected whole numbers or strings\."
        ):
            matrix.update(*batch)
        assert canonical_bytes(mg.ConfusionMatrix()) == canonical_bytes(matrix)
    with pytest.raises(ValueError, match=r"^ConfusionMatrix: got the label .* in classes, expected whole numbers or strings\."):
        mg.ConfusionMatrix(["a", label])


@pytest.mark.parametrize("shape", [(3, 3), (1, 3), (2, 1, 2), (3, 2)], ids=str)
@pytest.mark.parametrize("classes", [2, None], ids=["declared", "open"])
def test_labels_of_two_axes_are_refused(shape, classes):
    """One-hot rows, images and sequences of labels raise ValueError that says how to declare them, and nothing is counted."""
    matrix, labels = mg.ConfusionMatrix(classes, weighted=True), np.zeros(shape, int)
    for weights in (None, np.ones(shape), 2.0):
        with pytest.raises(
            ValueError,
            match=r'^ConfusionMatrix\.update: got y_true of shape .*, expected one label for each row, \(n,\) or \(n, 1\)\..*layout="one-hot"',
        ):
            matrix.update(labels, labels, weights)
    assert canonical_bytes(matrix.empty()) == canonical_bytes(matrix)


@pytest.mark.parametrize("shape", [(4,), (4, 1), (4, 1, 1)], ids=str)
def test_columns_of_labels_are_rows(shape):
    """Axes of length 1, as Keras adds them, do not matter, on either side."""
    matrix = fed(mg.ConfusionMatrix(2), np.array([0, 1, 1, 0]).reshape(shape), [0, 1, 0, 0])
    assert [[2, 0], [1, 1]] == matrix.result().tolist()
    assert (
        matrix.result().tolist()
        == fed(mg.ConfusionMatrix(2), [0, 1, 0, 0], np.array([0, 1, 1, 0]).reshape(shape)).result().T.tolist()
    )


def test_every_cell_is_a_label_where_that_is_declared():
    """With layout="cells" arrays of any shape are flat labels, with one weight for each, for each row or for each step."""
    true, pred = np.array([[0, 1], [1, 1]]), np.array([[0, 0], [1, 0]])
    assert [[1, 0], [2, 1]] == fed(mg.ConfusionMatrix(2, layout="cells"), true, pred).result().tolist()
    matrix = mg.ConfusionMatrix(2, weighted=True, layout="cells")
    assert [[2.0, 0.0], [2.0, 0.0]] == fed(matrix, true, pred, [2.0, 0.0]).result().tolist()


@pytest.mark.parametrize(
    ("classes", "labels"), [(3, (0, 1, 2)), (["a", "b", "c"], ("a", "b", "c")), (None, (0, 1, 2))], ids=["n", "names", "open"]
)
@pytest.mark.parametrize("dtype", [int, bool, np.float32], ids=str)
def test_one_hot_rows_where_they_are_declared(classes, labels, dtype):
    """With layout="one-hot" a row is one label, that of the place of its 1, beside such rows or plain labels."""
    true, pred = np.eye(3, dtype=dtype)[[0, 1, 2, 2]], np.eye(3, dtype=dtype)[[0, 0, 1, 2]]
    expected = [[1, 0, 0], [1, 0, 0], [0, 1, 1]]
    matrix = fed(mg.ConfusionMatrix(classes, layout="one-hot"), true, pred)
    assert (labels, expected) == (matrix.labels, matrix.result().tolist())
    assert expected == fed(matrix.empty(), true.tolist(), [labels[i] for i in (0, 0, 1, 2)]).result().tolist()
    weighted = mg.ConfusionMatrix(classes, weighted=True, layout="one-hot")
    true[3] = 0
    assert [[1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.5, 0.0]] == fed(
        weighted, true, pred, [1.0, 1.0, 0.5, 0.0]
    ).result().tolist()[:3]


@pytest.mark.parametrize(
    "rows", [[[0.2, 0.8]], [[1, 1]], [[0, 0]], [[2, 0]], [["a", "b"]], [[1, 0, 0]], [[[1, 0]]], [[math.nan, 1]]], ids=repr
)
def test_rows_that_are_not_one_hot_are_refused(rows):
    """Scores, several ones, none, and rows of another length raise ValueError, and nothing is counted."""
    matrix = mg.ConfusionMatrix(2, layout="one-hot")
    for batch in ((rows, [0]), ([0], rows)):
        with pytest.raises(
            ValueError, match=r"^ConfusionMatrix\.update: got y_(true|pred) of shape .*, expected one-hot rows \(n, 2\)"
        ):
            matrix.update(*batch)
    assert canonical_bytes(matrix.empty()) == canonical_bytes(matrix)


def test_the_layout_is_kept_and_no_parameter():
    """Copies and pickles keep the layout, matrices of several layouts merge, and other words are refused."""
    matrix = fed(mg.ConfusionMatrix(2, layout="cells"), [[0, 1]], [[0, 1]])
    for twin in (matrix.empty(), copy.deepcopy(matrix), pickle.loads(pickle.dumps(matrix))):
        twin.update([[0, 1]], [[0, 1]])
    matrix.merge(fed(mg.ConfusionMatrix(2), [0], [1]))
    assert [[1, 1], [0, 1]] == matrix.result().tolist()
    with pytest.raises(ValueError, match=r"^ConfusionMatrix: got layout='flat', expected one of 'rows', 'cells', 'one-hot'"):
        mg.ConfusionMatrix(2, layout="flat")
