"""All rows, in an order that does not depend on the cut."""

import itertools
import math

import ml_dtypes
import numpy as np
import pytest

import mergeable as mg
from mergeable.encoding.canonical import canonical_bytes
from mergeable.state.undo import rollback, savepoint


def fed(rows, *batches):
    for batch in batches:
        rows.update(*batch)
    return rows


def table(n, seed=0):
    rng = np.random.default_rng(seed)
    pool = np.array([0.1, -0.1, 0.0, -0.0, math.nan, math.inf, -math.inf, 5e-324, 1e16])
    return rng.integers(-2, 3, n), rng.choice(pool, (n, 2)), rng.choice(np.array(["", "a", "ü"], object), n)


@pytest.mark.parametrize("n", [0, 7, 300, 9000])
@pytest.mark.parametrize("parts", [1, 2, 5])
def test_the_cut_does_not_show(n, parts):
    """However the rows are cut, shuffled and merged, result and state have the same bytes."""
    columns = table(n)
    whole = fed(mg.Rows("label", "score", "name"), columns)
    order = np.random.default_rng(1).permutation(n)
    merged = mg.Rows("label", "score", "name")
    for index in np.array_split(order, parts):
        merged.merge(fed(mg.Rows("label", "score", "name"), tuple(c[index] for c in columns)))
    assert canonical_bytes(whole.result()) == canonical_bytes(merged.result())
    assert canonical_bytes(whole) == canonical_bytes(merged)
    assert n == len(merged)


@pytest.mark.parametrize("dtype", ["bool", "i1", "u2", "i8", "f4", "f8", "str", "bytes"])
def test_wide_rows_have_the_same_order(dtype):
    """Rows of many cells are in the order of their cells too."""
    wide = np.random.default_rng(0).integers(-1, 2, (500, 40)).astype("i8" if dtype in ("str", "bytes") else dtype)
    if dtype in ("str", "bytes"):
        wide = np.array([["a", "b\0", ""], [b"a", b"b\0", b""]][dtype == "bytes"], object)[wide]
    wide[:, :5] = wide[0, :5]
    both = mg.Rows("x", "y")
    both.update(wide[:, :38], wide[:, 38:])
    found = both.result()
    rows = sorted(wide.tolist())
    assert rows == np.concatenate([found["x"], found["y"]], axis=1).tolist()


def test_rows_stay_together_and_all_are_kept():
    """Columns keep their rows together, equal rows are all kept."""
    rows = fed(mg.Rows("x", "y"), ([2, 1, 1, 1], ["b", "z", "a", "a"]))
    assert {"x": [1, 1, 1, 2], "y": ["a", "a", "z", "b"]} == {k: v.tolist() for k, v in rows.result().items()}


def test_order_of_odd_floats():
    """Floats are in the order of their bits: -inf, negative numbers, -0.0, 0.0, positive numbers, inf, NaN."""
    rows = fed(mg.Rows("x"), ([math.nan, math.inf, 5e-324, 0.0, -0.0, -5e-324, -math.inf],))
    expected = np.array([-math.inf, -5e-324, -0.0, 0.0, 5e-324, math.inf, math.nan])
    assert expected.tobytes() == rows.result()["x"].tobytes()


@pytest.mark.parametrize(
    "dtype", [bool, np.int8, np.uint64, np.float16, np.float32, np.float64, ">f8", ">i4"], ids=lambda d: str(np.dtype(d))
)
def test_dtypes_are_kept(dtype):
    """A column keeps its dtype, in this machine's byte order."""
    column = fed(mg.Rows("x"), (np.array([1, 0]).astype(dtype),)).result()["x"]
    assert (np.dtype(dtype).newbyteorder("="), [0, 1]) == (column.dtype, column.tolist())


def test_bfloat16_is_widened():
    """bfloat16 becomes float32."""
    column = fed(mg.Rows("x"), (np.array([1.5], ml_dtypes.bfloat16),)).result()["x"]
    assert (np.float32, [1.5]) == (column.dtype, column.tolist())


