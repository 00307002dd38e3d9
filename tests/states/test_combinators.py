"""States made of states."""

import copy
import math

import numpy as np
import pytest

import mergeable as mg
from mergeable.encoding.canonical import canonical_bytes
from mergeable.numeric import exact
from mergeable.state.access import assign, freeze
from mergeable.state.undo import rollback, savepoint
from mergeable.states.keyed import drop, state_at, states_of


def fed(state, *batch):
    state.update(*batch)
    return state


class Faulty(mg.State):
    """A state of a user that fails on negative numbers, after it has written."""

    def __init__(self):
        self.taken = []

    def update(self, values):
        self.taken.extend(values)
        if min(values, default=0) < 0:
            raise ArithmeticError("negative")

    def merge(self, other):
        self.taken.extend(other.taken)
        if len(self.taken) > 3:
            raise ArithmeticError("full")

    def result(self):
        return list(self.taken)


PRODUCTS = {
    "Tuple": mg.Tuple,
    "Dict": lambda *parts: mg.Dict(**{f"part{i}": part for i, part in enumerate(parts)}),
}


@pytest.mark.parametrize("make", PRODUCTS.values(), ids=PRODUCTS)
class TestProducts:
    """What Tuple and Dict have in common."""

    def test_update_gives_every_part_the_batch(self, make):
        """Every part takes the same batch, with weights too."""
        product = make(mg.Mean(), mg.Moments())
        product.update([1.0, 3.0], weights=[1, 3])
        parts = list(product.result().values()) if isinstance(product, mg.Dict) else product.result()
        assert (2.5, 2.5) == (parts[0], parts[1]["mean"])

    def test_a_failing_part_undoes_all(self, make):
        """An update that one part refuses leaves every part as it was, those before it too."""
        product = fed(make(mg.Sum(), mg.Counter(), Faulty(), mg.Rows("x")), [1])
        before = canonical_bytes(product)
        with pytest.raises(ArithmeticError, match="negative"):
            product.update([2, -1])
        assert before == canonical_bytes(product)
        product.update([3])
        assert canonical_bytes(fed(fed(make(mg.Sum(), mg.Counter(), Faulty(), mg.Rows("x")), [1]), [3])) == canonical_bytes(
            product
        )

    def test_a_failing_merge_undoes_all(self, make):
        """A merge that one part refuses leaves both sides as they were."""
        a, b = make(mg.Sum(), mg.Rows("x")), make(mg.Sum(), mg.Rows("x"))
        first, second = (0, 1) if isinstance(a, mg.Tuple) else ("part0", "part1")
        a[first].update(1.0)
        a[second].update([1])
        b[first].update(2.0)
        b[second].update(["a"])
        before = canonical_bytes((a, b))
        with pytest.raises(mg.IncompatibleStates, match=r"^Rows\.merge"):
            a.merge(b)
        assert before == canonical_bytes((a, b))

    def test_parts_are_copies(self, make):
        """A product holds empty copies of the states that it was made of."""
        total = fed(mg.Sum(), 5.0)
        product = make(total)
        product.update(1.0)
        assert 5.0 == total.result()
        assert canonical_bytes(fed(make(mg.Sum()), 1.0)) == canonical_bytes(product)

    @pytest.mark.parametrize("parts", [(), (3,), (mg.Sum,)], ids=["none", "number", "class"])
    def test_parts_must_be_states(self, make, parts):
        """No parts, or a part that is no state, raise TypeError."""
        with pytest.raises(TypeError, match=r": got .*, expected states, as in Tuple\(Sum\(\), Max\(\)\)"):
            make(*parts)

    @pytest.mark.parametrize(
        "others",
        [(mg.Sum(),), (mg.Sum(), mg.Min()), (mg.Sum(shape=2), mg.Max()), (mg.Sum(), mg.Max(), mg.Max())],
        ids=["fewer", "class", "parameter", "more"],
    )
    def test_other_parts_are_refused_from_both_sides(self, make, others):
        """Fewer, more, or other parts raise IncompatibleStates on either side, and change neither."""
        a, b = make(mg.Sum(), mg.Max()), make(*others)
        a.update([1.0, 2.0])
        before = canonical_bytes((a, b))
        for mine, theirs in ((a, b), (b, a)):
            with pytest.raises(mg.IncompatibleStates, match=r"\.merge: parameters differ: .* here and .* there"):
                mine.merge(theirs)
        assert before == canonical_bytes((a, b))

    def test_class_facts_are_those_of_all_parts(self, make):
        """A product commutes, is idempotent and is bounded where every part is."""
        ordered = mg.state(list, merge=list.extend, commutative=False, exact=False)
        assert (True, True, True, False) == tuple(
            getattr(make(mg.Max(), mg.Sum()), f) for f in ("exact", "commutative", "bounded", "idempotent")
        )
        assert (False, False, False) == tuple(getattr(make(mg.Max(), ordered), f) for f in ("exact", "commutative", "bounded"))
        assert make(mg.Set()).idempotent

    def test_parts_can_be_read_and_assigned(self, make):
        """A part is read, added to and assigned by its name."""
        product = make(mg.Sum(), mg.Max())
        name = next(iter(product._parts))
        product[name] += 2.0
        product[name] = 5
        product[name] += 1
        assert (6.0, 2) == (product[name].result(), len(product))

    def test_an_assigned_part_of_another_class_is_refused(self, make):
        """A part takes numbers or states of its kind, and another raises."""
        product = make(mg.Histogram([0, 1]))
        name = next(iter(product._parts))
        with pytest.raises(TypeError, match=r"^Histogram: got an assignment of 3 \(int\)"):
            product[name] = 3
        with pytest.raises(mg.IncompatibleStates, match=r"^Histogram\.assign: got Max, expected another Histogram"):
            product[name] = mg.Max()

    def test_frozen_parts_refuse_writes(self, make):
        """A frozen product refuses updates of itself and of its parts."""
        product = fed(make(mg.Sum(), mg.Max()), 1.0)
        freeze(product)
        name = next(iter(product._parts))
        with pytest.raises(mg.ReadOnlyState, match="got a change to a merged state"):
            product.update(2.0)
        with pytest.raises(mg.ReadOnlyState, match=r"^Sum: got a change to a merged state"):
            product[name] += 1
        assert 1.0 == product[name].result()

    def test_assigning_takes_over_every_part(self, make):
        """A product assigned to one of its kind gives its whole value and shares nothing."""
        a, b = fed(make(mg.Sum(), mg.Max()), 1.0), fed(make(mg.Sum(), mg.Max()), 7.0)
        assign(a, b)
        before = canonical_bytes(a)
        assert canonical_bytes(b) == before
        b.update(9.0)
        assert before == canonical_bytes(a)

    def test_a_part_that_cannot_be_saved_leaves_no_savepoint_behind(self, make):
        """Where a part cannot open a savepoint, later failing updates are still undone."""
        product = make(mg.Sum(), mg.state(dict, merge=dict.update))
        held = list(product._parts.values())[1]
        held.value = {"generator": (i for i in ())}
        with pytest.raises(mg.MergeableError, match="does not pickle"):
            savepoint(product)
        held.value = {}
        before = canonical_bytes(product)
        with pytest.raises(TypeError):
            product.update(3.0)  # a number is no dict
        assert before == canonical_bytes(product)


