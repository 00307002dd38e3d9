"""Parameters: what they may be, and when two are equal."""

import copy
import dataclasses
import enum
import functools
import math
import pickle
import re

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

import mergeable as mg
from mergeable.encoding.canonical import canonical_bytes
from mergeable.state.parameters import same
from tests import arbitrary

WHOLE = {
    "Count": lambda n: mg.Count(shape=n),
    "Count of two axes": lambda n: mg.Count(shape=(2, n)),
    "Sum": lambda n: mg.Sum(shape=[n]),
    "Covariance": mg.Covariance,
    "BottomK": mg.BottomK,
    "BottomK's seed": lambda n: mg.BottomK(seed=n),
    "WeightedBottomK": mg.WeightedBottomK,
    "CountMin": lambda n: mg.CountMin(n, n, n),
    "CountMin's depth": lambda n: mg.CountMin(depth=n),
    "CountMin's seed": lambda n: mg.CountMin(seed=n),
    "FrequentItems": mg.FrequentItems,
    "HyperLogLog": mg.HyperLogLog,
    "LogLinearHistogram": mg.LogLinearHistogram,
    "LogLinearHistogram's bins": lambda n: mg.LogLinearHistogram(max_bins=n),
    "ScoreHistogram": mg.ScoreHistogram,
    "Calibration": mg.Calibration,
    "ConfusionMatrix": mg.ConfusionMatrix,
    "RankQuantiles": mg.RankQuantiles,
    "TopK": mg.TopK,
    "Bootstrap": lambda n: mg.Bootstrap(mg.Sum(), n),
    "Bootstrap's seed": lambda n: mg.Bootstrap(mg.Sum(), 2, n),
    "Sliced": lambda n: mg.Sliced(mg.Sum(), max_slices=n),
}


@pytest.mark.parametrize("kind", [np.int64, np.uint8, np.int16, np.uint64])
@pytest.mark.parametrize("name", WHOLE)
def test_whole_numbers_of_every_type(name, kind):
    """NumPy's integers are whole numbers, and become Python's, so that both merge and have one file."""
    ours, theirs = WHOLE[name](9), WHOLE[name](kind(9))
    theirs.merge(ours)
    assert canonical_bytes(ours) == canonical_bytes(theirs)
    assert repr(ours.parameters) == repr(theirs.parameters)


@pytest.mark.parametrize("bad", [True, np.True_, 9.0, 9.5, np.float64(9.0), "9", -1, 1j], ids=repr)
@pytest.mark.parametrize("name", WHOLE)
def test_nothing_is_truncated(name, bad):
    """Bools, floats, also whole ones, and strings are no whole numbers: one error, and nothing is rounded."""
    with pytest.raises(ValueError, match=r"got .*, expected (a whole number|sizes of at least 1)"):
        WHOLE[name](bad)


class Threshold(str, enum.Enum):
    LOW = "low"


@dataclasses.dataclass
class Options:
    missing: float
    names: tuple = ()


class Scaler:
    def __init__(self, by=1.0):
        self.by = by


class Empty:
    pass


