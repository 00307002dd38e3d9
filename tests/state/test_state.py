"""The base class of states: guards, buffer, savepoints."""

import collections
import copy
import pickle
import tracemalloc

import numpy as np
import pytest

import mergeable as mg
from mergeable.encoding.canonical import canonical_bytes
from mergeable.state.access import assign, freeze
from mergeable.state.state import BUFFER_BYTES
from mergeable.state.undo import commit, rollback, savepoint


class Plain(mg.State):
    """A user's state without a buffer."""

    def __init__(self, scale=1):
        self.scale = scale
        self.items = []

    @property
    def parameters(self):
        return {"scale": self.scale}

    def update(self, items):
        for item in items:
            self.items.append(item * self.scale)

    def merge(self, other):
        self.items.extend(other.items)

    def result(self):
        return sum(self.items)


class Buffered(mg.State):
    """A user's state with a buffer, which counts the calls of absorb, and how many batches came."""

    def __init__(self):
        self.total = 0.0
        self.batches = 0

    def update(self, *columns):
        self.batches += 1
        self.buffer(*map(np.asarray, columns))

    def absorb(self, *columns):
        calls.append([len(column) for column in columns])
        if any((column < 0).any() for column in columns):
            raise ArithmeticError("negative")
        self.total += sum(float(column.sum()) for column in columns)

    def merge(self, other):
        self.total += other.total
        self.batches += other.batches

    def result(self):
        return self.total, self.batches


class Ordered(Buffered):
    """A user's buffered state that keeps the order of arrival."""

    commutative = False

    def __init__(self):
        self.seen = []

    def update(self, column):
        self.buffer(column)

    def absorb(self, column):
        self.seen.extend(column.ravel().tolist())

    def merge(self, other):
        self.seen.extend(other.seen)

    def result(self):
        return self.seen


class Unabsorbing(Plain):
    def update(self, items):
        self.buffer(np.asarray(items))


calls = []


@pytest.fixture(autouse=True)
def _no_calls():
    calls.clear()


def fed(state, *batches):
    for batch in batches:
        state.update(*(batch if isinstance(batch, tuple) else (batch,)))
    return state


# Guards.


@pytest.mark.parametrize(
    ("other", "match"),
    [
        (3, r"^Plain\.merge: got int, expected another Plain\. Merge states of one class only\.$"),
        (mg.Sum(), r"^Plain\.merge: got Sum, expected another Plain"),
        (type("Child", (Plain,), {})(), r"^Plain\.merge: got Child, expected another Plain"),
        (
            Plain(2),
            r"^Plain\.merge: parameters differ: scale is 1 here and 2 there\. States merge only with equal parameters; build both",
        ),
        (Plain(True), r"^Plain\.merge: parameters differ: scale is 1 here and True there"),
        (Plain(np.ones(2)), r"^Plain\.merge: parameters differ: scale is 1 here and array\(\[1., 1.\]\) there"),
    ],
    ids=["number", "state", "subclass", "parameter", "type of a parameter", "array"],
)
def test_what_does_not_merge_is_refused(other, match):
    """Other classes and parameters raise IncompatibleStates before the user's merge runs, and change neither side."""
    state = fed(Plain(), [1])
    before = canonical_bytes((state, other))
    with pytest.raises(mg.IncompatibleStates, match=match):
        state.merge(other)
    assert before == canonical_bytes((state, other))


def test_array_parameters_agree_by_their_elements():
    """Equal arrays are equal parameters."""
    a, b = Plain(np.array([1, 2])), Plain(np.array([1, 2]))
    a.merge(b)
    with pytest.raises(mg.IncompatibleStates, match="parameters differ"):
        a.merge(Plain(np.array([1, 3])))


@pytest.mark.parametrize(
    "make",
    [Plain, Buffered, mg.Sum, mg.Moments, lambda: mg.Tuple(mg.Sum(), mg.Count())],
    ids=["plain", "buffered", "Sum", "Moments", "Tuple"],
)
def test_self_merge(make):
    """A state merged with itself is as if merged with a copy."""
    batch = np.array([1, 2])
    expected = fed(make(), batch)
    expected.merge(fed(make(), batch))
    state = fed(make(), batch)
    state.merge(state)
    assert canonical_bytes(expected) == canonical_bytes(state)


