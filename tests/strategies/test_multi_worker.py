"""Workers that are real processes on this machine."""

import pytest

from tests.effort import LONG
from tests.strategies import conformance
from tests.strategies.processes import values


@pytest.mark.parametrize(("size", "replicas"), [(2, 1), (3, 1), (2, 2), (3, 2)] if LONG else [(3, 1), (2, 2)])
def test_conformance(size, replicas):
    """Every scenario shows in every worker what it shows alone."""
    conformance.check(values("tests.strategies.programs:conform", size, replicas))
