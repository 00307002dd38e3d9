"""Which label was taken for which."""

import math

import numpy as np
import pytest

import mergeable as mg
from mergeable.canonical import canonical_bytes


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
