"""A metric is a set of declared states; everything else is derived."""

import collections
import contextlib
import copy
import pickle
import re
import subprocess
import sys
import threading
from fractions import Fraction
from pathlib import Path

import cloudpickle
import numpy as np
import pytest

import mergeable as mg
from mergeable.encoding.canonical import canonical_bytes
from mergeable.metric import operations
from mergeable.metric.internals import internals
from mergeable.metric.user_code import undeclared_values
from mergeable.states.sums import add_at
from tests.notes import notes, own_args

ROOT = Path(__file__).parents[2]


class Accuracy(mg.Metric):
    right = mg.Count()
    rows = mg.Count()

    def update_state(self, y_true, y_pred):
        self.right += int(np.sum(np.asarray(y_true) == np.asarray(y_pred)))
        self.rows += len(y_true)

    def result(self):
        return self.right / self.rows


class Everything(mg.Metric):
    """A metric with a state of every kind, which fails on negative numbers after it has written to all of them."""

    count = mg.Count()
    cells = mg.Count(shape=2)
    total = mg.Sum()
    mean = mg.Mean()
    moments = mg.Moments()
    best = mg.Max()
    worst = mg.ArgMin()
    words = mg.Counter()
    seen = mg.Set()
    histogram = mg.Histogram([0, 1, 2])
    matrix = mg.ConfusionMatrix(3)
    open_matrix = mg.ConfusionMatrix()
    table = mg.Rows("x")
    both = mg.Tuple(mg.Sum(), mg.Set())
    named = mg.Dict(mean=mg.Mean(), worst=mg.Max())
    keyed = mg.Keyed(mg.Sum())
    held = mg.state(set, merge=set.update)
    listed = mg.state(list, merge=list.extend, commutative=False)

    def update_state(self, xs):
        self.count += 1
        self.cells += [1, 2]
        add_at(self.cells, np.array([0]))
        self.total += xs
        self.mean.update(xs)
        self.moments.update(xs)
        self.best += xs
        self.worst.update(xs, list(range(len(xs))))
        self.words.update(xs)
        self.seen.update(xs)
        self.histogram.update(xs)
        self.matrix.update([1] * len(xs), [2] * len(xs))
        self.open_matrix.update(list(map(str, xs)), list(map(str, xs)))
        self.table.update(np.asarray(xs))
        self.both.update(xs)
        self.both[0] += 1
        self.named.update(xs)
        self.named["worst"] = 7.0
        self.keyed.update(xs, xs)
        self.keyed["new"] += 1
        self.held.update(xs)
        self.listed.append(xs)
        if min(xs) < 0:
            raise ArithmeticError("negative")

    def result(self):
        return {"total": float(self.total), "listed": list(self.listed)}


class Items(mg.State):
    """A state of a user that keeps the order of arrival."""

    commutative = False

    def __init__(self):
        self.items = []

    def update(self, items):
        self.items.extend(items)

    def merge(self, other):
        self.items.extend(other.items)

    def result(self):
        return list(self.items)


class Trail(mg.Metric):
    path = Items()

    def update_state(self, items):
        self.path.update(items)

    def result(self):
        return self.path.result()


class Legacy(mg.Metric):
    """A metric with plain attributes, its own reset and its own merge."""

    def reset_state(self):
        self.seen = []
        self.total = 0.0

    def update_state(self, xs):
        self.seen.append(list(xs))
        self.total += sum(xs)
        if self.total > 100:
            self.extra = 1
            raise ArithmeticError("too much")

    def merge_state(self, metrics):
        for metric in metrics:
            self.seen = self.seen + metric.seen
            self.total += metric.total
            if self.total > 100:
                raise ArithmeticError("too much")

    def result(self):
        return self.total


class Undeclared(mg.Metric):
    scratch = ("cache",)
    rows = mg.Count()

    def update_state(self, xs):
        self.cache = xs
        self.highest = max(xs)
        self.lowest = min(xs)
        self.rows += len(xs)

    def result(self):
        return float(self.rows)


class Scratch(Undeclared):
    scratch = ("cache", "highest", "lowest")


class Quantile(mg.Metric):
    def __init__(self, edges, q=0.5, name=None):
        super().__init__(name)
        self.q = q
        self.add_state("histogram", mg.Histogram(edges))
        self.total = mg.Sum()

    def update_state(self, xs):
        self.histogram.update(xs)
        self.total += xs

    def result(self):
        return self.histogram.result().tolist()


def fed(metric, *batches, replica=0):
    for batch in batches:
        operations.update(metric, replica, batch if isinstance(batch, tuple) else (batch,), {})
    return metric


def value(metric):
    return canonical_bytes((internals(metric).fold(), undeclared_values(metric)))


# States, slots, fold.


def test_a_declared_metric_needs_no_more():
    """update_state and result as for one process give the result."""
    metric = Accuracy()
    assert np.isnan(metric.result())
    metric.update_state([1, 0], [1, 1])
    metric.update_state(y_true=[1], y_pred=[1])
    assert 2 / 3 == metric.result()