def test_empty_has_the_parameters():
    """empty() gives a fresh state with the same parameters."""
    fresh = fed(Plain(3), [1]).empty()
    assert ({"scale": 3}, 0) == (fresh.parameters, fresh.result())


def test_a_frozen_state_refuses_changes():
    """update, merge, assign and buffered updates of a frozen state raise ReadOnlyState; reading works, a copy may change."""
    for state in (fed(Plain(), [1]), fed(Buffered(), [1])):
        other = copy.deepcopy(state)
        freeze(state)
        before = canonical_bytes(state)
        for change in (
            lambda s=state: s.update([1]),
            lambda s=state, o=other: s.merge(o),
            lambda s=state, o=other: assign(s, o),
        ):
            with pytest.raises(
                mg.ReadOnlyState, match=r": got a change to a merged state, which is a copy; the change would be lost"
            ):
                change()
        assert before == canonical_bytes(state)
        copied = copy.deepcopy(state)
        copied.update([1])
        assert canonical_bytes(copied) != before


def test_a_number_is_not_assigned_to_a_state():
    """Assigning what is no state raises TypeError that says how to change it."""
    with pytest.raises(
        TypeError, match=r"^Plain: got an assignment of 3 \(int\), expected a Plain\. This state is not a number"
    ):
        assign(Plain(), 3)
    with pytest.raises(mg.IncompatibleStates, match=r"^Plain\.assign: parameters differ"):
        assign(Plain(), Plain(2))


def test_assigning_takes_over_a_copy():
    """An assigned state gives its value, with what waits in its buffer, and shares nothing."""
    state, source = fed(Buffered(), [5]), fed(Buffered(), [1], [2])
    assign(state, source)
    source.update([7])
    assert (3.0, 2) == state.result()


def test_unknown_attributes():
    """An attribute that a state does not have is an AttributeError that names both."""
    with pytest.raises(AttributeError, match="Plain has no attribute 'nothing'"):
        Plain().nothing


def test_repr():
    """The repr shows class, parameters and result."""
    assert "<Plain(scale=2): 6>" == repr(fed(Plain(2), [1, 2]))


def test_a_state_needs_its_verbs():
    """A class without update, merge and result cannot be made."""
    with pytest.raises(TypeError, match="abstract"):
        mg.State()


# The buffer.


def test_small_batches_are_absorbed_as_one():
    """Many small batches reach absorb in one call, when the result is read."""
    state = fed(Buffered(), *[[1.0, 2.0]] * 100)
    assert [] == calls
    assert (300.0, 100) == state.result()
    assert [[200]] == calls


def test_reading_twice_absorbs_once():
    """A flushed buffer is empty."""
    state = fed(Buffered(), [1.0])
    state.result(), state.result()
    assert [[1]] == calls


@pytest.mark.parametrize(
    "verb",
    [
        lambda s: s.result(),
        lambda s: s.merge(Buffered()),
        lambda s: Buffered().merge(s),
        pickle.dumps,
        copy.deepcopy,
        lambda s: freeze(s),
        lambda s: assign(Buffered(), s),
        canonical_bytes,
    ],
    ids=["result", "merge into", "merge from", "pickle", "deepcopy", "freeze", "assign", "bytes"],
)
def test_what_flushes(verb):
    """Results, merges from either side, pickles, copies and assignments absorb what waits."""
    state = fed(Buffered(), [1.0], [2.0])
    verb(state)
    assert [[2]] == calls


