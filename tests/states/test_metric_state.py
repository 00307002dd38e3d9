"""Metrics as states."""

import numpy as np
import pytest

import mergeable as mg
from mergeable.encoding.canonical import canonical_bytes
from tests.register import Range


def test_a_metric_stays_as_it_is():
    """The state of a metric is empty, whatever the metric holds, and what it takes shows nowhere in the metric."""
    metric = Range(2.0)
    metric.update_state([1.0, 2.0])
    state = metric.as_state()
    assert np.isnan(state.result())
    state.update([1.0, 11.0])
    assert (2.0, 20.0) == (metric.result(), state.result())


def test_updates_are_all_or_nothing():
    """An update that fails leaves every state as it was."""
    state = Range().as_state()
    state.update([1.0, 2.0])
    before = canonical_bytes(state)
    with pytest.raises(TypeError, match=r"^Max\.update"):
        state.update(["a"])
    assert before == canonical_bytes(state)


def test_what_a_result_keeps_is_its_own():
    """An attribute that a result caches does not reach the result of another key."""

    class Cached(mg.Metric):
        total = mg.Sum()
        cache = None

        def update_state(self, x):
            self.total += x

        def result(self):
            if self.cache is None:
                self.cache = self.total.result()
            return self.cache

    keyed = mg.Keyed(Cached())
    keyed.update(["a", "b"], [1.0, 2.0])
    assert {"a": 1.0, "b": 2.0} == keyed.result()
    keyed.update(["a"], [1.0])
    assert {"a": 2.0, "b": 2.0} == keyed.result()


def test_what_is_not_declared_is_refused():
    """Attributes that updates set, and merges of their own, would be shared by all keys."""

    class Sets(mg.Metric):
        total = mg.Sum()

        def update_state(self, x):
            self.total += x
            self.last = x

    class Resets(Sets):
        def reset_state(self):
            self.last = 0

    class Merges(mg.Metric):
        def merge_state(self, metrics):
            pass

    state = Sets().as_state()
    before = canonical_bytes(state)
    with pytest.raises(
        mg.UndeclaredState, match=r"^Sets\.as_state: got values in attributes that are not declared as states: last"
    ):
        state.update([1.0])
    assert before == canonical_bytes(state)
    with pytest.raises(mg.UndeclaredState, match=r"^Resets\.as_state: .*: last"):
        Resets().as_state()
    with pytest.raises(mg.UndeclaredState, match=r"^Merges\.as_state: got a metric with a merge_state of its own"):
        mg.Keyed(Merges())


def test_other_metrics_do_not_merge():
    """Metrics of other classes, arguments or attributes are refused by name."""
    other = Range()
    other.factor = 3.0
    for twin, match in [(mg.Metric(), "metric is"), (Range(2.0), "arguments is"), (other, "attributes is")]:
        with pytest.raises(mg.IncompatibleStates, match=f"parameters differ: {match}"):
            Range().as_state().merge(twin.as_state())


def test_files_build_registered_metrics_alone():
    """A file's nested metric is built where its class is registered; else a metric in hand must bring it."""

    class Inner(mg.Metric):
        total = mg.Sum()

        def update_state(self, x):
            self.total += x

        def result(self):
            return self.total.result()

    class Outer(mg.Metric):
        by_key = mg.Keyed(Inner())

        def update_state(self, keys, x):
            self.by_key.update(keys, x)

        def result(self):
            return self.by_key.result()

    metric = Outer()
    metric.update_state(["a"], [1.0])
    saved = mg.Snapshot.from_bytes(metric.snapshot().to_bytes())
    assert {} == saved.states
    assert {"a": 1.0} == saved.result(Outer)
    with pytest.raises(mg.SnapshotError, match=r"these states cannot be built"):
        mg.merge([saved])