@pytest.mark.parametrize(
    "names",
    [["b", "", "a\x00"], np.array(["b", "", "a\x00"], object), [b"b", b"", b"a\x00"], np.array([["b"], [""]])],
    ids=["list", "array", "bytes", "column"],
)
def test_strings_and_bytes_are_kept_whole(names):
    """Strings and bytes of any length are kept as objects, trailing zeros too."""
    column = fed(mg.Rows("x"), (names,)).result()["x"]
    assert sorted(np.asarray(names, object).ravel().tolist()) == column.ravel().tolist()
    assert column.dtype == object


def test_trailing_shapes():
    """Rows of vectors keep their shape, also of length 0."""
    rows = fed(mg.Rows("x", "y"), ([[2, 1], [1, 9]], np.zeros((2, 0))))
    result = rows.result()
    assert ([[1, 9], [2, 1]], (2, 0)) == (result["x"].tolist(), result["y"].shape)
    assert (3, 0) == fed(mg.Rows("x"), (np.zeros((3, 0)),)).result()["x"].shape


def test_by_name():
    """Columns may come by name, in any order, or mixed."""
    rows = mg.Rows("x", "y")
    rows.update(y=[2], x=[1])
    rows.update([3], y=[4])
    assert {"x": [1, 3], "y": [2, 4]} == {k: v.tolist() for k, v in rows.result().items()}


def test_empty_batches_decide_nothing():
    """An empty batch, whatever its dtype, neither fixes nor breaks the dtype of a column."""
    rows = fed(mg.Rows("x"), ([],), (np.array([1]),), ([],), (np.zeros((0, 3), np.float32),))
    assert ([1], np.int64) == (rows.result()["x"].tolist(), rows.result()["x"].dtype)


@pytest.mark.parametrize("first", [0, 20_000], ids=["buffered", "stored"])
@pytest.mark.parametrize(
    ("batch", "match"),
    [
        ([True], r"got columns of bool, expected int64 as before, or numbers that one dtype holds with them\. Cast them"),
        ([2**60 + 1, 0.5], rf"got the integer {2**60 + 1}, expected values that a float64 holds exactly"),
        ([[1, 2]], r"got columns of int64\[2\], expected int64"),
        (["a"], r"got columns of str, expected int64"),
    ],
)
def test_a_change_of_dtype_or_shape_is_refused(first, batch, match):
    """Another kind or trailing shape raises ValueError that names both, and takes nothing."""
    rows = fed(mg.Rows("x"), (np.arange(first + 1),))
    before = canonical_bytes(rows)
    with pytest.raises(ValueError, match=rf"^Rows\.update: {match}"):
        rows.update(batch)
    assert before == canonical_bytes(rows)


@pytest.mark.parametrize("verb", ["update", "merge"])
def test_strings_and_bytes_do_not_mix(verb):
    """A column of strings refuses bytes, in an update and in a merge, and stays as it was."""
    rows = fed(mg.Rows("x"), (["a"],))
    before = canonical_bytes(rows)
    with pytest.raises(ValueError, match=rf"^Rows\.{verb}: got columns of bytes, expected str"):
        rows.update([b"a"]) if verb == "update" else rows.merge(fed(mg.Rows("x"), ([b"a"],)))
    assert before == canonical_bytes(rows)


@pytest.mark.parametrize(
    ("one", "two", "names"),
    [
        (np.array([True]), [1], "int64, expected bool"),
        (["a"], [1], "int64, expected str"),
        ([2**53 + 1], [0.5], "float64, expected int64"),
        ([-1], [2**63], "uint64, expected int64"),
        ([[1, 2]], [1], r"int64, expected int64\[2\]"),
    ],
    ids=repr,
)
def test_a_merge_of_what_no_dtype_holds_is_refused(one, two, names):
    """Rows of other kinds, or of numbers that no dtype holds, raise IncompatibleStates with both names, and both sides stay as they were."""
    a, b = fed(mg.Rows("x"), (one,)), fed(mg.Rows("x"), (two,))
    before = canonical_bytes((a, b))
    with pytest.raises(
        mg.IncompatibleStates, match=rf"^Rows\.merge: got columns of {names} as before, or numbers .* Cast them"
    ):
        a.merge(b)
    with pytest.raises(mg.IncompatibleStates, match=r"^Rows\.merge: got columns of"):
        b.merge(a)
    assert before == canonical_bytes((a, b))


