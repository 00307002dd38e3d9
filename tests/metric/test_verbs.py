"""A verb is a verb by the name under which a class has it, and runs by itself."""

import copy
import functools
import pickle

import pytest

import mergeable as mg


class Rows(mg.Metric):
    n = mg.Count()

    def update_state(self, xs):
        self.n += len(xs)

    def result(self):
        return self.n.result()


def logged(function):
    """A decorator without functools.wraps."""

    def inner(self, *args, **kwargs):
        return function(self, *args, **kwargs)

    return inner


def count(self, xs, weight=1):
    self.n += weight * len(xs)


def twice(xs, weight=2):
    STATIC.append(weight * len(xs))


STATIC = []


class Decorated(Rows):
    @logged
    def update_state(self, xs):
        self.n += len(xs)

    @logged
    def result(self):
        return self.n.result()


class Helper(Rows):
    update_state = count


class OtherHelper(Rows):
    update_state = count


class Lambda(Rows):
    result = lambda self: self.n.result()  # noqa: E731 - people write it


class PartialMethod(Rows):
    update_state = functools.partialmethod(count, weight=1)


class Property(Rows):
    @property
    def update_state(self):
        return functools.partial(count, self)


class Counting:
    """A mixin that is no metric."""

    def update_state(self, xs):
        self.n += len(xs)


class Mixed(Counting, Rows):
    def update_state(self, xs):
        super().update_state(xs)


class Bare(Counting, mg.Metric):
    n = mg.Count()
    result = Rows.result


class Doubling(Counting):
    def update_state(self, xs):
        super().update_state(xs)
        super().update_state(xs)


class Halved(Bare, Doubling):
    """Bare stands before Doubling, whose update Python finds nevertheless before that of Counting."""

    def result(self):
        return super().result() // 2


class Chained(Decorated):
    @logged
    def update_state(self, xs):
        super().update_state(xs)

    def result(self):
        return super().result()


class Later(Rows):
    pass


Later.update_state = count
CLASSES = [Decorated, Helper, OtherHelper, Lambda, PartialMethod, Property, Mixed, Bare, Halved, Chained, Later]


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_a_verb_is_one_however_it_is_written(cls):
    """Updates, merges, copies and files of any form of a verb count rows and updates, and a failing one is undone."""
    metric, other = cls(), cls()
    metric.update_state([1, 2])
    other.update_state([3])
    metric.merge_state([other])
    copied = pickle.loads(pickle.dumps(copy.deepcopy(metric)))
    with pytest.raises(TypeError) as caught:
        metric.update_state(5)

    assert (3, 3, 3) == (metric.result(), copied.result(), metric.snapshot().result(cls))
    assert (2, 3) == (metric.coverage.updates, metric.coverage.rows)
    assert "update_state (metric" in caught.value.__notes__[-1]
    metric.reset_state()
    assert 0 == metric.result()


def test_a_helper_stays_what_it_was():
    """A function or a mixin that gives a class its verb is not changed by that."""
    assert not hasattr(count, "__hosted__")
    assert not hasattr(Counting.update_state, "__hosted__")


def test_static_and_class_methods():
    """What takes no self is called without."""

    class Static(Rows):
        update_state = staticmethod(twice)

        @classmethod
        def result(cls):
            return cls.__name__, STATIC

    metric = Static()
    metric.update_state([1, 2], weight=3)
    assert ("Static", [6]) == metric.result()
    assert (1, 2) == (metric.coverage.updates, metric.coverage.rows)


def test_a_verb_given_to_a_class_later():
    """A class may get its verb when it is made already, before its metrics."""

    class Late(mg.Metric):
        n = mg.Count()

    Late.update_state, Late.result = count, lambda self: self.n.result()
    metric = Late()
    metric.update_state([1, 2])
    assert (2, 1) == (metric.result(), metric.coverage.updates)


def test_a_verb_that_cannot_be_called():
    """What is no method is refused when the class is made."""
    with pytest.raises(
        TypeError, match=r"^Wrong\.update_state: got 3, expected a method\. Write def update_state\(self, \.\.\.\)\.$"
    ):
        type("Wrong", (Rows,), {"update_state": 3})


@pytest.mark.parametrize("cls", [Decorated, Property, PartialMethod], ids=lambda cls: cls.__name__)
def test_collections_and_states_run_such_verbs(cls):
    """A metric with such a verb is a member of a collection, and a state for each key."""
    several = mg.MetricCollection({"a": cls(), "b": Rows()})
    several.update_state([1, 2])
    by_key = mg.Keyed(cls())
    by_key.update(["x", "y", "x"], [1, 2, 3])

    assert {"a": 2, "b": 2} == several.result()
    assert {"x": 2, "y": 1} == by_key.result()


# A verb inside of another one.


