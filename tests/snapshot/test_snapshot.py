"""A snapshot holds what a metric held, says so, and comes back as it was."""

import ast
import collections
import contextlib
import copy
import io
import json
import pickle
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

import mergeable as mg
from mergeable import registry
from mergeable.encoding.archive import Archive
from mergeable.encoding.canonical import canonical_bytes
from mergeable.metric.as_state import Nested
from mergeable.metric.internals import internals
from mergeable.metric.operations import update
from mergeable.snapshot import manifest, read_snapshot
from mergeable.snapshot.contents import Contents, contents
from mergeable.state.access import become
from tests import register
from tests.effort import HANG

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden"


@mg.register(name="tests.Spread")
class Spread(mg.Metric):
    """A metric with an argument, several states, and a registered name."""

    plots = {"histogram": "bins"}

    def __init__(self, edges=(0.0, 1.0, 2.0), name=None):
        super().__init__(name)
        self.add_state("bins", mg.Histogram(edges))

    mean = mg.Mean()
    words = mg.Counter()

    def update_state(self, values, words=()):
        self.bins.update(values)
        self.mean.update(values)
        self.words.update(list(words))

    def result(self):
        return {"mean": self.mean.result(), "bins": self.bins.result().tolist(), "words": self.words.result()}


class Loose(mg.Metric):
    """A metric that no name finds, with an object of a plain type and one that only pickles."""

    seen = mg.state(set, merge=set.update)
    last = mg.state(collections.deque, merge=collections.deque.extend, commutative=False)

    def update_state(self, items):
        self.seen |= set(items)
        self.last.extend(items)

    def result(self):
        return sorted(self.seen), list(self.last)


class Vocabulary(mg.Metric):
    """A metric that no name finds, all of plain data."""

    seen = mg.state(set, merge=set.update)

    def update_state(self, items):
        self.seen |= set(items)

    def result(self):
        return sorted(self.seen)


def fed(metric, *batches):
    for batch in batches:
        metric.update_state(*batch)
    return metric


def spread(*batches, **arguments):
    return fed(Spread(**arguments), *(batches or [([0.1, 1e16, float("nan")], ["a", "b"]), ([1.5], ["a"])]))


def holding(state, name="Holder"):
    """Return a metric whose one state is a copy of this one."""

    class Holder(mg.Metric):
        held = state.empty()

        def update_state(self, full):
            become(internals(self).view["held"], full)

        def result(self):
            return self.held if not hasattr(self.held, "result") else self.held.result()

    Holder.__qualname__ = name
    return fed(Holder(), (state,))


def through_bytes(snapshot, **options):
    return mg.Snapshot.from_bytes(snapshot.to_bytes(), **options)


# Readers share the states.


class Touched(mg.Metric):
    """A metric whose ``result`` keeps what it reads, and that no name finds."""

    rows = mg.Rows("x")
    by = mg.Keyed(mg.Mean())
    seen = mg.state(set, merge=set.update)

    def update_state(self, x):
        self.rows.update(x)
        self.by.update(x, x)
        self.seen |= set(x)

    def result(self):
        self.read = self.rows, self.by, self.seen
        read.append(self.read)
        return len(self.rows)


read = []


def test_a_result_reads_the_states_of_the_snapshot(monkeypatch):
    """Reading a file makes each state once: its results share it, but for an object, which they could change."""
    data = fed(Touched(), ([1.0, 2.0],)).snapshot().to_bytes()
    calls = collections.Counter()
    for name in ("from_data", "merge", "_copy_value"):
        method = getattr(mg.Keyed, name)
        monkeypatch.setattr(mg.Keyed, name, lambda *args, name=name, method=method: calls.update([name]) or method(*args))
    read.clear()
    back = mg.Snapshot.from_bytes(data)
    assert 2 == back.result(Touched) == back.result(Touched())
    part, (one, other) = contents(back).part, read

    assert {"from_data": 1} == calls
    assert part.states["rows"] is one[0] is other[0]
    assert part.states["by"] is one[1] is other[1] is back.states["by"]
    assert {1.0, 2.0} == one[2] == other[2]
    assert one[2] is not other[2]


def test_a_snapshot_folds_once(monkeypatch):
    """Taking a snapshot merges each replica's state once, and copies none."""
    metric = Touched()
    for replica in range(3):
        update(metric, replica, ([1.0, float(replica)],), {})
    calls = collections.Counter()
    for name in ("merge", "_copy_value"):
        method = getattr(mg.Keyed, name)
        monkeypatch.setattr(mg.Keyed, name, lambda *args, name=name, method=method: calls.update([name]) or method(*args))
    metric.snapshot()

    assert {"merge": 3} == calls