@pytest.mark.parametrize(
    ("batches", "dtype"),
    [
        ([np.array([1], np.int32), np.array([2**40]), np.array([1], np.int8)], np.int64),
        ([[1, 2], [0.5], [3]], np.float64),
        ([[0.5, 1], [2**60]], np.float64),
        ([np.array([0.1], np.float32), [0.1], np.array([2], np.float16)], np.float64),
        ([np.array([0.1], np.float32), np.array([3], np.int16)], np.float32),
        ([np.array([1], np.int8), np.array([255], np.uint8), [2]], np.int64),
        ([[2**63 + 1], [5], [2**63]], np.uint64),
        ([np.array([5], np.uint64), [-1]], np.int64),
    ],
    ids=repr,
)
@pytest.mark.parametrize("make", [lambda: mg.Rows("x"), lambda: mg.Deduplicated(mg.Set(), "x")], ids=["Rows", "Deduplicated"])
def test_shards_of_several_dtypes_are_one_column(batches, dtype, make):
    """Numbers of several dtypes, in one state or in several, become the narrowest that holds them all, in any order, by an update or a merge."""
    values = sorted(float(x) if dtype == np.float64 else x for batch in batches for x in np.asarray(batch).tolist())
    found = set()
    for order in itertools.permutations(enumerate(batches)):
        one, many = make(), make()
        for i, batch in order:
            given = (batch,) if isinstance(one, mg.Rows) else (range(10 * i, 10 * i + len(batch)), batch)
            savepoint(one)
            one.update(*given)
            rollback(one)
            one.update(*given)
            many.merge(fed(make(), given))
        found |= {canonical_bytes(one), canonical_bytes(many)}
        column = one.result()["x"] if isinstance(one, mg.Rows) else one._rows.result()["x"]
        assert (dtype, values) == (column.dtype, sorted(column.tolist()))
    assert len(found) == 1


@pytest.mark.parametrize(
    ("columns", "named", "match"),
    [
        (([1],), {}, r"got 1 columns in order and \[\] by name, expected each of \['x', 'y'\] once"),
        (([1], [1], [1]), {}, "got 3 columns in order"),
        (([1],), {"x": [1]}, r"got 1 columns in order and \['x'\] by name"),
        (([1],), {"z": [1]}, r"got 1 columns in order and \['z'\] by name"),
        (([1], [1, 2]), {}, r"got columns of lengths \[1, 2\], expected equal ones"),
        ((1, [1]), {}, r"got one value for 'x', expected an array \(n, ...\)"),
        (([1j], [1]), {}, "got the column 'x' of dtype complex128"),
        (([None], [1]), {}, "got the column 'x' of dtype object"),
        ((["a", 1], [1, 2]), {}, "got the column 'x' of dtype object"),
        ((np.array([1], np.longdouble), [1]), {}, "got the column 'x' of dtype"),
    ],
)
def test_what_does_not_fit_is_refused(columns, named, match):
    """Missing, doubled, uneven and odd columns raise ValueError, and nothing is taken."""
    rows = fed(mg.Rows("x", "y"), ([5], [6]))
    before = canonical_bytes(rows)
    with pytest.raises(ValueError, match=rf"^Rows\.update: {match}"):
        rows.update(*columns, **named)
    assert before == canonical_bytes(rows)


@pytest.mark.parametrize("columns", [(), ("x", "x")], ids=str)
def test_columns_need_names_that_differ(columns):
    """No columns, or one name twice, raise ValueError."""
    with pytest.raises(ValueError, match=r"^Rows: got the columns .*, expected one or more names that differ"):
        mg.Rows(*columns)


@pytest.mark.parametrize("n", [3, 40_000], ids=["buffered", "stored"])
def test_no_aliasing(n):
    """Later writes to a batch or to a result do not show."""
    batch = np.arange(n)
    rows = fed(mg.Rows("x"), (batch,))
    before = canonical_bytes(fed(mg.Rows("x"), (batch,)))
    batch[:] = 0
    rows.result()["x"][:] = 0
    assert before == canonical_bytes(rows)


def test_merged_rows_do_not_share_later_updates():
    """Neither side of a merge sees what the other takes later."""
    a, b = fed(mg.Rows("x"), ([1],)), fed(mg.Rows("x"), ([2],))
    a.merge(b)
    b.update([3])
    a.update([4])
    assert ([1, 2, 4], [2, 3]) == (a.result()["x"].tolist(), b.result()["x"].tolist())
