"""Canonical bytes: equal exactly for equal values."""

import collections
import dataclasses
import enum
import math
import os
import struct
import subprocess
import sys
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mergeable as mg
from mergeable.encoding.canonical import canonical_bytes
from mergeable.state.access import assign
from tests import arbitrary

ROOT = Path(__file__).parents[2]
NAN = struct.unpack("<d", struct.pack("<Q", 0xFFF8_0000_0000_0001))[0]


@dataclasses.dataclass
class Point:
    x: int
    names: set


class Plain:
    def __init__(self, x):
        self.x = x


class Bag(mg.Metric):
    pass


def total(*values):
    state = mg.Sum()
    for value in values:
        state.update(value)
    return state


def held(value):
    state = mg.state(set, merge=set.update).empty()
    assign(state, value)
    return state


EQUAL = {
    "order of a dict": ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    "order of a set": ({"a", "b", "ü"}, {"ü", "b", "a"}),
    "kind of a set": ({1, 2}, frozenset([2, 1])),
    "kind of a mapping": ({"a": 1}, collections.Counter("a")),
    "NumPy scalars": ((np.int64(1), np.float64(0.5), np.bool_(True), np.str_("ü")), (1, 0.5, True, "ü")),
    "NaN": (math.nan, NAN),
    "NaN in arrays": (np.array([math.nan, 1.0]), np.array([NAN, 1.0])),
    "NaN of float16": (np.array([math.nan], np.float16), -np.array([math.nan], np.float16)),
    "strides": (np.arange(6).reshape(2, 3).T, np.array([[0, 3], [1, 4], [2, 5]])),
    "objects in an array": (np.array([{"a", "b"}, "x"], object), np.array([{"b", "a"}, "x"], object)),
    "dataclass": (Point(1, {"a", "b"}), Point(1, {"b", "a"})),
    "object": (Plain([1]), Plain([1])),
    "batches of a state": (total(1e16, 1.0, -1e16), total([1.0, -1e16], 1e16)),
    "held objects": (held({"a", "b"}), held({"b", "a"})),
    "enumeration": (enum.IntEnum("E", {"A": 1}).A, 1),
}


@pytest.mark.parametrize(("a", "b"), EQUAL.values(), ids=EQUAL)
def test_equal_values_have_equal_bytes(a, b):
    """Order, memory layout and NaN payload do not show."""
    assert canonical_bytes(a) == canonical_bytes(b)


DIFFERENT = [
    None,
    False,
    True,
    0,
    1,
    -1,
    2**70,
    10**4000,
    0.0,
    -0.0,
    1.0,
    5e-324,
    math.nan,
    math.inf,
    "",
    "1",
    "ü",
    "u\u0308",
    "\ud800",
    b"",
    b"1",
    [],
    [1],
    [[1]],
    [1, 2],
    [2, 1],
    (),
    (1,),
    (1, 2),
    ["1", "2"],
    ["12"],
    ["1,2"],
    {},
    {"a": 1},
    {"a": 2},
    {"a": None},
    {"b": 1},
    {1: "a"},
    {"a": {"b": 1}},
    set(),
    {1},
    {1, 2},
    np.zeros(0),
    np.zeros(1),
    np.zeros(1, np.float32),
    np.zeros(1, np.int64),
    np.zeros((1, 1)),
    np.zeros((0, 1)),
    -np.zeros(1),
    np.array([1, 2]),
    np.array([[1], [2]]),
    np.array(["a"]),
    np.array(["a"], object),
    np.array([b"a"]),
    np.array([1.0], ml_dtypes.bfloat16),
    1j,
    Plain(1),
    Plain(2),
    Point(1, set()),
    Point(1, {"a"}),
    mg.Sum(),
    mg.Sum(shape=1),
    mg.Mean(),
    mg.Max(),
    mg.Min(),
    mg.Count(),
    total(1.0),
    total(math.nan),
    total(5e-324),
    total(1e16),
    total(1e16, 1.0),
    mg.Histogram([0, 1]),
    mg.Histogram([0, 2]),
    mg.Moments(),
    mg.Moments(ddof=1),
    mg.Counter(),
    mg.Set(),
    mg.Keyed(mg.Sum()),
    mg.Keyed(mg.Mean()),
    mg.Tuple(mg.Sum()),
    mg.Tuple(mg.Sum(), mg.Sum()),
    held(set()),
    held({"a"}),
]


def test_different_values_have_different_bytes():
    """No two of many values that differ in type, shape, order or a bit have the same bytes."""
    found = collections.defaultdict(list)
    for value in DIFFERENT:
        found[canonical_bytes(value)].append(repr(value))
    assert [] == [same for same in found.values() if len(same) > 1]


NESTED = st.recursive(
    st.none() | st.booleans() | arbitrary.floats() | arbitrary.plain_keys(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(arbitrary.texts(), inner, max_size=3)
    ),
    max_leaves=6,
)


def tagged(value):
    """Return a text that tells nested values apart by types and bits."""
    if isinstance(value, list | tuple):
        return f"{type(value).__name__}[{', '.join(map(tagged, value))}]"
    if isinstance(value, dict):
        return f"dict[{sorted((k, tagged(v)) for k, v in value.items())}]"
    return f"{type(value).__name__}:{value!r}"


@given(NESTED, NESTED)
def test_bytes_are_equal_exactly_for_equal_values(a, b):
    """Nested values have equal bytes exactly when they are equal in every type and bit."""
    assert (tagged(a) == tagged(b)) == (canonical_bytes(a) == canonical_bytes(b))


def test_taking_the_bytes_changes_nothing_but_the_buffer():
    """A state's bytes are the same however often they are taken, and it takes updates as before."""
    state = total(1.0, 2.0)
    assert canonical_bytes(state) == canonical_bytes(state)
    state.update(3.0)
    assert canonical_bytes(total(1.0, 2.0, 3.0)) == canonical_bytes(state)


def test_bytes_do_not_depend_on_the_process():
    """Nested sets, dicts and states have the same bytes in processes with other hash seeds."""
    code = (
        "import sys, mergeable as mg; from mergeable.encoding.canonical import canonical_bytes; from mergeable.state.access import assign;"
        "s = mg.state(set, merge=lambda a, b: a | b).empty(); assign(s, {'a', 'b', ('ü', None)});"
        "c = mg.Counter(); c.update(['a', 'b', 'ü']);"
        "sys.stdout.buffer.write(canonical_bytes([{'a', 'b', 'ü', b'x', (1, 'c')}, {'x': {'y', 'z'}}, s, c]))"
    )
    outputs = [
        subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        )
        for seed in ("1", "2", "3")
    ]
    assert len({done.stdout for done in outputs}) == 1
    assert len(outputs[0].stdout) > 100