def test_replicas_have_their_own_states():
    """Each slot has its own states, and the result is their fold, whatever the number of replicas."""
    one, three = Everything(), Everything()
    for i in range(9):
        fed(one, [i, 0.1, 1e16])
        fed(three, [i, 0.1, 1e16], replica=i // 3)
    assert value(one) == value(three)
    assert canonical_bytes(one.result()) == canonical_bytes(three.result())
    assert 3 == internals(three).slots.parts[1].states["count"].result()


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)], ids=str)
def test_slots_are_folded_in_replica_order(order):
    """The fold goes by replica, and not by the order in which replicas came."""
    metric = Trail()
    for replica in order:
        fed(metric, [replica, replica], replica=replica)
    assert [0, 0, 1, 1, 2, 2] == metric.result()


def test_a_fold_changes_no_slot():
    """Reading results leaves every slot as it was."""
    metric = fed(fed(Everything(), [1.0]), [2.0], replica=1)
    before = canonical_bytes({r: slot.states for r, slot in internals(metric).slots.parts.items()})
    metric.result(), metric.result(), repr(metric), metric.total, metric.coverage
    assert before == canonical_bytes({r: slot.states for r, slot in internals(metric).slots.parts.items()})


def test_instances_share_nothing():
    """Two metrics of a class do not see each other's updates."""
    one, two = Accuracy(), Accuracy()
    one.update_state([1], [1])
    assert (1, 0) == (one.rows.result(), two.rows.result())


def test_reading_outside_gives_a_frozen_fold():
    """Outside, a declared name is the merged state, which reads and refuses writes."""
    metric = fed(fed(Accuracy(), ([1], [1])), ([1, 2], [1, 0]), replica=1)
    assert (3, 2) == (int(metric.rows), int(metric.right))
    with pytest.raises(mg.ReadOnlyState, match=r"^Count: got a change to a merged state"):
        metric.rows += 1
    assert 3 == int(metric.rows)


def test_unknown_names_are_attribute_errors():
    """A name that is no state and no attribute raises AttributeError."""
    with pytest.raises(AttributeError, match="'Accuracy' object has no attribute 'nothing'"):
        Accuracy().nothing


def test_verbs_that_are_not_written():
    """A metric without update_state or result says which to write."""
    with pytest.raises(NotImplementedError, match=r"Metric\.update_state is not defined; write it"):
        mg.Metric().update_state(1)
    with pytest.raises(NotImplementedError, match=r"Metric\.result is not defined; write it"):
        mg.Metric().result()


# Reset.


def test_reset_empties_every_state_of_every_replica():
    """After a reset the metric is as new, and draws a new origin."""
    metric = fed(fed(Everything(), [1.0]), [2.0], replica=1)
    origins = set(metric.coverage)
    metric.reset_state()
    assert value(Everything()) == value(metric)
    assert 0 == len(metric.coverage)
    fed(metric, [1.0])
    assert not origins & set(metric.coverage)


def test_a_constructor_that_is_called_again_empties_the_states():
    """``self.__init__()``, by which some reset an object, resets the metric too."""
    metric = fed(Everything(), [1.0])
    metric.__init__()
    assert value(Everything()) == value(metric)
    assert 0 == len(metric.coverage)


def test_own_reset_runs_with_the_derived_one():
    """A reset_state of your own sets plain attributes, and the states are emptied as well."""

    class Mixed(Accuracy):
        def reset_state(self):
            self.seen = []

        def update_state(self, y_true, y_pred):
            super().update_state(y_true, y_pred)
            self.seen.extend(y_true)

    metric = Mixed()
    metric.update_state([1], [1])
    metric.reset_state()
    assert ([], 0) == (metric.seen, int(metric.rows))


# Merge.


def test_merge_of_none_one_and_many():
    """Merging no, one and many metrics gives the bytes of one that took everything."""
    batches = [[0.1, 1e16], [2.0], [-0.0, 5e-324], [3.0]]
    metrics = [fed(Everything(), batch) for batch in batches]
    first = metrics[0]
    first.merge_state([])
    assert value(fed(Everything(), batches[0])) == value(first)
    first.merge_state(iter([metrics[1]]))
    first.merge_state((metrics[2], metrics[3]))
    assert value(fed(Everything(), *batches)) == value(first)
    assert (4, 6) == (first.coverage.updates, first.coverage.rows)
    assert canonical_bytes(fed(Everything(), *batches).result()) == canonical_bytes(first.result())


def test_merge_keeps_the_order_of_the_list():
    """The merged one comes first, then the metrics in the order of the list, each in its replica order."""
    a, b, c = (Trail() for _ in range(3))
    fed(fed(a, [1], replica=1), [0])
    fed(b, [2])
    fed(fed(c, [4], replica=3), [3])
    a.merge_state([b, c])
    assert [0, 1, 2, 3, 4] == a.result()


def test_merge_leaves_the_others_and_shares_nothing():
    """Merged metrics stay as they were, and neither side sees the other's later updates."""
    a, b = fed(Everything(), [1.0]), fed(Everything(), [2.0])
    before = value(b)
    a.merge_state([b])
    joint = value(a)
    assert before == value(b)
    fed(b, [3.0])
    assert joint == value(a)
    before = value(b)
    fed(a, [4.0])
    assert before == value(b)


