"""No attribute of the user's takes the place of one of the library's unseen."""

import copy
import dataclasses
import pickle
import re
import threading

import pytest

import mergeable as mg
from mergeable.metric import Metric
from mergeable.state.names import OF_EVERY_CLASS


class Rows(mg.Metric):
    n = mg.Count()

    def update_state(self, xs):
        self.n += len(xs)

    def result(self):
        return self.n.result()


OURS = sorted(
    {name for cls in Metric.__mro__[:-1] for name in [*vars(cls), *vars(Rows())] if name.startswith("_") and name[:2] != "__"}
    - {"_abc_impl"}  # which Python sets
)
METHODS = [
    "snapshot",
    "restore",
    "plot",
    "coverage",
    "as_state",
    "add_state",
    "update_state",
    "result",
    "reset_state",
    "merge_state",
]


def refused(name, where=""):
    return pytest.raises(
        TypeError,
        match=rf"^[A-Z]\w*\.{name}: got an attribute of this name{where}, expected another name, because mergeable uses this one itself\. "
        r"Rename yours\.",
    )


def test_what_the_library_uses_is_found():
    """The names come from the classes, and those that once broke metrics are among them."""
    assert {"_mergeable", "_declare", "_parameters", "_pieces", "_class_states"} <= set(OURS)


@pytest.mark.parametrize("name", [*OURS, *METHODS])
def test_an_attribute_of_an_instance(name):
    """A name of the library's is refused where it is set: before and after our constructor, in a reset and in an update."""

    class Set(Rows):
        def __init__(self, when):
            if when == "before":
                setattr(self, name, threading.Lock())
            self.when = when
            super().__init__()
            if when == "after":
                setattr(self, name, threading.Lock())

        def reset_state(self):
            if self.when == "reset":
                setattr(self, name, threading.Lock())

        def update_state(self, xs):
            super().update_state(xs)
            setattr(self, name, threading.Lock())

    for when in ("before", "after", "reset"):
        with refused(name):
            Set(when)
    metric = Set("update")
    with refused(name):
        metric.update_state([1])
    assert (0, 0) == (metric.result(), metric.coverage.updates)


@pytest.mark.parametrize("name", OURS)
def test_an_attribute_of_a_class(name):
    """A name of the library's is refused when the class is made: its own, and that of a mixin."""
    for value in (lambda self: 1, property(lambda self: 1), 3, mg.Sum()):
        with refused(name):
            type("Own", (Rows,), {name: value})
        with refused(name, " in Mixin"):
            type("Mixed", (type("Mixin", (), {name: value}), Rows), {})


@pytest.mark.parametrize("name", sorted({*OURS} - OF_EVERY_CLASS))
def test_an_attribute_that_a_class_gets_later(name):
    """A class that gets such a name when it is made already makes no metric."""
    cls = type("Later", (Rows,), {})
    setattr(cls, name, lambda self: 1)
    with refused(name):
        cls()


@pytest.mark.parametrize("name", ["_mergeable", "_declare", "name", "dtype", "snapshot", "coverage"])
def test_a_state(name):
    """A state has none of these names, wherever it is declared."""

    class Declaring(Rows):
        def __init__(self, how):
            super().__init__()
            how(self)

    for how in (lambda self: self.add_state(name, mg.Sum()), lambda self: setattr(self, name, mg.Sum())):
        with pytest.raises(ValueError, match=rf"^Declaring\.add_state\('{name}'\): the name is taken; choose another\.$"):
            Declaring(how)
    with pytest.raises(TypeError, match=rf"^Named\.{name}: .*(choose another|Rename yours)\.$"):
        type("Named", (Rows,), {name: mg.Sum()})


@pytest.mark.parametrize("name", ["snapshot", "coverage", "as_state"])
def test_what_is_no_method_in_the_place_of_one(name):
    """A value in the place of a public method is refused; a method of the user's is theirs to write."""
    with refused(name):
        type("Valued", (Rows,), {name: 3})
    assert 3 == getattr(type("Written", (Rows,), {name: lambda self: 3})(), name)()


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("joins", lambda self: False, "True or False"),
        ("joins", ["a"], "True or False"),
        ("scratch", "cache", "a tuple of names"),
        ("plots", 3, "a dict of kinds of plots and the names of states"),
    ],
)
def test_facts_are_what_they_are(name, value, expected):
    """A fact of a class that is none is refused, on the class and on an instance: a method is true, and a text has many parts."""
    message = rf"^\w+\.{name}: got .*, expected {expected}\. Write {name} = \.\.\., or rename yours\.$"
    with pytest.raises(TypeError, match=message):
        type("Stated", (Rows,), {name: value})
    with pytest.raises(TypeError, match=message):
        setattr(Rows(), name, value)