def test_a_big_batch_goes_straight_through():
    """A batch that fills the buffer alone is absorbed at once, and small ones go on waiting."""
    state = fed(Buffered(), [1.0], np.ones(BUFFER_BYTES // 8))
    assert [[BUFFER_BYTES // 8]] == calls
    assert (1.0 + BUFFER_BYTES // 8, 2) == state.result()


def test_the_buffer_has_a_limit():
    """The buffer is absorbed once it holds 128 KiB, whatever the kinds of the batches."""
    state = Buffered()
    batch = np.ones(BUFFER_BYTES // 8 // 4)
    fed(state, batch, batch.astype(np.float32), batch, batch)
    assert [] == calls
    fed(state, batch)
    assert [[batch.size * 4], [batch.size]] == calls
    assert 0 == state._waiting.nbytes


class Norm(mg.State):
    """A user's state that takes arrays of any trailing shape."""

    total = 0.0

    def update(self, values):
        self.buffer(values)

    def absorb(self, values):
        self.total += float((values**2).sum())

    def merge(self, other):
        self.total += other.total

    def result(self):
        return self.total


ONE = np.array([0.5])

SMALL = {
    "numbers": (mg.Sum, lambda i: (i + 0.5,)),
    "arrays": (mg.Sum, lambda i: (ONE,)),
    "weights": (mg.Mean, lambda i: (ONE, ONE)),
    "labels": (lambda: mg.ConfusionMatrix(2), lambda i: (np.array([1]), np.array([0]))),
    "strings": (mg.HyperLogLog, lambda i: ([f"user {i}"],)),
    "long strings": (mg.HyperLogLog, lambda i: ([f"user {i}" * 40],)),
    "rows without numbers": (lambda: mg.Sum(), lambda i: (np.zeros((3, 0)),)),
    "batches of many kinds": (Norm, lambda i: (np.ones((1, 200 + i % 300)),)),
}


@pytest.mark.parametrize("name", SMALL)
def test_the_buffer_takes_what_it_says(name):
    """However small the batches are, what waits takes 128 KiB and hardly more."""
    make, batch = SMALL[name]
    state = make()
    tracemalloc.start()
    try:
        taken = 0
        for i in range(17_000 if name == "arrays" else 2_500):
            state.update(*batch(i))
            if not i % 50:
                taken = max(taken, tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert taken < 1.4 * BUFFER_BYTES


def test_buffers_side_by_side_share_what_they_take():
    """A thousand slices take some KiB each, whatever was updated, and not 128; copies and what was read from files too."""
    keys, values = [*range(1000)], np.ones(1000)
    sliced = mg.Sliced(mg.Mean())
    sliced.update(keys, values)
    empty = pickle.loads(pickle.dumps(sliced))
    for state in (empty, copy.deepcopy(sliced)):
        tracemalloc.start()
        try:
            for _ in range(12):
                state.update(keys, values)
            taken = tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
        assert taken < 3 * 2**20
    state[999].update(np.ones(2000))  # 16 KB, above the share of one of a thousand
    assert state[999]._waiting.nbytes < 8192


@pytest.mark.parametrize(
    "make", [lambda: mg.Bootstrap(mg.Tuple(mg.Sum(), mg.Max()), 50), lambda: mg.Keyed(mg.Dict(a=mg.Sum()))]
)
def test_shares_of_a_buffer_change_no_byte(make):
    """However often states side by side are flushed, they end in the same bytes."""
    rng = np.random.default_rng(0)
    ids, values = rng.integers(0, 300, 5000), rng.normal(size=5000) * 1e9
    whole, parts = make(), make()
    whole.update(ids, values)
    for rows in np.array_split(np.arange(5000), 90):
        parts.update(ids[rows], values[rows])
    assert canonical_bytes(whole) == canonical_bytes(parts)


def test_the_buffer_keeps_copies():
    """Writing to a batch after the update does not show."""
    batch = np.ones(3)
    state = fed(Buffered(), batch)
    batch[:] = 50
    assert 3.0 == state.result()[0]


def test_batches_of_different_kinds_are_not_joined():
    """Batches that differ in dtype, trailing shape or number of columns are absorbed apart."""
    state = fed(Buffered(), np.ones(1), np.ones((2, 2)), np.ones(3, np.int64), (np.ones(4), np.ones(4)), np.ones(5))
    assert (21.0, 5) == state.result()
    assert [[6], [2], [3], [4, 4]] == calls


def test_the_order_of_arrival_is_kept_where_it_matters():
    """Batches of different kinds do not overtake one another in a state that does not commute."""
    state = Ordered()
    fed(state, np.array([1.0]), np.array([2]), np.array([3.0]), np.full(BUFFER_BYTES // 8, 4), np.array([5.0]))
    assert [1.0, 2, 3.0, 4, 5.0] == list(dict.fromkeys(state.result()))


def test_a_failing_absorb_keeps_what_waits():
    """When absorb raises, the batches go on waiting, and the value is as before."""
    state = fed(Buffered(), [1.0], [-1.0])
    for _ in range(2):
        with pytest.raises(ArithmeticError, match="negative"):
            state.result()
    assert 0.0 == state.total
    assert [[2], [2]] == calls


def test_a_buffer_needs_absorb():
    """buffer() in a class without absorb() says to define it."""
    state = fed(Unabsorbing(), [1])
    with pytest.raises(TypeError, match=r"^Unabsorbing\.buffer: called on a state without an absorb\(\) method; define it"):
        state.result()


# Savepoints.

Large = np.ones(BUFFER_BYTES // 8)

UNDOABLE = {
    "plain": (Plain, [1], [2]),
    "buffered": (Buffered, np.ones(2), np.ones(3)),
    "buffered, of another kind": (Buffered, np.ones(2), np.ones(3, int)),
    "buffered, large": (Buffered, np.ones(2), Large),
    "Sum": (mg.Sum, [1.0], [np.nan]),
    "Sum, large": (mg.Sum, [1.0], Large),
    "Count": (mg.Count, 1, 2),
    "Mean": (mg.Mean, ([1.0], [2.0]), ([3.0], [4.0])),
    "Moments": (mg.Moments, [1.0], [2.0]),
    "Max": (mg.Max, [1.0], [2.0]),
    "ArgMax": (mg.ArgMax, ([1.0], ["a"]), ([2.0], ["b"])),
    "Histogram": (lambda: mg.Histogram([0, 1]), [0.5], Large),
    "Rows": (lambda: mg.Rows("x"), [], [1.0]),
    "Rows, large": (lambda: mg.Rows("x"), [0.5], Large),
    "Counter, journalled": (mg.Counter, ["a", "b"], ["b", "c", "c"]),
    "Set, journalled": (mg.Set, ["a"], ["a", "b"]),
    "ConfusionMatrix": (lambda: mg.ConfusionMatrix(2), ([0], [1]), ([1], [1])),
    "open ConfusionMatrix, journalled": (mg.ConfusionMatrix, (["a"], ["b"]), (["a", "c"], ["b", "a"])),
    "Held": (lambda: mg.state(set, merge=set.update), ["a"], ["b"]),
    "Tuple": (lambda: mg.Tuple(mg.Sum(), mg.Counter(), Plain()), [1], [2]),
    "Dict": (lambda: mg.Dict(a=mg.Sum(), b=mg.Tuple(mg.Set())), [1], [2]),
    "Keyed": (lambda: mg.Keyed(mg.Sum()), (["a", "b"], [1.0, 2.0]), (["b", "c"], [3.0, 4.0])),
    "Keyed of Keyed": (
        lambda: mg.Keyed(mg.Keyed(mg.Dict(a=mg.Counter(), b=mg.Sum()))),
        (["a", "a"], ["x", "y"], [1, 2]),
        (["a", "a", "b"], ["y", "z", "x"], [3, 4, 5]),
    ),
}


def undoable(name):
    make, first, second = UNDOABLE[name]
    return fed(mg.state(make()).empty(), first), second


@pytest.mark.parametrize("waiting", [True, False], ids=["waiting", "flushed"])
@pytest.mark.parametrize("name", UNDOABLE)
class TestSavepoints:
    """Savepoint, rollback and commit of every kind of state."""

    def prepared(self, name, waiting):
        state, batch = undoable(name)
        before = canonical_bytes(undoable(name)[0])
        if not waiting:
            state.flush()
        return state, batch, before

    @pytest.mark.parametrize("steps", ["u", "uu", "ur", "uru", "m", "um", "umu", "mr", "urm", "a", "ua", "au", "mua", ""])
    def test_rollback(self, name, waiting, steps):
        """A rollback undoes updates (u), merges (m), assignments (a), and reading (r) in between, to the byte."""
        state, batch, before = self.prepared(name, waiting)
        savepoint(state)
        for step in steps:
            if step == "u":
                fed(state, batch)
            elif step == "m":
                state.merge(fed(state.empty(), batch))
            elif step == "a":
                assign(state, fed(state.empty(), batch))
            else:
                state.result()
        rollback(state)
        assert before == canonical_bytes(state)

    def test_commit(self, name, waiting):
        """A commit keeps what was written, and a later rollback does nothing."""
        state, batch, _ = self.prepared(name, waiting)
        savepoint(state)
        fed(state, batch)
        commit(state)
        rollback(state)
        assert canonical_bytes(fed(undoable(name)[0], batch)) == canonical_bytes(state)

    def test_a_second_savepoint(self, name, waiting):
        """After a commit a new savepoint remembers the new value; after a rollback the state works on."""
        state, batch, _ = self.prepared(name, waiting)
        savepoint(state)
        fed(state, batch)
        commit(state)
        expected = canonical_bytes(fed(undoable(name)[0], batch))
        for _ in range(2):
            savepoint(state)
            fed(state, batch)
            rollback(state)
        assert expected == canonical_bytes(state)
        assert canonical_bytes(fed(undoable(name)[0], batch, batch)) == canonical_bytes(fed(state, batch))

    def test_copies_carry_no_savepoint(self, name, waiting):
        """A copy or a pickle of a state with an open savepoint is a state without one."""
        state, batch, _ = self.prepared(name, waiting)
        savepoint(state)
        fed(state, batch)
        expected = canonical_bytes(fed(undoable(name)[0], batch))
        for copied in (copy.deepcopy(state), pickle.loads(pickle.dumps(state))):
            rollback(copied)
            assert expected == canonical_bytes(copied)
        rollback(state)
        assert canonical_bytes(undoable(name)[0]) == canonical_bytes(state)


def test_an_update_that_fails_halfway_is_undone():
    """What a failing update has already written is undone."""
    state = fed(Plain(), [1])
    savepoint(state)
    with pytest.raises(TypeError):
        state.update([2, 3, {}])
    assert [1, 2, 3] == state.items
    rollback(state)
    assert [1] == state.items


def test_attributes_beside_the_buffer_are_undone():
    """A buffered state's own attributes, written in update, are undone too."""
    state = fed(Buffered(), [1.0])
    savepoint(state)
    state.update([2.0])
    rollback(state)
    assert (1.0, 1) == state.result()


def test_large_values_are_not_copied_for_an_update():
    """A savepoint around a journalled or buffered update makes no copy of the value."""
    copied = collections.Counter()

    def counting(state):
        original = state._copy_value
        state._copy_value = lambda: copied.update([type(state).__name__]) or original()
        return state

    for state, batch in ((mg.Counter(), ["a"]), (mg.Set(), ["a"]), (mg.Sum(), [1.0]), (mg.Histogram([0, 1]), [0.5])):
        savepoint(counting(state))
        state.update(batch)
        commit(state)
    assert collections.Counter() == copied


def test_overflow_leaves_all_as_it_was():
    """A count that would overflow raises, inside a savepoint and outside, and the value is as before."""
    state = fed(mg.Count(shape=2), [2**63 - 1, 0])
    before = canonical_bytes(state)
    savepoint(state)
    with pytest.raises(OverflowError, match="Nothing was counted"):
        state.update([1, 1])
    rollback(state)
    assert before == canonical_bytes(state)
