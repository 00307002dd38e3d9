"""Keys in one canonical form."""

import datetime as dt
import enum
import itertools
import math
import struct
import uuid

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given

import mergeable as mg
from mergeable.encoding.canonical import canonical_bytes
from mergeable.encoding.wire import from_bytes, to_bytes
from mergeable.numeric import keys
from tests import arbitrary, register

NOON = dt.datetime(2024, 2, 29, 12, 0, 0, 1)  # noqa: DTZ001 - as most columns are
NAN_PAYLOAD = struct.unpack("<d", struct.pack("<Q", 0xFFF8_0000_0000_0001))[0]


class Colour(enum.IntEnum):
    RED = 1


class Name(str):
    __slots__ = ()


@pytest.mark.parametrize(
    ("key", "same"),
    [
        (np.int64(1), 1),
        (np.uint8(1), 1),
        (np.float32(0.5), 0.5),
        (np.float64(-0.0), 0.0),
        (np.bool_(True), True),
        (np.str_("ü"), "ü"),
        (np.bytes_(b"a"), b"a"),
        (Colour.RED, 1),
        (Name("ü"), "ü"),
        (NAN_PAYLOAD, math.nan),
        ((np.int64(1), "a"), (1, "a")),
        (((-0.0,),), ((0.0,),)),
    ],
    ids=repr,
)
def test_equal_keys_have_one_form(key, same):
    """NumPy's scalars, subclasses, both zeros and all NaNs have the form of the plain key."""
    assert keys.canonical(same, "test") == keys.canonical(key, "test")


@pytest.mark.parametrize(
    ("a", "b"), [*itertools.combinations([None, False, 0, 0.0, "0", b"0", (0,), (0.0,), "", math.nan], 2)], ids=repr
)
def test_unequal_keys_have_two_forms(a, b):
    """Keys of different types are different keys, also where Python calls them equal."""
    assert keys.canonical(a, "test") != keys.canonical(b, "test")


@given(arbitrary.keys())
def test_keys_come_back(key):
    """A canonical key gives back the plain key, with one NaN and one zero."""
    back = keys.plain(keys.canonical(key, "test"))
    assert (register.rank(register.simple(key)), type(key)) == (register.rank(back), type(back))


@given(arbitrary.keys(), arbitrary.keys())
def test_order_is_total(a, b):
    """Exactly one of a < b, a = b and a > b holds, and it is that of an independent order."""
    one, two = (keys.canonical(key, "test") for key in (a, b))
    x, y = (register.rank(register.simple(key)) for key in (a, b))
    assert (x < y, repr(x) == repr(y), x > y) == (
        keys.order(one) < keys.order(two),
        one == two,
        keys.order(one) > keys.order(two),
    )


@pytest.mark.parametrize(
    "key", [[1], {}, {1}, object(), 1j, np.longdouble(1), bytearray(b"a"), (1, [2])], ids=lambda k: type(k).__name__
)
def test_other_keys_are_refused(key):
    """What is not plain raises TypeError that names the caller, the key and its type."""
    with pytest.raises(
        TypeError, match=r"^Who: got the key .* \(\w+\), expected None, a bool, a number, a string, bytes or a tuple"
    ):
        keys.canonical(key, "Who")


@pytest.mark.parametrize("items", ["abc", b"abc", 3, None], ids=repr)
def test_a_single_key_is_no_list(items):
    """A single string, or what has no items, raises TypeError that says to use a list."""
    with pytest.raises(TypeError, match=r"^Who: got .*, expected a list or an array of keys\. Put a single one in a list"):
        keys.canonical_list(items, "Who")


@pytest.mark.parametrize(
    "items",
    [
        [1, 2, 1],
        np.array([[1, 2], [1, 1]]),
        np.array([1, 200], np.uint8),
        np.array([2**64 - 1], np.uint64),
        np.array([0.0, -0.0, math.nan, NAN_PAYLOAD, 5e-324, 1.0]),
        np.array([0.1, 2.0**-149], np.float32),
        np.array([0.1, -0.0], np.float16),
        np.array([1.5, 1.5], ml_dtypes.bfloat16),
        np.array([True, False, True]),
        np.array(["ü", "a", "ü"]),
        np.array([b"a", b"b"]),
        np.array(["a", 1, None, (1, 2)], object),
        np.array(3),
        (1, "a"),
        pytest.param(iter(["a", "a"]), id="iterator"),
    ],
    ids=repr,
)
def test_tally_of_arrays_is_that_of_their_items(items):
    """Arrays counted at once have the keys and counts of their items one by one."""
    listed = items.ravel().tolist() if hasattr(items, "__array__") else list(items)
    expected = {}
    for item in listed:
        key = keys.canonical(item, "test")
        expected[key] = expected.get(key, 0) + 1
    again = items if hasattr(items, "__array__") else listed
    assert expected == keys.tally(again, "test")


def test_canonical_forms_do_not_use_hash():
    """A key's form is the key itself, or a tag and a plain value, readable without this process's hash seed."""
    assert ("tuple", ("ü", ("float", None), ("none", None))) == keys.canonical(("ü", math.nan, None), "test")


