"""Undo: a savepoint remembers the values of states, a rollback returns to them, a commit forgets them.

Whoever runs code that may fail halfway opens savepoints before and ends them after. A savepoint copies nothing until something is about
to be written, and nothing at all where a state records how to undo each write.
"""

from __future__ import annotations

from mergeable.state.state import State


def savepoint(*states: State) -> None:
    """Remember the values of states, and of the states inside them.

    Raises:
        MergeableError: an object does not pickle; its state has no savepoint, those before it have.
    """
    for state in states:
        state._savepoint()


def commit(*states: State) -> None:
    """Forget the savepoints: what was written since stays."""
    for state in states:
        state._commit()


def rollback(*states: State) -> None:
    """Return to the savepoints, where there are any. What an interrupt cuts off keeps its savepoint: roll back again."""
    for state in states:
        state._rollback()
