"""The law register: every public state x every law of ``mergeable.laws``."""

import copy
import hashlib
import json
import os
import pickle
import random
import subprocess
import sys
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

import mergeable as mg
from mergeable import laws
from mergeable.encoding.canonical import canonical_bytes
from mergeable.laws.rules import Subject
from mergeable.metric.internals import internals
from mergeable.state.undo import commit, rollback, savepoint
from mergeable.states.object_state import ObjectState
from tests import arbitrary, register

ROOT = Path(__file__).parent.parent
EXAMPLES = int(os.environ.get("EXAMPLES", "16"))  # fewer where the same laws run a second time
DIGESTS = """
import hashlib, json, sys
sys.path.insert(0, sys.argv[1])
from mergeable.encoding.canonical import canonical_bytes
from mergeable.laws.rules import Subject
from tests.register import ROWS
print(json.dumps({name: hashlib.sha256(canonical_bytes(row.fed())).hexdigest() for name, row in ROWS.items()}))
"""


@pytest.mark.parametrize("name", register.ROWS)
def test_laws(name):
    """The state keeps every law that says something of it, on adversarial batches, empty ones among them."""
    row = register.ROWS[name]
    claimed = tuple(law for law in laws.LAWS if register.claims(row, law))
    checked = laws.check_state(
        row.state,
        row.batches,
        update=row.update,
        reference=row.reference,
        within=row.within,
        others=row.others,
        laws=claimed,
        examples=EXAMPLES,
    )
    assert claimed == checked


@pytest.mark.parametrize("name", register.DRAWN)
def test_drawn_parameters(name):
    """Whatever the parameters: parts merge to the whole, files and pickles hold it, and the result is the reference's."""

    @hypothesis.settings(max_examples=2 * EXAMPLES, database=None, derandomize=True)
    @hypothesis.given(register.DRAWN[name], st.integers(0, 2**16))
    def holds(chosen, seed):
        state, batches, reference = chosen
        subject = Subject(
            name=name,
            empty=state.empty,
            update=lambda a, batch: a.update(*(batch if isinstance(batch, tuple) else (batch,))),
            merge=lambda a, b: a.merge(b),
            result=lambda a: a.result(),
            value=canonical_bytes,
            reference=reference,
        )
        for law in ("homomorphism", "serialisation", "snapshot", "model") if state.exact else ("serialisation", "snapshot"):
            laws.LAWS[law](subject, batches, random.Random(seed))

    holds()


def test_every_public_state_has_a_row():
    """Every State class that mergeable exports, and mergeable.state, is registered."""
    exported = {getattr(mg, name) for name in mg.__all__ if name != "PyMetric"}
    states = {thing for thing in exported if isinstance(thing, type) and issubclass(thing, mg.State)} - {mg.State}
    assert states | {ObjectState} <= {type(row.state) for row in register.ROWS.values()}


@pytest.mark.parametrize("name", register.ROWS)
def test_fixed_data_agrees_with_the_reference(name):
    """The fixed data of the row fills the state, with the result of the exact reference."""
    row = register.ROWS[name]
    assert canonical_bytes(row.reference(list(row.fixed))) == canonical_bytes(row.fed().result())