def test_results_after_a_merge_are_not_stale():
    """A result read before a merge, an update or a reset does not come back after it."""
    a, b = fed(Accuracy(), ([1], [0])), fed(Accuracy(), ([1], [1]))
    assert 0.0 == a.result()
    a.merge_state([b])
    assert 0.5 == a.result()
    a.update_state([1, 1], [1, 1])
    assert 0.75 == a.result()
    a.reset_state()
    assert np.isnan(a.result())


def refused(metric, others, error, match):
    before = [value(m) for m in (metric, *others)], [dict(m.coverage) for m in (metric, *others)]
    with pytest.raises(error, match=match):
        metric.merge_state(others)
    assert before == ([value(m) for m in (metric, *others)], [dict(m.coverage) for m in (metric, *others)])


class OtherAccuracy(Accuracy):
    pass


class Sloppy(mg.Metric):
    """A metric whose state's parameter comes from outside of its own parameters."""

    size = 2

    def __init__(self):
        super().__init__()
        self.add_state("cells", mg.Count(shape=self.size))
        for name in "xyz"[: self.size]:
            self.add_state(name, mg.Sum())

    def update_state(self):
        self.cells += np.ones(self.cells.shape)

    def result(self):
        return 0.0


def sloppy(size, *, names=True):
    Sloppy.size = size
    metric = Sloppy()
    Sloppy.size = 2
    if not names:
        states = internals(metric).declaration.states
        for name in states.keys() - {"cells"}:
            del states[name]
        metric.reset_state()
    return metric


@pytest.mark.parametrize(
    ("make", "others", "match"),
    [
        (Accuracy, lambda: [OtherAccuracy()], r"^Accuracy\.merge_state: got a OtherAccuracy, expected another Accuracy"),
        (OtherAccuracy, lambda: [Accuracy()], r"^OtherAccuracy\.merge_state: got a Accuracy, expected another OtherAccuracy"),
        (
            lambda: Quantile([0, 1], q=0.5),
            lambda: [Quantile([0, 1], q=0.9)],
            r"^Quantile\.merge_state: q is 0\.5 here and 0\.9 there\. .*; if q changes with the data, declare it: q = mergeable\.state",
        ),
        (lambda: Quantile([0, 1]), lambda: [Quantile([0, 1]), Quantile([0, 2])], r"edges is \[0, 1\] here and \[0, 2\] there"),
        (lambda: Quantile(np.array([0, 1])), lambda: [Quantile(np.array([0, 2]))], r"edges is array\(\[0, 1\]\) here"),
        (
            lambda: sloppy(2, names=False),
            lambda: [sloppy(3, names=False)],
            r"merge_state: state 'cells': Count\.merge: parameters differ: shape is \(2,\) here and \(3,\)",
        ),
        (
            lambda: sloppy(2),
            lambda: [sloppy(3)],
            r"the states are \['cells', 'x', 'y'\] here and \['cells', 'x', 'y', 'z'\] there",
        ),
    ],
    ids=["class", "base class", "argument", "second of two", "array argument", "state parameter", "states"],
)
def test_metrics_that_do_not_match_are_refused(make, others, match):
    """Another class, other arguments and other states raise IncompatibleStates, and nothing changes on any side."""
    refused(make(), others(), mg.IncompatibleStates, match)


@pytest.mark.parametrize("other", [3, b"metric", mg.Sum()], ids=["number", "bytes", "state"])
def test_what_is_no_metric_is_refused(other):
    """Anything but metrics in the list raises IncompatibleStates."""
    metric = fed(Accuracy(), ([1], [1]))
    before = value(metric)
    with pytest.raises(mg.IncompatibleStates, match=r"^Accuracy\.merge_state: got \w+, expected metrics of class Accuracy"):
        metric.merge_state([Accuracy(), other])
    assert before == value(metric)


def test_itself_in_the_list_is_refused():
    """The metric itself in the list raises, and nothing is merged."""
    metric = fed(Accuracy(), ([1], [1]))
    refused(
        metric,
        [fed(Accuracy(), ([2], [2])), metric],
        mg.IncompatibleStates,
        "got the metric itself, which would count its updates twice",
    )


def test_one_metric_in_the_place_of_a_list_is_refused():
    """A single metric raises TypeError that says to write a list."""
    with pytest.raises(
        TypeError, match=r"^Accuracy\.merge_state: got one metric, expected a list of metrics\. Write merge_state\(\[metric\]\)"
    ):
        Accuracy().merge_state(Accuracy())


