"""A job that is killed in the middle of an epoch goes on with nothing lost and nothing twice."""

import shutil

import numpy as np
import pytest

from tests.strategies import conformance
from tests.strategies.fit_programs import ROWS as FIT_ROWS
from tests.strategies.fit_programs import Labels, arrays
from tests.strategies.processes import Job, values

STEPS, ROWS = 10, 24


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """The folder of a job of three workers that were killed after seven and eight of ten steps, and saved after six."""
    folder = tmp_path_factory.mktemp("killed")
    with Job("tests.strategies.programs:resumed", 3, str(folder), 7) as job:
        codes = [worker.code(job.deadline) for worker in job.workers]
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


def test_fit_goes_on_from_a_backup(tmp_path):
    """Keras starts an epoch that was cut again; its metrics are those of an epoch that was not."""
    program = "tests.strategies.fit_programs:backed_up"
    with Job(program, 3, str(tmp_path), True) as job:
        codes = [worker.code(job.deadline) for worker in job.workers]
    assert -9 in codes  # one was killed; the others too, or they fail without it
    assert 0 not in codes
    (begun, history), *others = values(program, 3, str(tmp_path), False)
    alone = Labels(name="plain")
    _, y = arrays(FIT_ROWS)[:2]
    alone.update_state(y, y)

    assert [2] == begun
    assert {f"plain_{name}": [np.float64(value).tobytes()] for name, value in alone.result().items()} == history
    assert [(begun, history)] * 2 == others