def named(value):
    """Name a case by its value, without the address of an object, which is another one in every process of the tests."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


NAN = float("nan")
PLAIN = (
    st.none()
    | st.booleans()
    | st.integers(-2, 2)
    | arbitrary.floats()
    | arbitrary.texts()
    | st.sampled_from([np.float64(0.5), np.float32(0.5), 0.5, np.int64(1), np.True_, np.str_("a"), b"a", Threshold.LOW, "low"])
    | arbitrary.arrays(st.sampled_from([0.0, -0.0, NAN, 1.0, 5e-324]), max_size=2)
)
NESTED = st.recursive(
    PLAIN,
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.tuples(inner)
        | st.dictionaries(st.sampled_from(["a", 1, 1.0, True, NAN, float("nan"), np.float64(1.0)]), inner, max_size=2)
        | st.frozensets(st.sampled_from(["a", 1, 1.0, True, NAN, float("nan"), -0.0]), max_size=2)
    ),
    max_leaves=4,
)


@hypothesis.settings(max_examples=300, database=None, derandomize=True)
@hypothesis.given(NESTED, NESTED)
def test_there_is_one_comparison(a, b):
    """Plain values are the same where their canonical bytes are; so is each and its pickle."""
    assert (canonical_bytes(a) == canonical_bytes(b)) == same(a, b)
    assert same(a, pickle.loads(pickle.dumps(a)))


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (NAN, np.float64("nan")),
        ([0.0, NAN], [0.0, float("nan")]),
        ({"missing": NAN}, {"missing": float("nan")}),
        ({NAN: 1}, {float("nan"): 1}),
        (np.array([0.0, NAN]), np.array([0.0, float("nan")])),
        (np.array([None, NAN], object), np.array([None, float("nan")], object)),
        (np.float64(0.5), 0.5),
        ((np.int64(3), np.str_("a")), (3, "a")),
        (np.datetime64("NaT"), np.datetime64("NaT")),
        (Threshold.LOW, "low"),
        (Options(NAN, (NAN,)), Options(float("nan"), (float("nan"),))),
        (Scaler(NAN), Scaler(float("nan"))),
        (Empty(), Empty()),
        (functools.partial(math.pow, 2.0), functools.partial(math.pow, 2.0)),
        (Scaler.__init__, Scaler.__init__),
    ],
    ids=named,
)
def test_equal_parameters(a, b):
    """NaN is NaN, wherever it stands, and NumPy's scalars are Python's numbers."""
    assert same(a, b)
    assert same(b, a)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (1, 1.0),
        (True, 1),
        (0.0, -0.0),
        (0.0, 5e-324),
        ([1.0], (1.0,)),
        ({1: "a"}, {True: "a"}),
        (np.array([1.0]), np.array([1.0], np.float32)),
        (np.array([1.0]), np.array([[1.0]])),
        (Scaler(1.0), Scaler(2.0)),
        (Options(1.0), Options(2.0)),
        (functools.partial(math.pow, 2.0), functools.partial(math.pow, 3.0)),
        (functools.partial(math.pow, 2.0), math.pow),
        (lambda: 1, lambda: 2),
        (np.datetime64("2020"), np.datetime64("2020-01-01")),
    ],
    ids=named,
)
def test_other_parameters(a, b):
    """What differs in type, in bits or in an attribute differs."""
    assert not same(a, b)
    assert not same(b, a)


class Counting(mg.Metric):
    """A user's metric with an argument of any kind."""

    rows = mg.Count()

    def __init__(self, missing=NAN, name=None):
        super().__init__(name)
        self.missing = missing

    def update_state(self, x):
        self.rows += len(x)

    def result(self):
        return self.rows.result()


@pytest.mark.parametrize(
    ("here", "there"),
    [
        (NAN, float("nan")),
        (np.float64(0.5), 0.5),
        (np.float32("nan"), NAN),
        ({"x": [NAN]}, {"x": [float("nan")]}),
        (np.int64(1), 1),
    ],
    ids=named,
)
def test_metrics_with_equal_arguments_merge_in_every_way(here, there, tmp_path):
    """In memory, by pickles and copies, from files and by merge, a metric is compatible with itself."""
    path = tmp_path / "b.mg"
    b = Counting(there)
    b.update_state([1.0])
    b.snapshot().save(path)
    for other in (b, pickle.loads(pickle.dumps(b)), copy.deepcopy(b), path, mg.load(path)):
        a = Counting(here)
        a.update_state([1.0, 2.0])
        a.merge_state([other])
        assert 3 == a.result()
    a = Counting(here)
    a.restore(mg.load(path))
    assert (1, 1) == (a.result(), mg.merge([Counting(here).snapshot(), path]).result(Counting))
    with pytest.raises(mg.IncompatibleStates, match="missing is"):
        Counting(0.25).merge_state([path])
    with pytest.raises(mg.IncompatibleStates, match="missing is"):
        Counting(0.25).merge_state([b])


def test_sliced_takes_the_place_of_an_argument():
    """The place in ``by`` may be NumPy's; a bool is none."""
    assert 0 == mg.Sliced(mg.Sum(), by=np.int64(0)).by
    with pytest.raises(TypeError, match=r"^Sliced: got by=True"):
        mg.Sliced(mg.Sum(), by=True)