@pytest.mark.parametrize("how", ["twice in a list", "once more", "a copy", "a pickle", "through another"])
def test_a_double_merge_is_refused(how):
    """The same updates twice raise DuplicateOrigin that names origin and replica, and nothing changes."""
    a, b, c = fed(Accuracy(), ([1], [1])), fed(Accuracy(), ([2], [2]), ([3], [3])), Accuracy()
    c.merge_state([b])
    others = {
        "twice in a list": lambda: [b, b],
        "once more": lambda: a.merge_state([b]) or [b],
        "a copy": lambda: [b, copy.deepcopy(b)],
        "a pickle": lambda: [b, cloudpickle.loads(cloudpickle.dumps(b))],
        "through another": lambda: [c, b],
    }[how]()
    (origin,) = b.coverage
    refused(
        a,
        others,
        mg.DuplicateOrigin,
        rf"^merge: the origin {origin} \(replica 0, 2 updates\) came twice; its updates would count twice",
    )


def test_empty_metrics_merge_as_often_as_you_like():
    """A metric without updates has no origin, and may come twice."""
    a, empty = fed(Accuracy(), ([1], [1])), Accuracy()
    a.merge_state([empty, empty])
    assert (1.0, 1) == (a.result(), len(a.coverage))


def test_names_do_not_matter():
    """Metrics of other names merge."""
    a, b = Accuracy(name="train"), fed(Accuracy(name="val"), ([1], [1]))
    a.merge_state([b])
    assert ("train", 1.0) == (a.name, a.result())


def test_the_merged_one_counts_on():
    """After a merge the metric takes updates under its own origin."""
    a, b = fed(Accuracy(), ([1], [1])), fed(Accuracy(), ([2], [2]))
    a.merge_state([b])
    fed(a, ([3], [0]))
    assert (2, 3, 2 / 3) == (len(a.coverage), a.coverage.updates, a.result())


def test_a_merge_that_fails_halfway_changes_nothing():
    """A merge that a later metric refuses leaves all as they were."""

    class Table(mg.Metric):
        total = mg.Sum()
        table = mg.Rows("x")

        def update_state(self, xs):
            self.total += len(xs)
            self.table.update(xs)

        def result(self):
            return float(self.total)

    refused(
        fed(Table(), [1]),
        [fed(Table(), [2]), fed(Table(), ["a"])],
        mg.IncompatibleStates,
        r"^Rows\.merge: got columns of str, expected int64",
    )


# Plain attributes.


def test_undeclared_attributes_are_named():
    """A derived merge of a metric with undeclared attributes raises UndeclaredState that names each, and what to do."""
    match = (
        r"^Undeclared\.merge_state: got values in attributes that are not declared as states: highest, lowest\. Nothing says how "
        r"they merge\. Declare them, as in highest = mergeable\.Sum\(\) on the class, define merge_state, or list in scratch"
    )
    refused(fed(Undeclared(), [1]), [Undeclared()], mg.UndeclaredState, match)
    refused(Undeclared(), [fed(Undeclared(), [1])], mg.UndeclaredState, match)


def test_scratch_is_no_state():
    """Attributes listed in scratch do not hinder a merge."""
    a, b = fed(Scratch(), [1]), fed(Scratch(), [2, 3])
    a.merge_state([b])
    assert 3.0 == a.result()


def test_an_attribute_that_changes_in_place_is_found():
    """A plain attribute of __init__ that an update changes in place raises, and the text says to declare it."""

    class Appending(mg.Metric):
        def __init__(self):
            super().__init__()
            self.items = []

        def update_state(self, x):
            self.items.append(x)

        def result(self):
            return len(self.items)

    refused(
        fed(Appending(), 1),
        [fed(Appending(), 2)],
        mg.IncompatibleStates,
        r"items is \[1\] here and \[2\] there.*declare it: items =",
    )


def test_own_merge_state():
    """A merge_state of your own merges plain attributes, and the others stay as they were."""
    a, b, c = fed(Legacy(), [1]), fed(Legacy(), [2], [3]), fed(Legacy(), [4])
    a.merge_state([b, c])
    assert ([[1], [2], [3], [4]], 10, [[2], [3]]) == (a.seen, a.result(), b.seen)
    assert (4, 3) == (a.coverage.updates, len(a.coverage))


def test_own_merge_state_with_the_derived_one():
    """super().merge_state merges the declared states and checks the class; the rest is your own."""

    class Both(Accuracy):
        def reset_state(self):
            self.names = []

        def update_state(self, y_true, y_pred):
            super().update_state(y_true, y_pred)
            self.names.append(len(y_true))

        def merge_state(self, metrics):
            super().merge_state(metrics)
            for metric in metrics:
                self.names = self.names + metric.names

    a, b = fed(Both(), ([1], [1])), fed(Both(), ([1, 2], [1, 0]))
    a.merge_state([b])
    assert (2 / 3, [1, 2]) == (a.result(), a.names)
    refused(a, [Accuracy()], mg.IncompatibleStates, "got a Accuracy, expected another Both")