def test_results_of_products():
    """The result of a Tuple is a tuple, that of a Dict a dict, nested too."""
    product = fed(mg.Dict(a=mg.Tuple(mg.Sum(), mg.Count()), b=mg.Dict(c=mg.Max())), 2)
    assert {"a": (2.0, 2), "b": {"c": 2.0}} == product.result()


# Keyed.


def test_keyed_gives_each_key_its_rows():
    """Rows go to their keys, weights and vectors with them."""
    keyed = mg.Keyed(mg.Mean())
    keyed.update(["a", "b", "a"], [1.0, 5.0, 4.0], [1.0, 1.0, 2.0])
    assert {"a": 3.0, "b": 5.0} == keyed.result()
    vectors = mg.Keyed(mg.Sum(shape=2))
    vectors.update(np.array([1, 2, 1]), np.arange(6.0).reshape(3, 2))
    assert {1: [4.0, 6.0], 2: [2.0, 3.0]} == {k: v.tolist() for k, v in vectors.result().items()}


def test_keyed_of_one_row():
    """A single number is the row of a single key."""
    keyed = mg.Keyed(mg.Sum())
    keyed.update(["a"], 2.0)
    assert {"a": 2.0} == keyed.result()


def test_keyed_reads():
    """Keys are in canonical order; states are made when first asked for."""
    keyed = mg.Keyed(mg.Count())
    keyed["b"] += 2
    keyed["a"].update()
    keyed[3] = 7
    assert [3, "a", "b"] == list(keyed)
    assert (3, True, False) == (len(keyed), np.int64(3) in keyed, "c" in keyed)
    assert {3: 7, "a": 1, "b": 2} == keyed.result()


