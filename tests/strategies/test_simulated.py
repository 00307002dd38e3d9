"""The exchange between processes that are threads: every scenario, with many processes, and what may go wrong."""

import pytest

from mergeable.exchange import join
from tests.strategies import conformance
from tests.strategies.simulated import run


class Job:
    """A process of a simulated job with metrics that need no framework."""

    ordered = True

    def __init__(self, processes, replicas):
        self.processes, self.rank, self.size, self.replicas = processes, processes.rank, processes.size, replicas

    def build(self, cls):
        metric = cls()
        join(metric, self.processes)
        return metric

    def update(self, metric, batches):
        mine = list(batches)[self.rank * self.replicas : (self.rank + 1) * self.replicas]
        for replica, batch in enumerate(mine):
            if len(batch[0]):
                metric._update_slot(replica, tuple(batch), {})
            else:
                metric._skip_slot()

    def update_here(self, metric, batch):
        metric._update_slot(0, tuple(batch), {})

    def result(self, metric):
        return metric.result()

    def reset(self, metric):
        metric.reset_state()


@pytest.mark.parametrize(
    ("size", "replicas", "by_doubling"),
    [(2, 1, True), (3, 1, True), (4, 2, True), (5, 2, True), (8, 1, True), (2, 2, False), (5, 1, False)],
)
def test_conformance(size, replicas, by_doubling):
    """Every scenario shows in every process what it shows alone, by doubling and where all an engine has is a gather."""
    shown = run(size, lambda processes: conformance.shown(Job(processes, replicas)), by_doubling=by_doubling)

    assert size == len(shown)
    conformance.check(shown)
