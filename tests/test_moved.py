"""What version 0.1 pickled and saved is read by this version, though modules have moved since."""

import pickle
import re
from pathlib import Path

import pytest

import mergeable as mg
from mergeable import metrics
from mergeable.encoding.canonical import canonical_bytes
from tests.register import ROWS

PICKLES = Path(__file__).parent / "golden" / "pickles"
BATCH = [0, 0, 1, 1], [0.001, 0.004, 0.003, 0.008]
OF_STATES = {name: PICKLES / f"{re.sub(r'[^A-Za-z0-9]+', '-', name).strip('-')}.pickle" for name in ROWS}


def read(name):
    return pickle.loads((PICKLES / f"{name}.pickle").read_bytes())


@pytest.mark.parametrize("row", [row for row, path in OF_STATES.items() if path.exists()])
def test_a_state_comes_back(row):
    """A state of any class holds what it held."""
    assert canonical_bytes(pickle.loads(OF_STATES[row].read_bytes())) == canonical_bytes(ROWS[row].fed())


def test_no_pickle_of_a_state_is_missing():
    """Every row of the register that version 0.1 had, but for one of 34 kB, has its pickle."""
    assert ["LogLinearHistogram"] == [row for row, path in OF_STATES.items() if not path.exists()]


def test_a_metric_comes_back():
    """A metric has its value and its coverage, takes batches, and merges with one of this version."""
    metric, other = read("metric"), metrics.AUROC()
    other.update_state(*BATCH)

    assert (0.75, 1, read("coverage")) == (metric.result(), metric.coverage.updates, metric.coverage)
    metric.merge_state([other])
    assert (0.75, 2, 8) == (metric.result(), metric.coverage.updates, metric.coverage.rows)


def test_other_values_come_back():
    """A collection, a snapshot, an estimate and a state of a metric are what they were."""
    assert {"auroc": 0.75, "fine": 0.75} == read("metric-collection").result()
    assert 0.75 == read("snapshot").result()
    assert mg.Estimate(0.75, 0.75, 0.75) == read("estimate")
    assert {"a": 1.0, "b": 1.0} == read("keyed-metric-AUROC").result()


def test_an_old_name_is_the_new_module():
    """An import of the old name finds the module itself, so that no class exists twice."""
    from mergeable.slot import Slot

    from mergeable.part import Part

    assert Slot is Part


def test_a_name_that_never_was_is_not_found():
    """An import of what is no module fails as ever."""
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'mergeable\.slots'"):
        import mergeable.slots  # noqa: F401 - it must fail
