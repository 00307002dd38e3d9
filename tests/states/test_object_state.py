"""Any Python object as a state."""

import collections
import copy
import dataclasses
import pickle

import cloudpickle
import numpy as np
import pytest

import mergeable as mg
from mergeable.encoding.canonical import canonical_bytes
from mergeable.state.access import assign, view
from mergeable.state.undo import commit, rollback, savepoint


@dataclasses.dataclass
class Range:
    """A user's dataclass: the smallest interval that holds all values."""

    low: float = np.inf
    high: float = -np.inf

    def update(self, values):
        self.low, self.high = min(self.low, *values), max(self.high, *values)

    def merge(self, other):
        return Range(min(self.low, other.low), max(self.high, other.high))


def held(state, value):
    state = state.empty()
    assign(state, value)
    return state


def words():
    return mg.state(set, merge=set.update, idempotent=True)


def test_the_object_is_what_user_code_sees():
    """view() is the object itself, and result() a copy of it."""
    state = words()
    view(state).add("a")
    state.result().add("b")
    assert view(state) is state.value
    assert {"a"} == state.value


def test_an_object_with_a_result():
    """Where the object has a result(), it is the state's result."""

    class Mean:
        def __init__(self):
            self.values = []

        def merge(self, other):
            self.values += other.values

        def result(self):
            return sum(self.values)

    state = mg.state(Mean)
    state.value.values += [1, 2]
    assert 3 == state.result()


def test_a_merge_may_change_or_return():
    """A merge function may change its first argument, or return a new object."""
    a, b = held(words(), {"a"}), held(words(), {"b"})
    a.merge(b)
    assert {"a", "b"} == a.value
    a, b = held(mg.state(Range), Range(0, 1)), held(mg.state(Range), Range(-1, 0.5))
    a.merge(b)
    assert Range(-1, 1) == a.value
    a, b = (held(mg.state(int, merge=lambda mine, other: mine + other), n) for n in (2, 3))
    a.merge(b)
    assert 5 == a.value


def test_a_merge_keeps_no_reference():
    """A merge function that keeps a part of the other's object keeps a part of a copy."""
    state = mg.state(list, merge=list.extend, commutative=False)
    a, b = held(state, []), held(state, [[1]])
    a.merge(b)
    b.value[0].append(2)
    assert [[1]] == a.value


@pytest.mark.parametrize(
    ("factory", "merge", "match"),
    [
        (3, None, r"^mergeable\.state: got 3, expected something that makes an empty object when called"),
        (set(), None, r"^mergeable\.state: got set\(\), expected something"),
        (set, None, r"^mergeable\.state: got set, whose objects have no merge method, and no merge function\. Pass merge="),
        (dict, None, r"or define dict\.merge\."),
    ],
)
def test_what_cannot_merge_is_refused(factory, merge, match):
    """A factory that cannot be called, or makes what cannot merge, raises TypeError that says what to do."""
    with pytest.raises(TypeError, match=match):
        mg.state(factory, merge)


def test_a_state_declares_itself():
    """A state, or a factory of states, is the state itself."""
    total = mg.Sum()
    assert mg.state(total) is total
    assert isinstance(mg.state(mg.Mean), mg.Mean)


def test_claims_are_kept():
    """The claims about the merge are the state's facts, in empties, copies and pickles."""
    state = mg.state(list, merge=list.extend, commutative=False, exact=False, idempotent=True, bounded=True)
    for one in (state, state.empty(), copy.deepcopy(state), pickle.loads(cloudpickle.dumps(state))):
        assert (False, False, True, True) == (one.commutative, one.exact, one.idempotent, one.bounded)
    plain = words()
    assert (True, True, False) == (plain.exact, plain.commutative, plain.bounded)


@pytest.mark.parametrize(
    "other",
    [
        mg.state(set, merge=set.intersection_update),
        mg.state(frozenset, merge=lambda a, b: a | b),
        mg.state(Range),
        mg.Set(),
    ],
    ids=["merge", "factory", "class", "state"],
)
def test_other_objects_are_refused(other):
    """Another factory, merge function or class raises IncompatibleStates and changes nothing."""
    state = held(words(), {"a"})
    with pytest.raises(mg.IncompatibleStates, match=r"^ObjectState\.merge: "):
        state.merge(other)
    assert {"a"} == state.value


def test_assigning_replaces_the_object():
    """An assigned object is the new value; an assigned state of the kind gives a copy of its object."""
    state, source = words(), held(words(), {"b"})
    assign(state, {"a"})
    assert {"a"} == state.value
    assign(state, source)
    source.value.add("c")
    assert {"b"} == state.value
    with pytest.raises(mg.IncompatibleStates, match=r"^ObjectState\.assign: parameters differ"):
        assign(state, mg.state(dict, merge=dict.update))
    with pytest.raises(mg.IncompatibleStates, match=r"^ObjectState\.assign: got Sum"):
        assign(state, mg.Sum())


def test_lambdas_pickle():
    """Factories and merge functions without a name travel with the state."""
    state = held(mg.state(lambda: [0], merge=lambda a, b: [a[0] + b[0]]), [5])
    back = pickle.loads(pickle.dumps(state))
    back.merge(state)
    assert ([10], [0]) == (back.value, back.empty().value)
    assert canonical_bytes(state) == canonical_bytes(pickle.loads(pickle.dumps(state)))


@pytest.mark.parametrize("replace", [False, True], ids=["in place", "replaced"])
def test_undo(replace):
    """A rollback brings back the object, whether it was changed in place or replaced."""
    state = held(mg.state(dict, merge=dict.update), {"a": [1]})
    savepoint(state)
    if replace:
        assign(state, {"z": []})
    else:
        state.value["a"].append(2)
        state.update({"b": []})
    rollback(state)
    assert {"a": [1]} == state.value
    state.update({"c": 1})
    rollback(state)
    assert {"a": [1], "c": 1} == state.value


def test_commit_keeps_the_changes():
    """After a commit a rollback does nothing."""
    state = words()
    savepoint(state)
    state.value.add("a")
    commit(state)
    rollback(state)
    assert {"a"} == state.value


def test_what_does_not_pickle_is_named():
    """An object that does not pickle raises MergeableError that names the factory and the type."""
    state = held(mg.state(dict, merge=dict.update), {"generator": (i for i in ())})
    with pytest.raises(mg.MergeableError, match=r"^mergeable\.state\(dict\): got a dict that does not pickle"):
        savepoint(state)
    rollback(state)
    assert ["generator"] == list(state.value)


def test_repr_shows_the_object():
    """The repr names the factory and shows the object."""
    assert "<ObjectState(Counter): Counter({'a': 1})>" == repr(
        held(mg.state(collections.Counter, merge=collections.Counter.update), collections.Counter("a"))
    )
