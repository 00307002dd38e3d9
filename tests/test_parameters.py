"""Parameters: what they may be, and when two are equal."""

import numpy as np
import pytest

import mergeable as mg
from mergeable.canonical import canonical_bytes

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


def test_sliced_takes_the_place_of_an_argument():
    """The place in ``by`` may be NumPy's; a bool is none."""
    assert 0 == mg.Sliced(mg.Sum(), by=np.int64(0)).by
    with pytest.raises(TypeError, match=r"^Sliced: got by=True"):
        mg.Sliced(mg.Sum(), by=True)