def test_a_restored_metric_shares_the_states_of_the_snapshot(monkeypatch):
    """Restoring copies no state, and what comes after reaches neither the snapshot nor another metric."""
    back = through_bytes(fed(Touched(), ([1.0, 2.0],)).snapshot())
    before, copies = back.to_bytes(), []
    method = mg.Keyed._copy_value
    monkeypatch.setattr(mg.Keyed, "_copy_value", lambda state: copies.append(state) or method(state))
    one, other = Touched(), Touched()
    for metric in (one, other):
        metric.restore(back)
    assert [] == copies
    one.update_state([3.0])
    one.by = fed(Touched(), ([9.0],)).by
    one.reset_state()
    other.update_state([4.0])
    other.merge_state([fed(Touched(), ([5.0],))])

    assert (0, 4) == (one.result(), other.result())
    assert before == back.to_bytes()


def spoil(value):
    """Change all that can be changed in what a reader got."""
    if isinstance(value, np.ndarray) and value.flags.writeable and value.size:
        value[...] = value.ravel()[::-1].reshape(value.shape) if value.dtype.kind in "OUSmM" else ~value.astype(bool)
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    for part in list(parts):
        spoil(part)
    if isinstance(value, dict | list | set):
        value.clear()


PLUMBING = {"absorb", "buffer", "drop", "flush", "from_data", "keep_distinct", "parts", "states", "to_data"}
"""What those that hold states read and write, and no metric's result."""


@pytest.mark.parametrize("name", register.ROWS)
def test_what_readers_do_reaches_no_snapshot(name):
    """Whatever a result does to what it reads of a state, the snapshot stays as it is; a change of the state is refused."""
    state = register.ROWS[name].fed()

    class Spoiler(holding(state).__class__):
        def result(self):
            for attribute in [name for name in dir(self.held) if not name.startswith("_") and name not in PLUMBING]:
                with contextlib.suppress(Exception):
                    value = getattr(self.held, attribute)
                    spoil(value() if callable(value) else value)
            spoil(self.held)
            if isinstance(self.held, mg.State):
                with pytest.raises((mg.ReadOnlyState, mg.IncompatibleStates)):
                    self.held.merge(self.held.empty())

    back = through_bytes(fed(Spoiler(), (state,)).snapshot(), allow_pickle=True)
    before = back.to_bytes()
    back.result(Spoiler())
    back.result(Spoiler())

    assert before == back.to_bytes()


# What comes back.


@pytest.mark.parametrize("name", register.ROWS)
def test_every_state_comes_back(name):
    """Each state of the register comes back from a file with the same bytes and result, without a pickle."""
    metric = holding(register.ROWS[name].fed())
    back = through_bytes(metric.snapshot())
    fresh = copy.deepcopy(metric)
    fresh.restore(back)

    assert canonical_bytes(internals(metric).fold()) == canonical_bytes(internals(fresh).fold())
    assert canonical_bytes(metric.result()) == canonical_bytes(back.result(metric))


@pytest.mark.parametrize("name", register.ROWS)
def test_every_empty_state_comes_back(name):
    """Each state of the register comes back empty."""
    metric = holding(register.ROWS[name].fed().empty())
    fresh = copy.deepcopy(metric)
    fresh.restore(through_bytes(metric.snapshot()))

    assert canonical_bytes(internals(metric).fold()) == canonical_bytes(internals(fresh).fold())


def test_a_file_comes_back(tmp_path):
    """What save writes, load reads: states, name, arguments, coverage and metadata."""
    metric = spread(edges=(0.0, 0.5, 2.0), name="errors")
    metric.snapshot({"run": 7, "tags": ["a", 0.5], "shape": np.arange(3)}).save(tmp_path / "a.mg")
    back = mg.load(tmp_path / "a.mg")

    assert ("tests.Spread", "errors", mg.__version__) == (back.metric, back.name, back.version)
    assert {"edges": (0.0, 0.5, 2.0)} == back.arguments
    assert metric.coverage == back.coverage
    assert tuple(metric.coverage) == back.origins
    assert canonical_bytes([{"run": 7, "tags": ["a", 0.5], "shape": np.arange(3), "origins": list(back.origins)}]) == (
        canonical_bytes(list(back.metadata))
    )
    assert canonical_bytes(metric.result()) == canonical_bytes(back.result())
    assert canonical_bytes(metric.result()) == canonical_bytes(back.result(Spread))
    assert canonical_bytes(metric.result()) == canonical_bytes(back.result(spread(edges=(0.0, 0.5, 2.0))))
    assert "<Snapshot of tests.Spread 'errors' (2 updates, 4 rows, replica 0)>" == repr(back)


