"""Undo: a savepoint remembers the values of states, a rollback returns to them, a commit forgets them.

Whoever runs code that may fail halfway opens savepoints before and ends them after. A savepoint copies nothing until something is about
to be written, and nothing at all where a state records how to undo each write.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from mergeable.state.buffer import Buffer, Mark


class Savepoint:
    """An open savepoint: a mark in the buffer, a copy of the value once one is needed, and steps that undo writes."""

    __slots__ = ("journal", "mark", "value")

    def __init__(self) -> None:
        self.mark: Mark = {}
        self.value: dict[str, Any] | None = None
        self.journal: list[Callable[[], Any]] = []


class Undoable:
    """What every state does for savepoints; a state made of states does it for its parts too."""

    _undoes_updates: ClassVar[bool] = False
    """Whether every write of ``update`` is recorded with ``_record`` or goes through ``buffer``, so that a savepoint needs
    no copy."""

    __dict__: dict[str, Any]
    _waiting: Buffer
    _saved: Savepoint
    _restore: Callable[[dict[str, Any]], None]

    def _savepoint(self) -> None:
        """Remember the value; the first write copies it."""
        waiting: Buffer | None = self.__dict__.get("_waiting")
        saved = Savepoint()
        if waiting is not None:
            saved.mark = waiting.mark()
        self._saved = saved

    def _commit(self) -> None:
        """Forget the savepoint."""
        self.__dict__.pop("_saved", None)

    def _rollback(self) -> None:
        """Return to the savepoint. After an interrupt the savepoint is still there: the next call returns to it."""
        saved: Savepoint | None = self.__dict__.get("_saved")
        if saved is None:
            return
        if saved.value is not None:
            self._restore(saved.value)
        for undo in reversed(saved.journal):
            undo()
        self._waiting = Buffer.at(saved.mark)
        self.__dict__.pop("_saved", None)

    def _all_or_nothing(self) -> _AllOrNothing:
        """Return a context that undoes the writes of a block that raises; inside an open savepoint, its owner undoes them."""
        return _AllOrNothing(self)

    @property
    def _is_recorded(self) -> bool:
        """Whether a write must say how to undo it: a savepoint is open that holds no copy of the value."""
        saved: Savepoint | None = self.__dict__.get("_saved")
        return saved is not None and saved.value is None

    def _record(self, undo: Callable[[], Any]) -> None:
        """Record how to undo the write that comes next, so that a savepoint needs no copy of the whole value.

        ``undo`` may be called when nothing was written yet, and again when it was cut off: it sets what was, and counts nothing back.
        """
        if self._is_recorded:
            self._saved.journal.append(undo)


class _AllOrNothing:
    __slots__ = ("_is_owner", "_state")

    def __init__(self, state: Undoable) -> None:
        self._state = state

    def __enter__(self) -> None:
        self._is_owner = "_saved" not in self._state.__dict__
        if self._is_owner:
            self._state._savepoint()

    def __exit__(self, _: object, error: BaseException | None, *__: object) -> None:
        if self._is_owner and error is None:
            self._state._commit()
        elif self._is_owner:
            self._state._rollback()


def savepoint(*states: Undoable) -> None:
    """Remember the values of states, and of the states inside them.

    Raises:
        MergeableError: an object does not pickle; its state has no savepoint, those before it have.
    """
    for state in states:
        state._savepoint()


def commit(*states: Undoable) -> None:
    """Forget the savepoints: what was written since stays."""
    for state in states:
        state._commit()


def rollback(*states: Undoable) -> None:
    """Return to the savepoints, where there are any. What an interrupt cuts off keeps its savepoint: roll back again."""
    for state in states:
        state._rollback()