def test_other_names_are_the_users():
    """Names with an underscore, of helpers, of mixins and of metrics that others derive from, are no business of ours."""

    class Locked(Rows):
        _limit = 3

        def __init__(self, _view_of=1):
            self._mutex = threading.Lock()
            super().__init__(name="own")
            self._view_of = _view_of
            self.__lock = threading.Lock()

        def _take(self, xs):
            return xs[: self._limit]

        def update_state(self, xs):
            with self._mutex, self.__lock:
                super().update_state(self._take(xs))

    class Derived(Locked):
        _limit = 2

    metric = Derived()
    metric.update_state([1, 2, 3])
    assert 2 == metric.result()
    several = mg.MetricCollection({"_lock": Rows(), "_states": Rows()})
    several.update_state([1])
    assert {"_lock": 1, "_states": 1} == several.result()


# Constructors that do not call ours.


class Forgetful(mg.Metric):
    n = mg.Count()

    def __init__(self, k=1, name=None):
        self.k = k

    def update_state(self, xs):
        if not xs:
            raise KeyError("the user's own mistake")
        self.n += len(xs)

    def result(self):
        return self.k * self.n.result()


@dataclasses.dataclass
class Above(mg.Metric):
    threshold: float = 0.5
    n: mg.Count = mg.Count()  # noqa: RUF009 - a declared state is no default
    label: str = "above"

    def update_state(self, xs):
        self.n += sum(x > self.threshold for x in xs)

    def result(self):
        return self.n.result()


def test_a_constructor_that_forgets_ours():
    """It works, with the name that it was given or that of the class, and the user's own exception is not hidden."""
    metric, named = Forgetful(2), Forgetful(2, name="given")
    with pytest.raises(KeyError, match="the user's own mistake") as caught:
        metric.update_state([])
    metric.update_state([1, 2])
    named.merge_state([metric])

    assert [
        "in Forgetful.update_state (metric 'forgetful', replica 0); the state is as before this update"
    ] == caught.value.__notes__
    assert ("forgetful", "given") == (metric.name, named.name)
    assert (4, "<Forgetful given = 4 (1 update, 2 rows, replica 0)>") == (named.result(), repr(named))
    assert 4 == pickle.loads(pickle.dumps(metric)).snapshot().result(Forgetful(2))
    assert {"forgetful": 0} == mg.MetricCollection([Forgetful()]).result()


def test_a_dataclass():
    """A dataclass is a metric; states that are annotated are no fields."""
    metric, other = Above(), Above(0.5, "above")
    metric.update_state([0.1, 0.9])
    other.update_state([0.8])
    metric.merge_state([other])

    assert (2, "above") == (metric.result(), metric.name)
    assert {"threshold": 0.5, "label": "above"} == metric.snapshot().arguments
    assert 2 == mg.Snapshot.from_bytes(metric.snapshot().to_bytes()).result(Above)
    with pytest.raises(mg.IncompatibleStates, match=r"threshold is 0.5 here and 0.7 there"):
        metric.merge_state([Above(0.7)])


def test_a_dataclass_with_slots():
    """Slots are refused: copies and files would be without them."""
    with pytest.raises(
        TypeError,
        match=re.escape(
            "Slotted: got __slots__ (k), expected none, because copies and files hold what is in __dict__. Leave __slots__ out, or "
            "slots=True of a dataclass."
        ),
    ):
        dataclasses.dataclass(type("Slotted", (Rows,), {"__annotations__": {"k": int}, "k": 1}), slots=True)


# States.


class Words(mg.State):
    def __init__(self):
        self.words = []

    def update(self, words):
        self.words = [*self.words, *words]

    def merge(self, other):
        self.words = self.words + other.words

    def result(self):
        return len(self.words)


IN_STATES = sorted(
    {name for base in mg.State.__mro__ for name in vars(base) if name.startswith("_") and name[:2] != "__"}
    - {"_abc_impl", "_undoes_updates", "_mutated", "_copy_value", "_undo_value"}
)


def test_what_states_use_is_found():
    """The names come from the class, and those that a copy leaves out are among them."""
    assert {"_restore", "_attributes", "_record"} <= {*IN_STATES}
    assert {"_waiting", "_saved", "_frozen", "_limit"} <= mg.State._own


@pytest.mark.parametrize("name", sorted({*IN_STATES, *mg.State._own}))
def test_an_attribute_of_a_state(name):
    """A name that states use is refused on the class, in a constructor and in an update, which is undone."""

    class Setting(Words):
        def __init__(self, early=False):
            super().__init__()
            if early:
                setattr(self, name, 1)

        def update(self, words):
            super().update(words)
            setattr(self, name, 1)

    class Holding(mg.Metric):
        state = Setting()

        def update_state(self, words):
            self.state.update(words)

        def result(self):
            return self.state.result()

    with refused(name):
        Setting(early=True)
    with refused(name):
        type("Own", (Words,), {name: 3})
    metric = Holding()
    with refused(name):
        metric.update_state(["a"])
    assert 0 == metric.result()


def test_other_names_of_states_are_the_users():
    """Names with an underscore of a state's own are a part of its value."""

    class Counting(Words):
        def __init__(self):
            super().__init__()
            self._updates = 0

        def update(self, words):
            super().update(words)
            self._updates += 1

        def merge(self, other):
            super().merge(other)
            self._updates += other._updates

    state, other = Counting(), Counting()
    state.update(["a"])
    other.update(["b"])
    state.merge(other)
    assert (2, 2) == (copy.deepcopy(state)._updates, state.result())
