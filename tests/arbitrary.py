"""Hypothesis generators that several test files share: adversarial floats, weights, keys and texts, and batches of them."""

import datetime as dt
import decimal
import enum
import fractions
import math
import uuid

import numpy as np
from hypothesis import strategies as st

from mergeable import laws

WEIGHTS = (0.0, -0.0, 1.0, 0.1, 0.5, 3.0, 1e16, 2.0**53, 5e-324, 2.2250738585072014e-308, 1.7e308, 1e-170)
TEXTS = ("", "a", "b", "ab", "ü", "u\u0308", "日本", "\U0001f600", "\x00", "1", "nan")
BIG_INTS = (0, 1, -1, 2**31, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63), 2**64, 10**400)


class Colour(str, enum.Enum):
    """A string with a name, whose ``str()`` is not the string."""

    RED = "red"


class Size(enum.IntEnum):
    """A whole number with a name."""

    BIG = 3


class Name(str):
    """A string of another class."""

    __slots__ = ()


def nested(depth):
    """Return a tuple in so many others."""
    key = ()
    for _ in range(depth):
        key = (key,)
    return key


_MOMENT = dt.datetime(2024, 2, 29, 12, 30, 15, 250_000)  # noqa: DTZ001 - as most columns are
UNITS = ("Y", "D", "s", "us", "ns", "as")
ODD = (
    *(None, True, False, 0, 1, 1.0, -0.0, math.nan, math.inf, 5e-324, 2**53 + 1, 2**63, 2**70, -(2**70), 2**8192, 10**400),
    *("", "red", "a\0", "\0", "\udcff", "\ud83d\ude00", "\ud83d" + "\ude00", b"", b"red", b"\xff", b"a\0"),
    *((), (None,), ((1, 2.5), "x"), (math.nan,), (-0.0, True), nested(7), nested(40), (1, [2])),
    *(Colour.RED, Size.BIG, Name("red"), np.str_("red"), np.str_("a\0"), np.str_(""), np.bytes_(b"red"), np.bytes_(b"a\0")),
    *(np.bool_(True), np.int8(3), np.uint64(2**63), np.float32(0.1), np.float16(0.1), np.longdouble(1), np.complex64(1), 1j),
    *(np.datetime64("2024-02-29", unit) for unit in UNITS),
    *(np.timedelta64(1, unit) for unit in UNITS),
    *(np.datetime64("NaT"), np.datetime64("NaT", "ns"), np.timedelta64("NaT"), np.timedelta64(1), np.void(b"ab")),
    np.array([(1, 2.0)], "i4,f8")[0],
    *(_MOMENT, _MOMENT.replace(tzinfo=dt.timezone.utc), _MOMENT.date(), _MOMENT.time(), dt.timedelta(1)),
    *(uuid.UUID(int=7), decimal.Decimal("1.10"), fractions.Fraction(1, 3), frozenset({1}), {1}, [1], {"a": 1}, bytearray(b"a")),
    *(object(), int, np.ma.masked, Ellipsis),
)
"""Items that people have in columns of labels, ids and values, and some that nobody should."""


def floats():
    """Return single floats, adversarial ones among them."""
    return st.sampled_from(laws.ADVERSARIAL) | st.floats()


def finite_floats():
    """Return single finite floats, adversarial ones among them."""
    return floats().filter(math.isfinite)


def weights():
    """Return single weights: finite and not below 0."""
    return st.sampled_from(WEIGHTS) | st.floats(min_value=0.0, allow_nan=False, allow_infinity=False)


def arrays(items, dtype=np.float64, columns=None, max_size=6):
    """Return arrays (n,) or (n, columns), also empty ones."""
    rows = items if columns is None else st.lists(items, min_size=columns, max_size=columns)
    shape = (-1,) if columns is None else (-1, columns)
    return st.lists(rows, max_size=max_size).map(lambda rows: np.array(rows, dtype).reshape(shape))


def columns(*items, dtypes=None, max_size=6):
    """Return tuples of columns of one length; a column with a dtype is an array, one with None is a list."""
    dtypes = dtypes or (np.float64,) * len(items)

    def transposed(rows):
        lists = [[row[i] for row in rows] for i in range(len(items))]
        return tuple(xs if dtype is None else np.array(xs, dtype) for xs, dtype in zip(lists, dtypes, strict=True))

    return st.lists(st.tuples(*items), max_size=max_size).map(transposed)


def texts():
    """Return strings, empty and non-ASCII ones among them."""
    return st.sampled_from(TEXTS) | st.text(max_size=3)


def ints():
    """Return whole numbers, big ones among them."""
    return st.sampled_from(BIG_INTS) | st.integers()


def plain_keys():
    """Return keys that Python itself tells apart as this library does."""
    return texts() | ints() | st.binary(max_size=2)


def keys():
    """Return keys of every kind, also tuples of keys."""
    single = st.none() | st.booleans() | st.integers(-2, 2) | floats() | plain_keys()
    return single | st.tuples(single, single)
