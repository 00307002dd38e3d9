"""A job that is killed in the middle of an epoch goes on with nothing lost and nothing twice."""

import shutil

import pytest

from tests.strategies import conformance
from tests.strategies.processes import Job, values

STEPS, ROWS = 10, 24


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """The folder of a job of three workers that were killed after seven and eight of ten steps, and saved after six."""
    folder = tmp_path_factory.mktemp("killed")
    with Job("tests.strategies.programs:resumed", 3, str(folder), 7) as job:
        codes = [worker.process.wait(timeout=100) for worker in job.workers]
    assert [-9] * 3 == codes
    return folder


@pytest.mark.parametrize(("size", "replicas"), [(3, 1), (2, 2)])
def test_a_killed_job_goes_on(killed, tmp_path, size, replicas):
    """Started again, with as many workers or others, it ends in the bits of one process that was never interrupted."""
    alone = conformance.Everything()
    for step in range(STEPS):
        alone.update_state(*conformance.rows(ROWS, seed=step))
    folder = shutil.copytree(killed, tmp_path / "again")
    shown = values("tests.strategies.programs:resumed", size, str(folder), None, replicas)

    assert [(alone.result(), STEPS * ROWS)] * size == [(value, rows) for value, rows, _, _ in shown]
    assert [6] * size == [resumed_at for *_, resumed_at in shown]
