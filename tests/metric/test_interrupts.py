"""An interrupt (Ctrl-C) at any line leaves a metric as before the verb or as after it, whole, and free for all threads."""

import copy
import pickle
import random

import pytest

import mergeable as mg
from mergeable.encoding.canonical import canonical_bytes
from mergeable.metric import operations
from mergeable.metric.internals import internals
from tests.lines import interrupted, times
from tests.register import ROWS


class Inner(mg.Metric):
    """A metric for each key."""

    n = mg.Count()

    def update_state(self, values):
        self.n += len(values)

    def result(self):
        return self.n.result()


class Few(mg.Metric):
    """States that are changed at once, through the buffer, in a dict, and as an object; and an attribute that is none."""

    total = mg.Sum()
    n = mg.Count()
    seen = mg.Counter()
    held = mg.state(list, merge=list.extend)

    def reset_state(self):
        self.calls = 0

    def update_state(self, values):
        self.calls += 1
        self.total.update(values)
        self.n += len(values)
        self.seen.update(values)
        self.held.extend(values)

    def merge_state(self, metrics):
        self.calls += sum(metric.calls for metric in metrics)

    def result(self):
        return self.n.result(), self.total.result()


class Many(Few):
    """States of all kinds that remember in different ways what they were."""

    mean = mg.Mean()
    counts = mg.Histogram([0.0, 2.0])
    keys = mg.Set()
    pairs = mg.ConfusionMatrix()
    matrix = mg.ConfusionMatrix(2)
    frequent = mg.FrequentItems(2)
    by_key = mg.Keyed(mg.Sum())
    nested = mg.Sliced(Inner())
    recent = mg.Windowed(Inner(), last=2)
    rows = mg.Rows("x")

    def update_state(self, values):
        super().update_state(values)
        self.mean.update(values)
        self.counts.update(values)
        self.keys.update(values)
        self.pairs.update([*map(str, values)], ["a"] * len(values))
        self.matrix.update([1] * len(values), [0] * len(values))
        self.frequent.update([*range(len(values) + 4)])
        self.by_key.update(values, values)
        self.nested.update(values, values)
        self.recent.update(self.calls, values)
        self.rows.update(values)


def made(metric_class=Few):
    """Return a metric with updates of two replicas, some of which wait in buffers."""
    metric = metric_class()
    operations.update(metric, 0, ([1.0, 2.0],), {})
    operations.update(metric, 1, ([0.5],), {})
    return metric


SAVED = made().snapshot().to_bytes()
OTHER = made()


def read_again():
    """Return the snapshot that was saved."""
    return mg.Snapshot.from_bytes(SAVED)


VERBS = {
    "update_state": lambda metric: metric.update_state([3.0, 1.0]),
    "result": lambda metric: metric.result(),
    "reset_state": lambda metric: metric.reset_state(),
    "merge_state": lambda metric: metric.merge_state([OTHER]),
    "snapshot": lambda metric: metric.snapshot(),
    "restore": lambda metric: metric.restore(read_again()),
    "deepcopy": copy.deepcopy,
    "pickle": pickle.dumps,
    "a state read": lambda metric: metric.total.result(),
    "a state set": lambda metric: setattr(metric, "n", 7),
    "a state declared": lambda metric: metric.add_state("more", mg.Sum()),
    "coverage": lambda metric: metric.coverage,
    "repr": repr,
}


def contents(metric):
    """Return all that a metric holds, but for random ids."""
    coverage = metric.coverage
    states = {name: state for name, state in internals(metric).fold().items() if name != "more"}
    return canonical_bytes((states, metric.calls, coverage.updates, coverage.rows, len(coverage)))


def places(act, metric_class):
    """Return when each line that a verb runs comes, at one of the times when it does."""
    act(made(metric_class))  # what is found once and remembered
    return times(act, made(metric_class))


def before_and_after(act, metric_class):
    """Return what a metric holds before a verb and after it."""
    metric = made(metric_class)
    before = contents(metric)
    act(metric)
    return before, contents(metric)


@pytest.mark.parametrize(("verb", "metric_class"), [("update_state", Many), *((verb, Few) for verb in VERBS)])
def test_an_interrupt_leaves_before_or_after(verb, metric_class):
    """After an interrupt at any line of a verb the metric is as before or as after, free, and the next update counts once."""
    act = VERBS[verb]
    allowed, other, found = before_and_after(act, metric_class), contents(OTHER), places(act, metric_class)
    came = 0
    for n in found:
        metric = made(metric_class)
        where = interrupted(act, metric, n)
        came += where is not None
        assert not internals(metric).lock._is_owned(), where
        assert contents(metric) in allowed, where
        expected = metric.coverage.updates + 1, metric.total.result() + 1.0, metric.calls + 1
        metric.update_state([1.0])
        assert expected == (metric.coverage.updates, metric.total.result(), metric.calls), where
    assert other == contents(OTHER)
    assert came > 0.9 * len(found) > 20


def test_what_an_interrupt_leaves_may_be_interrupted_too():
    """Undoing an update, or finishing it, is begun anew where an interrupt cuts it off."""
    update = VERBS["update_state"]
    allowed, draw = before_and_after(update, Many), random.Random(0)
    ends = 0
    for n in places(update, Many)[::3]:
        for m in draw.sample(range(1, 40), 2):
            metric = made(Many)
            where = interrupted(update, metric, n)
            ends += internals(metric).change is not None
            where = where, interrupted(VERBS["result"], metric, m)
            assert not internals(metric).lock._is_owned(), where
            assert contents(metric) in allowed, where
    assert ends


class Holds(mg.Metric):
    """One state of the register."""

    def __init__(self, row):
        super().__init__()
        self.row = row
        self.add_state("held", mg.state(row.state))

    def update_state(self, batch):
        self.row.take(internals(self).view["held"], batch)

    def result(self):
        return None


@pytest.mark.parametrize("name", ROWS)
def test_an_interrupt_of_an_update_of_every_state(name):
    """Whatever a state is, an interrupt of an update leaves it as before or as after."""
    *early, last = ROWS[name].fixed

    def fed():
        metric = Holds(ROWS[name])
        for batch in early:
            metric.update_state(batch)
        return metric

    def update(metric):
        metric.update_state(last)

    def value(metric):
        return canonical_bytes((internals(metric).fold(), metric.coverage.updates))

    after = fed()
    update(after)
    allowed = value(fed()), value(after)
    found = times(update, fed())
    for n in random.Random(name).sample(found, min(12, len(found))):
        metric = fed()
        where = interrupted(update, metric, n)
        assert value(metric) in allowed, where