@pytest.mark.parametrize(("one", "two"), [(1, 1.0), (1.0, 1), (True, 1), (0.0, False), ((1, "a"), (1.0, "a"))], ids=repr)
@pytest.mark.parametrize("make", [mg.Keyed, mg.Sliced], ids=["Keyed", "Sliced"])
def test_keys_that_one_dict_does_not_hold_are_refused_when_they_come(make, one, two):
    """A key that only its type tells from another one is refused by the update or the merge that brings it, and nothing changes."""

    def fed(*given):
        state = make(mg.Sum())
        state.update([*given, "x"], [2.0] * (len(given) + 1))
        return state

    who, text = (
        make.__name__,
        r"got the key .* beside .*, expected keys that differ in more than their type, .* Give keys of one type",
    )
    state, other = fed(one), fed(two)
    before = canonical_bytes((state, other))
    with pytest.raises(ValueError, match=f"^{who}.update: {text}"):
        fed(one, two)
    for batch in (["y", two], [two, "y"]):
        with pytest.raises(ValueError, match=f"^{who}.update: {text}"):
            state.update(batch, [1.0, 1.0])
    for a, b in ((state, other), (other, state)):
        with pytest.raises(mg.IncompatibleStates, match=f"^{who}.merge: {text}"):
            a.merge(b)
    assert before == canonical_bytes((state, other))
    state.result()


def test_a_key_may_come_where_its_equal_has_left():
    """What was rolled back, dropped or never there stands in no key's way, and what came back does."""
    keyed = mg.Keyed(mg.Count())
    savepoint(keyed)
    keyed[1] += 1
    rollback(keyed)
    keyed[1.0] += 1
    savepoint(keyed)
    drop(keyed, next(iter(states_of(keyed))))
    keyed[True] += 1
    rollback(keyed)
    with pytest.raises(ValueError, match=r"^Keyed\.update: got the key True beside 1\.0"):
        keyed[True] += 1
    copied = copy.deepcopy(keyed)
    with pytest.raises(ValueError, match=r"^Keyed\.update: got the key 1 beside 1\.0"):
        copied[1] += 1
    assert {1.0: 1} == copied.result() == keyed.result()


def test_keyed_texts_keep_every_character():
    """Columns of strings reach the inner state whole."""
    keyed = mg.Keyed(mg.Set())
    keyed.update(["k", "k"], ["a\x00", "b"])
    assert {"k": ["a\x00", "b"]} == keyed.result()


@pytest.mark.parametrize(
    ("keys", "column", "error", "match"),
    [
        (["a", "b"], [1.0], ValueError, r"got 2 keys and columns of lengths \[1\], expected equal ones"),
        (["a", "b"], 1.0, ValueError, r"got 2 keys and columns of lengths \[1\]"),
        ("ab", [1.0, 2.0], TypeError, "got 'ab', expected a list or an array of keys"),
        (["a", None, {}], [1.0, 2.0, 3.0], TypeError, "got the key {}"),
    ],
)
def test_keyed_refuses_and_takes_nothing(keys, column, error, match):
    """Uneven columns and odd keys raise, and no key is made."""
    keyed = mg.Keyed(mg.Sum())
    with pytest.raises(error, match=rf"^Keyed\.update: {match}"):
        keyed.update(keys, column)
    assert canonical_bytes(mg.Keyed(mg.Sum())) == canonical_bytes(keyed)


def test_keyed_needs_a_state():
    """A class in the place of a state raises TypeError."""
    with pytest.raises(TypeError, match=r"^Keyed: got .*, expected a state or a metric, as in Keyed\(Mean\(\)\)"):
        mg.Keyed(mg.Mean)


@pytest.mark.parametrize("inner", [Faulty, lambda: mg.Tuple(mg.Sum(), mg.Set(), Faulty())], ids=["state", "tuple"])
def test_a_failing_key_undoes_all(inner):
    """An update that one key's state refuses leaves all keys as they were, new and old."""
    keyed = fed(mg.Keyed(inner()), ["old", "last"], [1, 2])
    before = canonical_bytes(keyed)
    with pytest.raises(ArithmeticError, match="negative"):
        keyed.update(["new", "old", "old", "last"], [5, 6, 7, -1])
    assert before == canonical_bytes(keyed)