def calling(verb, action):
    """Return a metric whose verb does something else too."""

    class Calling(Rows):
        armed = False

        def update_state(self, xs):
            super().update_state(xs)
            if verb == "update_state" and self.armed:
                action(self)

        def result(self):
            if verb == "result" and self.armed:
                action(self)
            return super().result()

        def reset_state(self):
            if verb == "reset_state" and self.armed:
                action(self)

        def merge_state(self, metrics):
            super().merge_state(metrics)
            if verb == "merge_state" and self.armed:
                action(self)

    metric = Calling()
    metric.update_state([1, 2])
    Calling.armed = True
    return metric


RUN = {
    "update_state": lambda metric: metric.update_state([3]),
    "result": lambda metric: metric.result(),
    "reset_state": lambda metric: metric.reset_state(),
    "merge_state": lambda metric: metric.merge_state([]),
}
CALLS = {
    "update_state": lambda metric: metric.update_state([9]),
    "result": lambda metric: metric.result(),
    "reset_state": lambda metric: metric.reset_state(),
    "merge_state": lambda metric: metric.merge_state([Rows()]),
    "snapshot": lambda metric: metric.snapshot(local=True),
    "restore": lambda metric: metric.restore("file.mg"),
    "plot": lambda metric: metric.plot(),
}
PAIRS = [(verb, call) for verb in RUN for call in CALLS if verb != call]


@pytest.mark.parametrize(("verb", "call"), PAIRS, ids=[f"{call} in {verb}" for verb, call in PAIRS])
def test_a_verb_inside_of_another_one_is_refused(verb, call):
    """A verb that a metric calls of itself inside of another one raises, and nothing changes; nothing is left undone in silence."""
    metric = calling(verb, CALLS[call])
    called = {"plot": "snapshot"}.get(call, call)
    with pytest.raises(
        mg.MergeableError,
        match=rf"^Calling\.{called}: called inside of {verb}, expected a call when that has ended, because a {verb} is",
    ):
        RUN[verb](metric)
    type(metric).armed = False

    assert (2, 1, 2) == (metric.result(), metric.coverage.updates, metric.coverage.rows)
    metric.update_state([3])
    assert 3 == metric.result()


def test_a_verb_may_call_itself():
    """An update that goes on with a part of its batch is one update."""

    class Parts(Rows):
        def update_state(self, xs):
            if len(xs) > 1:
                self.update_state(xs[:1])
                self.update_state(xs[1:])
            else:
                super().update_state(xs)

    metric = Parts()
    metric.update_state([1, 2, 3])
    assert (3, 1, 3) == (metric.result(), metric.coverage.updates, metric.coverage.rows)


@pytest.mark.parametrize("verb", ["update_state", "result"])
@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m)), copy.copy], ids=["deep", "pickle", "copy"]
)
def test_copies_made_inside_of_a_verb(verb, copied):
    """A copy that a metric makes of itself, for a helper in another process say, holds what the metric holds at that moment."""
    copies = []
    metric = copying(verb, copied, copies)
    metric.update_state([1, 2])
    metric.update_state([3])
    assert 3 == metric.result()
    assert [3] == [copies[-1].n.result()]

    by_key = mg.Keyed(copying(verb, copied, copies))
    by_key.update(["x", "x"], [4, 5])
    assert {"x": 2} == by_key.result()
    assert 2 == copies[-1].n.result()


class Copying(Rows):
    do = ()

    def update_state(self, xs):
        super().update_state(xs)
        Copying.do("update_state", self)

    def result(self):
        Copying.do("result", self)
        return super().result()


def copying(verb, copied, copies):
    Copying.do = staticmethod(lambda where, metric: copies.append(copied(metric)) if where == verb else None)
    return Copying()


def test_a_repr_inside_of_a_verb():
    """A metric that prints itself in an update shows what it holds at that moment, and goes on."""
    shown = []
    metric = calling("update_state", lambda metric: shown.append(repr(metric)))
    metric.update_state([3])
    assert 3 == metric.result()
    assert ["<Calling calling = 3 (1 update, 2 rows, replica 0)>"] == shown


def test_a_class_that_was_defined_again():
    """A metric of a class that a notebook's cell has defined again in between says how to merge it: by its snapshot."""
    classes = [type("Again", (Rows,), {"__qualname__": "Again"}) for _ in range(2)]
    old, new = (cls() for cls in classes)
    old.update_state([1, 2])
    new.update_state([3])
    with pytest.raises(
        mg.IncompatibleStates,
        match=r"^Again\.merge_state: got a Again, expected another Again\. The class was defined again in between; "
        r"merge_state\(\[metric\.snapshot\(\)\]\) goes by its name\.$",
    ):
        new.merge_state([old])
    new.merge_state([old.snapshot()])
    assert 3 == new.result()