def test_equal_contents_are_equal_bytes():
    """A snapshot's bytes depend on what it holds alone: not on the order of updates, dicts and sets, or on the clock."""
    metric = spread()
    snapshot = metric.snapshot()
    held = contents(snapshot)
    states = {name: copy.deepcopy(state) for name, state in held.states.items()}
    words = mg.Counter()
    words.update(["b", "a", "a"])
    become(states["words"], words)
    again = mg.Snapshot(Contents.of(held.description, states, held.coverage))

    assert snapshot.to_bytes() == again.to_bytes()
    assert snapshot.to_bytes() == through_bytes(snapshot).to_bytes()


def test_a_snapshot_never_changes():
    """Later updates of the metric, and writes to what a snapshot gives out, do not show."""
    metric = spread()
    snapshot = metric.snapshot({"run": 1})
    before = snapshot.to_bytes()
    metric.update_state([0.5], ["z"])
    metric.reset_state()
    snapshot.metadata[0]["run"] = 2
    snapshot.arguments["edges"] = None
    snapshot.result()["words"]["a"] = 99
    with pytest.raises(mg.ReadOnlyState):
        snapshot.states["words"].update(["x"])

    assert before == snapshot.to_bytes()


def test_a_registered_state_of_ones_own():
    """A user's own state class, registered, needs no metric in hand."""
    state = mg.register(name="tests.Longest")(register.Longest)()
    state.update(["to", "be"])
    back = through_bytes(holding(state).snapshot())

    assert "to" == back.states["held"].result()


def test_a_state_that_holds_states():
    """A user's state that is made of states comes back as data."""

    class Pair(mg.State):
        def __init__(self):
            self.total, self.most = mg.Sum(), mg.Max()

        def update(self, x):
            self.total.update(x)
            self.most.update(x)

        def merge(self, other):
            self.total.merge(other.total)
            self.most.merge(other.most)

        def result(self):
            return self.total.result(), self.most.result()

    state = Pair()
    state.update([1e16, 1.0, -1e16])
    metric = holding(state)

    assert (1.0, 1e16) == through_bytes(metric.snapshot()).result(metric)


def test_an_object_with_plain_attributes_needs_no_pickle():
    """An object of the factory's own class is stored by its attributes, and read by the class in hand."""
    metric = holding(register.ROWS["state(a dataclass)"].fed())
    back = through_bytes(metric.snapshot())

    assert metric.result() == back.result(metric)


# What travels as a pickle.


def test_pickled_states_need_permission(tmp_path):
    """A state that is no plain data is read only with allow_pickle, and the error names it."""
    metric = fed(Loose(), ([3, 1],))
    metric.snapshot().save(tmp_path / "loose.mg")

    with pytest.raises(
        mg.SnapshotError, match=r"loose\.mg: state 'last' is stored by pickle\. Pass allow_pickle=True if you trust"
    ):
        mg.load(tmp_path / "loose.mg")
    back = mg.load(tmp_path / "loose.mg", allow_pickle=True)
    assert ([1, 3], [3, 1]) == back.result(Loose)
    assert ["seen", "last"] == list(back.states)


def test_what_is_pickled_can_be_left_unread(tmp_path):
    """A file's other states and its coverage can be read without its pickles."""
    data = fed(Loose(), ([3, 1],)).snapshot().to_bytes()
    back = read_snapshot(data, "here", trusted=False, peek=True)

    assert 1 == back.coverage.updates
    assert ("collections.deque",) == contents(back).unbuilt["last"].types
    with pytest.raises(
        mg.SnapshotError, match=r"state 'last' is stored by pickle and was not read\. Load the file with allow_pickle"
    ):
        back.result(Loose)


def test_a_plain_object_needs_the_metric_or_permission():
    """mergeable.state(...) is plain data, but only a metric in hand, or a trusted file, says how it merges."""
    data = fed(Vocabulary(), ([1],)).snapshot().to_bytes()
    closed, trusted = mg.Snapshot.from_bytes(data), mg.Snapshot.from_bytes(data, allow_pickle=True)

    assert [1] == closed.result(Vocabulary)
    assert {} == closed.states
    assert {1} == trusted.states["seen"].result()
    with pytest.raises(mg.SnapshotError, match=r"these states cannot be built, as .*: seen \(of Held\)"):
        mg.merge([closed])


