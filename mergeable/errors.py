"""The errors that a user may meet.

Each says what was attempted, what came, what was expected and what to do, and leaves every operand as it was.
"""


class MergeableError(Exception):
    """Base class of every error that this library raises on purpose."""

    __init__ = Exception.__init__  # AutoGraph raises an error again as itself only where its constructor is this one


class IncompatibleStates(MergeableError, ValueError):
    """Two states, or two metrics, that do not describe the same thing were to be merged."""


class DuplicateOrigin(MergeableError, ValueError):
    """The same piece was to be merged twice, which would count its updates twice."""


class SnapshotError(MergeableError, ValueError):
    """A saved snapshot cannot be read, or is not what it says it is."""


class UndeclaredState(MergeableError, AttributeError):
    """A merge needs an attribute that no declaration covers."""


class ReadOnlyState(MergeableError, TypeError):
    """A merged state, which is a copy, was to be changed; the change would have been lost."""


class ExchangeTimeout(MergeableError, TimeoutError):
    """A process did not come to the exchange in time."""


class UnsupportedStrategy(MergeableError, NotImplementedError):
    """The metric was traced in a place where Python on the host cannot run."""


def add_note(error: BaseException, note: str) -> None:
    """Add to an exception of the user's code where it happened."""
    if hasattr(error, "add_note"):
        error.add_note(note)
    elif error.args and isinstance(error.args[0], str):  # Python 3.10 has no notes
        error.args = (f"{error.args[0]}\n{note}", *error.args[1:])