SHOWN = {
    "ArgMax": "key n_nan value",
    "ArgMin": "key n_nan value",
    "Bootstrap": "estimate replicates samples seed",
    "BottomK": "count estimate k sample seed",
    "Calibration": "bins brier curve ece edges n n_nan weighted",
    "CoMoments": "correlation covariance intercept means n_nan r2 slope weight",
    "ConfusionMatrix": "labels layout weighted",
    "Count": "shape",
    "CountMin": "count counts depth estimate seed total width",
    "Counter": "most_common total",
    "Covariance": "correlation covariance d estimate mean mean_estimate n n_nan",
    "Deduplicated": "n_conflicts n_dropped",
    "Dict": "",
    "First": "step",
    "FrequentItems": "estimate k max_error top total",
    "Histogram": "edges n_above n_below n_infinite n_nan weighted",
    "HyperLogLog": "count estimate precision seed",
    "Keyed": "",
    "Last": "step",
    "LogLinearHistogram": "estimate max_bins n n_infinite n_nan precision quantile relative_error",
    "Max": "n_nan",
    "Mean": "n_nan weight",
    "Min": "n_nan",
    "Moments": "ddof mean n_nan std variance weight",
    "ObjectState": "value",
    "RankQuantiles": "estimate k n n_infinite n_nan quantile rank rank_error rank_estimate",
    "Rows": "columns",
    "ScoreHistogram": "ks ks_estimate n_nan n_negative n_positive pr_auc pr_auc_estimate precision precision_recall_curve roc_auc "
    "roc_auc_estimate roc_curve weighted",
    "Set": "add",
    "Sliced": "by max_slices n_overflowed overall sizes",
    "Sum": "n_nan shape",
    "TopK": "k most_common total",
    "Tuple": "",
    "WeightedBottomK": "adjusted_weights k sample seed total total_estimate",
    "Windowed": "every last n_dropped newest",
}
"""The names of a state's own that its users see: parameters, and what there is to read beside the result."""

OF_EVERY_STATE = {
    *("empty", "update", "merge", "result"),
    *("parameters", "exact", "commutative", "idempotent", "bounded"),
    *("buffer", "absorb", "flush", "to_data", "from_data", "of", "cells"),  # what a class of states writes or calls
}


@pytest.mark.parametrize("name", [name for name, row in register.ROWS.items() if type(row.state).__name__ in SHOWN])
def test_a_state_shows_a_handful_of_names(name):
    """A state shows its verbs, its facts, what a class of states writes, and what there is to read of it."""
    shown = {attribute for attribute in dir(register.ROWS[name].state) if not attribute.startswith("_")}
    assert {*SHOWN[type(register.ROWS[name].state).__name__].split()} == shown - OF_EVERY_STATE


READ = {"result", "__len__", "__iter__", "__repr__"}


def readings(state, name):
    """Return what a public attribute, or a method that needs no argument, reads of a state that was copied before; errors too."""
    state = copy.deepcopy(state) if name is None else state
    try:
        found = getattr(state, name)
        found = found() if callable(found) else found
        return canonical_bytes(list(found) if hasattr(found, "__next__") else found)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


@pytest.mark.parametrize("name", [name for name, row in register.ROWS.items() if not isinstance(row.state, ObjectState)])
def test_every_reading_sees_every_update(name):
    """Whatever is read first, before any flush and after later updates, is what is read after a flush."""
    row = register.ROWS[name]
    public = {n for n in dir(type(mg.state(row.state))) if not n.startswith("_")} - {*dir(mg.State)}
    for reading in sorted(public | READ):
        waiting, flushed = row.fed(), row.fed()
        for _ in range(2):
            flushed.flush()
            assert readings(flushed, reading) == readings(waiting, reading), reading
            for batch in row.fixed:
                row.take(waiting, batch)
                row.take(flushed, batch)


def go_on(row, state):
    """Let a state take the fixed data again, by updates, absorbed at once, and by a merge."""
    for batch in row.fixed:
        row.take(state, batch)
    state.flush()
    state.merge(row.fed())


@pytest.mark.parametrize("name", [name for name, row in register.ROWS.items() if not isinstance(row.state, ObjectState)])
def test_what_it_gave_stays_as_it_was(name):
    """Data, results, copies and states that took its data stay as they were when the state goes on, and it stays when they do."""
    row = register.ROWS[name]
    state = row.fed()
    twin = state.empty()
    twin.from_data(state.to_data())
    target = state.empty()
    target.merge(state)
    given = [state.to_data(), state.result(), copy.deepcopy(state), twin, target]
    before = [*map(canonical_bytes, given)]

    go_on(row, state)
    assert before == [*map(canonical_bytes, given)]

    after = canonical_bytes(state)
    for other in given[2:]:
        go_on(row, other)
        assert (after, before[0]) == (canonical_bytes(state), canonical_bytes(given[0]))
        assert not state.exact or after == canonical_bytes(other)


