"""Plain data comes back from JSON and arrays as it was, and says what it is."""

import collections
import datetime as dt
import json
import math
import uuid

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mergeable.encoding.archive import Archive, seal
from mergeable.encoding.canonical import canonical_bytes
from mergeable.encoding.plain import Reader, Unreadable, Writer, from_text, is_plain, to_text
from mergeable.encoding.wire import from_bytes, pickled, to_bytes

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-9, 9).map(lambda n: n << 2148)
    | st.floats()
    | st.text(max_size=4)
    | st.text(st.characters(categories=["Cs"]), max_size=4)
    | st.binary(max_size=4)
)
DTYPES = ["bool", "i1", "u1", "<i2", "<i4", "<i8", "<u8", "<f2", "<f4", "<f8", "<c8", "<c16", "<M8[s]", "<m8[ns]", "<U3", "S2"]


@st.composite
def arrays(draw):
    shape = draw(st.sampled_from([(), (0,), (3,), (2, 2), (0, 5), (300,)]))
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    if dtype.kind in "US":
        return np.resize(np.array(["a", "", "bé"] if dtype.kind == "U" else [b"a", b"", b"\xff\x01"], dtype), shape)
    data = draw(st.binary(min_size=64, max_size=64)) * 100
    size = math.prod(shape) * dtype.itemsize
    return (
        (np.frombuffer(data[:size], "u1") & 1 if dtype.kind == "b" else np.frombuffer(data[:size], dtype))
        .astype(dtype)
        .reshape(shape)
    )


VALUES = st.recursive(
    SCALARS | arrays() | st.sampled_from([np.float32(0.1), np.int64(-3), np.bool_(True)]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=2), inner, max_size=3)
        | st.dictionaries(st.tuples(st.integers(), st.text(max_size=1)), inner, max_size=2)
        | st.sets(st.integers() | st.text(max_size=2), max_size=3)
        | st.frozensets(st.booleans())
        | st.dictionaries(st.text(max_size=2), st.integers(0, 9)).map(collections.Counter)
        | st.lists(st.integers(-(2**63), 2**63 - 1), min_size=16, max_size=20)
        | st.lists(st.floats(), min_size=16, max_size=20).map(tuple)
        | st.lists(st.text(max_size=2), max_size=3).map(lambda items: np.array([*items, None], object)[:-1])
    ),
    max_leaves=8,
)


def back(value):
    writer = Writer(pickled)
    tree = from_text(to_text(writer.tree(value)))
    reader = Reader([array.copy() for array in writer.arrays], None)
    found = reader.value(tree)
    reader.finish()
    return found


@settings(max_examples=500)
@given(VALUES)
def test_values_come_back(value):
    """Values of every plain kind come back with the same types and bits, without a pickle."""
    found = back(value)

    assert type(value) is type(found)
    assert canonical_bytes(value) == canonical_bytes(found)
    assert is_plain(value)


@settings(max_examples=100)
@given(VALUES)
def test_bytes_come_back_and_are_the_same(value):
    """The same holds through the bytes of an archive, which are equal for values that come back."""
    assert canonical_bytes(value) == canonical_bytes(from_bytes(to_bytes(value)))
    assert to_bytes(value) == to_bytes(from_bytes(to_bytes(value)))


@pytest.mark.parametrize("dtype", DTYPES)
def test_arrays_keep_their_dtype(dtype):
    """Arrays keep dtype and shape, whether they stand in the text or in an entry."""
    for n in (1, 1000):
        array = np.zeros((n, 2), dtype)
        found = from_bytes(to_bytes(array))
        assert (array.dtype, array.shape) == (found.dtype, found.shape)
        found[...] = found  # it may be written to


def test_big_endian_arrays_become_little_endian():
    """The order of bytes is no part of a value."""
    array = np.arange(3, dtype=">i4")

    assert [0, 1, 2] == from_bytes(to_bytes(array)).tolist()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ([1, 0.5, "a", None, True], '[1,0.5,"a",null,true]'),
        (2**53, '{"int":"0x20000000000000"}'),
        (-3 << 1074, '{"int":"-0x3p1074"}'),
        (0.0, "0.0"),
        (-0.0, '{"float":"8000000000000000"}'),
        (math.nan, '{"float":"7ff8000000000000"}'),
        (5e-324, '{"float":"0000000000000001"}'),
        ("\ud800é\udc00", '"\\ud800\\u00e9\\udc00"'),
        ("\ud800\udc00", '{"str":["\\ud800","\\udc00"]}'),
        ({"\ud800\udc00": 1}, '{"items":[[{"str":["\\ud800","\\udc00"]},1]]}'),
        (b"\x00\xff", '{"bytes":"00ff"}'),
        ((1, "a"), '{"tuple":[1,"a"]}'),
        ({"a": 1}, '{"dict":{"a":1}}'),
        ({1: "a"}, '{"items":[[1,"a"]]}'),
        ({"b", "a"}, '{"set":["a","b"]}'),
        (collections.Counter("aab"), '{"counter":[["a",2],["b",1]]}'),
        (np.float32(0.1), '{"scalar":["<f4","cdcccc3d"]}'),
        (np.array([1, 2], "<i2"), '{"array":["<i2",[2],"01000200"]}'),
        (np.zeros(100), '{"array":0}'),
        (tuple(range(16)), '{"tuple":{"array":["<i8",[16],"' + "".join(f"{i:02x}" + "00" * 7 for i in range(16)) + '"]}}'),
        (np.array(["a"], object), '{"objects":[[1],["a"]]}'),
    ],
)
def test_the_text_is_the_documented_one(value, text):
    """Each kind of value is written as the module says."""
    assert text == to_text(Writer(pickled).tree(value))