def test_arguments_that_are_no_data():
    """What a constructor took that a file cannot hold is named, and an instance brings it."""

    class Scaled(mg.Metric):
        def __init__(self, scale, offset=1.0):
            super().__init__()
            self.scale, self.offset = scale, offset

        total = mg.Sum()

        def update_state(self, x):
            self.total += self.scale(x) + self.offset

        def result(self):
            return self.total.result()

    metric = fed(Scaled(abs), (-2.0,))
    back = through_bytes(metric.snapshot())

    assert {"offset": 1.0} == back.arguments
    assert 3.0 == back.result(Scaled(abs))
    with pytest.raises(
        mg.SnapshotError, match=r"the class Scaled, whose constructor took scale, which a file cannot hold\. Pass an"
    ):
        back.result(Scaled)
    with pytest.raises(mg.IncompatibleStates, match=r"offset is 2.0 here and 1.0 there\. Build the metric as it was"):
        back.result(Scaled(abs, 2.0))


# Which metric.


def test_another_metric_is_refused():
    """A snapshot of another class, or of other states, is refused by name."""
    back = spread().snapshot()

    with pytest.raises(mg.IncompatibleStates, match=r"Snapshot\.result: got a tests\.Spread, expected a Vocabulary"):
        back.result(Vocabulary)
    with pytest.raises(TypeError, match=r"Snapshot\.result: got 3, expected a metric or its class"):
        back.result(3)
    with pytest.raises(mg.IncompatibleStates, match=r"edges is \(0.0, 3.0\) here and \(0.0, 1.0, 2.0\) there"):
        back.result(Spread(edges=(0.0, 3.0)))


def test_a_metric_that_no_name_finds():
    """Without a registered class the error says what to pass, or to register."""
    with pytest.raises(
        mg.SnapshotError, match=r"no class of the name '.*:Vocabulary' is registered. Pass the class, as in result\("
    ):
        Vocabulary().snapshot().result()


def test_a_constructor_that_refuses_the_arguments():
    """A class that cannot be built with what the file says is a SnapshotError."""

    class Picky(mg.Metric):
        total = mg.Sum()

        def __init__(self, n=1):
            if n != 1:
                raise RuntimeError("no")
            super().__init__()

        def result(self):
            return 0

    back = Picky().snapshot()
    contents(back).description.arguments["n"] = 2

    with pytest.raises(
        mg.SnapshotError, match=r"Picky could not be built with the arguments \{'n': 2\} \(RuntimeError: no\). Pass an"
    ):
        back.result(Picky)


@pytest.mark.parametrize(
    ("thing", "error", "match"),
    [
        (lambda: mg.register(3), TypeError, "mergeable.register: got 3, expected the class of a metric or of a state"),
        (lambda: mg.register(dict), TypeError, "expected the class of a metric or of a state"),
        (lambda: mg.register(name="a:b")(Vocabulary), ValueError, "got the name 'a:b', expected one without a colon"),
        (lambda: mg.register(name="Sum")(Vocabulary), ValueError, r"under the name 'Sum', which mergeable.states.sums.Sum has"),
    ],
    ids=["number", "dict", "colon", "taken"],
)
def test_register_refuses(thing, error, match):
    """What is no class, and a name that is taken or has a colon, is refused."""
    with pytest.raises(error, match=match):
        thing()


def test_metadata_must_be_data():
    """Metadata that are no plain data, or are called origins, are refused when the snapshot is made."""
    with pytest.raises(
        TypeError, match=r"Spread.snapshot: got the metadata 'model': <object .*expected strings other than 'origins'"
    ):
        spread().snapshot({"model": object()})
    with pytest.raises(TypeError, match="got the metadata 'origins': 1"):
        spread().snapshot({"origins": 1})


# Metrics take snapshots over.


def test_restoring_goes_on(tmp_path):
    """A restored metric holds what was saved, covers it under its origin, and counts on under one of its own."""
    metric = spread()
    metric.snapshot().save(tmp_path / "a.mg")
    again = fed(Spread(), ([9.0], ["lost"]))
    again.restore(tmp_path / "a.mg")

    assert canonical_bytes(metric.result()) == canonical_bytes(again.result())
    assert metric.coverage == again.coverage
    for one in (metric, again):
        one.update_state([0.25], ["c"])
    assert canonical_bytes(metric.result()) == canonical_bytes(again.result())
    assert (3, 5, 2) == (again.coverage.updates, again.coverage.rows, len(again.coverage))


