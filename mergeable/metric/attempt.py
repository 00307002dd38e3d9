"""A change of a metric is made as a whole or not at all, wherever it is cut off: by an exception, an interrupt, or a fork."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from mergeable.errors import add_note
from mergeable.part import Part, States
from mergeable.state.undo import commit, rollback, savepoint
from mergeable.wording import shown

T = TypeVar("T")


class Named:
    """Add to an exception of the block where it happened."""

    __slots__ = ("_metric", "_replica", "_verb")

    def __init__(self, metric: Any, verb: str, replica: int | None = None) -> None:
        self._metric, self._verb, self._replica = metric, verb, replica

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, *__: object) -> None:
        if isinstance(error, Exception):
            where = f"in {type(self._metric).__name__}.{self._verb} (metric {shown(self._metric.name)}"
            undone = f", replica {self._replica}); the state is as before this update"
            add_note(error, where + (")" if self._replica is None else undone))


class Attempt:
    """One change of a metric, from before its first write to after its last.

    The metric knows it for so long. ``act`` runs the user's code, on states of a slot that remember what they were, or beside the
    metric; then one write decides; then ``then`` does what is left. Whoever finds an attempt in a metric that nobody is in ends it:
    one that was not decided is undone, and of one that was, ``then`` is done again. Both may be cut off in turn, and begin anew.
    """

    __slots__ = ("_attributes", "_contribution", "_metric", "_slot", "_states", "_then", "_values")

    def __init__(self, metric: Any, slot: Part | None = None) -> None:
        self._metric, self._slot = metric, slot
        self._attributes, self._values = dict(metric.__dict__), metric._undeclared_values()
        self._states: States = {} if slot is None else dict(slot.states)
        self._contribution = None if slot is None else slot.contributions.get(slot.origin or "")
        self._then: Callable[[], None] | None = None

    def make(self, act: Callable[..., T], *args: Any, then: Callable[[], None]) -> T:
        """Return ``act(*args)``, and do ``then``, or undo all of it and raise."""
        self._metric.__dict__["_attempt"] = self
        try:
            savepoint(*self._states.values())
            value = act(*args)
            self._then = then
        except BaseException:
            self.end()
            raise
        self.end()
        return value

    def end(self) -> None:
        """Do what was decided, or return to before."""
        if self._then is None:
            self._undo_states()
            self._undo_attributes()
        else:
            commit(*self._states.values())
            self._then()
        self._metric.__dict__["_attempt"] = None

    def _undo_states(self) -> None:
        rollback(*self._states.values())
        if self._slot is None:
            return
        for name in self._slot.states.keys() - self._states.keys():  # declared by the user's code
            self._slot.states[name] = self._slot.states[name].empty()
        origin = self._slot.origin or ""  # the one under which updates count; it may be new
        if self._contribution is None:
            self._slot.contributions.pop(origin, None)
        else:
            self._slot.contributions[origin] = self._contribution

    def _undo_attributes(self) -> None:
        """Bring back the attributes that are no states."""
        attributes, undeclared = self._metric.__dict__, self._metric._undeclared
        for name in undeclared - self._values.keys():  # set for the first time
            if name in self._attributes:
                attributes[name] = self._attributes[name]
            else:
                attributes.pop(name, None)
        undeclared.intersection_update(self._values)
        attributes.update(self._values)