def test_large_members_of_sets_have_an_order():
    """The order of a set's members does not depend on their hashes, however large they are."""
    members = [b"b" * 1000, b"a" * 1000, tuple(range(1000)), tuple(range(1, 1001))]
    texts = set()
    for order in (members, members[::-1]):
        writer = Writer(pickled)
        texts.add(to_text(writer.tree(dict.fromkeys([0], frozenset(order)))))
        assert not writer.arrays
    assert len(texts) == 1
    assert frozenset(members) == back(frozenset(members))


def test_what_is_not_plain():
    """Classes, functions, objects, subclasses and long doubles are none of the plain kinds."""

    class Text(str):
        __slots__ = ()

    for value in (len, object(), Text("a"), collections.deque(), collections.OrderedDict(), np.ma.zeros(2), {"a": [object()]}):
        assert not is_plain(value)
    writer = Writer(pickled)
    writer.tree([1, {2: collections.deque([3])}])
    assert ["collections.deque"] == writer.pickled


def test_a_value_that_holds_itself_is_not_plain():
    """A list that holds itself has no end."""
    value = []
    value.append(value)

    assert not is_plain(value)


def test_an_archive_is_read_by_any_zip_reader(tmp_path):
    """The bytes are a zip file with a manifest and npy entries, dated 1980, whatever the clock says."""
    import zipfile

    (tmp_path / "a.zip").write_bytes(seal({"a": 1}, [np.arange(100), np.zeros((0, 3))]))
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.testzip() is None
        assert ["manifest.json", "arrays/0.npy", "arrays/1.npy"] == archive.namelist()
        assert {"a": 1} == json.loads(archive.read("manifest.json"))
        assert {(1980, 1, 1, 0, 0, 0)} == {info.date_time for info in archive.infolist()}
        assert np.array_equal(np.arange(100), np.load(archive.open("arrays/0.npy")))
    assert [(100,), (0, 3)] == [array.shape for array in Archive((tmp_path / "a.zip").read_bytes()).arrays()]


@pytest.mark.parametrize(
    "value",
    [
        np.str_("a"),
        np.str_(""),
        np.str_("a\0"),
        np.str_("\ud83d" + "\ude00"),
        np.bytes_(b"\xff\0"),
        np.bytes_(b""),
        np.datetime64("2024", "ns"),
        np.datetime64("NaT", "D"),
        np.timedelta64(5, "h"),
    ],
    ids=repr,
)
def test_strings_and_times_of_numpy(value):
    """NumPy's strings keep the zero bytes that end them, its times their unit, and nothing is pickled."""
    assert is_plain(value)
    back = from_bytes(to_bytes({value: 1, "x": [value]}))
    for found in (*back["x"], next(iter(back))):
        assert (type(value), canonical_bytes(value), len(repr(value))) == (
            type(found),
            canonical_bytes(found),
            len(repr(found)),
        )


@pytest.mark.parametrize(
    "value",
    [
        dt.date(2024, 2, 29),
        dt.datetime(1, 1, 1, 0, 0, 0, 1),  # noqa: DTZ001 - both kinds
        dt.datetime(2024, 2, 29, 1, 2, 3, tzinfo=dt.timezone.utc),
        uuid.UUID(int=7),
    ],
    ids=repr,
)
def test_dates_times_and_uuids(value):
    """Dates, datetimes without a zone or with a fixed one, and UUIDs are data, as keys of dicts too."""
    assert is_plain(value)
    assert {value: [value]} == from_bytes(to_bytes({value: [value]}))
    assert not is_plain(dt.datetime(2024, 1, 1, fold=1))  # noqa: DTZ001 - which its text does not say


@pytest.mark.parametrize(
    "tree",
    [
        {"date": "20240229"},
        {"date": 5},
        {"datetime": "2024-02-29"},
        {"datetime": "2024-02-29T12:00"},
        {"uuid": "7"},
        {"uuid": "A" * 32},
        {"numpy_str": 3},
        {"numpy_bytes": "F"},
    ],
    ids=repr,
)
def test_times_that_no_writer_writes(tree):
    """A text that is not the standard one is refused, so that one value has one text."""
    with pytest.raises(Unreadable):
        Reader([], None).value(tree)