@pytest.mark.parametrize(
    "key",
    [
        dt.time(12),
        dt.timedelta(1),
        np.datetime64("2024-02-29T00:00:00.000000001", "ns"),
        np.datetime64(10**12, "Y"),
        np.datetime64("NaT"),
        np.timedelta64(1, "ns"),
        arbitrary.nested(40),
        2**8192,
    ],
    ids=lambda key: type(key).__name__,
)
@pytest.mark.parametrize(
    "wrap", [list, lambda items: np.fromiter(items, object, 1), np.array], ids=["list", "objects", "array"]
)
def test_spans_fine_times_and_boundless_keys_are_refused_by_name(key, wrap):
    """Spans and times of day, times below a microsecond or without a date, deep tuples and numbers that no file holds raise one TypeError that says what to do, and never become numbers."""
    if wrap is np.array and isinstance(key, tuple):
        return  # an array of many axes
    kind = type(key).__name__
    for state in (mg.Counter(), mg.Keyed(mg.Count()), mg.HyperLogLog()):
        with pytest.raises(
            TypeError,
            match=rf"\.update: got the key .{{1,90}} \({kind}\), expected None, a bool, .* as str\(key\) or keys\.astype\(str\)",
        ):
            state.update(wrap([key]), *[[1]] * isinstance(state, mg.Keyed))


def test_an_enum_of_strings_is_its_string():
    """A member of a ``str`` enum and the equal string are one key, whatever ``str()`` says, and so are NumPy's strings with zero bytes."""
    counter = mg.Counter()
    counter.update([arbitrary.Colour.RED, "red", np.str_("red"), np.str_("a\0"), "a\0", "a", arbitrary.Size.BIG, 3])
    assert {3: 2, "a": 1, "a\0": 2, "red": 3} == counter.result()
    assert {int, str} == {*map(type, counter)}


class Stamp(dt.datetime):
    """A time as pandas has it: with nanoseconds beside the microseconds."""

    nanosecond = 0


ZONE = dt.timezone(dt.timedelta(hours=2))


@pytest.mark.parametrize(
    ("key", "same", "shown"),
    [
        (dt.date(2024, 2, 29), np.datetime64("2024-02-29", "D"), dt.date(2024, 2, 29)),
        (NOON, np.datetime64("2024-02-29T12:00:00.000001", "us"), NOON),
        (NOON, np.datetime64("2024-02-29T12:00:00.000001", "ns"), NOON),
        (NOON, Stamp(2024, 2, 29, 12, 0, 0, 1), NOON),
        (NOON.replace(tzinfo=dt.timezone.utc), NOON.replace(hour=14, tzinfo=ZONE), NOON.replace(tzinfo=dt.timezone.utc)),
        (uuid.UUID(int=7), uuid.UUID(int=7), uuid.UUID(int=7)),
        (dt.datetime.min, np.datetime64("0001-01-01", "s"), dt.datetime.min),  # noqa: DTZ901 - the first one
        (dt.datetime.max, dt.datetime.max, dt.datetime.max),  # noqa: DTZ901 - the last one
    ],
    ids=repr,
)
@pytest.mark.parametrize("wrap", [list, lambda items: np.fromiter(items, object, len(items))], ids=["list", "objects"])
def test_dates_times_and_uuids_are_keys(key, same, shown, wrap):
    """A date, a datetime and a UUID are kept as what they are, from Python or NumPy in any unit, through a file, in their order."""
    counter, apart = mg.Counter(), mg.Keyed(mg.Count())
    counter.update(wrap([key, same, str(key)]))
    apart.update(wrap([same, key]), [1, 1])
    assert ({str(key): 1, shown: 2}, {shown: 2}) == (counter.result(), apart.result())
    assert type(shown) is type(next(iter(apart)))
    back = mg.Counter()
    back.from_data(from_bytes(to_bytes(counter.to_data())))
    assert canonical_bytes(counter) == canonical_bytes(back)
    if isinstance(same, np.datetime64):
        counter.update(np.array([same]))
    assert counter[key] == counter[same] >= 2


def test_the_order_of_times():
    """Dates come before datetimes, those before moments, each in the order of time; equal midnights of two kinds are two keys."""
    days = [dt.date(2024, 1, 1), dt.date(2024, 1, 2)]
    times = [dt.datetime(2024, 1, 1), NOON]  # noqa: DTZ001 - as most columns are
    listed = [
        "x",
        (1,),
        *days,
        *times,
        *(time.replace(tzinfo=dt.timezone.utc) for time in times),
        uuid.UUID(int=1),
        uuid.UUID(int=2),
    ]
    seen = mg.Set()
    seen.update(listed[::-1])
    assert listed == seen.result()
    stamp = Stamp(2024, 1, 1)
    stamp.__class__ = type("Finer", (Stamp,), {"nanosecond": 1})
    with pytest.raises(TypeError, match=r"^Set\.update: got the key .* a datetime of whole microseconds"):
        seen.update([stamp])
