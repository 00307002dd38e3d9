"""The exchange between processes that are threads: every scenario, with many processes."""

import pytest

from tests.strategies import conformance
from tests.strategies.simulated import run


@pytest.mark.parametrize(
    ("size", "replicas", "by_doubling"),
    [(2, 1, True), (3, 1, True), (4, 2, True), (5, 2, True), (8, 1, True), (2, 2, False), (5, 1, False)],
)
def test_conformance(size, replicas, by_doubling):
    """Every scenario shows in every process what it shows alone, by doubling and where all an engine has is a gather."""
    shown = run(size, lambda processes: conformance.shown(conformance.Joined(processes, replicas)), by_doubling=by_doubling)

    assert size == len(shown)
    conformance.check(shown)