def test_own_merge_state_finds_the_declared_states_merged():
    """A merge_state of your own that says nothing of the declared states loses nothing, and counts nothing twice."""

    class Mixed(mg.Metric):
        rows = mg.Count()

        def reset_state(self):
            self.highest = 0.0

        def update_state(self, x):
            self.rows += len(x)
            self.highest = max(self.highest, *x)

        def merge_state(self, metrics):
            for metric in metrics:
                self.highest = max(self.highest, metric.highest)

        def result(self):
            return self.rows.result(), self.highest

    a, b = Mixed(), Mixed()
    a.update_state([1.0, 2.0])
    b.update_state([5.0])
    a.merge_state([b])

    assert (3, 5.0) == a.result()
    assert 3 == a.coverage.rows

    class Twice(Mixed):
        def merge_state(self, metrics):
            for metric in metrics:
                self.rows += metric.rows

    a, b = Twice(), Twice()
    a.update_state([1.0])
    b.update_state([5.0])

    with pytest.raises(mg.ReadOnlyState, match="In merge_state, declared states are merged already"):
        a.merge_state([b])
    assert (1, 1.0) == a.result()
    assert 1 == a.coverage.rows


def test_a_reset_that_fails_is_undone():
    """When a reset_state of your own raises, nothing is lost."""

    class Stubborn(mg.Metric):
        rows = mg.Count()
        ready = True
        scratch = ("ready",)

        def reset_state(self):
            self.seen = []
            if not self.ready:
                raise RuntimeError("not now")

        def update_state(self, x):
            self.rows += len(x)
            self.seen = [*self.seen, *x]

        def result(self):
            return self.rows.result(), self.seen

    metric = Stubborn()
    metric.update_state([1, 2])
    metric.ready = False

    with pytest.raises(RuntimeError, match="not now"):
        metric.reset_state()
    assert (2, [1, 2]) == metric.result()
    assert 2 == metric.coverage.rows


def test_what_result_keeps_for_itself_is_no_state():
    """An attribute that only ``result`` sets is a cache: it blocks no merge."""

    class Caching(mg.Metric):
        rows = mg.Count()

        def update_state(self, x):
            self.rows += len(x)

        def result(self):
            self.shown = self.rows.result()
            return self.shown

    a, b = Caching(), Caching()
    a.update_state([1.0, 2.0])
    b.update_state([5.0])
    a.result()
    a.merge_state([b])

    assert 3 == a.result() == copy.deepcopy(a).shown


def test_own_merge_state_that_fails_is_undone():
    """When a merge_state of your own raises, its attributes are as before."""
    a, b = fed(Legacy(), [60]), fed(Legacy(), [70])
    refused(a, [b], ArithmeticError, "too much")
    assert ([[60]], 60) == (a.seen, a.total)


# Declaring.


def test_states_from_the_constructor():
    """add_state, and a state assigned to an attribute, declare states whose parameters come from the constructor."""
    metric = Quantile([0, 1, 2])
    fed(fed(metric, [0.5, 1e16]), [1.5, 1.0], replica=1)
    assert ([1, 2], 1e16 + 4) == (metric.result(), float(metric.total))
    metric.reset_state()
    assert ([0, 0], 0.0) == (metric.result(), float(metric.total))


@pytest.mark.parametrize(
    ("name", "state", "error", "match"),
    [
        (
            "x",
            mg.Sum,
            TypeError,
            r"^Accuracy\.add_state\('x'\): got <class .*Sum'>, expected a state, such as mergeable\.Sum\(\)",
        ),
        ("x", 3, TypeError, r"^Accuracy\.add_state\('x'\): got 3, expected a state"),
        ("rows", mg.Sum(), ValueError, r"^Accuracy\.add_state\('rows'\): the name is taken; choose another"),
        ("result", mg.Sum(), ValueError, r"^Accuracy\.add_state\('result'\): the name is taken"),
    ],
)
def test_what_cannot_be_declared(name, state, error, match):
    """A class, a number, and names that are taken raise."""
    with pytest.raises(error, match=match):
        Accuracy().add_state(name, state)


def test_a_filled_state_assigned_to_an_attribute_keeps_its_value():
    """A state that is assigned with a value is declared with it."""
    metric = Accuracy()
    filled = mg.Sum()
    filled.update([1e16, 1.0])
    metric.extra = filled
    filled.update(5.0)
    assert 1e16 == float(metric.extra)
    metric.reset_state()
    assert 0.0 == float(metric.extra)


def test_states_assigned_in_reset_state():
    """States of every kind may be assigned in reset_state, at every reset."""

    class Late(mg.Metric):
        def reset_state(self):
            self.words = mg.state(set, merge=set.update)
            self.total = mg.Sum()
            self.mean = mg.Mean()
            self.table = mg.Rows("x")

        def update_state(self, x):
            self.words.add(x)
            self.total += x
            self.mean.update(x)
            self.table.update([x])

        def result(self):
            return sorted(self.words), float(self.total), float(self.mean), len(self.table)

    a, b = Late(), Late()
    fed(a, 5.0)
    a.reset_state()
    fed(a, 1.0)
    fed(b, 2.0, 3.0)
    a.merge_state([b])
    assert ([1.0, 2.0, 3.0], 6.0, 2.0, 3) == a.result()


