"""Moving windows that merge."""

import math
from fractions import Fraction

import numpy as np
import pytest

import mergeable as mg
from mergeable.encoding.canonical import canonical_bytes
from tests import streams


def fed(state, *batches):
    for batch in batches:
        state.update(*batch)
    return state


def test_the_window_moves_on_and_late_rows_are_counted():
    """Steps before the window are dropped, also where they come late, and their rows are counted."""
    window = fed(mg.Windowed(mg.Sum(), last=2), (1, [1.0]), (2, [2.0, 3.0]), (4, [4.0]), (2, [9.0]))
    assert (4.0, 4, 4) == (window.result(), window.n_dropped, window.newest)
    window.update(3, [5.0])
    assert 9.0 == window.result()


def test_times():
    """Times in seconds fall into buckets, before 1970 too."""
    window = fed(mg.Windowed(mg.Sum(), last=1.0, every=0.5), (-0.6, 1.0), (-0.2, 2.0), (0.49, 4.0))
    assert (6.0, 1, 0.0) == (window.result(), window.n_dropped, window.newest)


@pytest.mark.parametrize("every", [0.1, 0.2, 0.7, 1e-3, 1, np.float32(0.1), np.float64(0.1), np.int64(3)])
@pytest.mark.parametrize("kind", [float, np.float32, np.float64])
def test_decimals_are_what_is_written(every, kind):
    """The step that is i times the width, written as a decimal, begins the bucket i, in floats of every width."""
    width = Fraction(str(every))
    for i in range(-30, 31):
        window = fed(mg.Windowed(mg.Sum(), last=every, every=every), (kind(float(i * width)), 1.0))
        assert ([i], float(i * width)) == (list(window._buckets), window.newest)


@pytest.mark.parametrize("seed", range(5))
def test_any_tree(seed):
    """However steps are cut over workers and merged, the window has the same bytes."""
    rng = np.random.default_rng(seed)
    batches = [(int(step), rng.random(3)) for step in rng.integers(0, 50, 60)]
    whole = fed(mg.Windowed(mg.Mean(), last=10, every=2), *batches)
    rng.shuffle(batches)
    merged = streams.merged([fed(mg.Windowed(mg.Mean(), last=10, every=2), batch) for batch in batches], seed)
    assert canonical_bytes(whole) == canonical_bytes(merged)


@pytest.mark.parametrize(
    ("act", "match"),
    [
        (lambda: mg.Windowed(mg.Sum(), last=0), r"^Windowed: got last=0 and every=1, expected numbers above 0"),
        (lambda: mg.Windowed(mg.Sum(), last=3, every=2), r"^Windowed: got last=3 and every=2"),
        (lambda: mg.Windowed(mg.Sum(), last=math.inf), r"^Windowed: got last=inf"),
        (lambda: mg.Windowed(mg.Sum(), last=True), r"^Windowed: got last=True"),
        (lambda: mg.Windowed(mg.Sum(), last="3"), r"^Windowed: got last='3'"),
        (
            lambda: fed(mg.Windowed(mg.Sum(), last=1), (math.nan, 1.0)),
            r"^Windowed\.update: got the step nan, expected one finite",
        ),
        (lambda: fed(mg.Windowed(mg.Sum(), last=1), (2**53, 1.0)), r"^Windowed\.update: got the step 9007199254740992"),
        (lambda: fed(mg.Windowed(mg.Sum(), last=1), ([1, 2], 1.0)), r"^Windowed\.update: got the step \[1, 2\]"),
        (lambda: fed(mg.Windowed(mg.Sum(), last=1), ("a", 1.0)), r"^Windowed\.update: got the step 'a'"),
    ],
)
def test_what_is_refused(act, match):
    """Bad parameters and steps are refused by name."""
    with pytest.raises(ValueError, match=match):
        act()


def test_a_failure_leaves_the_window():
    """Where the inner state refuses a batch, the window has not moved."""
    window = fed(mg.Windowed(mg.Count(), last=2), (1, 1), (2, 1))
    before = canonical_bytes(window)
    with pytest.raises(ValueError, match=r"^Count\.update: got -1"):
        window.update(9, -1)
    assert before == canonical_bytes(window)


def test_empty():
    """An empty window has the empty result, and a batch without rows moves nothing."""
    window = fed(mg.Windowed(mg.Mean(), last=2), (5, []))
    assert math.isnan(window.result())
    assert (0, None) == (window.n_dropped, window.newest)
