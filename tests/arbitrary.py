"""Hypothesis generators that several test files share: adversarial floats, weights, keys and texts, and batches of them."""

import math

import numpy as np
from hypothesis import strategies as st

from mergeable import laws

WEIGHTS = (0.0, -0.0, 1.0, 0.1, 0.5, 3.0, 1e16, 2.0**53, 5e-324, 2.2250738585072014e-308, 1.7e308, 1e-170)
TEXTS = ("", "a", "b", "ab", "ü", "u\u0308", "日本", "\U0001f600", "\x00", "1", "nan")
BIG_INTS = (0, 1, -1, 2**31, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63), 2**64, 10**400)


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