def test_assignment_of_numbers():
    """``self.count = 0.`` in reset_state, and other numbers in update_state, replace the state's value."""

    class Style(mg.Metric):
        count = mg.Count()
        highest = mg.Max()
        words = mg.state(collections.Counter, merge=collections.Counter.update)

        def reset_state(self):
            self.count = 0.0
            self.highest = float("-inf")
            self.words = collections.Counter()

        def update_state(self, x):
            self.count = self.count + 1
            self.highest = max(float(self.highest), x) if self.count > 1 else x
            self.words = self.words + collections.Counter([x])

        def result(self):
            return int(self.count), float(self.highest), dict(self.words)

    a, b = fed(Style(), 1.0, 3.0), fed(Style(), 2.0)
    a.merge_state([b])
    assert (3, 3.0, {1.0: 1, 3.0: 1, 2.0: 1}) == a.result()
    a.reset_state()
    assert value(Style()) == value(a)


def test_assignment_outside_replaces_the_value_of_all_replicas():
    """A number assigned from outside is the value; one that is refused changes nothing."""
    metric = fed(fed(Accuracy(), ([1], [1])), ([2], [2]), replica=1)
    metric.right = 1
    assert 0.5 == metric.result()
    before = value(metric)
    with pytest.raises(ValueError, match=r"^Count\.assign: got 0\.5, expected whole numbers"):
        metric.right = 0.5
    assert before == value(metric)


def test_inheritance():
    """A subclass has the states of all its bases, may override one, and calls super().update_state."""

    class Loss(mg.Metric):
        loss = mg.Mean()

    class Both(Accuracy, Loss):
        rows = mg.Sum()

        def update_state(self, y_true, y_pred, loss):
            super().update_state(y_true, y_pred)
            self.loss.update(loss)

        def result(self):
            return super().result(), float(self.loss)

    metric = fed(Both(), ([1, 0], [1, 1], [0.5, 1.5]), ([1], [1], [4.0]))
    assert (2 / 3, 2.0) == metric.result()
    assert {"right": mg.Count, "rows": mg.Sum, "loss": mg.Mean} == {
        n: type(s) for n, s in internals(metric).declaration.states.items()
    }
    assert {"right": mg.Count, "rows": mg.Count} == {n: type(s) for n, s in internals(Accuracy()).declaration.states.items()}


# Failing updates.


@pytest.mark.parametrize("xs", [[1.0, 2.0, -1.0], [-1.0], [5.0, -1.0] * 20_000], ids=["small", "single", "large"])
@pytest.mark.parametrize("replica", [0, 2])
def test_a_failing_update_leaves_every_state_as_before(xs, replica):
    """The exception is the user's own, with a note of metric, method and replica; states and coverage are as before."""
    metric = fed(fed(Everything(name="all"), [1.0, 2.0]), [3.0, 4.0], replica=replica)
    before, coverage = value(metric), dict(metric.coverage)
    with pytest.raises(ArithmeticError) as caught:
        fed(metric, xs, replica=replica)
    expected_notes = [f"in Everything.update_state (metric 'all', replica {replica}); the state is as before this update"]
    assert (("negative",), expected_notes) == (own_args(caught.value), notes(caught.value))
    assert (before, coverage) == (value(metric), dict(metric.coverage))
    expected = fed(fed(Everything(), [1.0, 2.0]), [3.0, 4.0], [7.0], replica=replica)
    assert value(expected) == value(fed(metric, [7.0], replica=replica))


def test_a_failing_first_update_leaves_no_trace():
    """When the very first update fails, the metric is as new."""
    metric = Everything()
    with pytest.raises(ArithmeticError):
        fed(metric, [-1])
    assert (value(Everything()), 0) == (value(metric), len(metric.coverage))


def test_a_failing_update_restores_plain_attributes():
    """Undeclared attributes, lists too, are as before a failing update, and new ones are gone."""
    metric = fed(Legacy(), [50])
    with pytest.raises(ArithmeticError):
        fed(metric, [60])
    assert ([[50]], 50, False) == (metric.seen, metric.total, hasattr(metric, "extra"))
    assert {"seen", "total"} == internals(metric).undeclared


def test_a_failing_update_restores_constructor_attributes():
    """An attribute of the constructor that a failing update replaces has its value again, and still is a parameter."""

    class Threshold(mg.Metric):
        def __init__(self):
            super().__init__()
            self.threshold = 0.5

        def update_state(self, x):
            self.threshold = x
            raise ArithmeticError

    metric = Threshold()
    with pytest.raises(ArithmeticError):
        fed(metric, 3)
    assert (0.5, set()) == (metric.threshold, internals(metric).undeclared)


def test_a_failing_update_empties_states_that_it_declared():
    """A state that the failing update itself declared is empty after it."""

    class Late(mg.Metric):
        def update_state(self, x):
            self.total = mg.Sum()
            self.total += x
            if x < 0:
                raise ArithmeticError

        def result(self):
            return float(self.total)

    metric = Late()
    with pytest.raises(ArithmeticError):
        fed(metric, -1.0)
    assert 0.0 == metric.result()


