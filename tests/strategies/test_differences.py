"""Workers that run different programs all hear which one differs in what."""

import pytest

from tests.strategies.processes import values

PARAMETER = "the parameter scale of metric 1 is 2.0 on worker 2 and 1.0 on workers 0 and 1"


@pytest.fixture(scope="module")
def differences():
    return values("tests.strategies.programs:differences", 3)


def test_another_parameter(differences):
    """A metric with another parameter is named, with the worker and both values, on every worker."""
    for kind, text in (seen["another parameter"] for seen in differences):
        assert "IncompatibleStates" == kind
        assert f"Scaled.result (metric 'wrong'): got workers whose programs differ: {PARAMETER}. Expected the same" in text


def test_another_parameter_of_what_is_brought_along(differences):
    """Also where it would only have been brought along; the states are as before, and what agrees can be read without it."""
    assert [f"Total.result (metric 'right'): got workers whose programs differ: {PARAMETER}"] * 3 == [
        seen["rides along"][1].partition(". Expected")[0] for seen in differences
    ]
    assert [{"total": 3.0, "givers": 3.0}] * 3 == [seen["alone"] for seen in differences]


def test_another_number_of_metrics(differences):
    """A worker that has built a metric more is named."""
    for kind, text in (seen["one more"] for seen in differences):
        assert "IncompatibleStates" == kind
        assert "the number of metrics is 3 on worker 2 and 2 on workers 0 and 1" in text
