"""Workers save what each of them holds; merged, that is what all of them showed, and others go on from it."""

import numpy as np
import pytest

import mergeable as mg
from tests.strategies.fit_programs import ROWS, Labels, arrays
from tests.strategies.processes import values


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The folder of a job of three workers, and what each of them has seen."""
    folder = tmp_path_factory.mktemp("saved")
    return folder, values("tests.strategies.fit_programs:saved", 3, str(folder))


def as_bits(result):
    return {name: np.asarray(value, np.float64).tobytes() for name, value in result.items()}


def test_files_of_workers_merge_to_the_epoch(saved):
    """Each worker writes a file per epoch; those of one epoch merge to the bits that Keras showed for all rows."""
    folder, seen = saved

    assert {f"labels-train-000{e}-00{w}.mg" for e in (0, 1) for w in range(3)} == {path.name for path in folder.iterdir()}
    for epoch in (0, 1):
        merged = mg.merge(sorted(folder.glob(f"labels-train-000{epoch}-*.mg")))
        one = as_bits(merged.result(Labels(name="labels")))
        assert [one] * 3 == [
            {name: history[f"labels_{name}"][8 * epoch : 8 * (epoch + 1)] for name in one} for history, _ in seen
        ]
        assert (ROWS, (0, 1, 2)) == (merged.coverage.rows, merged.coverage.workers)
        assert [0, 1, 2] == sorted(row["worker"] for row in merged.metadata)
        assert tuple(f"job 7/labels-train-{epoch}-{worker}" for worker in range(3)) == merged.origins


def test_a_snapshot_of_a_job_is_that_of_all_workers(saved):
    """``snapshot()`` on every worker is the same bytes, and the merge of their files but for the metadata."""
    folder, seen = saved
    (whole,) = {data for _, data in seen}
    merged = mg.merge(sorted(folder.glob("labels-train-0001-*.mg")))
    whole = mg.Snapshot.from_bytes(whole)

    assert ({"epoch": 1, "origins": [*merged.coverage]},) == whole.metadata
    assert (merged.coverage, ("job 7",)) == (whole.coverage, whole.origins)
    assert as_bits(merged.result(Labels(name="labels"))) == as_bits(whole.result(Labels(name="labels")))


@pytest.mark.parametrize(("size", "replicas"), [(2, 1), (2, 2)])
def test_other_workers_go_on(saved, tmp_path, size, replicas):
    """Restored on another number of workers and replicas it counts once, and what comes after is added."""
    folder, _ = saved
    merged = mg.merge(sorted(folder.glob("labels-train-0000-*.mg")))
    merged.save(tmp_path / "all.mg")
    shown = values("tests.strategies.fit_programs:taken_over", size, str(tmp_path / "all.mg"), replicas)
    alone = Labels(name="labels")
    alone.restore(merged)
    for rank in range(size):
        rows = arrays(10, seed=rank)[1]
        alone.update_state(rows, rows)

    assert [(as_bits(alone.result()), ROWS + 10 * size)] * size == [(bits, rows) for bits, rows, _ in shown]
    assert 1 == len({data for *_, data in shown})