def test_a_state_that_cannot_be_saved_loses_nothing():
    """Where one state cannot open a savepoint, the update fails and every state keeps its value."""

    class Odd(mg.Metric):
        first = mg.Sum()
        held = mg.state(dict, merge=dict.update)
        last = mg.Sum()

        def update_state(self, x):
            self.first += 1
            self.last += 1
            self.held["x"] = x

        def result(self):
            return float(self.first), float(self.last)

    metric = fed(Odd(), (i for i in ()))
    with pytest.raises(mg.MergeableError, match="got a dict that does not pickle"):
        fed(metric, 3)
    assert (1.0, 1.0) == tuple(float(internals(metric).slots.parts[0].states[name]) for name in ("first", "last"))


def test_an_interrupt_is_undone_too():
    """A KeyboardInterrupt in an update leaves the states as before."""

    class Interrupted(mg.Metric):
        total = mg.Sum()

        def update_state(self):
            self.total += 1
            raise KeyboardInterrupt

    metric = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        metric.update_state()
    assert 0.0 == float(metric.total)


@pytest.mark.parametrize("verb", ["result", "reset_state", "merge_state"])
def test_errors_of_other_verbs_are_named(verb):
    """Exceptions in result, reset_state and merge_state carry a note too."""

    class Failing(mg.Metric):
        fails = False

        def result(self):
            raise ArithmeticError("own")

        def merge_state(self, metrics):
            raise ArithmeticError("own")

        def reset_state(self):
            if self.fails:
                raise ArithmeticError("own")

    metric = Failing(name="odd")
    metric.fails = True
    with pytest.raises(ArithmeticError) as caught:
        getattr(metric, verb)(*([[]] if verb == "merge_state" else []))
    assert (("own",), [f"in Failing.{verb} (metric 'odd')"]) == (own_args(caught.value), notes(caught.value))


WRITES = {
    "update": lambda m: m.total.update(1.0),
    "iadd": lambda m: m.total.__iadd__(1),
    "assign": lambda m: setattr(m, "total", 5.0),
    "add_at": lambda m: add_at(m.cells, np.array([0])),
    "part": lambda m: m.both[0].update(1.0),
    "part of a dict": lambda m: m.named.__setitem__("worst", 1.0),
    "key": lambda m: m.keyed[1.0].update(1.0),
    "keys": lambda m: m.keyed.update(["b"], [1.0]),
    "counter": lambda m: m.words.update(["a"]),
    "set": lambda m: m.seen.add("a"),
    "rows": lambda m: m.table.update([1.0]),
    "matrix": lambda m: m.matrix.update([1], [1]),
    "open matrix": lambda m: m.open_matrix.update([1], [1]),
    "merge": lambda m: m.histogram.merge(mg.Histogram([0, 1, 2])),
}


@pytest.mark.parametrize("how", WRITES)
def test_writing_to_the_merged_state_in_result(how):
    """A write to a state in result raises ReadOnlyState, for every way to write, and changes nothing."""

    class Writing(Everything):
        def result(self):
            WRITES[how](self)

    metric = fed(Writing(), [1.0])
    before = value(metric)
    with pytest.raises(mg.ReadOnlyState, match="got a change to a merged state, which is a copy; the change would be lost"):
        metric.result()
    assert before == value(metric)


# Copies.


@pytest.mark.parametrize(
    "copied",
    [copy.deepcopy, copy.copy, lambda m: pickle.loads(pickle.dumps(m)), lambda m: cloudpickle.loads(cloudpickle.dumps(m))],
    ids=["deepcopy", "copy", "pickle", "cloudpickle"],
)
@pytest.mark.parametrize(
    "make",
    [Everything, Legacy, Trail, lambda: Quantile([0, 1], q=0.9, name="q90")],
    ids=["states", "plain", "order", "arguments"],
)
def test_copies_hold_everything_and_share_nothing(make, copied):
    """A copy has the same states, slots, coverage, name and arguments, and lives on its own."""
    metric = fed(fed(make(), [1.0]), [2.0], replica=1)
    twin = copied(metric)
    assert (value(metric), dict(metric.coverage), metric.name, repr(metric)) == (
        value(twin),
        dict(twin.coverage),
        twin.name,
        repr(twin),
    )
    before = value(metric)
    fed(twin, [3.0], replica=1)
    assert before == value(metric)
    assert canonical_bytes(fed(metric, [3.0], replica=1).result()) == canonical_bytes(twin.result())
    twin.reset_state()
    metric.merge_state([twin])


SCRIPT = """
import sys
import numpy as np
import cloudpickle
import mergeable as mg

class Base(mg.Metric):
    total = mg.Sum()
    words = mg.state(set, merge=lambda a, b: a | b)

    def __init__(self, scale=1, name=None):
        super().__init__(name)
        self.scale = scale
        self.keyed = mg.Keyed(mg.Mean())

    def update_state(self, xs):
        self.total += np.asarray(xs) * self.scale
        self.words.add(str(xs))

class Local(Base):
    def update_state(self, xs):
        super().update_state(xs)
        self.keyed.update(["k"] * len(xs), xs)

    def result(self):
        return float(self.total), sorted(self.words), self.keyed.result()

metrics = [Local(scale=3) for _ in range(2)]
metrics[0].update_state([1e16, 1.0])
metrics[1].update_state([-1e16, 0.5])
sys.stdout.buffer.write(cloudpickle.dumps(metrics))
"""