@pytest.mark.parametrize("name", register.ROWS)
def test_a_rollback_leaves_no_trace(name):
    """What was written after a savepoint is undone by a rollback, and what follows is as if it had never been."""
    row = register.ROWS[name]
    state, untouched = row.fed(), row.fed()
    for _ in range(2):
        savepoint(state)
        go_on(row, state)
        go_on(row, state)
        rollback(state)
        assert canonical_bytes(untouched) == canonical_bytes(state)

        go_on(row, state)
        go_on(row, untouched)
        assert not state.exact or canonical_bytes(untouched) == canonical_bytes(state)
        state = copy.deepcopy(untouched)


def with_an_odd_item(batch, item):
    """Yield batches of one row in which one column, the first as objects too, or one value has the item in its place."""
    if isinstance(batch, dict):
        try:
            batch = {item: 1}
        except (TypeError, ValueError):  # it has no hash
            return
    columns = batch if isinstance(batch, tuple) else (batch,)
    rows = [column[:1] if hasattr(column, "__len__") and not isinstance(column, dict) else column for column in columns]
    for i, row in enumerate(rows):
        wrapped = [[item]] if i else [[item], np.fromiter([item], object, 1)]
        for odd in wrapped if hasattr(row, "__len__") else [item]:
            replaced = (*rows[:i], odd, *rows[i + 1 :])
            yield row if isinstance(row, dict) else replaced if isinstance(batch, tuple) else odd


class Holder(mg.Metric):
    """A metric of one state."""

    def __init__(self, state, name=None):
        self.add_state("state", state)
        super().__init__(name=name)

    def update_state(self):
        """Take nothing."""

    def result(self):
        """Return nothing."""


@pytest.mark.filterwarnings(
    "ignore:.*(masked element|Casting complex)"
)  # where a shape is asked for, and in a state of the tests
@pytest.mark.parametrize("name", register.ROWS)
def test_what_update_takes_a_file_holds(name):
    """An odd item is refused with nothing changed, or a file without pickles, a pickle and a merge keep it to the byte."""
    row = register.ROWS[name]
    fresh = mg.state(row.state).empty()
    empty, has_objects = (
        canonical_bytes(fresh),
        "state" in name or "Held" in name,
    )  # the user's own, of which any may be pickled
    for item in arbitrary.ODD:
        if has_objects and isinstance(item, np.character):
            continue  # NumPy's own pickles drop zero bytes
        for batch in with_an_odd_item(row.fixed[0], item):
            state = fresh.empty()
            savepoint(state)
            try:
                row.take(state, batch)
                state.flush()
            except (TypeError, ValueError, OverflowError) as error:
                rollback(state)
                assert (empty, False) == (canonical_bytes(state), isinstance(error, UnicodeError)), item  # noqa: PT017 - of many
                continue
            commit(state)
            before = canonical_bytes(state)
            metric, read, merged = Holder(row.state), Holder(row.state), fresh.empty()
            internals(metric).slots.part(0).states["state"].merge(state)
            saved = metric.snapshot().to_bytes()
            read.restore(mg.Snapshot.from_bytes(saved, allow_pickle=has_objects))
            merged.merge(state)
            for twin in (internals(read).fold()["state"], pickle.loads(pickle.dumps(state)), merged):
                assert before == canonical_bytes(twin), item
                assert canonical_bytes(state.result()) == canonical_bytes(twin.result()), item


@pytest.fixture(scope="module")
def digests_by_seed():
    found = []
    for seed in ("0", "4242"):
        command = [sys.executable, "-c", DIGESTS, str(ROOT)]
        done = subprocess.run(command, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True)
        found.append(json.loads(done.stdout))
    return found


@pytest.mark.parametrize("name", register.ROWS)
def test_bytes_do_not_depend_on_the_hash_seed(name, digests_by_seed):
    """The canonical bytes of the row's state are the same in this process and in two with other hash seeds."""
    here = hashlib.sha256(canonical_bytes(register.ROWS[name].fed())).hexdigest()
    assert [here, here] == [digests[name] for digests in digests_by_seed]
