"""The errors that a user may meet."""

import pickle

import pytest

import mergeable as mg
from mergeable import errors
from mergeable.laws import LawBroken

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
