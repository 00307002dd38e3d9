"""The errors that a user may meet."""

import pickle

import numpy as np
import pytest

import mergeable as mg
from mergeable import errors, wording
from mergeable.coverage import enumerated
from mergeable.laws import LawBroken
from mergeable.state.parameters import difference

ERRORS = {
    mg.IncompatibleStates: ValueError,
    mg.DuplicateOrigin: ValueError,
    mg.SnapshotError: ValueError,
    mg.UndeclaredState: AttributeError,
    mg.ReadOnlyState: TypeError,
    mg.ExchangeTimeout: TimeoutError,
    mg.UnsupportedStrategy: NotImplementedError,
    LawBroken: AssertionError,
}


@pytest.mark.parametrize(("error", "builtin"), ERRORS.items(), ids=lambda e: e.__name__)
def test_every_error_has_two_parents(error, builtin):
    """Every error can be caught as MergeableError, and as the error that Python would raise."""
    assert issubclass(error, mg.MergeableError)
    assert issubclass(error, builtin)


def test_no_error_is_left_out():
    """The list above is complete, every error of the module is exported, and has a sentence of its own."""
    found = {thing for thing in vars(errors).values() if isinstance(thing, type) and issubclass(thing, Exception)}
    assert found == set(ERRORS) - {LawBroken} | {mg.MergeableError}
    assert {error.__name__ for error in found} <= set(mg.__all__)
    assert len({error.__doc__ for error in found}) == len(found)


@pytest.mark.parametrize("error", [e for e in ERRORS if e is not LawBroken], ids=lambda e: e.__name__)
def test_errors_pickle(error):
    """Errors travel between processes with their text."""
    back = pickle.loads(pickle.dumps(error("what was attempted")))
    assert (error, "what was attempted") == (type(back), str(back))


def test_a_broken_law_says_which():
    """LawBroken has the law's name, in the text too, and travels between processes."""
    error = LawBroken("purity", "Sum: merge changed its argument")
    assert ("purity", "purity: Sum: merge changed its argument") == (error.law, str(error))
    back = pickle.loads(pickle.dumps(error))
    assert ("purity", str(error)) == (back.law, str(back))


# No text is longer than a screen.

SCREEN = 1000


class Thrower:
    """An object whose repr fails."""

    def __repr__(self):
        raise RuntimeError("no repr")


@mg.register(name="tests.test_errors.Sized")
class Sized(mg.Metric):
    rows = mg.Count()

    def __init__(self, size=(), name=None):
        super().__init__(name)
        self.size = size

    def update_state(self, x):
        self.rows += len(x)

    def result(self):
        return self.rows


