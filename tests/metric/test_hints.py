"""Where a new user stumbles, an error says what to write instead."""

import operator
import re

import numpy as np
import pytest

import mergeable as mg


class Every(mg.Metric):
    histogram = mg.Histogram([0, 1])
    counter = mg.Counter()
    words = mg.Set()
    n = mg.Count()

    def update_state(self, action):
        self.n += 1
        action(self)

    def result(self):
        return 1 / self.n.result()


def augment(name, operation, value):
    return lambda self: setattr(self, name, operation(getattr(self, name), value))


def count(self):
    self.counter["a"] += 1


def forget(self):
    del self.counter["a"]


def refused(message):
    return pytest.raises(TypeError, match="^" + re.escape(message))


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (
            augment("histogram", operator.iadd, 0.5),
            "Histogram: got += float, expected an update, because it is no number. Write ",
        ),
        (
            augment("histogram", operator.iadd, np.ones(2)),
            "Histogram: got += ndarray, expected an update, because it is no number.",
        ),
        (
            augment("words", operator.ior, {1}),
            "Set: got |= set, expected an update, because it is no number. Write .update(items).",
        ),
        (count, "Counter: got an assignment to ['a'], expected an update. Write .update(items)."),
        (forget, "Counter: got a deletion of ['a'], expected an update; a state keeps what it took. Write .update(items)."),
    ],
    ids=["number", "array", "set", "key", "deletion"],
)
def test_a_state_that_is_no_number_and_no_dict(action, message):
    """Operators that only numbers and dicts have name the update, and the failed one leaves nothing."""
    metric = Every()
    with refused(message):
        metric.update_state(action)
    assert 0 == metric.n


def test_operators_that_a_state_has():
    """A state with an addition of its own is added to."""

    class Longest(mg.State):
        def __init__(self, text=""):
            self.text = text

        def update(self, text):
            self.text = max(self.text, text, key=len)

        def __add__(self, text):
            return Longest(max(self.text, text, key=len))

        def merge(self, other):
            self.update(other.text)

        def result(self):
            return self.text

    longest = Longest()
    longest += "two"
    assert "two" == longest.result()


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (
            mg.Bootstrap(mg.Mean()),
            "Bootstrap.update: got one argument, expected the ids of the rows and then what the Mean inside takes. Write update(ids, values).",
        ),
        (
            mg.Bootstrap(Every()),
            "Bootstrap.update: got one argument, expected the ids of the rows and then what the Every inside takes. Write update(ids, action).",
        ),
        (
            mg.Keyed(mg.Mean()),
            "Keyed.update: got one argument, expected the keys of the rows and then what the Mean inside takes. Write update(keys, values).",
        ),
        (
            mg.Windowed(mg.Mean(), 3),
            "Windowed.update: got one argument, expected the step of the rows and then what the Mean inside takes. Write update(step, values).",
        ),
    ],
    ids=["bootstrap", "bootstrap of a metric", "keyed", "windowed"],
)
def test_what_comes_first_is_forgotten(state, message):
    """An update without the ids, keys or step that come before the columns says what is missing."""
    with refused(message):
        state.update([1, 2])


def test_what_comes_first_may_be_all():
    """A count needs nothing but the keys."""
    by_key = mg.Keyed(mg.Count())
    by_key.update(["a", "b"])
    assert {"a": 1, "b": 1} == by_key.result()


def test_the_class_of_a_state():
    """A state without parentheses is refused on the class and on an instance; a class of a state that is defined there is not."""
    message = "got the class Sum, expected a state. Write total = Sum(...), with parentheses."
    with refused(f"Summed.total: {message}"):
        type("Summed", (mg.Metric,), {"total": mg.Sum})
    with refused(f"Every.total: {message}"):
        Every().total = mg.Sum
    with refused("Every.add_state('total'): got <class"):
        Every().add_state("total", mg.Sum)

    class Defining(mg.Metric):
        class Longest(mg.Max):
            pass

        longest = Longest()

    assert isinstance(Defining.Longest(), mg.Max)


@pytest.mark.parametrize("fact", ["exact", "commutative", "idempotent", "bounded"])
def test_facts_of_states(fact):
    """A fact that is a method is true whatever it returns, and refused; a property is one."""
    with refused(f"Stated.{fact}: got <function"):
        type("Stated", (mg.State,), {fact: lambda self: False})
    type("Stated", (mg.State,), {fact: property(lambda self: False)})


def test_parameters_as_a_method():
    """Parameters are a property."""
    with refused(
        "Stated.parameters: got a method, expected a property, which is read without a call. Write @property above it."
    ):
        type("Stated", (mg.State,), {"parameters": lambda self: {}})


def test_a_repr_never_raises():
    """What fails while a metric or a state shows itself is shown."""

    class Failing(mg.State):
        @property
        def parameters(self):
            raise KeyError("size")

        def update(self):
            pass

        def merge(self, other):
            pass

        def result(self):
            raise ValueError("nothing yet")

    class Nameless(Every):
        @property
        def name(self):
            raise RuntimeError("no name")

        @name.setter
        def name(self, value):
            pass

    assert "<Failing(KeyError: 'size'): ValueError: nothing yet>" == repr(Failing())
    assert "<Every every = ZeroDivisionError: division by zero (no updates)>" == repr(Every())
    assert "<Nameless = RuntimeError: no name>" == repr(Nameless())


def test_a_metric_is_no_function():
    """A metric or its class that is called with a batch, as Keras calls functions, says how Keras gets a metric."""
    x = np.zeros(3)
    with refused(
        "Every: got a call, as of a function, expected update_state and result. Where Keras called it, write "
        "metrics=[mergeable.PyMetric.of(metric)], which makes a Keras metric of it."
    ):
        Every()(x, x)
    instance = "If Keras made it, of a class among its metrics, write an instance: metrics=[Every()]."
    with refused(f"Every: got 2 arrays as the arguments of its constructor, which does not take them. {instance}"):
        Every(x, x)
    with refused(f"Every: got ndarray as its name, expected a text. {instance}"):
        Every(x)