def test_a_restored_metric_does_not_merge_with_what_it_was_restored_from():
    """What was restored and the snapshot itself are the same updates."""
    snapshot = spread().snapshot()
    again = Spread()
    again.restore(snapshot)

    with pytest.raises(mg.DuplicateOrigin, match="came twice"):
        again.merge_state([snapshot])
    with pytest.raises(mg.DuplicateOrigin, match="came twice"):
        mg.merge([again, snapshot])


def test_a_failed_restoration_changes_nothing(tmp_path):
    """A file that does not fit, or cannot be read, leaves the metric as it was."""
    metric = spread()
    before = canonical_bytes((internals(metric).fold(), dict(metric.coverage)))
    spread(edges=(0.0, 3.0)).snapshot().save(tmp_path / "other.mg")
    (tmp_path / "broken.mg").write_bytes(b"PK")

    for path, error in [("other.mg", mg.IncompatibleStates), ("broken.mg", mg.SnapshotError), ("none.mg", FileNotFoundError)]:
        with pytest.raises(error):
            metric.restore(tmp_path / path)
    with pytest.raises(TypeError, match=r"Spread.restore: got 3, expected a snapshot or the path of one"):
        metric.restore(3)
    assert before == canonical_bytes((internals(metric).fold(), dict(metric.coverage)))


def test_merge_state_takes_metrics_snapshots_and_paths(tmp_path):
    """Metrics, snapshots and paths merge alike, in any mixture, to the bits of one process."""
    parts = [spread(([x, 1e16], ["a"])) for x in (0.1, 0.2, 0.3, -1e16, 5e-324)]
    parts[1].snapshot().save(tmp_path / "1.mg")
    parts[2].snapshot().save(tmp_path / "2.mg")
    one = parts[0]
    one.merge_state([tmp_path / "1.mg", str(tmp_path / "2.mg"), parts[3], parts[4].snapshot()])
    whole = fed(Spread(), *(([x, 1e16], ["a"]) for x in (5e-324, 0.3, 0.2, -1e16, 0.1)))

    assert canonical_bytes(internals(whole).fold()) == canonical_bytes(internals(one).fold())
    assert 5 == len(one.coverage)


def test_a_failed_merge_changes_nothing(tmp_path):
    """One file that does not fit leaves the metric without any of the others."""
    metric = spread()
    before = canonical_bytes((internals(metric).fold(), dict(metric.coverage)))
    spread().snapshot().save(tmp_path / "good.mg")
    spread(edges=(0.0, 3.0)).snapshot().save(tmp_path / "other.mg")

    with pytest.raises(mg.IncompatibleStates, match=r"other\.mg: edges is .* in .*good\.mg and .* in this one"):
        metric.merge_state([tmp_path / "good.mg", tmp_path / "other.mg"])
    with pytest.raises(TypeError, match=r"Spread.merge_state: got one metric, expected a list of metrics"):
        metric.merge_state(tmp_path / "good.mg")
    assert before == canonical_bytes((internals(metric).fold(), dict(metric.coverage)))


class Dropped(mg.Metric):
    """A metric as Keras 2 had them: plain attributes, and a merge of its own."""

    def reset_state(self):
        self.items = []

    def update_state(self, items):
        self.items = [*self.items, *items]

    def merge_state(self, metrics):
        for metric in metrics:
            self.items = [*self.items, *metric.items]

    def result(self):
        return sorted(self.items)


def test_attributes_that_are_not_declared():
    """They are saved and restored; merging them is the metric's own business."""
    metric, other = fed(Dropped(), ([3],)), fed(Dropped(), ([1],))
    saved = through_bytes(other.snapshot())

    assert [1] == saved.result(Dropped)
    metric.merge_state([saved, fed(Dropped(), ([2],))])
    assert [1, 2, 3] == metric.result()
    again = Dropped()
    again.restore(saved)
    assert [1] == again.result()
    with pytest.raises(
        mg.UndeclaredState,
        match=r"merge: <Snapshot of Dropped .*>: got a Dropped, which holds values in attributes .* \(items\). Merge it with",
    ):
        mg.merge([saved])