CLASSES = [f"n{i:08d}" for i in range(1000)]
LONG = {
    "a long text": (lambda: mg.Counter().update("word " * 1_000_000), "'word word"),
    "a long key": (lambda: mg.Set().update([[*range(300_000)]]), "[0, 1, 2"),
    "a label of none of many": (
        lambda: mg.ConfusionMatrix(CLASSES).update(["n000x"], ["n00000001"]),
        "the label 'n000x' in y_true",
    ),
    "a label beyond many": (lambda: mg.ConfusionMatrix(5000).update([5000], [0]), "the label 5000 in y_true"),
    "a class that comes twice": (lambda: mg.ConfusionMatrix([*CLASSES, "n00000007"]), "'n00000007' comes twice"),
    "edges that fall": (lambda: mg.Histogram([*range(10_000), 7, 8]), "of which 9999.0 and 7.0 follow one another"),
    "columns that come twice": (lambda: mg.Rows(*CLASSES, "n00000007"), "'n00000007' comes twice"),
    "a long step": (lambda: mg.Windowed(mg.Mean(), last=9).update([*range(100_000)], np.zeros(100_000)), "[0, 1, 2"),
    "a value of many objects": (lambda: mg.First().update(1, [object()] * 100_000), "<object object"),
    "a seed of many": (lambda: mg.HyperLogLog(seed=[*range(100_000)]), "[0, 1, 2"),
    "a number of many digits": (lambda: mg.TopK(-(10**100_000)), "an int of 332193 bits"),
    "counts of many": (lambda: mg.Counter().update(dict.fromkeys(range(100_000), -1)), "{0: -1, 1: -1"),
    "an object without a repr": (lambda: mg.Keyed(Thrower()), "<Thrower whose repr fails>"),
    "arrays": (lambda: mg.merge([np.zeros((500, 500))]), "array([[0., 0., 0."),
    "a long path": (lambda: mg.MetricCollection("x" * 100_000), "'xxx"),
    "metadata": (lambda: Sized().snapshot({"x" * 100_000: 1j}), "'xxx"),
    "many parts": (
        lambda: mg.Dict(**dict.fromkeys(CLASSES, mg.Sum())).merge(mg.Dict(**dict.fromkeys(CLASSES, mg.Max()))),
        "n00000000",
    ),
    "edges that differ": (
        lambda: mg.Histogram(np.arange(9999.0)).merge(mg.Histogram([*range(9998), 1e9])),
        "edges[9998] is 9998.0 here and 1000000000.0 there",
    ),
    "edges of other sizes": (
        lambda: mg.Keyed(mg.Histogram(np.arange(9999.0))).merge(mg.Keyed(mg.Histogram(np.arange(10_000.0)))),
        "state[1]['edges'] has 9,999 items here and 10,000 there",
    ),
    "arguments that differ": (
        lambda: mg.merge([Sized([*range(900)]), Sized([*range(899), 7])]),
        "size[899] is 899 in ",
    ),
    "parameters that differ": (
        lambda: Sized("x" * 9000 + "a").merge_state([Sized("x" * 9000 + "b")]),
        "size[9000:] is 'a' here and 'b' there",
    ),
    "a repr": (lambda: [][repr(mg.ConfusionMatrix(3000))], "list indices"),
}


@pytest.mark.parametrize("name", LONG)
def test_no_text_is_longer_than_a_screen(name):
    """An error shows the beginning and the end of what came, and of what is long the part that is wrong."""
    act, part = LONG[name]
    with pytest.raises((TypeError, ValueError, KeyError)) as caught:
        act()

    assert part in str(caught.value)
    assert len(str(caught.value)) < SCREEN
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "value",
    [
        "x" * 10**6,
        [[["x" * 99] * 99] * 99] * 99,
        dict.fromkeys(range(999), "x" * 99),
        np.zeros((99, 99)),
        10**9999,
        {*range(999)},
        Thrower(),
    ],
    ids=range(7),
)
def test_what_is_shown_is_short(value):
    """Whatever a value is, it takes one short line."""
    assert len(wording.shown(value)) <= wording.LONGEST
    assert "\n" not in wording.shown(value)


def test_what_is_short_is_shown_as_it_is():
    """Short values look as Python has them, and dicts keep their order."""
    for value in (
        1,
        0.1,
        "a'b",
        b"x",
        None,
        [1, 2.5, "c"],
        {"b": 1, "a": {}},
        (),
        ((),),
        set(),
        np.float64(0.5),
        [float("nan")],
    ):
        assert repr(value) == wording.shown(value)


def test_many_numbers_are_cut():
    """Of many workers the first and the last are named, and how many they are."""
    assert "workers 0, 1 and 2" == enumerated("worker", [0, 1, 2])
    assert "workers 0, 1, 2, ... and 9999 (10,000 in all)" == enumerated("worker", range(10_000))


def test_differences_name_the_place():
    """Where two long values differ is what is shown."""
    assert "a is 1 here and 2 there" == difference("a", 1, 2)
    one, other = ([*["y" * 99] * 7, {"x": x}] for x in (1, 2))
    assert "a[7] is {'x': 1} in one and {'x': 2} in other" == difference("a", one, other, "in one", "in other")
    assert "a has 99 items here and 100 there" == difference("a", np.arange(99), np.arange(100))
    assert "a is an array of int64 and shape (9999,) here and an array of float64 and shape (9999,) there" == difference(
        "a", np.arange(9999), np.arange(9999.0)
    )