def test_a_class_of_a_script_travels_to_a_process_without_it(tmp_path):
    """Metrics whose class is defined in a script come with it by cloudpickle, and merge and update elsewhere."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, str(script)], cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, capture_output=True, check=True
    )
    a, b = pickle.loads(done.stdout)
    a.merge_state([b])
    assert (4.5, ["[-1e+16, 0.5]", "[1e+16, 1.0]"], {"k": 0.375}) == a.result()
    a.update_state([1.0])
    assert (3, 7.5, 3) == (a.coverage.updates, a.result()[0], a.scale)
    a.reset_state()
    assert (0.0, [], {}) == a.result()


def test_repr():
    """The repr shows class, name, result and coverage; an error in result is shown and does not fail."""
    metric = fed(fed(Accuracy(name="a"), ([1, 2], [1, 0])), ([1], [1]), replica=1)
    assert "<Accuracy a = 0.6666666666666666 (2 updates, 3 rows, 2 origins, replicas 0 and 1)>" == repr(metric)
    assert "<Accuracy accuracy = nan (no updates)>" == repr(Accuracy())
    assert re.match(r"<Metric metric = NotImplementedError: .* \(no updates\)>", repr(mg.Metric()))


@pytest.mark.parametrize(
    ("cls", "name"), [("AUCScore", "auc_score"), ("F1", "f1"), ("MyMetric2D", "my_metric2_d"), ("ABTest", "ab_test")]
)
def test_default_names(cls, name):
    """The default name is the class's name in snake case."""
    assert name == type(cls, (mg.Metric,), {})().name


# Coverage.


@pytest.mark.parametrize(
    ("args", "kwargs", "rows"),
    [
        (([1, 2], [3, 4]), {}, 2),
        ((np.ones((3, 2)),), {}, 3),
        ((np.ones(()),), {}, 1),
        (({"a": np.ones(4), "b": 1},), {}, 4),
        (((np.ones(5), np.ones(5)),), {}, 5),
        ((), {"x": [1]}, 1),
        (("text",), {}, 0),
        ((3.0, [1, 2]), {}, 2),
        ((), {}, 0),
        (([],), {}, 0),
    ],
    ids=str,
)
def test_coverage_counts_updates_and_rows(args, kwargs, rows):
    """Coverage counts updates, and the rows of the first array, by origin and replica."""

    class Any(mg.Metric):
        def update_state(self, *args, **kwargs):
            pass

    metric = Any()
    for replica in (0, 2, 2):
        operations.update(metric, replica, args, kwargs)
    coverage = metric.coverage
    assert (3, 3 * rows, (0, 2), 2) == (coverage.updates, coverage.rows, coverage.replicas, len(coverage))
    assert [mg.Contribution(0, 1, rows), mg.Contribution(2, 2, 2 * rows)] == sorted(coverage.values(), key=lambda c: c.replica)


# Threads.


def in_threads(n, work):
    errors = []

    def run(i):
        try:
            work(i)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [] == errors


@pytest.mark.parametrize("slots", [1, 4])
def test_updates_from_threads(slots):
    """Updates from several threads, in one slot or several, with results in between, lose nothing and mix nothing."""
    metric = Everything()
    words = [[float(i), 0.1, 1e16] for i in range(4)]

    def work(i):
        for n in range(25):
            operations.update(metric, i % slots, (words[i],), {})
            if n % 10 == 0:
                metric.result()
                int(metric.count)

    in_threads(4, work)
    metric.listed = []  # the order of arrival, which threads do not keep
    expected = Everything()
    for _ in range(25):
        fed(expected, *words)
    expected.listed = []
    assert value(expected) == value(metric)
    assert 100 == metric.coverage.updates
    assert float(sum(Fraction(x) for w in words for x in w) * 25) == float(metric.total)


def test_metrics_that_merge_each_other_from_threads_do_not_lock_up():
    """Two threads that merge two metrics crosswise both end, and each result holds a whole number of metrics."""
    pairs = [(fed(Accuracy(), ([1], [1])), fed(Accuracy(), ([2], [2]))) for _ in range(50)]

    def work(i):
        for pair in pairs:
            with contextlib.suppress(mg.DuplicateOrigin):
                pair[i].merge_state([pair[1 - i]])

    in_threads(2, work)
    assert all({1, 2} >= {int(m.rows) for m in pair} and 2 in {int(m.rows) for m in pair} for pair in pairs)


def test_a_merge_from_a_class_that_is_no_state():
    """A state may have its merge from a mixin."""

    class Joins:
        def merge(self, other):
            self.items |= other.items

    class Seen(Joins, mg.State):
        def __init__(self):
            self.items = set()

        def update(self, items):
            self.items |= set(items)

        def result(self):
            return len(self.items)

    class Distinct(mg.Metric):
        seen = Seen()

        def update_state(self, items):
            self.seen.update(items)

        def result(self):
            return self.seen.result()

    metric = fed(fed(Distinct(), [1, 2]), [2, 3], replica=1)
    assert 3 == metric.result()
