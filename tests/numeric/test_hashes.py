"""Hashes of keys: equal for equal keys, however they came, and alike on every machine."""

import math
import subprocess
import sys

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeable.numeric import hashes, keys
from tests import arbitrary

MIXED = [None, True, 1, 1.0, "1", b"1", (1, "a"), 0.0, math.nan, 10**400, "ü", -1, 2**63, ("1", 1.0)]
KNOWN = [
    12017601128915079454,
    13400266617333852969,
    8614008028692990056,
    18007634915016256461,
    12725505668052092090,
    55831740478919764,
    10932976563671117444,
]


def bits(items, seed=0):
    return hashes.hashed(items, seed, "test").tolist()


def test_keys_of_other_types_differ():
    """Keys that only their type tells apart have other hashes; other seeds give others."""
    found = bits(MIXED) + bits(MIXED, 1)
    assert len(found) == len(set(found))


@pytest.mark.parametrize(
    ("key", "same"),
    [
        (np.int8(1), 1),
        (np.uint64(2**63), 2**63),
        (np.float16(0.5), 0.5),
        (ml_dtypes.bfloat16(0.5), 0.5),
        (-0.0, 0.0),
        (-math.nan, math.nan),
        (np.bool_(True), True),
        (np.str_("ü"), "ü"),
    ],
    ids=str,
)
def test_equal_keys_have_equal_hashes(key, same):
    """A key's hash does not depend on whether it came alone, in an array, or beside keys of other types."""
    expected = bits([same])
    assert expected == bits(np.array([key]))
    assert expected == bits([key])
    assert expected == bits([key, "a"])[:1]
    assert expected == bits(np.array([same, None], object))[:1]


@given(st.lists(arbitrary.keys(), max_size=5))
def test_hashes_are_equal_where_canonical_keys_are(items):
    """Hashes are those of the canonical keys."""
    by_key = {}
    for item, found in zip(items, bits(items), strict=True):
        assert found == by_key.setdefault(keys.canonical(item, "test"), found)


def test_known_hashes():
    """The hashes are these numbers for ever: files hold them."""
    assert KNOWN == bits([1, 1.0, True, "a", b"a", None, (1, "a")])


def test_hashes_do_not_depend_on_the_process():
    """Another process, with another seed of Python's own, finds the same hashes."""
    code = f"from mergeable.numeric import hashes; from math import nan; print(hashes.hashed({MIXED!r}, 7, '').tolist())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert str(bits(MIXED, 7)) == done.stdout.strip()


def test_hashes_look_random():
    """Of many whole numbers in a row, each bit is set about half of the time, and no two hashes are equal."""
    found = hashes.hashed(np.arange(100_000), 3, "test")
    shares = [(found >> np.uint64(i) & np.uint64(1)).mean() for i in range(64)]
    assert 0.49 < min(shares) <= max(shares) < 0.51
    assert 100_000 == np.unique(found).size


@pytest.mark.parametrize(
    "items", ["abc", [object()], [[1]], 3, np.array([1j])], ids=["text", "object", "list", "int", "complex"]
)
def test_what_is_no_key_is_refused(items):
    """Values that are no keys are refused by name."""
    with pytest.raises(TypeError, match=r"^test: got"):
        bits(items)