def test_a_failing_merge_of_keys_undoes_all():
    """A merge that one key's state refuses leaves all keys as they were, new and old."""
    a = fed(mg.Keyed(Faulty()), ["x", "x", "y"], [1, 2, 3])
    b = fed(mg.Keyed(Faulty()), ["y", "z", "x", "x"], [5, 6, 7, 8])
    before = canonical_bytes((a, b))
    with pytest.raises(ArithmeticError, match="full"):
        a.merge(b)
    assert before == canonical_bytes((a, b))


def test_frozen_keyed():
    """A frozen Keyed refuses writes, and names the keys that it has when asked for another."""
    keyed = fed(mg.Keyed(mg.Sum()), ["a"], [1.0])
    freeze(keyed)
    assert 1.0 == keyed["a"].result()
    with pytest.raises(KeyError, match=r"Keyed: no state has the key 'b'; the keys are \['a'\]"):
        keyed["b"]
    with pytest.raises(mg.ReadOnlyState, match=r"^Sum: got a change"):
        keyed["a"] += 1
    with pytest.raises(mg.ReadOnlyState, match=r"^Keyed: got a change"):
        keyed.update(["a"], [1.0])


def test_keys_that_took_nothing_are_keys():
    """A key that was only asked for is in the result, empty."""
    keyed = mg.Keyed(mg.Mean())
    keyed["a"]
    assert math.isnan(keyed.result()["a"])


def test_keyed_merges_without_sharing():
    """A key that only the other side has is copied, and neither side sees the other's later updates."""
    a, b = mg.Keyed(mg.Sum()), fed(mg.Keyed(mg.Sum()), ["k"], [1.0])
    a.merge(b)
    b["k"] += 1
    a["k"] += 5
    assert ({"k": 6.0}, {"k": 2.0}) == (a.result(), b.result())


@pytest.mark.parametrize(
    "inner",
    [mg.Sum(), mg.Count(shape=2), mg.Histogram([0, 1]), mg.Keyed(mg.Sum()), mg.Dict(a=mg.Sum())],
    ids=lambda s: type(s).__name__,
)
def test_other_inner_states_are_refused(inner):
    """Another inner state raises IncompatibleStates on either side."""
    a, b = mg.Keyed(mg.Mean()), mg.Keyed(inner)
    for mine, theirs in ((a, b), (b, a)):
        with pytest.raises(mg.IncompatibleStates, match=r"^Keyed\.merge: parameters differ: state is "):
            mine.merge(theirs)


class Asked(mg.State):
    """Says how often its parameters were asked for."""

    times = 0

    @property
    def parameters(self):
        Asked.times += 1  # of all of them
        return {}

    def update(self, *keys):
        pass

    def merge(self, other):
        pass

    def result(self):
        return 0


def test_a_merge_compares_parameters_once():
    """However many keys there are and however deep they lie, parameters are compared once, not at every level."""
    counts = []
    for n in (1, 100):
        sides = []
        for _ in range(2):
            side = mg.Keyed(mg.Tuple(mg.Dict(a=Asked()), mg.Keyed(Asked())))
            for key in range(n):
                side[key][1].update([key])
            sides.append(side)
        Asked.times = 0
        sides[0].merge(sides[1])
        counts.append(Asked.times)
    assert counts[0] == counts[1]


def test_a_merge_still_refuses_other_classes_of_one_name():
    """Parameters name classes; two classes of one name are two all the same."""
    other = type("Asked", (Asked,), {})
    with pytest.raises(mg.IncompatibleStates, match="got Asked, expected another Asked"):
        mg.Tuple(Asked()).merge(mg.Tuple(other()))


@pytest.mark.parametrize("make", [mg.Keyed, mg.Sliced], ids=["Keyed", "Sliced"])
def test_a_fold_of_what_an_older_file_holds(make):
    """A state that an older version filled with keys of several types is read and folded, and takes no more of them."""
    state = make(mg.Count())
    state.update([2, "a"], [1, 1])
    kept = state._kept if make is mg.Sliced else state
    for label in (1, ("float", exact.key_of_value(1.0))):
        state_at(kept, label, "")
    state.update([1], [1])
    folded = state.empty()
    folded.merge(state)
    assert 4 == len(folded)
    with pytest.raises(ValueError, match=r"got the key True beside"):
        folded.update([True], [1])
    with pytest.raises(ValueError, match="which are two keys here and one in a dict"):
        folded.result()