@pytest.mark.parametrize("name", ["update_state", "_mergeable", "name", "coverage"])
def test_a_file_cannot_put_attributes_in_place_of_the_class(name):
    """An attribute that is a part of the class is refused."""
    saved = fed(Dropped(), ([1],)).snapshot()
    contents(saved).part.undeclared[name] = 3

    with pytest.raises(mg.SnapshotError, match=f"got the attribute '{name}', which is a part of the class"):
        Dropped().restore(through_bytes(saved))


HOSTILE = [
    *("__array_interface__", "__array__", "__fspath__", "__tf_tensor__", "__deepcopy__", "__wrapped__", "__class__", "__"),
    *("_repr_html_", "extra", "_Dropped__x", "", "a b"),
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_chooses_no_names(name):
    """A file brings no attribute that the metric has not set by itself, whoever reads it; nothing changes then."""
    saved = fed(Dropped(), ([1],)).snapshot()
    contents(saved).part.undeclared[name] = {"shape": (1,), "typestr": "<f8", "data": (1, False), "version": 3}
    file, metric = through_bytes(saved), fed(Dropped(), ([2],))
    before = copy.deepcopy(metric.__dict__["items"]), set(metric.__dict__)

    for read in (metric.restore, lambda file: metric.merge_state([file]), lambda file: file.result(Dropped)):
        with pytest.raises(
            mg.SnapshotError, match=r"got the attribute '.*', (which is a part of the class|expected only attributes)"
        ):
            read(file)
    assert before == (metric.items, set(metric.__dict__))


@pytest.mark.parametrize("name", ["__array_interface__", "__fspath__"])
def test_nobody_sets_names_of_protocols(name):
    """A name with two underscores in front is refused of a source that is trusted, and where the metric itself sets it."""
    saved, metric = fed(Dropped(), ([1],)).snapshot(), Dropped()
    contents(saved).part.undeclared[name] = 3
    internals(metric).undeclared.add(name)

    with pytest.raises(mg.SnapshotError, match="which is a part of the class and no value that updates set"):
        metric.restore(saved)


class Latest(mg.Metric):
    """A metric that sets its attribute in updates alone."""

    def update_state(self, x):
        self.latest = x

    def merge_state(self, metrics):
        for metric in metrics:
            self.latest = max(self.latest, metric.latest)

    def result(self):
        return self.latest


def test_an_attribute_that_only_updates_set(tmp_path):
    """A new metric takes it of a file that is trusted, and of another metric; of others the error says where to set it."""
    saved = fed(Latest(), (3,)).snapshot()
    saved.save(tmp_path / "a.mg")

    with pytest.raises(
        mg.SnapshotError,
        match=r"the attribute 'latest', expected only attributes that this Latest has set by itself \(none\), because a file chooses "
        r"no names\. Set it in reset_state too, .* or load the file with allow_pickle=True if you trust who wrote it\.",
    ):
        Latest().restore(tmp_path / "a.mg")
    assert 3 == saved.result(Latest) == mg.load(tmp_path / "a.mg", allow_pickle=True).result(Latest)
    used = fed(Latest(), (2,))
    used.restore(tmp_path / "a.mg")
    assert 3 == used.result()


class Begun(Latest):
    """A metric whose constructor sets the attribute first."""

    def __init__(self):
        super().__init__()
        self.latest = 0


def test_an_attribute_that_the_constructor_set(tmp_path):
    """A new metric takes another value of it as it takes a new attribute: of a file that is trusted, or another metric."""
    saved = fed(Begun(), (3,)).snapshot()

    with pytest.raises(mg.SnapshotError, match=r"the attribute 'latest', expected only .*Set it in reset_state too"):
        through_bytes(saved).result(Begun)
    assert 3 == saved.result(Begun) == through_bytes(saved, allow_pickle=True).result(Begun)


def test_attributes_that_a_file_does_not_have_are_as_after_a_reset():
    """What a file of an older class lacks is no value of the metric in hand."""
    metric = fed(Dropped(), ([1],))
    older = metric.snapshot()
    del contents(older).part.undeclared["items"]

    assert [] == through_bytes(older).result(metric)
    metric.restore(through_bytes(older))
    assert [] == metric.result()


class Piling(Dropped):
    """A metric that writes into its attribute."""

    def update_state(self, items):
        self.items = self.items
        self.items.extend(items)


def test_a_snapshot_shares_no_attribute():
    """What a restored metric does to an attribute changes no snapshot, and no other metric."""
    saved, one, other = fed(Piling(), ([1],)).snapshot(), Piling(), Piling()
    one.restore(saved)
    fed(one, ([2],))
    other.restore(saved)

    assert ([1, 2], [1], [1]) == (one.result(), other.result(), saved.result(Piling))


def test_every_piece_of_a_merge_is_asked_for_attributes():
    """A later piece with an attribute that is not declared is refused as the first one is, and not merged without it."""

    class Silent(mg.Metric):
        rows = mg.Count()

        def update_state(self, x):
            self.rows += 1
            self.last = x

    with pytest.raises(mg.UndeclaredState, match=r"attributes that are not declared as states \(last\)"):
        mg.merge([Silent(), fed(Silent(), (3,))])


@pytest.mark.parametrize("label", ["name", "dtype"])
def test_a_file_brings_no_labels(label):
    """An argument that no save writes does not reach the constructor, where Keras would import what a dtype names."""
    saved, inner = spread().snapshot(), mg.Keyed(Spread(edges=[0.0, 1.0])).parameters["state"][1]
    contents(saved).description.arguments[label] = {"module": "os", "class_name": "system", "config": {}}
    described = {"metric": registry.name_of(Spread), "arguments": {**inner["arguments"], label: "x"}}

    with pytest.raises(mg.SnapshotError, match=f"found the argument {label}, which no file holds"):
        through_bytes(saved).result(Spread)
    for make in (
        lambda: mg.MetricCollection({"a": described}),
        lambda: Nested.of({**inner, "arguments": described["arguments"]}),
    ):
        with pytest.raises(ValueError, match=f"found the argument {label}, which no file holds"):
            make()


@mg.register(name="tests.test_snapshot.Lazy")
class Lazy(mg.State):
    """A state that an update gives an attribute that empty ones do not have."""

    def __init__(self):
        self.total = 0

    def update(self, x):
        self.total += x
        self.seen = True

    def merge(self, other):
        self.update(other.total)

    def result(self):
        return self.total


def test_attributes_of_states_of_ones_own():
    """Those that an empty state has come from any file, and others from one that is trusted, of which they are pickled."""
    state = Lazy()
    state.update(3)
    saved = holding(state)
    with pytest.raises(mg.SnapshotError, match="state 'held' is stored by pickle"):
        through_bytes(saved.snapshot())
    assert through_bytes(saved.snapshot(), allow_pickle=True).states["held"].seen


@pytest.mark.parametrize("name", ["__array_interface__", "update", "_waiting", "_frozen", "extra"])
def test_a_file_chooses_no_names_of_states(name):
    """A file brings a state of one's own no attribute that empty ones do not have."""
    with pytest.raises(ValueError, match="expected total, which are the attributes that the constructor sets"):
        Lazy().from_data({"total": 3, name: 3})


def test_pickles_and_copies_hold_snapshots():
    """A snapshot itself pickles and copies."""
    snapshot = spread().snapshot()

    assert snapshot.to_bytes() == pickle.loads(pickle.dumps(snapshot)).to_bytes()
    assert snapshot.to_bytes() == copy.deepcopy(snapshot).to_bytes()


# The format.


def read_by_hand(path):
    """Read a snapshot with zipfile, json and numpy alone, as the module's docstring says."""
    with zipfile.ZipFile(path) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        names = [name for name in archive.namelist() if name.endswith(".npy")]
        arrays = [np.load(io.BytesIO(archive.read(name)), allow_pickle=False) for name in names]

    def value(tree):
        if not isinstance(tree, dict):
            return [value(part) for part in tree] if isinstance(tree, list) else tree
        ((kind, body),) = tree.items()
        if kind == "int":
            digits, _, shift = body.partition("p")
            return int(digits, 16) << int(shift or 0)
        if kind == "float":
            return np.frombuffer(bytes.fromhex(body), ">f8")[0]
        if kind == "array":
            if isinstance(body, int):
                return arrays[body]
            dtype, shape, data = body
            return np.frombuffer(bytes.fromhex(data), dtype).reshape(shape)
        if kind == "dict":
            return {key: value(part) for key, part in body.items()}
        if kind in ("tuple", "list"):
            return tuple(value(body)) if kind == "tuple" else list(value(body))
        raise AssertionError(f"this file needs no {kind}")

    return manifest, value


def test_readable_without_this_library(tmp_path):
    """zipfile, json and numpy give every number."""
    metric = fed(Spread(edges=np.linspace(0, 1, 101).tolist()), ([0.1, 0.25, 0.25], ["a", "b", "a"]))
    metric.snapshot({"run": 1}).save(tmp_path / "a.mg")
    manifest, value = read_by_hand(tmp_path / "a.mg")
    states = manifest["states"]
    bins, mean, words = (value(states[name]["value"]) for name in ("bins", "mean", "words"))

    assert ("mergeable snapshot", 1, "tests.Spread") == (manifest["format"], manifest["version"], manifest["metric"]["class"])
    assert metric.result()["bins"] == bins["count"].tolist()[:100]
    assert metric.result()["mean"] == mean["total"] / (mean["weight"] << 1074)
    assert [["a", "b"], [2, 1]] == [words["keys"], words["counts"].tolist()]
    assert {"edges": np.linspace(0, 1, 101).tolist()} == value(manifest["metric"]["arguments"])
    assert [{"replica": 0, "updates": 1, "rows": 3, "worker": 0}] == list(manifest["coverage"]["origins"].values())
    assert 1 == value(manifest["metadata"][0])["run"]


def test_the_docstring_names_every_member():
    """The page that documents the format names every member of a manifest, and every kind of value."""
    tree = Archive(spread().snapshot({"a": 1}).to_bytes()).tree
    text = manifest.__doc__ + ast.get_docstring(ast.parse((ROOT / "mergeable" / "encoding" / "plain.py").read_text()))
    members = {*tree, *tree["metric"], *tree["states"]["mean"], *tree["coverage"], "make", "pieces"}

    from mergeable.encoding.plain import _READ

    assert [] == sorted(name for name in members if not re.search(rf"\b{name}\b", manifest.__doc__))
    assert [] == sorted(kind for kind in _READ if f'"{kind}"' not in text)


def golden_name(row):
    return re.sub(r"\W+", "-", row).strip("-")


def write_golden(row):
    """Write the golden file of a row of the register, where there is none."""
    path = GOLDEN / str(manifest.FIRST) / f"{golden_name(row)}.mg"
    assert not path.exists(), "golden files are written once"
    snapshot = holding(register.ROWS[row].fed(), "Golden").snapshot()
    coverage = mg.Coverage({path.stem: mg.Contribution(replica=0, updates=1, rows=len(register.ROWS[row].fixed))})
    held = contents(snapshot)
    mg.Snapshot(Contents.of(held.description, held.states, coverage)).save(path)


@pytest.mark.parametrize("version", ["1", "2"])
def test_old_files_stay_readable(version):
    """Files of every version of the format give the same states as ever, with the coverage that they had."""
    rows = dict(register.ROWS)
    files = {path.stem: path for path in (GOLDEN / version).glob("*.mg")}

    assert files
    for stem, path in files.items():
        (name,) = [name for name in rows if golden_name(name) == stem]
        metric = holding(rows[name].fed().empty(), "Golden")
        back = mg.load(path)
        metric.restore(back)
        assert canonical_bytes(rows[name].reference(list(rows[name].fixed))) == canonical_bytes(
            internals(metric).fold()["held"].result()
        ), name
        assert 1 == back.coverage.updates


def test_no_golden_file_is_missing():
    """Every row of the register has a file of the version that new files have."""
    assert {*map(golden_name, register.ROWS)} == {path.stem for path in (GOLDEN / str(manifest.FIRST)).glob("*.mg")}


def test_a_golden_piece_keeps_its_name():
    """A file of version 2 gives the names of its pieces; what has no names is a file that version 1 reads."""
    back = mg.load(GOLDEN / "2" / "Sum.mg")

    assert ("2026-11-29/shard-03",) == back.origins
    assert (1, 2) == tuple(Archive(piece.to_bytes()).tree["version"] for piece in (holding(mg.Sum()).snapshot(), back))


# Other processes.


def test_another_process_reads_it(tmp_path):
    """A fresh process with another hash seed reads a file and writes the same bytes."""
    spread().snapshot().save(tmp_path / "a.mg")
    code = f"""
import sys
import mergeable as mg
back = mg.load({str(tmp_path / "a.mg")!r})
back.save({str(tmp_path / "b.mg")!r})
print(back.states["words"].result())
"""
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONHASHSEED": "77", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
        timeout=HANG,
    )

    assert "{'a': 2, 'b': 1}" == run.stdout.strip()
    assert (tmp_path / "a.mg").read_bytes() == (tmp_path / "b.mg").read_bytes()
