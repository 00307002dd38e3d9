"""What happens around a call of the user's code: a failure says where it was, and what it has written is undone.

These are classes, because they stand around every update: a generator takes longer to enter than a small update takes.
"""

from __future__ import annotations

from typing import Any

from mergeable.errors import add_note
from mergeable.slot import States
from mergeable.state import State


class Named:
    """Add to an exception of the block where it happened."""

    __slots__ = ("_metric", "_replica", "_verb")

    def __init__(self, metric: Any, verb: str, replica: int | None = None) -> None:
        self._metric, self._verb, self._replica = metric, verb, replica

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, *__: object) -> None:
        if isinstance(error, Exception):
            where = f"in {type(self._metric).__name__}.{self._verb} (metric {self._metric.name!r}"
            undone = f", replica {self._replica}); the state is as before this update"
            add_note(error, where + (")" if self._replica is None else undone))


class Undone:
    """Return every state to what it was when the block raises."""

    __slots__ = ("_before", "_states")

    def __init__(self, states: States) -> None:
        self._states = states

    def __enter__(self) -> None:
        self._before = dict(self._states)
        opened: list[State] = []
        try:
            for state in self._before.values():
                state.savepoint()
                opened.append(state)
        except BaseException:
            for state in opened:
                state.commit()  # nothing was written yet
            raise

    def __exit__(self, _: object, error: BaseException | None, *__: object) -> None:
        for state in self._before.values():
            if error is None:
                state.commit()
            else:
                state.rollback()
        if error is not None:
            for name in self._states.keys() - self._before.keys():  # declared by this block
                self._states[name] = self._states[name].empty()


class Kept:
    """Bring back the attributes of a metric that are no states when the block raises."""

    __slots__ = ("_before", "_metric", "_values")

    def __init__(self, metric: Any) -> None:
        self._metric = metric

    def __enter__(self) -> None:
        self._before, self._values = dict(self._metric.__dict__), self._metric._undeclared_values()

    def __exit__(self, _: object, error: BaseException | None, *__: object) -> None:
        if error is not None:
            attributes, undeclared = self._metric.__dict__, self._metric._undeclared
            for name in undeclared - self._values.keys():  # set for the first time
                if name in self._before:
                    attributes[name] = self._before[name]
                else:
                    attributes.pop(name, None)
            undeclared.intersection_update(self._values)
            attributes.update(self._values)
